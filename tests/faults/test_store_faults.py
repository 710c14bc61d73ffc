"""Every kind of trouble with the store, in the same story: nobody who is active is signed out, nobody who was
signed out or idle comes back, what cannot be asked is said within a second, and a second after the trouble
all go on.

`STORE_FAULTS=long` tries each kind four times with 200 sessions and prints what it measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections import Counter
from datetime import timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer, fault_proxy
from tests.support.session_builders import new_ticket, session_for
from tests.support.store_faults import FAULTS, Trouble
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")
IS_LONG = os.environ.get("STORE_FAULTS") == "long"
SESSIONS, ENDED, TIMES = (200, 20, 4) if IS_LONG else (8, 2, 1)
PROMPTLY = 30.0
"""Seconds. The promise is one; the rest is for a busy machine. Each measured value is printed in the long
form."""
KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)
IDLE = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)


class Instance:
    """One gateway's side of the store, with its heartbeat beating, and what it has said."""

    def __init__(self, url, clock):
        self.connection = RedisConnection(url)
        self.heartbeat = Heartbeat(self.connection, forgives=timedelta(minutes=10))
        self.sessions = RedisSessions(self.connection, keys=KEYS, heartbeat=self.heartbeat)
        self.clock = clock
        self.said = Counter()
        self.slowest = 0.0

    async def starts(self, *, ago=timedelta()):
        ticket, now = new_ticket(), self.clock() - ago
        await self.sessions.create(
            ticket, session_for(ticket, started_at=now, idle_for=IDLE), browser="", now=now
        )
        return ticket

    async def asks(self, ticket):
        """As a request does: the session is read, and its activity noted. Whether it is there, or None if
        that could not be said."""
        began, now = time.monotonic(), self.clock()
        try:
            found = await self.sessions.load(ticket, now=now) is not None
        except CannotAsk:
            found = None
            self.sessions.note_missed(ticket, now=now)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.said[found] += 1
        if found:
            with contextlib.suppress(CannotAsk):
                await self.sessions.touch(ticket, now=now)
        return found


@contextlib.asynccontextmanager
async def instances(url, clock):
    pair = Instance(url, clock), Instance(url, clock)
    beating = [asyncio.ensure_future(each.heartbeat.run(clock)) for each in pair]
    try:
        yield pair
    finally:
        for each in beating:
            each.cancel()
        await asyncio.wait(beating)
        for each in pair:
            await each.connection.aclose()


async def everybody(pair, tickets):
    """What each instance says of each ticket, fifty at a moment: instances, proxy and people share this
    process."""
    said = []
    for each in pair:
        for start in range(0, len(tickets), 50):
            said += await asyncio.gather(*(each.asks(ticket) for ticket in tickets[start : start + 50]))
    return said


async def settled(pair, tickets, *, within=10 * PROMPTLY):
    """What is said of each once nobody is told any more that it cannot be said, and how long that took."""
    began = time.monotonic()
    while None in (said := await everybody(pair, tickets[:50])):
        assert time.monotonic() - began < within
    took = time.monotonic() - began
    while None in said or len(said) < len(pair) * len(tickets):
        assert time.monotonic() - began < 10 * within
        said = await everybody(pair, tickets)
    return said, took


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS for _ in range(TIMES)], ids=lambda fault: fault.name
)
async def test_nobody_is_signed_out_or_revived_by_trouble_with_the_store(fault):
    clock = Clock()
    with RedisServer(append_only=True) as server:
        async with fault_proxy(server.port) as proxy:
            trouble = Trouble(server=server, proxy=proxy, advance=clock.advance)
            if fault.prepare is not None:
                await fault.prepare(trouble)
            async with instances(proxy.url, clock) as pair:
                await the_story(fault, trouble, pair, clock)
            await trouble.background.aclose()


async def the_story(fault, trouble, pair, clock):
    one, other = pair
    active = [await one.starts() for _ in range(SESSIONS)]
    revoked = [await other.starts() for _ in range(ENDED)]
    idle = [await one.starts(ago=IDLE + timedelta(seconds=1)) for _ in range(ENDED)]
    await until(lambda: all(each.heartbeat._count > 0 for each in pair))
    if fault.keeps == "the snapshot":
        trouble.server.command("SAVE")
    for ticket in revoked:
        assert await other.sessions.revoke(ticket.session_id)
    await one.heartbeat.tell_endings(clock())
    await other.heartbeat.tell_endings(clock())
    await one.heartbeat.beat(clock())
    assert (await settled(pair, [*revoked, *idle]))[0] == [False] * 4 * ENDED
    for each in pair:
        each.said.clear()

    await fault.begin(trouble)
    may_be_gone = {True, None, False} if fault.keeps == "nothing" else {True, None}
    for _ in range(2):
        said, of_others = await asyncio.gather(everybody(pair, active), everybody(pair, [*revoked, *idle]))
        assert set(said) <= may_be_gone
        assert True not in of_others
        clock.advance(minutes=4)  # twice, which is more than the idle time
    await fault.end(trouble)

    expected = [False] if fault.keeps == "nothing" else [True]
    said, took = await settled(pair, active, within=PROMPTLY)
    assert said == expected * 2 * SESSIONS
    assert True not in await everybody(pair, [*revoked, *idle])
    await until(lambda: not any(each.heartbeat.outages.is_failing for each in pair))
    clock.advance(minutes=4)
    assert (await settled(pair, active))[0] == expected * 2 * SESSIONS  # what they did since was noted
    assert max(each.slowest for each in pair) < PROMPTLY
    await until(lambda: not any(each.heartbeat.outages.is_failing for each in pair), within=10 * PROMPTLY)
    clock.advance(minutes=6)  # a busy machine may have made an outage of a moment of its own
    assert not fault.ends_idleness or True not in await everybody(
        pair, active
    )  # and the time since is idleness again
    if IS_LONG:
        said = sum((each.said for each in pair), Counter())
        print(
            f"{fault.name}: {dict(said)}, slowest {max(each.slowest for each in pair):.2f} s, recovered in "
            f"{took:.2f} s"
        )
