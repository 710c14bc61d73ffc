"""A store with a primary, two replicas and three Sentinels, all of them real: who is asked, and what a failover
loses."""

from __future__ import annotations

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.redis_topologies import SERVICE, replicated
from tests.support.store_side import new_attempt, store_sides
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SESSIONS, ENDED = 100, 10
FAILOVER = 30.0
"""Seconds. Detection takes one, the election one or two; the rest is for a busy machine."""


@pytest.fixture
def store():
    with replicated() as running:
        yield running


async def everybody(sides, tickets):
    return [await side.asks(ticket) for side in sides for ticket in tickets]


async def the_story(store, sides, *, falls, rises):
    """Sessions, ended ones and used attempts before, during and after a failover."""
    one, other = sides
    active = [await one.starts() for _ in range(SESSIONS)]
    revoked = [await other.starts() for _ in range(ENDED)]
    attempts = [new_attempt() for _ in range(ENDED)]
    for ticket, attempt in zip(revoked, attempts, strict=True):
        assert await one.asks_nearby(ticket)
        assert await other.sessions.revoke(ticket.session_id)
        assert await one.uses(attempt)
    await replicas_have_it_all(store)
    fallen = store.primary
    falls(fallen)

    async def moved():
        said = await everybody(sides, [*revoked])
        assert True not in said
        return store.primary is not fallen

    await until(moved, within=FAILOVER)
    for side in sides:
        await until(side.is_served, within=FAILOVER)
    assert set(await everybody(sides, active)) == {True}
    assert set(await everybody(sides, revoked)) == {False}
    assert [await other.uses(attempt) for attempt in attempts] == [False] * ENDED
    ended_since = [await one.starts() for _ in range(ENDED)]
    for ticket in ended_since:
        assert await other.asks_nearby(ticket)
        assert await one.sessions.revoke(ticket.session_id)
    rises(fallen)
    for _ in range(20):
        assert True not in await everybody(sides, [*revoked, *ended_since])
        assert set(await everybody(sides, active)) == {True}
    for ticket in ended_since:
        assert await until_refused(other, ticket) < 1.5


async def until_refused(side, ticket):
    async def refused():
        return not await side.asks_nearby(ticket)

    return await until(refused)


async def replicas_have_it_all(store):
    primary = store.primary

    def is_through():
        facts = primary.command("INFO", "replication").decode()
        lines = dict(line.split(":", 1) for line in facts.splitlines() if ":" in line)
        offset = lines["master_repl_offset"]
        return all(f"offset={offset}," in lines[f"slave{number}"] for number in (0, 1))

    await until(is_through, within=10)


async def test_a_killed_primary_signs_nobody_out_and_brings_nobody_back(store):
    async with store_sides(store.url) as sides:
        await the_story(store, sides, falls=RedisServer.kill, rises=RedisServer.start)


async def test_a_frozen_primary_that_wakes_as_a_second_one_is_asked_nothing(store):
    async with store_sides(store.url) as sides:
        await the_story(store, sides, falls=RedisServer.freeze, rises=RedisServer.thaw)


async def test_a_former_primary_that_still_takes_questions_is_left(store):
    """Somebody has promoted another server by hand, and the former primary does not know it."""
    async with store_sides(store.url) as (one, other):
        ticket = await one.starts()
        await replicas_have_it_all(store)
        former = store.primary
        next(server for server in store.servers if server is not former).command("REPLICAOF", "NO", "ONE")
        promoted = next(server for server in store.servers if server is not former)
        for sentinel in store.sentinels:
            sentinel.command("SENTINEL", "REMOVE", SERVICE)
            sentinel.command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", str(promoted.port), "2")
        for side in (one, other):
            await until(lambda side=side: promoted_is_asked(side, promoted), within=FAILOVER)
            await until(side.is_served, within=FAILOVER)
        assert await one.asks_nearby(ticket)
        assert await other.sessions.revoke(ticket.session_id)
        assert await until_refused(one, ticket) < 1.5
        assert await one.asks(ticket) is False


async def promoted_is_asked(side, promoted):
    try:
        facts = await side.connection.ask("INFO", "server")
    except CannotAsk:
        return False
    return f"tcp_port:{promoted.port}".encode() in facts


async def test_without_sentinels_the_known_primary_is_asked_and_readiness_says_so(store):
    async with store_sides(store.url) as (one, _):
        ticket = await one.starts()
        for sentinel in store.sentinels:
            sentinel.kill()
        await one.connection._store.leave()
        assert await one.asks(ticket)
        [warning] = [text for text in await one.heartbeat.warnings() if "Sentinel" in text]
        assert "3 of 3 Sentinels" in warning
        assert "no failover" in warning
        assert str(store.sentinels[0].port) in warning


async def test_one_sentinel_that_is_cut_off_costs_no_question_its_time(store):
    async with fault_proxy(store.sentinels[0].port) as silent:
        silent.swallow()
        url = store.url.replace(f":{store.sentinels[0].port}", f":{silent.port}")
        redis = RedisConnection(url)
        await redis.ping()
        assert redis.failures == 0
        await redis.aclose()


