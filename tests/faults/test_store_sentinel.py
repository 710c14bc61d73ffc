"""A store with a primary, two replicas and three Sentinels, all of them real: who is asked, and what a failover
loses."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import BlockedAccount, RegisterKey
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.people import RedisPeople
from tests.support.challenge_builders import enrolment_of
from tests.support.people_builders import ANA, account
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.redis_topologies import SERVICE, replicated, until_true
from tests.support.store_side import everybody, new_attempt, now, store_sides, until_refused
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SESSIONS, ENDED = 30, 5
FAILOVER = 30.0
"""Seconds. Detection takes one, the election one or two; the rest is for a busy machine."""


@pytest.fixture(scope="module")
def running():
    with replicated() as running:
        yield running


@pytest.fixture
def store(running):
    """As it was at the beginning, although another server may be the primary."""
    running.mend()
    until_true(running.is_whole)
    return running


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
    await until(store.whether_caught_up(), within=FAILOVER)
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
    for _ in range(20):  # the Sentinels leave it a second primary for several seconds
        assert True not in await everybody(sides, [*revoked, *ended_since])
        assert set(await everybody(sides, active)) == {True}
    for ticket in ended_since:
        await until_refused(other, ticket)


async def test_a_killed_primary_signs_nobody_out_and_brings_nobody_back(store):
    async with store_sides(store.url) as sides:
        await the_story(store, sides, falls=RedisServer.kill, rises=RedisServer.start)


@pytest.mark.rehearsal
async def test_a_frozen_primary_that_wakes_as_a_second_one_is_asked_nothing(store):
    async with store_sides(store.url) as sides:
        await the_story(store, sides, falls=RedisServer.freeze, rises=RedisServer.thaw)


@pytest.mark.rehearsal
async def test_a_former_primary_that_still_takes_questions_is_left():
    """Somebody has promoted another server by hand, and the former primary does not know it."""
    with replicated() as store:
        await a_former_primary_is_left(store)


async def a_former_primary_is_left(store):
    async with store_sides(store.url) as (one, other):
        ticket = await one.starts()
        await until(store.whether_caught_up(), within=FAILOVER)
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
        await until_refused(one, ticket)
        assert await one.asks(ticket) is False


async def promoted_is_asked(side, promoted):
    try:
        facts = await side.connection.ask("INFO", "server")
    except CannotAsk:
        return False
    return f"tcp_port:{promoted.port}".encode() in facts


async def test_without_sentinels_the_known_primary_is_asked_and_readiness_says_so(store):
    """A server takes the part of the Sentinels, because these find each other again only after a while."""
    async with fault_proxy(store.sentinels[0].port) as first, fault_proxy(store.sentinels[1].port) as second:
        redis = RedisConnection(f"redis+sentinel://127.0.0.1:{first.port},127.0.0.1:{second.port}/{SERVICE}")
        await redis.ping()
        await first.refuse()
        await second.refuse()
        await redis._store.leave()
        await redis.ping()
        [warning] = await redis.warnings()
        assert "2 of 2 Sentinels" in warning
        assert "no failover" in warning
        assert f"127.0.0.1:{first.port}: it cannot be reached: connection refused" in warning
        await redis.aclose()


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

            async def hears_only_the_stale_one():
                redis._sentinels.doubt()
                await redis.ping()
                return redis.hears_few_sentinels

            await until(hears_only_the_stale_one)
            await redis._store.leave()
            assert f"tcp_port:{primary.port}".encode() in await redis.ask("INFO", "server")
            assert len(await redis.warnings()) == 1
            await redis.aclose()


async def test_whoever_rests_is_woken_when_another_server_becomes_the_primary():
    """The heartbeat does: this gateway alone may know who was signed out a moment ago."""
    with RedisServer() as former, RedisServer() as primary:
        async with fault_proxy(former.port) as sentinel:
            await sentinel.answer(sentinel_says(former.port, 1))
            redis = RedisConnection(
                f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}", deadline=GENEROUS
            )
            await redis.ping()
            resting = asyncio.ensure_future(redis.rest(3600))
            await sentinel.answer(sentinel_says(primary.port, 2))

            async def is_woken():
                await redis.ping()
                return resting.done()

            await until(is_woken)
            assert f"tcp_port:{primary.port}".encode() in await redis.ask("INFO", "server")
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


async def test_what_must_be_durable_is_refused_while_no_replica_confirms_it(store):
    primary = store.primary
    replicas = [server for server in store.servers if server is not primary]
    async with store_sides(store.url, several=SeveralServers(is_durable=True)) as (one, other):
        ticket, kept = await one.starts(), await one.starts()
        attempt = new_attempt()
        late, prompt = replicas
        late.freeze()
        assert await one.uses(attempt)
        assert await one.sessions.revoke(kept.session_id)
        # The one replica that could confirm has them already; the other one is not waited for.
        assert prompt.command("EXISTS", keyspace.session(kept.session_id)) == b":0\r\n"
        used = keyspace.used_attempt(keyspace.attempt_name(attempt.secret))
        assert prompt.command("EXISTS", used) == b":1\r\n"
        prompt.freeze()
        with pytest.raises(CannotAsk, match="no replica of the store has confirmed"):
            await one.sessions.revoke(ticket.session_id)
        assert await one.uses(new_attempt()) is None
        assert await other.uses(attempt) is None
        assert await one.starts()  # a session that begins may be lost: its person signs in again
        for replica in replicas:
            replica.thaw()
        await until(lambda: one.uses(new_attempt()), within=FAILOVER)
        assert await other.uses(attempt) is False


async def test_a_block_and_a_removed_method_must_be_durable_too(store):
    keys = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
    redis, other = (RedisConnection(store.url, several=SeveralServers(is_durable=True)) for _ in range(2))
    people, enrolments = RedisPeople(redis, keys=keys), RedisEnrolments(redis, keys=keys)
    of_another = RedisPeople(other, keys=keys)
    owner, enrolment = ("person", secrets.token_hex(8)), enrolment_of()
    assert await people.take_over((ANA,), revision=await people.revision(), departures=())
    assert await enrolments.add(owner, enrolment)
    [found] = await people.find([RegisterKey("id", "ana")])
    revision = await people.revision()
    blocked = BlockedAccount(account=account(), blocked_at=now())
    changes = [
        lambda: people.block_account(blocked, revision=revision),
        lambda: people.change(found, ANA.blocked(now(), "lost"), departs=True),
        lambda: enrolments.remove(owner, enrolment.enrolment_id),
        lambda: enrolments.remove_all([owner]),
        # That it is done already is no confirmation.
        lambda: of_another.block_account(blocked, revision=revision),
    ]
    for replica in store.replicas:
        replica.freeze()
    for change in changes:
        with pytest.raises(CannotAsk, match="no replica of the store has confirmed"):
            await change()
    for replica in store.replicas:
        replica.thaw()
    await until(lambda: is_confirmed(changes[-1]), within=FAILOVER)
    for each in (redis, other):
        await each.aclose()


async def is_confirmed(change):
    with contextlib.suppress(CannotAsk):
        await change()
        return True
    return False
