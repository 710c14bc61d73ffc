"""Octets that all instances may see for a time, in Redis, sealed under the server's keys: what revocation
sources have answered, which certificate a browser has shown, and the certificates of whoever is signed in by
one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from authproxy.storage.records import sealing as codec
from authproxy.storage.records import sessions as records
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import answers
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answers import Script
from authproxy.storage.redis.connection import RedisConnection

_TAKE: Final = Script(
    """
local sealed = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return sealed
""",
    answers.text,
)


class RedisKept:
    """Keys are named by their hash, so that a key may be a secret. Every method raises
    CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot be asked. What does
    not open under our keys is not there."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing, fresh: Callable[[int], bytes]) -> None:
        """`fresh` makes that many random bytes."""
        self._connection = connection
        self._keys = keys
        self._fresh = fresh

    async def get(self, key: str) -> bytes | None:
        name = keyspace.kept_name(key)
        return self._opened(await self._connection.ask("GET", keyspace.kept(name)), name)

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None:
        """Keeps the value in the place of an older one. A span of nothing or less keeps nothing."""
        name, span = keyspace.kept_name(key), records.span_in_milliseconds(lives_for)
        if span <= 0:
            await self._connection.ask("DEL", keyspace.kept(name))
            return
        sealed = codec.seal_kept(value, ring=self._keys, name=name, nonce=self._fresh(codec.NONCE_SIZE))
        await self._connection.ask("SET", keyspace.kept(name), sealed, "PX", span)

    async def take(self, key: str) -> bytes | None:
        """The value, to exactly one of those who ask for it."""
        name = keyspace.kept_name(key)
        return self._opened(await self._connection.ask("EVAL", _TAKE, 1, keyspace.kept(name)), name)

    def _opened(self, sealed: bytes | None, name: str) -> bytes | None:
        return None if sealed is None else codec.open_kept(sealed, ring=self._keys, name=name)
