"""Operators' acts on their way into the audit trail: written into the store by a command before it acts,
taken over by whichever gateway runs. Nothing is lost on the way: an entry leaves the store only after it has
been written into a trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Script
from authproxy.storage.redis.connection import RedisConnection

MOST_WAITING: Final = 10_000
"""Entries that wait at most. Where nothing takes them over for so long, commands must stop, and somebody must
look."""
_BOUND_TO: Final = "acts"
_AT_ONCE: Final = 100
_TAKEN_WITHIN: Final = timedelta(seconds=30)
"""How long one gateway has for what it has claimed; then another one may begin anew."""

_APPEND: Final = Script(
    """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
return 1
""",
    answer_shapes.whole,
)
_CLAIM: Final = Script(
    """
if redis.call('LLEN', KEYS[1]) == 0 then return {} end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return {} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return redis.call('LRANGE', KEYS[1], 0, ARGV[3] - 1)
""",
    answer_shapes.names,
)
# Whoever was too slow has written entries that another one writes again: twice in the trail is better than
# never.
_SETTLE: Final = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then redis.call('LTRIM', KEYS[1], ARGV[2], -1) end
redis.call('DEL', KEYS[2])
return 1
""",
    answer_shapes.whole,
)


class RedisAuditQueue:
    """Entries are sealed: whoever can write into the store, and has no server key, puts nothing into the
    trail. Every method raises CannotAsk(STORE_UNAVAILABLE)."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def append(self, entry: bytes, *, at_most: int = MOST_WAITING) -> bool:
        """Adds an entry to those that wait; False, and nothing is added, if too many do."""
        sealed = self._keys.seal(Purpose.AUDIT_ENTRY, entry, bound_to=_BOUND_TO)
        return bool(await self._connection.ask("EVAL", _APPEND, 1, keyspace.ACTS, sealed, at_most))

    async def claim(self, taker: str, *, within: timedelta = _TAKEN_WITHIN) -> Sequence[bytes | None]:
        """The oldest entries, for this taker alone until it settles or the time is over; None for one that
        does not open. Nothing where another taker is at it."""
        question = (
            "EVAL",
            _CLAIM,
            2,
            keyspace.ACTS,
            keyspace.ACTS_TAKER,
            taker,
            values.span_in_milliseconds(within),
            _AT_ONCE,
        )
        return [
            self._keys.open(Purpose.AUDIT_ENTRY, sealed, bound_to=_BOUND_TO)
            for sealed in await self._connection.ask(*question)
        ]

    async def settle(self, taker: str, written: int) -> bool:
        """Ends a claim: so many of its entries are in the trail and leave the store. False if the claim was
        over already."""
        return bool(
            await self._connection.ask("EVAL", _SETTLE, 2, keyspace.ACTS, keyspace.ACTS_TAKER, taker, written)
        )
