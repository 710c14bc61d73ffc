"""Notes about changes that wait for their message, in Redis, and the number to which a person's codes went
last.

One instance takes a message that is due, with all notes that have come in until then. It need not be the
instance that wrote the notes, which may have ended.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from authproxy.challenges.notices import Batch
from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.swaps import SWAP, TAKE

_AT_A_TIME: Final = 50
"""How many messages one instance takes at once."""

_ADD: Final = Script(
    """
redis.call('RPUSH', KEYS[2], unpack(ARGV, 5))
redis.call('LTRIM', KEYS[2], -ARGV[3], -1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if not redis.call('HGET', KEYS[1], ARGV[1]) then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', math.max(tonumber(ARGV[2]), tonumber(redis.call('GET', KEYS[3]) or 0))))
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
""",
    answer_shapes.whole,
)
_TAKE: Final = Script(
    """
local due = redis.call('HGET', KEYS[1], ARGV[1])
if not due or tonumber(ARGV[2]) < tonumber(due) then return {} end
local notes = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return notes
""",
    answer_shapes.names,
)


class RedisNotices:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. `owner` is `challenges.enrolment.owner_of` the person. Notes that do not open are left out."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def add(self, owner: tuple[str, ...], note: bytes, *, now: datetime) -> None:
        """Stores a note for a day. It is due now, or at the end of the pause after the person's last
        message."""
        name = self._keys.owner_names("notices", owner)[0]
        await self._add(Batch(name, (note,)), due=now)

    async def put_back(self, batch: Batch, *, due: datetime) -> None:
        """Stores notes again, because their message could not be sent. It is tried again at `due`."""
        await self._add(batch, due=due)

    async def take(self, owner: tuple[str, ...], *, now: datetime, pause: timedelta) -> Batch | None:
        """The person's notes, if a message is due. If many ask, exactly one gets them. The next message is
        due after `pause` at the earliest."""
        return await self._taken(self._keys.owner_names("notices", owner)[0], now, pause)

    async def take_due(self, *, now: datetime, pause: timedelta) -> list[Batch]:
        """As `take`, for everybody whose message is due."""
        waiting = await self._connection.ask("HGETALL", keyspace.NOTICES_DUE)
        names = [
            name.decode()
            for name, due in zip(waiting[::2], waiting[1::2], strict=True)
            if int(due) <= values.milliseconds(now)
        ]
        taken = [await self._taken(name, now, pause) for name in names[:_AT_A_TIME]]
        return [batch for batch in taken if batch is not None]

    async def swap_number(self, owner: tuple[str, ...], number: str) -> str | None:
        """Stores the number to which the person's codes went last, and returns the one before; None if none
        is known."""
        first, *older = self._keys.owner_names("number", owner)
        sealed = self._keys.seal(Purpose.NOTICE, number.encode(), bound_to=first)
        span = values.span_in_milliseconds(retention.NUMBER_KNOWN_FOR)
        questions: list[Command] = [("EVAL", SWAP, 1, keyspace.last_number(first), sealed, span)]
        questions += [("EVAL", TAKE, 1, keyspace.last_number(name)) for name in older]
        found = await self._connection.all(questions)
        for name, earlier in zip((first, *older), found, strict=True):
            opened = None if earlier is None else self._keys.open(Purpose.NOTICE, earlier, bound_to=name)
            if opened is not None:
                return opened.decode()
        return None

    async def forget(self, owner: tuple[str, ...]) -> None:
        """Removes everything that is kept here about the person, under every key of the ring."""
        names = self._keys.owner_names("notices", owner)
        numbers = self._keys.owner_names("number", owner)
        await self._connection.all(
            [
                *(("HDEL", keyspace.NOTICES_DUE, name) for name in names),
                *(("DEL", key) for name in names for key in (keyspace.notes(name), keyspace.noticed(name))),
                *(("DEL", keyspace.last_number(name)) for name in numbers),
            ]
        )

    async def _add(self, batch: Batch, *, due: datetime) -> None:
        sealed = [self._keys.seal(Purpose.NOTICE, note, bound_to=batch.name) for note in batch.notes]
        await self._connection.ask(
            "EVAL",
            _ADD,
            3,
            *_keys_of(batch.name),
            batch.name,
            values.milliseconds(due),
            retention.NOTES_PER_PERSON,
            values.span_in_milliseconds(retention.NOTES_KEPT_FOR),
            *sealed,
        )

    async def _taken(self, name: str, now: datetime, pause: timedelta) -> Batch | None:
        found = await self._connection.ask(
            "EVAL",
            _TAKE,
            3,
            *_keys_of(name),
            name,
            values.milliseconds(now),
            values.milliseconds(now + pause),
            max(values.span_in_milliseconds(pause), 1),
        )
        opened = [self._keys.open(Purpose.NOTICE, sealed, bound_to=name) for sealed in found]
        notes = tuple(note for note in opened if note is not None)
        return Batch(name, notes) if notes else None


def _keys_of(name: str) -> tuple[str, str, str]:
    return keyspace.NOTICES_DUE, keyspace.notes(name), keyspace.noticed(name)
