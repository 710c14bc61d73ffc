"""The heartbeat of a real Redis: what instances tell each other of outages and endings, and what is noticed when
the store goes back in time."""

from __future__ import annotations

import asyncio
import random
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.outages import Outage, Outages
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.activity import IDLE_TIME
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.log_lines import logged_events
from tests.support.ports import free_port
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
IDLE = 15 * MINUTE
FORGIVES = 10 * MINUTE


class Instance:
    """One gateway's side of the store."""

    def __init__(self, connection, **changes):
        self.alarms = []
        self.heartbeat = Heartbeat(connection, forgives=FORGIVES, **changes)
        self.sessions = RedisSessions(
            connection, keys=KEYS, heartbeat=self.heartbeat, on_unreadable=self.alarms.append
        )

    async def started(self, now=NOW, **changes):
        ticket = new_ticket()
        session = session_for(ticket, started_at=now, **changes)
        await self.sessions.create(ticket, session, browser="", now=now)
        return ticket, session


@pytest.fixture
def one(redis):
    return Instance(redis)


@pytest.fixture
def other(redis):
    return Instance(redis)


@pytest.fixture
def server_of_its_own():
    with RedisServer(append_only=True) as running:
        yield running


@pytest.fixture
async def own(server_of_its_own):
    connection = RedisConnection(server_of_its_own.socket_url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


@pytest.mark.parametrize(
    ("field", "value"), [("count", "junk"), ("count", str(2**63 - 1)), ("at", "junk"), ("at", "-1e300")]
)
async def test_a_count_or_a_time_that_is_none_looks_like_no_outage(redis, one, field, value):
    await one.heartbeat.beat(NOW)
    await redis.ask("HSET", keyspace.HEARTBEAT, field, value)
    await one.heartbeat.beat(NOW + SECOND)
    await one.heartbeat.beat(NOW + 2 * SECOND)
    assert not one.heartbeat.outages.is_failing


@pytest.mark.parametrize(
    "text", ["999999999999999:999999999999999", "1:999999999999999", "soon:later", "", "1:2:3"]
)
async def test_what_is_no_outage_stops_no_pulse(redis, one, text):
    await redis.ask("EVAL", f"return redis.call('RPUSH', '{keyspace.OUTAGES}', '{text}')", 0)
    await one.heartbeat.beat(NOW)
    assert one.heartbeat.outages.forgiven(NOW - MINUTE, NOW) == timedelta()


async def test_scripts_and_the_gateway_forgive_alike(redis):
    drawn = random.Random(5)
    script = (
        IDLE_TIME
        + "return string.format('%.0f', idle_time(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), 4))"
    )
    for _ in range(100):
        known = Outages(forgives=drawn.randrange(1200) * SECOND)
        began = [NOW + drawn.randrange(3600) * SECOND for _ in range(drawn.randrange(5))]
        known.learn([Outage(at, at + drawn.randrange(900) * SECOND) for at in began], NOW)
        seen = NOW + drawn.randrange(3600) * SECOND
        now = seen + drawn.randrange(3600) * SECOND
        arguments = (
            values.milliseconds(seen),
            values.milliseconds(now),
            values.span_in_milliseconds(known.forgives),
            *known.spans(now),
        )
        answer = await redis.ask("EVAL", script, 0, *arguments)
        assert timedelta(milliseconds=int(answer)) == now - seen - known.forgiven(seen, now)


async def test_a_record_outlives_the_idle_time_by_what_may_be_forgiven(one, redis):
    ticket, session = await one.started()
    key = keyspace.session(session.session_id)
    assert (
        IDLE + FORGIVES - 5 * SECOND < timedelta(milliseconds=await redis.ask("PTTL", key)) <= IDLE + FORGIVES
    )
    await redis.ask("PEXPIRE", key, 1000)
    await one.sessions.touch(ticket, now=NOW + MINUTE)
    assert (
        IDLE + FORGIVES - 5 * SECOND < timedelta(milliseconds=await redis.ask("PTTL", key)) <= IDLE + FORGIVES
    )


async def full(server, now):
    server.command("CONFIG", "SET", "maxmemory", "1")


async def without_replicas(server, now):
    server.command("CONFIG", "SET", "min-replicas-to-write", "1")


async def replica(server, now):
    server.command("REPLICAOF", "127.0.0.1", str(free_port()))


async def writable(server):
    for words in (
        ("CONFIG", "SET", "maxmemory", "0"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        ("REPLICAOF", "NO", "ONE"),
    ):
        server.command(*words)


@pytest.mark.parametrize("refusing", [full, without_replicas, replica])
async def test_while_writes_are_refused_nobody_becomes_idle_and_all_instances_agree_afterwards(
    server_of_its_own, own, refusing
):
    one = Instance(own)
    active, _ = await one.started()
    idle, _ = await one.started(now=NOW - IDLE + SECOND)
    await one.heartbeat.beat(NOW)
    await refusing(server_of_its_own, NOW)
    with pytest.raises(CannotAsk, match="refuses writes"):
        await one.heartbeat.beat(NOW + 2 * SECOND)
    assert await one.sessions.load(active, now=NOW + 9 * MINUTE + IDLE) is not None
    with pytest.raises(CannotAsk):
        await one.sessions.touch(active, now=NOW + 8 * MINUTE)
    await writable(server_of_its_own)
    await one.heartbeat.beat(NOW + 9 * MINUTE)
    fresh = Instance(own)
    for instance in (fresh, one):
        stored = await instance.sessions.load(active, now=NOW + 20 * MINUTE)
        assert (
            stored.last_active_at == NOW + 8 * MINUTE
        )  # what could not be written then was written afterwards
        assert await instance.sessions.load(idle, now=NOW + 11 * MINUTE) is None


async def test_a_session_is_not_said_to_be_over_while_that_cannot_be_written(server_of_its_own, own):
    one = Instance(own)
    ticket, _ = await one.started()
    await one.heartbeat.beat(NOW + IDLE - SECOND)
    await full(server_of_its_own, NOW)
    assert (
        await one.sessions.load(ticket, now=NOW + IDLE) is not None
    )  # the outage is noticed by the question itself
    assert one.heartbeat.outages.is_failing
    await writable(server_of_its_own)
    await one.heartbeat.beat(NOW + IDLE + SECOND)
    assert await one.sessions.load(ticket, now=NOW + IDLE + 3 * SECOND) is None


async def test_an_outage_of_one_instance_is_heard_of_by_the_others_before_they_judge(server_of_its_own):
    async with fault_proxy(server_of_its_own.port) as proxy:
        cut_off, connected = (
            RedisConnection(proxy.url),
            RedisConnection(server_of_its_own.socket_url, deadline=GENEROUS),
        )
        one, other = Instance(cut_off), Instance(connected)
        ticket, _ = await one.started()
        await one.heartbeat.beat(NOW + 5 * MINUTE)
        await proxy.refuse()
        with pytest.raises(CannotAsk, match="connection refused"):
            await one.heartbeat.beat(NOW + 5 * MINUTE + SECOND)
        await proxy.pass_on()
        await one.heartbeat.beat(NOW + 10 * MINUTE)
        assert (await other.sessions.load(ticket, now=NOW + 19 * MINUTE)).forgiven == 5 * MINUTE
        assert await other.sessions.load(ticket, now=NOW + 20 * MINUTE) is None
        await cut_off.aclose()
        await connected.aclose()


async def test_time_in_which_nobody_beat_is_an_outage_also_for_who_was_not_there(one, other, redis):
    ticket, _ = await one.started()
    await one.heartbeat.beat(NOW)
    ago = int((await redis.ask("HGET", keyspace.HEARTBEAT, "at")).decode()) - 8 * 60_000
    await redis.ask("HSET", keyspace.HEARTBEAT, "at", ago)
    assert await other.sessions.load(ticket, now=NOW + 20 * MINUTE) is not None
    assert (
        timedelta(minutes=8)
        <= other.heartbeat.outages.forgiven(NOW, NOW + 20 * MINUTE)
        < timedelta(minutes=8, seconds=10)
    )


async def test_a_gateways_clock_that_is_set_forward_is_no_outage(one, redis):
    await one.heartbeat.beat(NOW)
    await one.heartbeat.beat(NOW + timedelta(hours=1))
    assert await redis.ask("LRANGE", keyspace.OUTAGES, 0, -1) == []


async def test_a_part_of_a_cluster_that_is_gone_is_an_outage_until_its_sessions_can_be_asked_about():
    with RedisServer(
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(free_port()),
        "--cluster-require-full-coverage",
        "no",
        append_only=True,
    ) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        redis = RedisConnection(server.socket_url, deadline=GENEROUS)
        one = Instance(redis)
        ok = False
        while not ok:
            ok = b"cluster_state:ok" in await redis.ask("CLUSTER", "INFO")
        ticket, session = await one.started()
        await one.heartbeat.beat(NOW)
        assert await one.heartbeat.warnings() == []
        slot = str(await redis.ask("CLUSTER", "KEYSLOT", keyspace.session(session.session_id)))
        server.command("CLUSTER", "DELSLOTS", slot)
        with pytest.raises(CannotAsk, match="part of the store's cluster"):
            await one.sessions.load(ticket, now=NOW + MINUTE)
        await one.heartbeat.beat(NOW + 2 * MINUTE)  # its own keys are served, which proves nothing
        await one.heartbeat.beat(NOW + 8 * MINUTE)
        assert one.heartbeat.outages.is_failing
        [warning] = [text for text in await one.heartbeat.warnings() if "append-only" not in text]
        assert "a part of the store's cluster is not served" in warning
        server.command("CLUSTER", "ADDSLOTS", slot)
        await one.heartbeat.beat(NOW + 9 * MINUTE)
        assert not one.heartbeat.outages.is_failing
        await redis.aclose()


async def test_many_who_ask_for_a_beat_at_one_moment_share_it(one, redis):
    await asyncio.gather(*(one.heartbeat.beat(NOW) for _ in range(50)))
    assert int(await redis.ask("HGET", keyspace.HEARTBEAT, "count")) <= 2


async def test_the_pulse_beats_by_itself_and_notices_the_end_of_an_outage(server_of_its_own, own):
    one = Instance(own)
    beating = asyncio.ensure_future(one.heartbeat.run(lambda: datetime.now(UTC)))
    with logged_events() as logs:
        await until(lambda: one.heartbeat._count > 0)
        await full(server_of_its_own, NOW)
        await until(lambda: one.heartbeat.outages.is_failing)
        await writable(server_of_its_own)
        await until(lambda: not one.heartbeat.outages.is_failing)
    beating.cancel()
    assert [entry["event"] for entry in logs if "outage" in entry["event"]] == [
        "store.outage_began",
        "store.outage_ended",
    ]


async def test_something_else_under_the_keys_of_the_pulse_is_taken_away(one, redis):
    await redis.ask("SET", keyspace.HEARTBEAT, "not a hash")
    with pytest.raises(CannotAsk):
        await one.heartbeat.beat(NOW)
    await one.heartbeat.beat(NOW)


# Endings.


async def test_a_session_that_was_revoked_stays_out_when_the_store_is_started_from_an_older_snapshot():
    with RedisServer() as server:
        redis = RedisConnection(server.socket_url, deadline=GENEROUS)
        one, other = Instance(redis), Instance(redis)
        revoked, session = await one.started()
        superseded, old = await one.started()
        alive, _ = await one.started()
        await one.heartbeat.beat(NOW)
        server.command("SAVE")
        await one.sessions.revoke(session.session_id)
        new = new_ticket()
        assert await one.sessions.rotate(superseded, new, session_for(new), browser=None, now=NOW + SECOND)
        await one.heartbeat.beat(NOW + SECOND)
        await other.heartbeat.beat(NOW + SECOND)
        server.kill()
        server.start()
        fresh = Instance(redis)
        assert (
            await fresh.sessions.load(revoked, now=NOW + 2 * SECOND) is not None
        )  # this is what the snapshot says
        for instance in (one, other):
            assert [
                await instance.sessions.load(ticket, now=NOW + 2 * SECOND) for ticket in (revoked, superseded)
            ] == [None, None]
            assert {
                summary.session_id async for summary in instance.sessions.all_summaries(now=NOW + 2 * SECOND)
            }.isdisjoint({session.session_id, old.session_id})
        await other.heartbeat.beat(NOW + 2 * SECOND)
        assert [
            await fresh.sessions.load(ticket, now=NOW + 2 * SECOND) for ticket in (revoked, superseded)
        ] == [None, None]
        assert await fresh.sessions.load(alive, now=NOW + 2 * SECOND) is not None
        await fresh.heartbeat.beat(NOW + 3 * SECOND)
        assert session.session_id in fresh.heartbeat.endings
        await redis.aclose()


async def test_what_one_instance_or_a_command_has_ended_is_heard_of_by_all(one, other):
    _, session = await one.started()
    await one.sessions.revoke(session.session_id)
    await one.heartbeat.tell_endings(NOW)
    await other.heartbeat.beat(NOW)
    assert session.session_id in other.heartbeat.endings


async def test_a_session_that_goes_on_under_another_name_is_not_ended_with_its_old_one(one, redis):
    old, _ = await one.started()
    new = new_ticket()
    assert await one.sessions.rotate(old, new, session_for(new), browser=None, now=NOW)
    await one.heartbeat.beat(NOW)
    await redis.ask("DEL", keyspace.HEARTBEAT)  # the count begins anew, as in a store that has forgotten
    await one.heartbeat.beat(NOW + SECOND)
    assert await one.sessions.load(new, now=NOW + SECOND) is not None


async def test_endings_are_told_in_pages_and_kept_for_as_long_as_a_session_may_live(redis):
    one, other = Instance(redis, remembers=timedelta(hours=8)), Instance(redis)
    one.heartbeat.endings.add(f"session-{number}" for number in range(1234))
    await one.heartbeat.beat(NOW)
    await other.heartbeat.beat(NOW)
    assert len(other.heartbeat.endings) == 1234
    assert (
        timedelta(hours=7, minutes=59)
        < timedelta(milliseconds=await redis.ask("PTTL", keyspace.ENDINGS))
        <= timedelta(hours=8)
    )


# What is said on `/readyz`.


async def test_eviction_and_missing_persistence_are_warned_of(redis):
    with RedisServer("--maxmemory-policy", "allkeys-lru") as server:
        connection = RedisConnection(server.socket_url, deadline=GENEROUS)
        warnings = " ".join(await Heartbeat(connection).warnings())
        assert "allkeys-lru" in warnings
        assert "append-only" in warnings
        await connection.aclose()


async def test_a_store_that_keeps_everything_is_not_warned_of(own):
    assert await Heartbeat(own).warnings() == []


async def test_a_user_who_may_not_ask_is_told_so_and_beats_all_the_same(server_of_its_own):
    rights = (
        "reset on >password ~authproxy:* +ping +hget +hset +hincrby +lrange +rpush +ltrim +pexpire +eval "
        "+zrange +zadd +zremrangebyscore +exists +del"
    )
    server_of_its_own.command("ACL", "SETUSER", "weak", *rights.split())
    redis = RedisConnection(server_of_its_own.url, username="weak", password="password", deadline=GENEROUS)
    one = Instance(redis)
    await one.heartbeat.beat(NOW)
    one.heartbeat.endings.add(["session"])
    await one.heartbeat.beat(NOW + SECOND)
    assert one.heartbeat.endings.untold == []
    assert "may not ask INFO" in " ".join(await one.heartbeat.warnings())
    await redis.aclose()


async def test_a_register_that_went_back_in_time_is_warned_of(one, redis):
    await redis.ask("HSET", keyspace.REGISTER, "revision", 12)
    await one.heartbeat.beat(NOW)
    await redis.ask("HSET", keyspace.REGISTER, "revision", 10)
    await one.heartbeat.beat(NOW + SECOND)
    assert "from revision 12 to 10" in " ".join(await one.heartbeat.warnings())


# What lies under a session's name and is none.


@pytest.mark.parametrize(
    "meddled", [("SET", "not a hash"), ("HSET", "record", "x"), ("HSET", "seen", "soon")]
)
async def test_what_is_no_session_has_ended_and_raises_one_alarm(one, redis, meddled):
    ticket, session = await one.started()
    key = keyspace.session(session.session_id)
    command, *words = meddled
    if command == "SET":
        await redis.ask("DEL", key)
    await redis.ask(command, key, *words)
    for _ in range(3):
        assert await one.sessions.load(ticket, now=NOW) is None
    assert one.alarms == [session.session_id]
    assert one.sessions.unreadable == 3
    new = new_ticket()
    if command == "SET":
        assert await one.sessions.rotate(ticket, new, session_for(new), browser=None, now=NOW) is False
        await one.sessions.touch(ticket, now=NOW)
        assert [summary async for summary in one.sessions.all_summaries(now=NOW)] == []
        assert await one.sessions.of_person(session.person, now=NOW) == ()
    assert await one.sessions.revoke(session.session_id) is True


async def test_something_else_under_the_name_of_an_index_keeps_nobody_from_signing_in_or_out(one, redis):
    _, session = await one.started()
    for index in await redis.ask("KEYS", "*:subject"):
        await redis.ask("DEL", index)
        await redis.ask("SET", index, "not an index")
    assert await one.sessions.summaries(session.person.issuer, session.person.subject, now=NOW) == ()
    ticket, again = await one.started()
    assert await one.sessions.load(ticket, now=NOW) is not None
    assert await one.sessions.revoke_subject(again.person.issuer, again.person.subject) == 1


# Clocks.


async def test_activity_by_a_clock_that_was_set_back_keeps_the_record_alive_and_takes_no_time_away(
    one, redis
):
    ticket, session = await one.started()
    key = keyspace.session(session.session_id)
    await redis.ask("PEXPIRE", key, 1000)
    back = NOW - timedelta(hours=1)
    await one.sessions.touch(ticket, now=back)
    assert timedelta(milliseconds=await redis.ask("PTTL", key)) > IDLE
    assert (await one.sessions.load(ticket, now=back)).last_active_at == NOW
