"""Audit entries of commands that operators run, on their way into the audit trail of a gateway.

A command writes its entry into the store before it changes anything, and a running gateway takes it over. An
entry leaves the store only after it was written into a trail, so none is lost.
"""

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
"""If more entries wait, no gateway takes them over. Commands are then refused, and an operator must look."""
_BOUND_TO: Final = "acts"
_AT_ONCE: Final = 100
_TAKEN_WITHIN: Final = timedelta(seconds=30)
"""A gateway has this long to write what it has claimed. Then another one may claim it."""

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
# A gateway that was too slow has written entries that another one writes again. Twice in the trail is better
# than not at all.
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
    """Entries are sealed, so that somebody who can write into the store, but has no server key, cannot put
    anything into the trail. Every method raises CannotAsk(STORE_UNAVAILABLE)."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def append(self, entry: bytes, *, at_most: int = MOST_WAITING) -> bool:
        """Adds an entry. False, and nothing is added, if too many wait."""
        sealed = self._keys.seal(Purpose.AUDIT_ENTRY, entry, bound_to=_BOUND_TO)
        return bool(await self._connection.ask("EVAL", _APPEND, 1, keyspace.AUDIT_ENTRIES, sealed, at_most))

    async def claim(self, taker: str, *, within: timedelta = _TAKEN_WITHIN) -> Sequence[bytes | None]:
        """The oldest entries; None stands for one that does not open. They belong to this taker until it
        settles or `within` is over. Empty while another taker has claimed them."""
        question = (
            "EVAL",
            _CLAIM,
            2,
            keyspace.AUDIT_ENTRIES,
            keyspace.AUDIT_TAKER,
            taker,
            values.span_in_milliseconds(within),
            _AT_ONCE,
        )
        return [
            self._keys.open(Purpose.AUDIT_ENTRY, sealed, bound_to=_BOUND_TO)
            for sealed in await self._connection.ask(*question)
        ]

    async def settle(self, taker: str, written: int) -> bool:
        """Ends a claim, of which the first `written` entries are in the trail now and leave the store. False
        if the claim was over already."""
        return bool(
            await self._connection.ask(
                "EVAL", _SETTLE, 2, keyspace.AUDIT_ENTRIES, keyspace.AUDIT_TAKER, taker, written
            )
        )
