"""The provider's tokens of sessions, in Redis, each in a record of its own, which opens with a server key and
a secret that stands in the session's record.

It outlives a change of the session's ticket, and it hands out the turn to ask: a refresh token that the
provider replaces at each use must not be used by two at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from authproxy.identity.grant import Grant, GrantTurn
from authproxy.storage.records import sealing as codec
from authproxy.storage.records import sessions as records
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import answers
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answers import Script
from authproxy.storage.redis.connection import RedisConnection

_KEEP: Final = Script(
    """
redis.call('HSET', KEYS[1], 'sealed', ARGV[1], 'due', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
""",
    answers.whole,
)
# `due` that lies further ahead than one interval was written by a clock that was ahead: it holds nobody up.
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
    answers.names,
)
_SETTLE: Final = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'asked')
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'sealed', ARGV[1]) end
return 1
""",
    answers.whole,
)
_TAKE: Final = Script(
    """
local sealed = redis.call('HGET', KEYS[1], 'sealed')
redis.call('DEL', KEYS[1])
return sealed
""",
    answers.text,
)


class RedisGrants:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. What does not open is not there."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing, fresh: Callable[[int], bytes]) -> None:
        """`fresh` makes that many random bytes."""
        self._connection = connection
        self._keys = keys
        self._fresh = fresh

    async def keep(
        self,
        secret: str,
        grant: Grant,
        *,
        due_at: datetime,
        lives_for: timedelta,
        now: datetime,  # noqa: ARG002  (time to live is a span here)
    ) -> None:
        """Keeps the grant for so long; the first turn is at `due_at`."""
        due, lives = records.milliseconds(due_at), records.span_in_milliseconds(lives_for)
        await self._connection.ask(
            "EVAL", _KEEP, 1, self._key(secret), self._sealed(secret, grant), due, lives
        )

    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None:
        """The turn, if one is due, to exactly one of those who ask; the next one is due `every` later,
        whatever becomes of this one. `settle` must follow once the provider has answered, or has certainly
        not been asked. The grant lives so long from now on."""
        asked = (
            records.milliseconds(now),
            records.span_in_milliseconds(every),
            records.span_in_milliseconds(lives_for),
        )
        found = await self._connection.ask("EVAL", _TURN, 1, self._key(secret), *asked)
        grant = self._opened(secret, found[0]) if found else None
        return None if grant is None else GrantTurn(grant=grant, is_doubtful=bool(found[1]))

    async def settle(self, secret: str, grant: Grant | None = None) -> bool:
        """Nothing about the grant is doubtful, and `grant` takes its place if there is one. False for one
        that is gone: it stays gone."""
        sealed = b"" if grant is None else self._sealed(secret, grant)
        return bool(await self._connection.ask("EVAL", _SETTLE, 1, self._key(secret), sealed))

    async def take(self, secret: str) -> Grant | None:
        """The grant, to exactly one of those who ask for it; nobody has a turn with it any more."""
        sealed = await self._connection.ask("EVAL", _TAKE, 1, self._key(secret))
        return None if sealed is None else self._opened(secret, sealed)

    @staticmethod
    def _key(secret: str) -> str:
        return keyspace.grant(keyspace.grant_name(secret))

    def _sealed(self, secret: str, grant: Grant) -> bytes:
        nonce = self._fresh(codec.NONCE_SIZE)
        return codec.seal_grant(records.grant_octets(grant), ring=self._keys, secret=secret, nonce=nonce)

    def _opened(self, secret: str, sealed: bytes) -> Grant | None:
        plaintext = codec.open_grant(sealed, ring=self._keys, secret=secret)
        return None if plaintext is None else records.grant_in(plaintext)
