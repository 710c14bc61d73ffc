"""A session that changes its ticket gets a new id. Its old id leads to the new one until its absolute end.

Somebody may want to end the session by its old id, which they have read in an index or on a page a moment or
an hour ago. They follow the old id to the session that has replaced it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import SessionId
from authproxy.storage.endings import Endings
from authproxy.storage.redis import activity, answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection, Unconfirmed, pages
from authproxy.storage.redis.heartbeat import Heartbeat

# In one step: somebody who revokes the old session at this moment either finds it, and then it is not
# replaced, or finds its successor.
_SUCCEED: Final = Script(
    activity.IDLE_TIME
    + """
local fields = redis.call('HMGET', KEYS[1], 'seen', 'idle', 'ends')
if not fields[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[3])
local seen, idle, ends = tonumber(fields[1]), tonumber(fields[2]), tonumber(fields[3])
local now, forgives = tonumber(ARGV[2]), tonumber(ARGV[3])
if now >= ends or idle_time(seen, now, forgives, 4) >= idle then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ends - now)
return 1
""",
    answer_shapes.whole,
)


# In one step too. If the slot moves to another node of a cluster, separate commands might be carried out on
# different nodes, and not in their order.
_END: Final = Script(
    """
local deleted = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[3])
return {deleted, redis.call('GET', KEYS[2])}
""",
    lambda answer: (
        isinstance(answer, list)
        and len(answer) == 2
        and answer_shapes.whole(answer[0])
        and answer_shapes.text(answer[1])
    ),
)


async def replace(
    connection: RedisConnection, old: SessionId, new: SessionId, heartbeat: Heartbeat, *, now: datetime
) -> bool:
    """Ends the old session and makes the new one, which is stored already, its successor. False if the old
    one had ended before."""
    is_replaced = bool(
        await connection.ask(
            "EVAL",
            _SUCCEED,
            3,
            keyspace.session(old),
            keyspace.successor(old),
            keyspace.ended_session(old),
            new,
            *activity.judged_by(heartbeat.outages, now),
        )
    )
    heartbeat.endings.add([old])
    return is_replaced


async def end(
    connection: RedisConnection, session_ids: Sequence[SessionId], endings: Endings
) -> frozenset[SessionId]:
    """Ends these sessions, or those that have replaced them. Returns which of `session_ids` led to a
    session."""
    ended: set[SessionId] = set()
    followed: set[SessionId] = set()
    waiting = [(session_id, session_id) for session_id in session_ids]
    while waiting:
        # A successor is followed even if it was ended a moment ago: it may have been stored only since then.
        replaced = await _end_once(connection, waiting, ended, endings)
        waiting = [(origin, successor) for origin, successor in replaced if successor not in followed]
        followed |= {successor for _, successor in waiting}
    return frozenset(ended)


async def successors(connection: RedisConnection, gone: Sequence[SessionId]) -> list[SessionId]:
    """The sessions that have replaced these."""
    if not gone:
        return []
    found = await connection.all([("GET", keyspace.successor(session_id)) for session_id in gone])
    return [_session_id(successor) for successor in found if successor is not None]


async def _end_once(
    connection: RedisConnection,
    waiting: Sequence[tuple[SessionId, SessionId]],
    ended: set[SessionId],
    endings: Endings,
) -> list[tuple[SessionId, SessionId]]:
    """Ends sessions. Each comes with the id that the caller of `end` has named, which is added to `ended` if
    the session was there. Returns the successors of those that were not there."""
    replaced: list[tuple[SessionId, SessionId]] = []
    for page in pages(waiting):
        questions: list[Command] = [
            (
                "EVAL",
                _END,
                3,
                keyspace.session(session_id),
                keyspace.successor(session_id),
                keyspace.ended_session(session_id),
            )
            for _, session_id in page
        ]
        answers = await connection.each_confirmed(questions)
        # Whoever has ended is remembered, also if others have not, or if a failover may bring them back.
        endings.add(
            session_id
            for (_, session_id), answer in zip(page, answers, strict=True)
            if not isinstance(answer, CannotAsk) or isinstance(answer, Unconfirmed)
        )
        for (origin, _), answer in zip(page, answers, strict=True):
            if isinstance(answer, CannotAsk):
                raise answer
            is_deleted, successor = answer
            if is_deleted:
                ended.add(origin)
            elif successor is not None:
                replaced.append((origin, _session_id(successor)))
    return replaced


def _session_id(octets: bytes) -> SessionId:
    return SessionId(octets.decode("ascii", "replace"))
