"""The provider's tokens of sessions, in Redis. A grant opens with a server key and a secret from the
session's record.

It has a record of its own, so that it stays when the session changes its ticket. The store also decides whose
turn it is to use a grant: if the provider replaces a refresh token at each use, two must not use it at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from authproxy.identity.grant import Grant, GrantTurn
from authproxy.storage.records import sessions as records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Script
from authproxy.storage.redis.connection import RedisConnection

_BOUND_TO: Final = "grant"
"""The secret alone makes the key of a grant its own."""
_KEEP: Final = Script(
    """
redis.call('HSET', KEYS[1], 'sealed', ARGV[1], 'due', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
""",
    answer_shapes.whole,
)
# If `due` is further ahead than one interval, it was written by a clock that was ahead, and is ignored.
_TURN: Final = Script(
    """
local found = redis.call('HMGET', KEYS[1], 'sealed', 'due', 'asked')
if not found[1] then return {} end
local now, every, due = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(found[2] or '0')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if now < due and due <= now + every then return {} end
redis.call('HSET', KEYS[1], 'due', now + every, 'asked', '1')
return {found[1], found[3] or ''}
""",
    answer_shapes.names,
)
_SETTLE: Final = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'asked')
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'sealed', ARGV[1]) end
return 1
""",
    answer_shapes.whole,
)
_TAKE: Final = Script(
    """
local sealed = redis.call('HGET', KEYS[1], 'sealed')
redis.call('DEL', KEYS[1])
return sealed
""",
    answer_shapes.text,
)


class RedisGrants:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. A grant that does not open counts as missing."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def keep(
        self,
        secret: str,
        grant: Grant,
        *,
        due_at: datetime,
        lives_for: timedelta,
        now: datetime,  # noqa: ARG002  (time to live is a span here)
    ) -> None:
        """Stores the grant for the time `lives_for`. The first turn is at `due_at`."""
        due, lives = values.milliseconds(due_at), values.span_in_milliseconds(lives_for)
        await self._connection.ask(
            "EVAL", _KEEP, 1, self._key(secret), self._sealed(secret, grant), due, lives
        )

    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None:
        """The turn to use the grant, if it is due. If many ask, exactly one gets it. The next turn is due
        after `every`, whatever becomes of this one. Call `settle` when the provider has answered, or has
        certainly not been asked. The grant lives for `lives_for` from now on."""
        asked = (
            values.milliseconds(now),
            values.span_in_milliseconds(every),
            values.span_in_milliseconds(lives_for),
        )
        found = await self._connection.ask("EVAL", _TURN, 1, self._key(secret), *asked)
        grant = self._opened(secret, found[0]) if found else None
        return None if grant is None else GrantTurn(grant=grant, is_doubtful=bool(found[1]))

    async def settle(self, secret: str, grant: Grant | None = None) -> bool:
        """Notes that it is known which grant is valid: `grant`, or the stored one if that is None. False if
        the stored one is gone; then nothing is stored."""
        sealed = b"" if grant is None else self._sealed(secret, grant)
        return bool(await self._connection.ask("EVAL", _SETTLE, 1, self._key(secret), sealed))

    async def take(self, secret: str) -> Grant | None:
        """Removes the grant and returns it. If many take it, exactly one gets it."""
        sealed = await self._connection.ask("EVAL", _TAKE, 1, self._key(secret))
        return None if sealed is None else self._opened(secret, sealed)

    @staticmethod
    def _key(secret: str) -> str:
        return keyspace.grant(keyspace.grant_name(secret))

    def _sealed(self, secret: str, grant: Grant) -> bytes:
        octets = records.grant_octets(grant)
        return self._keys.seal(Purpose.GRANT, octets, bound_to=_BOUND_TO, secret=secret.encode())

    def _opened(self, secret: str, sealed: bytes) -> Grant | None:
        plaintext = self._keys.open(Purpose.GRANT, sealed, bound_to=_BOUND_TO, secret=secret.encode())
        return None if plaintext is None else records.grant_in(plaintext)