def sentinel_says(port, epoch):
    """What a Sentinel answers to both questions, as octets."""
    facts = ["name", SERVICE, "ip", "127.0.0.1", "port", str(port), "config-epoch", str(epoch)]
    return resp(["127.0.0.1", str(port)]) + resp(facts)


def resp(words):
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


async def test_the_newest_decision_of_the_sentinels_counts():
    with RedisServer() as former, RedisServer() as primary:
        async with (
            fault_proxy(former.port) as stale,
            fault_proxy(former.port) as newest,
            fault_proxy(former.port) as silent,
        ):
            await stale.answer(sentinel_says(former.port, 1))
            await newest.answer(sentinel_says(primary.port, 2))
            silent.swallow()
            hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in (stale, newest, silent))
            redis = RedisConnection(f"redis+sentinel://{hosts}/{SERVICE}", deadline=GENEROUS)
            assert f"tcp_port:{primary.port}".encode() in await redis.ask("INFO", "server")
            newest.swallow()  # now one of three tells of yesterday, and nobody else says anything
            redis._sentinels.doubt()
            await redis._store.leave()
            assert f"tcp_port:{primary.port}".encode() in await redis.ask("INFO", "server")
            assert len(await redis.warnings()) == 1
            await redis.aclose()


async def test_a_replica_is_never_asked_even_if_a_sentinel_names_it(store):
    replica = next(server for server in store.servers if server is not store.primary)
    async with fault_proxy(store.primary.port) as proxy:
        await proxy.answer(sentinel_says(replica.port, 1))
        redis = RedisConnection(f"redis+sentinel://127.0.0.1:{proxy.port}/{SERVICE}")
        with pytest.raises(CannotAsk, match="is not the primary"):
            await redis.ask("GET", "authproxy:{x}:session")
        await redis.aclose()


async def test_no_password_goes_to_another_machine_in_plain_text_because_a_sentinel_says_so():
    with RedisServer() as server:
        async with fault_proxy(server.port) as proxy:
            facts = ["config-epoch", "1"]
            await proxy.answer(resp(["192.0.2.1", "6379"]) + resp(facts))
            redis = RedisConnection(
                f"redis+sentinel://127.0.0.1:{proxy.port}/{SERVICE}",
                password="word",
                several=SeveralServers(may_lead_to=lambda host: host == "127.0.0.1"),
            )
            with pytest.raises(CannotAsk, match="another machine"):
                await redis.ping()
            await redis.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"*-1\r\n-ERR No such master with that name\r\n",
        b"+OK\r\n+OK\r\n",
        b"*2\r\n$-1\r\n$-1\r\n*0\r\n",
        b"-NOPERM x\r\n-NOPERM x\r\n",
    ],
)
async def test_what_a_sentinel_does_not_know_or_say_is_an_outage(answer):
    with RedisServer() as server:
        async with fault_proxy(server.port) as proxy:
            await proxy.answer(answer)
            redis = RedisConnection(f"redis+sentinel://127.0.0.1:{proxy.port}/{SERVICE}")
            with pytest.raises(CannotAsk, match="Sentinel"):
                await redis.ping()
            await redis.aclose()


async def test_sentinels_and_the_store_have_users_of_their_own():
    user = "user gateway on >of-the-sentinels +sentinel|get-master-addr-by-name +sentinel|master"
    with replicated(sentinel_lines=(user,)) as store:
        for server in store.servers:
            server.command("ACL", "SETUSER", "gateway", "reset", "on", ">of-the-store", "+ping", "+role")

        async def is_asked(sentinel_password):
            redis = RedisConnection(
                store.url,
                username="gateway",
                password="of-the-store",
                several=SeveralServers(sentinel_username="gateway", sentinel_password=sentinel_password),
            )
            try:
                await redis.ping()
            finally:
                await redis.aclose()

        await is_asked("of-the-sentinels")
        with pytest.raises(CannotAsk, match=r"Sentinel.*user name or the password") as told:
            await is_asked("of-the-store")
        assert "of-the-store" not in str(told.value)


async def test_what_must_be_durable_is_refused_while_no_replica_confirms_it(store):
    primary = store.primary
    replicas = [server for server in store.servers if server is not primary]
    async with store_sides(store.url, several=SeveralServers(is_durable=True)) as (one, other):
        ticket, kept = await one.starts(), await one.starts()
        attempt = new_attempt()
        assert await one.uses(attempt)
        assert await one.sessions.revoke(kept.session_id)
        for replica in replicas:  # each has them already, without waiting
            assert replica.command("EXISTS", keyspace.session(kept.session_id)) == b":0\r\n"
            name = keyspace.attempt_name(attempt.secret)
            assert replica.command("EXISTS", keyspace.used_attempt(name)) == b":1\r\n"
            replica.freeze()
        with pytest.raises(CannotAsk, match="too few replicas"):
            await one.sessions.revoke(ticket.session_id)
        assert await one.uses(new_attempt()) is None
        assert await other.uses(attempt) is None
        assert await one.starts()  # a session that begins may be lost: its person signs in again
        for replica in replicas:
            replica.thaw()
        await until(lambda: one.uses(new_attempt()), within=FAILOVER)
        assert await other.uses(attempt) is False
