"""A store that is a cluster of six real servers: each key is asked of its primary, wherever that is just now."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from datetime import timedelta

import pytest
from redis.crc import key_slot

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import condition
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.reads import GatheredReads
from tests.support.challenge_builders import enrolment_of
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.redis_topologies import asked, clustered, until_true
from tests.support.session_builders import new_ticket
from tests.support.store_side import everybody, new_attempt, now, store_sides, until_refused
from tests.support.store_traffic import traffic
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
SESSIONS, ENDED = 30, 5
FAILOVER = 30.0
"""Seconds. Detection takes one, the election another; the rest is for a busy machine."""


@pytest.fixture(scope="module")
def running():
    with clustered() as running:
        yield running


@pytest.fixture
def store(running):
    """As it was at the beginning, although other nodes may be the primaries."""
    until_true(running.is_whole)
    return running


@pytest.fixture
def own_store():
    with clustered() as running:
        yield running


def slot_of(ticket):
    return key_slot(keyspace.session(ticket.session_id).encode())


async def test_sessions_are_found_listed_and_ended_on_every_primary(store):
    async with store_sides(store.url) as (one, other):
        tickets = [await one.starts() for _ in range(SESSIONS)]
        assert len({store.owner(slot_of(ticket)) for ticket in tickets}) == 3
        assert set(await everybody([one, other], tickets)) == {True}
        listed = [summary.session_id async for summary in other.sessions.all_summaries(now=now())]
        assert len(listed) == len(set(listed))
        assert {ticket.session_id for ticket in tickets} <= set(listed)
        for ticket in tickets:
            assert await other.asks_nearby(ticket)
        ended = await one.sessions.revoke_all([ticket.session_id for ticket in tickets])
        assert len(ended) == SESSIONS
        for ticket in tickets:
            await until_refused(other, ticket)
        assert one.connection.failures == other.connection.failures == 0
        assert [text for text in await one.heartbeat.warnings() if "append-only" not in text] == []


@pytest.mark.parametrize(
    ("falls", "rises"),
    [
        pytest.param(RedisServer.kill, RedisServer.start, id="killed"),
        pytest.param(RedisServer.freeze, RedisServer.thaw, id="frozen", marks=pytest.mark.rehearsal),
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
        await until(store.whether_caught_up(), within=FAILOVER)
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
        while not store.is_whole():
            assert True not in await everybody(sides, [*revoked, *ended_since])
        for ticket in ended_since:
            await until_refused(other, ticket)


async def until_piped(side, ticket):
    """Until the node of this session is asked over a pipeline."""

    async def is_piped():
        assert await side.asks(ticket)
        part = side.connection.part_of(("GET", keyspace.session(ticket.session_id)))
        return side.connection.pipeline(part) is not None

    await until(is_piped)


async def test_a_slot_that_moves_under_traffic_loses_nothing(store):
    """The session is asked for and revoked before, while and after its slot moves. A script with several keys,
    some of which are not there, waits until the slot has moved."""
    async with store_sides(store.url, deadline=GENEROUS) as (one, other):
        ticket, to_end = await one.starts(), await one.starts()
        for each in (ticket, to_end):
            slot = slot_of(each)
            source = store.owner(slot)
            target = store.owner((slot + 16384 // 2) % 16384)
            await until_piped(one, each)
            store.open_slot(slot, source, target)
            assert await one.asks(each)
            store.move_keys(slot, source, target)
            assert await one.asks(each)  # ASK
            assert await other.asks_nearby(each)
            ending = asyncio.ensure_future(one.sessions.revoke(each.session_id)) if each is to_end else None
            for _ in range(20):
                await other.asks(new_ticket())  # something is asked and answered meanwhile
            store.close_slot(slot, source, target)
            if ending is not None:
                assert await ending
                await until_refused(other, each)
            assert await one.asks(each) is (ending is None)  # MOVED
        assert one.connection.failures == 0


async def test_the_clock_of_each_primary_is_compared_and_the_one_that_is_wrong_is_named(store):
    redis = RedisConnection(store.url, deadline=GENEROUS)
    [*_, last] = sorted(store.primaries, key=lambda node: node.announced)
    at_each = itertools.chain.from_iterable((hours, hours) for hours in (0, 0, 1))
    found = await condition.aspects(redis, clock=lambda: now() + timedelta(hours=next(at_each)))
    [told] = [aspect for aspect in found if aspect.name == "clock"]
    assert told.is_warning
    assert f"the clock of 127.0.0.1:{last.announced} is 3600 s behind ours" in told.detail
    await redis.aclose()


async def test_what_waits_for_a_slot_to_move_is_no_answer_and_never_not_found(store):
    """Some keys of a session are on each side. A script with several of them cannot be carried out until the rest
    has come."""
    async with store_sides(store.url) as (one, other):
        ticket = await one.starts()
        slot = slot_of(ticket)
        source = store.owner(slot)
        target = store.owner((slot + 16384 // 2) % 16384)
        store.open_slot(slot, source, target)
        store.move_keys(slot, source, target)
        for change in (one.sessions.revoke(ticket.session_id), one.sessions.touch(ticket, now=now())):
            with pytest.raises(CannotAsk, match="TRYAGAIN"):
                await change
        assert await everybody((one, other), [ticket]) == [True, True]
        store.close_slot(slot, source, target)
        assert await other.sessions.revoke(ticket.session_id)
        assert await everybody((one, other), [ticket]) == [False, False]


async def test_a_key_that_moves_to_a_node_that_was_read_already_is_found(store):
    async with store_sides(store.url, count=1, deadline=GENEROUS) as [one]:
        tickets = [await one.starts() for _ in range(SESSIONS)]
        read_first, *_, read_last = sorted(store.primaries, key=lambda node: node.announced)
        moving = next(ticket for ticket in tickets if store.owner(slot_of(ticket)) is read_last)
        found = set()
        async for keys in one.connection.scan(keyspace.EVERY_SESSION):
            if not found:
                store.move_slot(slot_of(moving), read_last, read_first)
            found |= set(keys)
        assert found >= {keyspace.session(ticket.session_id).encode() for ticket in tickets}


async def test_a_scan_begins_anew_when_a_primary_is_replaced_meanwhile(store):
    """A replica takes over as an operator tells it to. A place among the keys of one server means nothing to the
    other."""
    async with store_sides(store.url, count=1, deadline=GENEROUS) as [one]:
        tickets = [await one.starts() for _ in range(SESSIONS)]
        replica = store.replicas[0]
        readings, found = 0, set()
        async for keys in one.connection.scan(keyspace.EVERY_SESSION):
            if not found:
                asked(replica, "CLUSTER", "FAILOVER")
                until_true(lambda: replica not in store.replicas and store.is_whole())
            readings += 1
            found |= set(keys)
        assert readings >= 3 * 3  # one reading that does not count, and two that do
        assert found >= {keyspace.session(ticket.session_id).encode() for ticket in tickets}


@pytest.mark.rehearsal
async def test_keys_that_move_to_a_new_node_are_found_listed_and_forgotten_nearby(own_store):
    """The new node has keys, and no slot yet: the map of slots does not name it."""
    store = own_store
    async with store_sides(store.url, deadline=GENEROUS) as (one, other):
        tickets = [await one.starts() for _ in range(SESSIONS)]
        new = store.add()
        source = store.owner(slot_of(tickets[0]))
        store.open_slot(slot_of(tickets[0]), source, new)
        store.move_keys(slot_of(tickets[0]), source, new)
        listed = [summary.session_id async for summary in other.sessions.all_summaries(now=now())]
        assert len(listed) == len(set(listed))
        assert {ticket.session_id for ticket in tickets} <= set(listed)
        assert await other.asks_nearby(tickets[0])
        await other.connection._store._look()  # what it says does not take back that the new node has keys
        await until(other.is_served, within=FAILOVER)
        assert await other.asks_nearby(tickets[0])
        assert asked(new, "DEL", keyspace.session(tickets[0].session_id), is_moving=True) == 1
        await until_refused(other, tickets[0])
        store.close_slot(slot_of(tickets[0]), source, new)


@pytest.mark.rehearsal
@pytest.mark.timeout(300)
async def test_while_slots_move_nothing_is_missed_and_nobody_notices(own_store):
    """A third of the slots that have something move to a new node, while people come and go, sessions are listed,
    and what people have enrolled is sealed anew."""
    store = own_store
    old, new_key = secrets.token_bytes(32), secrets.token_bytes(32)
    async with store_sides(store.url, deadline=GENEROUS) as sides, traffic(sides) as going:
        before = RedisEnrolments(sides[0].connection, keys=ring(old))
        owners = [("person", str(number)) for number in range(100)]
        for owner in owners:
            assert await before.add(owner, enrolment_of())
        source, new = store.primaries[0], store.add()
        moving = asyncio.ensure_future(asyncio.to_thread(move_everything, store, source, new))
        lists = 0
        while not moving.done():
            listed = {summary.session_id async for summary in sides[1].sessions.all_summaries(now=now())}
            assert listed >= {ticket.session_id for ticket in going.active}
            await RedisEnrolments(sides[1].connection, keys=ring(new_key, old)).reseal()
            lists += 1
        moved = await moving
        assert moved > 50
        assert lists > 1
        await going.settle()
        after = RedisEnrolments(sides[0].connection, keys=ring(new_key))
        assert [len(await after.every(owner)) for owner in owners] == [1] * len(owners)
        assert (going.bypasses, going.signed_out, going.used_twice) == (0, set(), set())
        assert going.unanswered == 0
        assert await going.lost_uses() == await going.lost_beginnings() == 0


def ring(*keys):
    return KeyRing(keys, random_bytes=secrets.token_bytes)


def move_everything(store, source, target):
    """Moves every slot of the source that has keys; how many there were."""
    mine = [slot for span in store.spans(source) for slot in range(span[0], span[1] + 1)]
    filled = [slot for slot in mine if asked(source, "CLUSTER", "COUNTKEYSINSLOT", slot)]
    for slot in filled:
        store.move_slot(slot, source, target)
    return len(filled)


@pytest.mark.rehearsal
async def test_a_part_that_does_not_answer_fails_only_its_own_questions(own_store):
    """Others neither wait for it nor lose their connections."""
    store = own_store
    async with store_sides(store.url, count=1) as [one]:
        tickets = [await one.starts() for _ in range(SESSIONS)]
        for node in store.nodes:
            if b"role:slave" in node.command("INFO", "replication"):
                node.kill()  # without replicas nobody takes over
            else:
                asked(node, "CONFIG", "SET", "cluster-require-full-coverage", "no")
        frozen = store.owner(slot_of(tickets[0]))
        owners = {ticket: store.owner(slot_of(ticket)) for ticket in tickets}
        frozen.freeze()
        answers = await one.connection.each(
            [("EXISTS", keyspace.session(ticket.session_id)) for ticket in tickets]
        )
        for ticket, answer in zip(tickets, answers, strict=True):
            assert isinstance(answer, CannotAsk) if owners[ticket] is frozen else answer == 1
        [warning] = await one.heartbeat.warnings(now)
        assert f"is not served (127.0.0.1:{frozen.announced} does not answer)" in warning
        reads, elsewhere = (
            GatheredReads(one.connection),
            next(ticket for ticket in tickets if owners[ticket] is not frozen),
        )
        [waits, goes_on] = [
            asyncio.ensure_future(reads.read("EXISTS", keyspace.session(ticket.session_id)))
            for ticket in (tickets[0], elsewhere)
        ]
        assert await goes_on == 1
        assert not waits.done()
        with pytest.raises(CannotAsk):
            await waits

        frozen.kill()
        before = connections_to(owners[elsewhere])
        for _ in range(100):
            assert await one.asks(tickets[0]) is None
            assert await one.asks(elsewhere)
        assert connections_to(owners[elsewhere]) - before < 50


def connections_to(node):
    facts = node.command("INFO", "stats").decode()
    return int(facts.partition("total_connections_received:")[2].split()[0])


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
    redis = RedisConnection(
        f"redis+cluster://localhost:{store.nodes[0].port}",
        several=SeveralServers(may_lead_to=lambda _host: False),
    )
    with pytest.raises(CannotAsk, match="another machine"):
        await redis.ask("GET", "authproxy:{x}:session")
    await redis.aclose()
