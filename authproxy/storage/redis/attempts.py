"""Which sign-in attempts have been used, and how often a browser has signed in, in Redis.

An attempt itself is not stored: it travels with the browser (`records/sealed_texts.py`). Its use is recorded
when the browser comes back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from authproxy.identity.attempt import Attempt
from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection

_NOTE_SIGN_IN: Final = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('LRANGE', KEYS[1], 0, -1)
"""


class RedisAttempts:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def take(self, attempt: Attempt, *, good_until: datetime, now: datetime) -> bool:
        """Whether the attempt was not used before: if many take it at once, one of them gets True. The use is
        remembered until a little after `good_until`, when the attempt has expired anyway."""
        remembered_for = values.span_in_milliseconds(good_until - now + retention.USE_REMEMBERED_LONGER)
        key = keyspace.used_attempt(keyspace.attempt_name(attempt.secret))
        # If our clock is far ahead, the use would have to be remembered for a time in the past. Then it is
        # refused.
        if remembered_for <= 0:
            return False
        [is_new] = await self._connection.confirmed([("SET", key, 1, "NX", "PX", remembered_for)])
        return is_new is not None

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        """Counts a completed sign-in of this browser. Returns how many there were in the last 60 seconds, at
        most 64."""
        noted = await self._connection.ask(
            "EVAL",
            _NOTE_SIGN_IN,
            1,
            keyspace.sign_ins_of(keyspace.browser_name(browser)),
            values.milliseconds(now),
            retention.SIGN_INS_COUNTED,
            values.span_in_milliseconds(retention.SIGN_INS_WITHIN),
        )
        return _recent(noted, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        """How many sign-ins of this browser there were in the last 60 seconds, at most 64."""
        return _recent(
            await self._connection.ask("LRANGE", keyspace.sign_ins_of(keyspace.browser_name(browser)), 0, -1),
            now,
        )


def _recent(noted: list[bytes], now: datetime) -> int:
    return retention.recent((at for octets in noted if (at := values.moment(octets)) is not None), now)
