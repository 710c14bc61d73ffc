"""A store that is a cluster of six real servers: each key is asked of its primary, wherever that is just now."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from redis.crc import key_slot

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.redis_topologies import asked, clustered
from tests.support.session_builders import new_ticket
from tests.support.store_side import new_attempt, now, store_sides
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SESSIONS, ENDED = 60, 10
FAILOVER = 30.0
"""Seconds. Detection takes one, the election another; the rest is for a busy machine."""


@pytest.fixture
def store():
    with clustered() as running:
        yield running


def slot_of(ticket):
    return key_slot(keyspace.session(ticket.session_id).encode())


async def everybody(sides, tickets):
    return [said for side in sides for said in await asyncio.gather(*map(side.asks, tickets))]


async def until_refused(side, ticket):
    async def refused():
        return not await side.asks_nearby(ticket)

    return await until(refused)


async def test_sessions_are_found_listed_and_ended_on_every_primary(store):
    async with store_sides(store.url) as (one, other):
        tickets = [await one.starts() for _ in range(SESSIONS)]
        assert len({store.owner(slot_of(ticket)) for ticket in tickets}) == 3
        assert set(await everybody([one, other], tickets)) == {True}
        listed = [summary.session_id async for summary in other.sessions.all_summaries(now=now())]
        assert sorted(listed) == sorted(ticket.session_id for ticket in tickets)
        for ticket in tickets:
            assert await other.asks_nearby(ticket)
        ended = await one.sessions.revoke_all([ticket.session_id for ticket in tickets])
        assert len(ended) == SESSIONS
        for ticket in tickets:
            assert await until_refused(other, ticket) < 1.5
        assert one.connection.failures == other.connection.failures == 0
        assert [text for text in await one.heartbeat.warnings() if "append-only" not in text] == []


@pytest.mark.parametrize(
    ("falls", "rises"),
    [
        pytest.param(RedisServer.kill, RedisServer.start, id="killed"),
        pytest.param(RedisServer.freeze, RedisServer.thaw, id="frozen"),
    ],
)
async def test_a_primary_that_falls_stops_only_its_own_part_and_brings_nobody_back(store, falls, rises):
    async with store_sides(store.url) as (one, other):
        sides = (one, other)
        tickets = [await one.starts() for _ in range(SESSIONS)]
        revoked = [await one.starts() for _ in range(ENDED)]
        attempts = [new_attempt() for _ in range(ENDED)]
        for ticket, attempt in zip(revoked, attempts, strict=True):
            assert await other.asks_nearby(ticket)
            assert await one.sessions.revoke(ticket.session_id)
            assert await one.uses(attempt)
        for node in store.nodes:
            await until(lambda node=node: has_its_replica(node))
        fallen = store.owner(slot_of(tickets[0]))
        its_own = [ticket for ticket in tickets if store.owner(slot_of(ticket)) is fallen]
        others = [ticket for ticket in tickets if ticket not in its_own]
        falls(fallen)

        async def has_moved():
            said = await everybody(sides, others)
            assert False not in said
            assert True not in await everybody(sides, revoked)
            return False not in said and set(await everybody(sides, its_own)) == {True}

        await until(has_moved, within=FAILOVER)
        for side in sides:
            await until(side.is_served, within=FAILOVER)
        assert set(await everybody(sides, tickets)) == {True}
        assert set(await everybody(sides, revoked)) == {False}
        assert [await other.uses(attempt) for attempt in attempts] == [False] * ENDED
        ended_since = its_own[:ENDED]
        for ticket in ended_since:
            assert await other.asks_nearby(ticket)
            assert await one.sessions.revoke(ticket.session_id)
        rises(fallen)
        for _ in range(20):
            assert True not in await everybody(sides, [*revoked, *ended_since])
        for ticket in ended_since:
            assert await until_refused(other, ticket) < 1.5


def has_its_replica(node):
    facts = node.command("INFO", "replication").decode()
    lines = dict(line.split(":", 1) for line in facts.splitlines() if ":" in line)
    return lines["role"] != "master" or f"offset={lines['master_repl_offset']}," in lines["slave0"]


async def test_a_slot_that_moves_under_traffic_loses_nothing(store):
    """The session is asked for and revoked before, while and after its slot moves. A script with several keys,
    some of which are not there, waits until the slot has moved."""
    async with store_sides(store.url, deadline=GENEROUS) as (one, other):
        ticket, to_end = await one.starts(), await one.starts()
        for each in (ticket, to_end):
            slot = slot_of(each)
            source = store.owner(slot)
            target = store.owner((slot + 16384 // 2) % 16384)
            source_id, target_id = store.id_of(source), store.id_of(target)
            asked(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            asked(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            assert await one.asks(each)
            keys = asked(source, "CLUSTER", "GETKEYSINSLOT", slot, 100)
            asked(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            assert await one.asks(each)  # ASK
            assert await other.asks_nearby(each)
            ending = asyncio.ensure_future(one.sessions.revoke(each.session_id)) if each is to_end else None
            for _ in range(20):
                await other.asks(new_ticket())  # something is asked and answered meanwhile
            for node in (target, source):
                asked(node, "CLUSTER", "SETSLOT", slot, "NODE", target_id)
            if ending is not None:
                assert await ending
                assert await until_refused(other, each) < 1.5
            assert await one.asks(each) is (ending is None)  # MOVED
        assert one.connection.failures == 0


async def test_a_part_that_does_not_answer_fails_only_its_own_questions(store):
    async with store_sides(store.url, count=1) as [one]:
        tickets = [await one.starts() for _ in range(SESSIONS)]
        for node in store.nodes:  # without replicas nobody takes over
            if b"role:slave" in node.command("INFO", "replication"):
                node.kill()
        frozen = store.owner(slot_of(tickets[0]))
        owners = {ticket: store.owner(slot_of(ticket)) for ticket in tickets}
        frozen.freeze()
        answers = await one.connection.each(
            [("EXISTS", keyspace.session(ticket.session_id)) for ticket in tickets]
        )
        for ticket, answer in zip(tickets, answers, strict=True):
            assert isinstance(answer, CannotAsk) if owners[ticket] is frozen else answer == 1
        frozen.thaw()


async def test_the_nodes_that_a_url_names_may_be_replicas(store):
    replica = next(node for node in store.nodes if b"role:slave" in node.command("INFO", "replication"))
    redis = RedisConnection(f"redis+cluster://127.0.0.1:{replica.port}")
    for _ in range(20):
        key = f"authproxy:{{{secrets.token_hex(8)}}}:test"
        assert await redis.all([("SET", key, b"1"), ("GET", key)]) == [b"OK", b"1"]
    await redis.aclose()


async def test_a_server_that_is_no_cluster_is_told():
    with RedisServer() as server:
        redis = RedisConnection(f"redis+cluster://127.0.0.1:{server.port}")
        with pytest.raises(CannotAsk, match="no node of the cluster"):
            await redis.ping()
        await redis.aclose()


async def test_no_password_goes_to_another_machine_in_plain_text_because_a_node_says_so(store):
    redis = RedisConnection(store.url, several=SeveralServers(may_lead_to=lambda _host: False))
    with pytest.raises(CannotAsk, match="another machine"):
        await redis.ask("GET", "authproxy:{x}:session")
    await redis.aclose()
