"""Sessions that take the place of others, and how whoever ends the one ends the other.

A session that changes its ticket changes its name. Somebody may be about to end it by the old one, with an
index or a list that was read a moment or an hour ago: so the old name leads to the new one until the absolute
end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, TypeVar

from authproxy.identity.session import SessionId
from authproxy.storage.endings import Endings
from authproxy.storage.redis import activity, answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.heartbeat import Heartbeat

PAGE: Final = 500
"""Sessions asked about in one question, so that a person with thousands of them does not outlast the
deadline."""
_Item = TypeVar("_Item")

# One step: whoever revokes the old session at this moment either finds it alive, and then it is not
# succeeded, or finds who succeeds it.
_SUCCEED: Final = Script(
    activity.IDLE_TIME
    + """
local fields = redis.call('HMGET', KEYS[1], 'seen', 'idle', 'ends')
if not fields[1] then return 0 end
redis.call('DEL', KEYS[1])
local seen, idle, ends = tonumber(fields[1]), tonumber(fields[2]), tonumber(fields[3])
local now, forgives = tonumber(ARGV[2]), tonumber(ARGV[3])
if now >= ends or idle_time(seen, now, forgives, 4) >= idle then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ends - now)
return 1
""",
    answer_shapes.whole,
)


async def succeed(
    connection: RedisConnection, old: SessionId, new: SessionId, heartbeat: Heartbeat, *, now: datetime
) -> bool:
    """Ends the old session in favour of the new one, which is stored already; False if it has ended before,
    revoked or by time."""
    has_succeeded = bool(
        await connection.ask(
            "EVAL",
            _SUCCEED,
            2,
            keyspace.session(old),
            keyspace.successor(old),
            new,
            *activity.judged_by(heartbeat.outages, now),
        )
    )
    heartbeat.endings.add([old])
    return has_succeeded


async def ended(
    connection: RedisConnection, session_ids: Sequence[SessionId], endings: Endings
) -> frozenset[SessionId]:
    """Ends these sessions and those that have taken their places; those of the named ones where there was
    one."""
    found: set[SessionId] = set()
    followed: set[SessionId] = set()
    waiting = [(session_id, session_id) for session_id in session_ids]
    while waiting:
        # Followed also to a session that was ended a moment ago: it may have been stored only since.
        succeeded = await _end(connection, waiting, found)
        endings.add(session_id for _, session_id in waiting)
        waiting = [(origin, heir) for origin, heir in succeeded if heir not in followed]
        followed |= {heir for _, heir in waiting}
    return frozenset(found)


async def heirs(connection: RedisConnection, gone: Sequence[SessionId]) -> list[SessionId]:
    """Who has taken the places of these."""
    if not gone:
        return []
    found = await connection.all([("GET", keyspace.successor(session_id)) for session_id in gone])
    return [_session_id(heir) for heir in found if heir is not None]


def pages(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]


async def _end(
    connection: RedisConnection, named: Sequence[tuple[SessionId, SessionId]], found: set[SessionId]
) -> list[tuple[SessionId, SessionId]]:
    """Ends sessions, each for the sake of the one that was named first; who has taken the place of those that
    had ended before."""
    succeeded: list[tuple[SessionId, SessionId]] = []
    for page in pages(named):
        questions: list[Command] = []
        for _, session_id in page:
            questions += [("DEL", keyspace.session(session_id)), ("GET", keyspace.successor(session_id))]
        answers = await connection.all(questions)
        for (origin, _), count, heir in zip(page, answers[::2], answers[1::2], strict=True):
            if count:
                found.add(origin)
            elif heir is not None:
                succeeded.append((origin, _session_id(heir)))
    return succeeded


def _session_id(octets: bytes) -> SessionId:
    return SessionId(octets.decode("ascii", "replace"))
