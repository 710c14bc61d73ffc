"""How often people and addresses may answer, and how many messages people are sent, in Redis. Scripts count
for all instances together.

Answers are counted before they are judged: of fifty answers at once no more are judged than if they came one
after another. A block ends by itself, and each block is twice as long as the one before. A right answer
resets the count of its person, and so does `authproxy people unblock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from authproxy.challenges.limits import ADDRESS
from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.retention import BlockRules

# `count` is the number of answers since the last block, `blocks` the number of blocks in a row, `until` the
# end of the last one. From `forgotten` on none of it counts. All times are by the clock of the gateway that
# asks.
_ANSWER: Final = Script(
    """
local now, after, lasts, at_most, kept = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local fields = redis.call('HMGET', KEYS[1], 'count', 'blocks', 'until', 'forgotten')
local count, blocks, till = tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(fields[3] or 0)
if now >= tonumber(fields[4] or 0) then count, blocks, till = 0, 0, 0 end
if now < till then return till end
count = count + 1
if count >= after then
  till = now + math.min(lasts * 2 ^ math.min(blocks, tonumber(ARGV[6])), at_most)
  count, blocks = 0, blocks + 1
end
local forgotten = math.max(now, till) + kept
redis.call('HSET', KEYS[1], 'count', count, 'blocks', blocks, 'until', till, 'forgotten', forgotten)
redis.call('PEXPIRE', KEYS[1], forgotten - now)
return 0
""",
    answer_shapes.moment,
)
# A right answer takes itself and one wrong answer off an address. So an office where people mistype now and
# then is never blocked. An attacker with an account of their own gains one guess for each of their own
# proofs, and no more.
_SET_OFF: Final = """
local count = redis.call('HGET', KEYS[1], 'count')
if count then redis.call('HSET', KEYS[1], 'count', math.max(tonumber(count) - ARGV[1], 0)) end
"""
_RESERVE: Final = Script(
    """
local now, pause, most, hour = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local sent = redis.call('LRANGE', KEYS[1], -most, -1)
local free = 0
if #sent > 0 then free = tonumber(sent[#sent]) + pause end
if #sent >= most then free = math.max(free, tonumber(sent[1]) + hour) end
if now < free then return free end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -most, -1)
redis.call('PEXPIRE', KEYS[1], math.max(hour, pause))
return 0
""",
    answer_shapes.moment,
)


class RedisLimits:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked.

    `challenges.limits` makes the names of people and addresses. The store has keyed hashes of them. Blocks
    under retiring keys count; new ones go under the first key.
    """

    def __init__(
        self, connection: RedisConnection, *, keys: KeyRing, people: BlockRules, addresses: BlockRules
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._people = people
        self._addresses = addresses

    async def try_answer(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        """Counts one answer for each name, unless one of them is blocked. Returns None if the answer may be
        judged, otherwise when the block ends. So people do not pay for a block of their address."""
        until = await self.blocked_until(names, now=now)
        # One name after the other: if a person's answers are stopped by a block, they are not counted for the
        # address.
        for question in (self._question(name, now) for name in names):
            if until is not None:
                break
            until = _latest([values.moment_at(await self._connection.ask(*question))], now)
        return until

    async def blocked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        """When the last block of these names ends; None if none is blocked."""
        found = await self._connection.all([("HGET", key, "until") for key in self._every(names)])
        return _latest((values.moment(until) for until in found), now)

    async def forgive(self, names: Sequence[str]) -> None:
        """Call this after a right answer. It resets the person's count. Many people share an address, so
        there it takes off only the right answer and one wrong one."""
        addresses = [name for name in names if name.startswith(ADDRESS)]
        questions: list[Command] = [
            ("DEL", key) for key in self._every(name for name in names if name not in addresses)
        ]
        questions += [
            (
                "EVAL",
                _SET_OFF,
                1,
                keyspace.answer_count(self._keys.limit_names("answers", name)[0]),
                retention.ANSWERS_SET_OFF,
            )
            for name in addresses
        ]
        await self._connection.all(questions)

    async def lift(self, names: Sequence[str]) -> bool:
        """Ends blocks and resets counts. False if there was nothing."""
        keys = self._every(names)
        return any(await self._connection.all([("DEL", key) for key in keys]))

    async def reserve(self, name: str, *, pause: timedelta, per_hour: int, now: datetime) -> datetime | None:
        """Returns None if a message may be sent now, and counts it; otherwise when the next one may be
        sent."""
        key = keyspace.message_times(self._keys.limit_names("messages", name)[0])
        allowed_at = await self._connection.ask(
            "EVAL",
            _RESERVE,
            1,
            key,
            values.milliseconds(now),
            values.span_in_milliseconds(pause),
            per_hour,
            values.span_in_milliseconds(retention.MESSAGES_COUNTED_FOR),
        )
        return values.moment_at(allowed_at) if allowed_at else None

    def _question(self, name: str, now: datetime) -> Command:
        rules = self._addresses if name.startswith(ADDRESS) else self._people
        key = keyspace.answer_count(self._keys.limit_names("answers", name)[0])
        spans = (
            values.span_in_milliseconds(span) for span in (rules.lasts, rules.at_most, rules.forgotten_after)
        )
        return (
            "EVAL",
            _ANSWER,
            1,
            key,
            values.milliseconds(now),
            rules.after,
            *spans,
            retention.MOST_DOUBLINGS,
        )

    def _every(self, names: Iterable[str]) -> list[str]:
        return [
            keyspace.answer_count(hashed)
            for name in names
            for hashed in self._keys.limit_names("answers", name)
        ]


def _latest(ends: Iterable[datetime | None], now: datetime) -> datetime | None:
    """The latest of these moments that is still to come."""
    return max((until for until in ends if until is not None and now < until), default=None)
