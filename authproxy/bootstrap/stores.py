"""The store of the settings: Redis, or the in-process twin for trying things out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from authproxy.bootstrap import meanings
from authproxy.bootstrap.clock import utc_now
from authproxy.settings.schema import Settings
from authproxy.storage.attempts import RedisAttempts
from authproxy.storage.codec import KeyRing
from authproxy.storage.kept import RedisKept
from authproxy.storage.logout_tokens import RedisLogoutTokens
from authproxy.storage.memory import MemoryAttempts, MemoryKept, MemoryLogoutTokens, MemoryPeople, MemorySessions
from authproxy.storage.near_cache import NearCache
from authproxy.storage.people import RedisPeople
from authproxy.storage.redis import RedisConnection
from authproxy.storage.sessions import RedisSessions
from authproxy.web.management import Check

MEMORY = "memory://"


@dataclass(frozen=True, slots=True)
class Stores:
    """What remembers, and how it is asked whether it is there. `connection` is None for the in-process twin."""

    sessions: RedisSessions | MemorySessions
    attempts: RedisAttempts | MemoryAttempts
    logout_tokens: RedisLogoutTokens | MemoryLogoutTokens
    people: RedisPeople | MemoryPeople
    kept: RedisKept | MemoryKept
    near_cache: NearCache
    connection: RedisConnection | None

    async def check(self) -> Check:
        if self.connection is None:
            return Check(status="warning", detail="in this process: sessions are lost at its end")
        await self.connection.ping()
        if not await self.people.is_under_first_key():
            return Check(status="warning", detail="the register of people needs an older key: run `authproxy people reseal`")
        return Check(status="ok")


@asynccontextmanager
async def stores(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Stores]:
    store = settings.store
    if store.url == MEMORY:
        near_cache = NearCache(keeps_for=store.near_cache_for, silence=None)
        yield Stores(
            MemorySessions(near_cache), MemoryAttempts(), MemoryLogoutTokens(), MemoryPeople(),
            MemoryKept(clock=clock), near_cache, None,
        )  # fmt: skip
        return
    connection = RedisConnection(
        store.url,
        username=store.username,
        password=store.password.get_secret_value() if store.password is not None else None,
        ca_file=store.ca_file,
        deadline=store.deadline,
    )
    keys = KeyRing(meanings.record_keys(settings))
    try:
        yield Stores(
            RedisSessions(connection, keys=keys, fresh=secrets.token_bytes),
            RedisAttempts(connection, keys=keys, fresh=secrets.token_bytes),
            RedisLogoutTokens(connection),
            RedisPeople(connection, keys=keys, fresh=secrets.token_bytes),
            RedisKept(connection, keys=keys, fresh=secrets.token_bytes),
            NearCache(keeps_for=store.near_cache_for),
            connection,
        )
    finally:
        await connection.aclose()
