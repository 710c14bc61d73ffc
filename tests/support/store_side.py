"""One gateway's side of the store, as far as sessions, used attempts and the near cache go, with everything that
runs in the background."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime, timedelta

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.invalidation import listen
from authproxy.storage.redis.sessions import RedisSessions
from tests.support.session_builders import attempt_of, new_ticket, session_for
from tests.support.waiting import until

KEYS = KeyRing((bytes(32),), random_bytes=secrets.token_bytes)


def now() -> datetime:
    return datetime.now(UTC)


class StoreSide:
    def __init__(self, url: str, **options) -> None:
        self.connection = RedisConnection(url, **options)
        self.heartbeat = Heartbeat(self.connection, forgives=timedelta(minutes=10))
        self.sessions = RedisSessions(self.connection, keys=KEYS, heartbeat=self.heartbeat)
        self.attempts = RedisAttempts(self.connection)
        self.cache = NearCache(near_cache_for=timedelta(minutes=5))

    async def starts(self):
        ticket, at = new_ticket(), now()
        await self.sessions.create(ticket, session_for(ticket, started_at=at), browser="", now=at)
        return ticket

    async def asks(self, ticket):
        """Whether the session is there; None if that could not be said."""
        try:
            return await self.sessions.load(ticket, now=now()) is not None
        except CannotAsk:
            return None

    async def asks_nearby(self, ticket):
        """As `asks`, through the near cache."""
        if self.cache.lookup(ticket.text, now()) is not None:
            return True
        at, read = now(), self.cache.begin_read()
        try:
            stored = await self.sessions.load(ticket, now=at, before=self.cache.remembered(ticket.text))
        except CannotAsk:
            return None
        if stored is None:
            self.cache.drop(ticket.text)
        else:
            self.cache.remember(ticket.text, stored, at, read=read)
        return stored is not None

    async def uses(self, attempt):
        """Whether the attempt was not used before; None if that could not be said."""
        try:
            return await self.attempts.take(attempt, good_until=now() + timedelta(minutes=30), now=now())
        except CannotAsk:
            return None

    async def is_served(self):
        try:
            await self.heartbeat.beat(now())
        except CannotAsk:
            return False
        return self.cache.is_heard(now())


async def everybody(sides, tickets):
    """What each side says to each ticket."""
    return [said for side in sides for said in await asyncio.gather(*map(side.asks, tickets))]


async def until_refused(side, ticket):
    """Until the side knows, through its near cache too, that the session has ended. What it holds is good for five
    minutes: it was told."""

    async def refused():
        return not await side.asks_nearby(ticket)

    await until(refused)


def new_attempt():
    return attempt_of("browser", secret=secrets.token_hex(16))


@contextlib.asynccontextmanager
async def store_sides(url, count=2, **options):
    sides = [StoreSide(url, **options) for _ in range(count)]
    background = [asyncio.ensure_future(side.heartbeat.run(now)) for side in sides]
    background += [asyncio.ensure_future(listen(side.connection, side.cache, clock=now)) for side in sides]
    try:
        for side in sides:
            await until(side.is_served, within=20)
        yield sides
    finally:
        for each in background:
            each.cancel()
        await asyncio.wait(background)
        for side in sides:
            await side.connection.aclose()
