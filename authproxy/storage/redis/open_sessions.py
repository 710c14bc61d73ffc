"""A list of open sessions, for the audit trail of those that end by time: a record that expires in the store
tells nobody.

Each session is in a sorted set by the moment at which it may have ended. When that moment has come, one
gateway looks. A session that is still open is looked at again at its new end. If its record is gone, somebody
may have ended it just now, and this gateway does not know yet. So it is looked at a second time. If still
nobody has ended it, it has ended by time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId
from authproxy.storage.records import sessions as records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection, WrongType
from authproxy.storage.redis.heartbeat import Heartbeat

_KEYS: Final = (keyspace.OPEN_SESSIONS, keyspace.OPEN_DETAILS, keyspace.OPEN_TAKER)
_MARGIN: Final = timedelta(seconds=5)
"""A session is looked at this long after its end, and again this long after its record was gone. By then every
instance knows if somebody has ended it."""
_GONE: Final = ".5"
"""The fraction of the moment of a second look: the record was gone at the first one. Other moments are whole
milliseconds."""
_KEPT_LONGER: Final = timedelta(days=2)
_AT_ONCE: Final = 100
_REMOVED: Final = -1
_TAKEN_WITHIN: Final = timedelta(seconds=30)

# A value of another type under one of the keys is deleted. It says nothing about any session, and with it
# nobody could sign in.
_NOTE: Final = Script(
    """
local function put(command, key, ...)
  local done = redis.pcall(command, key, ...)
  if type(done) == 'table' then
    if string.find(done.err, 'WRONGTYPE', 1, true) then redis.call('DEL', key) end
    redis.call(command, key, ...)
  end
end
put('ZADD', KEYS[1], ARGV[2], ARGV[1])
put('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
""",
    answer_shapes.whole,
)
_CLAIM: Final = Script(
    """
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[1] then return {} end
local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, ARGV[4], 'WITHSCORES')
if #due == 0 then return {} end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
local found = {}
for at = 1, #due, 2 do
  found[#found + 1] = due[at]
  found[#found + 1] = due[at + 1]
  found[#found + 1] = redis.call('HGET', KEYS[2], due[at]) or ''
end
return found
""",
    answer_shapes.names,
)
# The score `_REMOVED` marks what is to be removed. In this way the gateway's user of the store needs no right to
# ZREM, but only to ZREMRANGEBYSCORE, which it needs anyway.
_SETTLE: Final = Script(
    """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
for at = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[at + 1], ARGV[at])
  if ARGV[at + 1] == '-1' then redis.call('HDEL', KEYS[2], ARGV[at]) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', -1)
if ARGV[2] == '1' then redis.call('DEL', KEYS[3]) end
return 1
""",
    answer_shapes.whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedByTime:
    """A session whose time was over. `person_name` is the person's name in the audit trail."""

    session_id: SessionId
    portal: str
    method: str
    person_name: str
    is_absolute: bool
    """Whether it reached its absolute end. Otherwise its person was idle for too long."""


class RedisOpenSessions:
    """Every method raises CannotAsk(STORE_UNAVAILABLE)."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        keys: KeyRing,
        heartbeat: Heartbeat,
        name_of: Callable[[Person], str],
    ) -> None:
        """`name_of` gives a person's name in the audit trail. Only that is stored, so that the server keys
        alone do not show who has a session."""
        self._connection = connection
        self._keys = keys
        self._heartbeat = heartbeat
        self._name_of = name_of

    def recording(self, session: Session, now: datetime) -> Command:
        """The command that records a session which begins."""
        details = records.open_session_octets(session, self._name_of(session.person))
        sealed = self._keys.seal(Purpose.OPEN_SESSION, details, bound_to=session.session_id)
        # Two days longer than the session. The next session that begins sets this time to live anew, and must
        # not make it too short for sessions that began before.
        lives_for = values.span_in_milliseconds(session.expires_at - now + _KEPT_LONGER)
        due = self._due(now + session.idle_for, session.expires_at)
        return (
            "EVAL",
            _NOTE,
            2,
            keyspace.OPEN_SESSIONS,
            keyspace.OPEN_DETAILS,
            session.session_id,
            due,
            sealed,
            lives_for,
        )

    async def ended(self, taker: str, *, now: datetime) -> Sequence[EndedByTime]:
        """The sessions that have ended by time. They belong to this taker until it settles, or until half a
        minute is over. Sessions that somebody has ended are removed, and those that are open are looked at
        again later."""
        asked = (
            "EVAL",
            _CLAIM,
            3,
            *_KEYS,
            taker,
            values.span_in_milliseconds(_TAKEN_WITHIN),
            values.milliseconds(now),
            _AT_ONCE,
        )
        claimed: Sequence[bytes] = await self._connection.ask(*asked)
        if not claimed:
            return ()
        names = [SessionId(name.decode("ascii", "replace")) for name in claimed[::3]]
        states = await self._connection.each(
            [("HMGET", keyspace.session(name), "seen", "idle", "ends") for name in names]
        )
        over: list[EndedByTime] = []
        later: list[tuple[SessionId, int | str]] = []
        soon = values.milliseconds(now + _MARGIN)
        for name, moment, sealed, state in zip(names, claimed[1::3], claimed[2::3], states, strict=True):
            due: int | None
            if isinstance(state, WrongType):
                due = soon  # because many such values must not stop the others from being looked at
            elif isinstance(state, CannotAsk):
                continue  # looked at again at once
            else:
                due = self._next(state, now)
            ended = None
            if due is None and name not in self._heartbeat.endings:
                ended = self._ended_by_time(name, sealed, now)
            if ended is None:
                later.append((name, _REMOVED if due is None else due))
            elif moment.endswith(_GONE.encode()):
                over.append(ended)
            else:
                later.append((name, f"{soon}{_GONE}"))
        await self._settle(taker, later, is_done=not over)
        return over

    async def settle(self, taker: str, reported: Sequence[EndedByTime]) -> bool:
        """Removes sessions that were reported. False if another gateway has taken over meanwhile."""
        return await self._settle(taker, [(ended.session_id, _REMOVED) for ended in reported], is_done=True)

    async def _settle(
        self, taker: str, scores: Sequence[tuple[SessionId, int | str]], *, is_done: bool
    ) -> bool:
        arguments = [argument for name, score in scores for argument in (name, score)]
        return bool(await self._connection.ask("EVAL", _SETTLE, 3, *_KEYS, taker, int(is_done), *arguments))

    def _next(self, state: Sequence[bytes | None], now: datetime) -> int | None:
        """When an open session is looked at again; None if its record is gone."""
        seen, idle, ends = state
        try:
            if seen is None or idle is None or ends is None:
                return None
            end = (
                values.moment_at(int(seen))
                + timedelta(milliseconds=int(idle))
                + self._heartbeat.outages.forgives
            )
            return max(self._due(end, values.moment_at(int(ends))), values.milliseconds(now + _MARGIN))
        except values.UNREADABLE:
            return values.milliseconds(now + _MARGIN)

    def _due(self, end: datetime, ends: datetime) -> int:
        return values.milliseconds(min(end, ends) + _MARGIN)

    def _ended_by_time(self, session_id: SessionId, sealed: bytes, now: datetime) -> EndedByTime | None:
        """None if the session's details are missing or do not open."""
        octets = self._keys.open(Purpose.OPEN_SESSION, sealed, bound_to=session_id)
        details = None if octets is None else records.open_session_in(octets)
        if details is None:
            return None
        return EndedByTime(
            session_id=session_id,
            portal=details.portal,
            method=details.method,
            person_name=details.person_name,
            is_absolute=now >= details.expires_at,
        )
