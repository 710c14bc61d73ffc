"""API keys of programs, in Redis, each under its public name and sealed with the server keys. Somebody who
writes into the store cannot make a key.

The near cache hears of every change here (`invalidation.py`), so a key that is revoked is refused on every
instance at once. Revoked keys are remembered as ended sessions are: if the store is set back to an older
state, they are removed again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.machine_client import ApiKey
from authproxy.identity.session import SessionId
from authproxy.storage import retention
from authproxy.storage.records import machine_keys as records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Script
from authproxy.storage.redis.connection import RedisConnection, Unconfirmed
from authproxy.storage.redis.heartbeat import Heartbeat

# A key that was revoked or sealed anew since it was read stays as it is.
_REPLACE: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
""",
    answer_shapes.whole,
)


class RedisMachineKeys:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. A key whose record does not open counts as missing."""

    def __init__(
        self, connection: RedisConnection, *, keys: KeyRing, heartbeat: Heartbeat | None = None
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._endings = (heartbeat or Heartbeat(connection)).endings
        self.unreadable = 0
        """How many records did not open since the start, for metrics and readiness."""

    async def add(self, key: ApiKey, *, now: datetime) -> None:
        """Stores a key. It is kept for some time after its end, so that operators see what has ended."""
        lives_for = key.ends_at - now + retention.MACHINE_KEY_KEPT_AFTERWARDS
        await self._connection.ask(
            "SET",
            keyspace.machine_key(key.key_id),
            self._sealed(key),
            "PX",
            max(values.span_in_milliseconds(lives_for), 1),
        )

    async def find(self, key_id: str) -> ApiKey | None:
        """The key, also if it has ended."""
        if SessionId(key_id) in self._endings:
            return None
        return self._opened(key_id, await self._connection.ask("GET", keyspace.machine_key(key_id)))

    async def every(self) -> tuple[ApiKey, ...]:
        """All keys, the newest first."""
        found = [key for key, _ in await self._every()]
        return tuple(sorted(found, key=lambda key: key.created_at, reverse=True))

    async def revoke(self, key_id: str) -> bool:
        """Removes the key, for every instance. False if there was none."""
        [was_there] = await self._connection.each_confirmed([("DEL", keyspace.machine_key(key_id))])
        if isinstance(was_there, Unconfirmed) or was_there == 1:
            self._endings.add([SessionId(key_id)])
        if isinstance(was_there, CannotAsk):
            raise was_there
        return bool(was_there)

    async def reseal(self) -> int:
        """Seals every key under the first server key; how many were not. A key that changes meanwhile is left
        out, and so is one that does not open."""
        resealed = 0
        for key, sealed in await self._every():
            if not self._keys.is_under_first_key(sealed):
                command = (_REPLACE, 1, keyspace.machine_key(key.key_id), sealed, self._sealed(key))
                resealed += await self._connection.ask("EVAL", *command)
        return resealed

    async def _every(self) -> list[tuple[ApiKey, bytes]]:
        found: dict[str, tuple[ApiKey, bytes]] = {}
        async for page in self._connection.scan(keyspace.EVERY_MACHINE_KEY):
            for name, sealed in zip(
                page, await self._connection.all([("GET", name) for name in page]), strict=True
            ):
                key = self._opened(keyspace.machine_key_id_in(name), sealed)
                if key is not None and SessionId(key.key_id) not in self._endings:
                    found[key.key_id] = key, sealed
        return list(found.values())

    def _sealed(self, key: ApiKey) -> bytes:
        octets = records.machine_key_octets(key)
        return self._keys.seal(Purpose.MACHINE_KEY, octets, bound_to=key.key_id)

    def _opened(self, key_id: str, sealed: bytes | None) -> ApiKey | None:
        if sealed is None:
            return None
        plaintext = self._keys.open(Purpose.MACHINE_KEY, sealed, bound_to=key_id)
        key = None if plaintext is None else records.machine_key_in(plaintext)
        self.unreadable += key is None
        return key
