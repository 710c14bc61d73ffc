"""Which sessions are open, so that somebody hears of those that end by time: a record that expires in the
store tells nobody.

Each session stands in a sorted set by the moment at which it may have ended. When that has come, one gateway
looks: a session that lives is looked at again at its new end; one whose record has gone, and that nobody has
ended, has ended by time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection, WrongType
from authproxy.storage.redis.heartbeat import Heartbeat

_MARGIN: Final = timedelta(seconds=5)
"""How long after its end a session is looked at: until then every instance has heard of sessions that
somebody has ended."""
_KEPT_LONGER: Final = timedelta(days=2)
_AT_ONCE: Final = 100
_TAKEN_WITHIN: Final = timedelta(seconds=30)

# A value of another type under one of the keys is deleted: it says nothing about any session, and nobody
# could sign in any more.
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
local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, ARGV[4])
if #due == 0 then return {} end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
local found = {}
for _, name in ipairs(due) do
  found[#found + 1] = name
  found[#found + 1] = redis.call('HGET', KEYS[2], name) or ''
end
return found
""",
    answer_shapes.names,
)
# A score of -1 marks what is to be removed. The gateway's user needs no right to ZREM in this way: it may use
# ZREMRANGEBYSCORE anyway.
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
    """A session that nobody has ended. `person_name` is that of the audit trail."""

    session_id: SessionId
    portal: str
    method: str
    person_name: str
    is_absolute: bool
    """Its time was over, active or not; otherwise its person was idle for too long."""


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
        """`name_of` tells under which name a person stands in the audit trail: with the server keys alone
        nobody learns who has a session."""
        self._connection = connection
        self._keys = keys
        self._heartbeat = heartbeat
        self._name_of = name_of

    def noting(self, session: Session, now: datetime) -> Command:
        """The command that notes a session which begins."""
        details = values.octets_of(
            {
                "portal": session.portal,
                "method": session.method,
                "person": self._name_of(session.person),
                "ends": values.milliseconds(session.expires_at),
            }
        )
        sealed = self._keys.seal(Purpose.OPEN_SESSION, details, bound_to=session.session_id)
        # Longer than any session lives: the next one that begins must not shorten it for one that began
        # before.
        kept = values.span_in_milliseconds(session.expires_at - now + _KEPT_LONGER)
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
            kept,
        )

    async def ended(self, taker: str, *, now: datetime) -> Sequence[EndedByTime]:
        """Those that have ended by time, for this taker alone until it settles or half a minute is over.
        Forgets those that somebody has ended, and looks again later at those that live."""
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
        names = [SessionId(name.decode("ascii", "replace")) for name in claimed[::2]]
        states = await self._connection.each(
            [("HMGET", keyspace.session(name), "seen", "idle", "ends") for name in names]
        )
        over: list[EndedByTime] = []
        later: list[tuple[SessionId, int]] = []
        for name, sealed, state in zip(names, claimed[1::2], states, strict=True):
            due: int | None
            if isinstance(state, WrongType):
                due = values.milliseconds(
                    now + _MARGIN
                )  # not at once: many such values would keep all others from being looked at
            elif isinstance(state, CannotAsk):
                continue  # looked at again at once
            else:
                due = self._next(state, now)
            told = (
                None if due is not None or name in self._heartbeat.endings else self._told(name, sealed, now)
            )
            if told is not None:
                over.append(told)
            else:
                later.append((name, -1 if due is None else due))
        await self._settle(taker, later, is_done=not over)
        return over

    async def settle(self, taker: str, told: Sequence[EndedByTime]) -> bool:
        """Notes that these have been told of. False if somebody else has taken over meanwhile."""
        return await self._settle(taker, [(each.session_id, -1) for each in told], is_done=True)

    async def _settle(self, taker: str, scores: Sequence[tuple[SessionId, int]], *, is_done: bool) -> bool:
        words = [word for name, score in scores for word in (name, score)]
        return bool(await self._connection.ask("EVAL", _SETTLE, 3, *_KEYS, taker, int(is_done), *words))

    def _next(self, state: Sequence[bytes | None], now: datetime) -> int | None:
        """When a session that lives is looked at again; None for one whose record has gone."""
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

    def _told(self, session_id: SessionId, sealed: bytes, now: datetime) -> EndedByTime | None:
        """None for a session whose details are missing or do not open."""
        octets = self._keys.open(Purpose.OPEN_SESSION, sealed, bound_to=session_id)
        if octets is None:
            return None
        try:
            fields = json.loads(octets)
            return EndedByTime(
                session_id=session_id,
                portal=fields["portal"],
                method=fields["method"],
                person_name=fields["person"],
                is_absolute=values.milliseconds(now) >= int(fields["ends"]),
            )
        except values.UNREADABLE:
            return None


_KEYS: Final = (keyspace.OPEN_SESSIONS, keyspace.OPEN_DETAILS, keyspace.OPEN_TAKER)
