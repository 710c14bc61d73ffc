"""Sign-in attempts in Redis: opened, taken once, and counted per browser. Single use and counting happen in scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from authproxy.identity.attempt import Attempt, TakenAttempt
from authproxy.storage import codec, keyspace, newest, records, retention
from authproxy.storage.codec import KeyRing
from authproxy.storage.redis import RedisConnection

_OPEN: Final = """
redis.call('HSET', KEYS[1], 'sealed', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# The count and the answer are one step: of two takers at the same moment only one is told 1.
_TAKE: Final = """
local sealed = redis.call('HGET', KEYS[1], 'sealed')
if not sealed then return false end
return {sealed, redis.call('HINCRBY', KEYS[1], 'taken', 1)}
"""
_NOTE: Final = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('LRANGE', KEYS[1], 0, -1)
"""


class RedisAttempts:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot be asked."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing, fresh: Callable[[int], bytes]) -> None:
        """`fresh` makes that many random bytes."""
        self._connection = connection
        self._keys = keys
        self._fresh = fresh
        self.unreadable = 0
        """Attempts that were there and did not open since the start. For metrics."""

    async def open(self, state: str, attempt: Attempt, *, now: datetime) -> None:
        """Keeps the attempt until 24 hours after it was opened, and of the same browser's attempts the last 32."""
        name = keyspace.attempt_name(state)
        kept_for = records.span_in_milliseconds(retention.ATTEMPT_KEPT_FOR - (now - attempt.opened_at))
        sealed = codec.seal_attempt(
            records.attempt_octets(attempt), ring=self._keys, name=name, nonce=self._fresh(codec.NONCE_SIZE)
        )
        attempts_of_browser = keyspace.attempts_of(keyspace.browser_name(attempt.browser))
        dropped = await newest.listed(
            self._connection, attempts_of_browser, name, most=retention.ATTEMPTS_PER_BROWSER, lives_for=retention.ATTEMPT_KEPT_FOR
        )
        # Not one script with the list: in a Cluster the attempts of a browser are in other slots than the list of them.
        await self._connection.all([
            *(("DEL", keyspace.attempt(old)) for old in dropped),
            ("EVAL", _OPEN, 1, keyspace.attempt(name), sealed, kept_for),
        ])

    async def find(self, state: str, *, now: datetime) -> Attempt | None:
        """The attempt of this state if nobody has taken it; it can still be taken."""
        name = keyspace.attempt_name(state)
        sealed, times = await self._connection.ask("HMGET", keyspace.attempt(name), "sealed", "taken")
        attempt = None if sealed is None or times is not None else self._opened(sealed, name)
        return attempt if attempt is not None and retention.is_kept(attempt, now) else None

    async def take(self, state: str, *, now: datetime) -> TakenAttempt | None:
        """The attempt of this state; None if there is none. Exactly one taker is told that it was not used before."""
        name = keyspace.attempt_name(state)
        found = await self._connection.ask("EVAL", _TAKE, 1, keyspace.attempt(name))
        if found is None:
            return None
        sealed, times = found
        attempt = self._opened(sealed, name)
        if attempt is None or not retention.is_kept(attempt, now):
            return None
        return TakenAttempt(attempt=attempt, already_used=times > 1)

    def _opened(self, sealed: bytes, name: str) -> Attempt | None:
        plaintext = codec.open_attempt(sealed, ring=self._keys, name=name)
        attempt = None if plaintext is None else records.attempt_in(plaintext)
        if attempt is None:
            self.unreadable += 1
        return attempt

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        """Counts a completed sign-in of this browser; how many there were in the last 60 seconds with this one (at most 64)."""
        noted = await self._connection.ask(
            "EVAL", _NOTE, 1, keyspace.sign_ins_of(keyspace.browser_name(browser)), records.milliseconds(now),
            retention.SIGN_INS_COUNTED, records.span_in_milliseconds(retention.SIGN_INS_WITHIN),
        )  # fmt: skip
        return _recent(noted, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        """How many sign-ins of this browser were noted in the last 60 seconds (at most 64)."""
        return _recent(await self._connection.ask("LRANGE", keyspace.sign_ins_of(keyspace.browser_name(browser)), 0, -1), now)


def _recent(noted: list[bytes], now: datetime) -> int:
    return retention.recent((at for octets in noted if (at := records.moment(octets)) is not None), now)
