"""Octets that all instances share for a time, in Redis, sealed with the server keys: answers of revocation
sources, certificates that were shown or belong to a session, forms that wait, and methods whose enrolment has
begun."""

from __future__ import annotations

from datetime import timedelta

from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.swaps import TAKE


class RedisSharedOctets:
    """The store has only hashes of keys, so that a key may be a secret. Every method raises
    CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot be asked. Octets that
    do not open count as missing."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def get(self, key: str) -> bytes | None:
        name = keyspace.shared_octets_name(key)
        return self._opened(await self._connection.ask("GET", keyspace.shared_octets(name)), name)

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None:
        """Stores the value instead of an older one. If `lives_for` is not positive, nothing is stored."""
        name, span = keyspace.shared_octets_name(key), values.span_in_milliseconds(lives_for)
        if span <= 0:
            await self._connection.ask("DEL", keyspace.shared_octets(name))
            return
        sealed = self._keys.seal(Purpose.SHARED_OCTETS, value, bound_to=name)
        await self._connection.ask("SET", keyspace.shared_octets(name), sealed, "PX", span)

    async def take(self, key: str) -> bytes | None:
        """Removes the value and returns it. If many take it, exactly one gets it."""
        name = keyspace.shared_octets_name(key)
        return self._opened(await self._connection.ask("EVAL", TAKE, 1, keyspace.shared_octets(name)), name)

    def _opened(self, sealed: bytes | None, name: str) -> bytes | None:
        return None if sealed is None else self._keys.open(Purpose.SHARED_OCTETS, sealed, bound_to=name)
