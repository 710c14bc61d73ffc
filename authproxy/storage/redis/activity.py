"""Scripts that note activity of a session and judge how long it has been idle.

They judge as `Outages.forgiven` does. The outages come after the other arguments, as pairs of moments that do
not overlap.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from authproxy.identity.session import SessionId
from authproxy.storage.outages import Outages
from authproxy.storage.records import values
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script

IDLE_TIME: Final = """
local function idle_time(seen, now, forgives, first)
  local away = 0
  for at = first, #ARGV - 1, 2 do
    away = away + math.max(0, math.min(tonumber(ARGV[at + 1]), now) - math.max(tonumber(ARGV[at]), seen))
  end
  return now - seen - math.min(away, forgives)
end
"""
"""`first` is the index of the first outage among the arguments."""
# A session that was revoked or is over stays so: late activity must not create a hash with nothing but a time
# in it. If the clock has gone back, `seen` stays, because another instance may have the right time. The
# record's time to live is renewed all the same, so that it does not expire while its person is active. What is
# remembered of the session when it has ended lives longer than the record by `remembered`.
_TOUCH: Final = Script(
    IDLE_TIME
    + """
local fields = redis.call('HMGET', KEYS[1], 'seen', 'idle', 'ends', 'remembered')
if not fields[1] then return 0 end
local seen, idle, ends = tonumber(fields[1]), tonumber(fields[2]), tonumber(fields[3])
local at, now, forgives = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now >= ends or idle_time(seen, at, forgives, 4) >= idle then return 0 end
if at > seen then redis.call('HSET', KEYS[1], 'seen', ARGV[1]) end
local lives = math.min(idle + forgives - (now - at), ends - now)
redis.call('PEXPIRE', KEYS[1], lives)
if fields[4] then redis.call('PEXPIRE', KEYS[2], lives + tonumber(fields[4])) end
return 1
""",
    answer_shapes.whole,
)
# `seen` is compared with what was read, so that a session that was active in between is not ended.
_END: Final = Script(
    """
local seen = redis.call('HGET', KEYS[1], 'seen')
if seen ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""",
    answer_shapes.whole,
)


def touch(session_id: SessionId, outages: Outages, *, at: datetime, now: datetime) -> Command:
    """Notes that the person was active at that moment. The answer is 1, or 0 if the session is gone or
    over."""
    return (
        "EVAL",
        _TOUCH,
        2,
        keyspace.session(session_id),
        keyspace.ended_session(session_id),
        values.milliseconds(at),
        *judged_by(outages, now),
    )


def end(session_id: SessionId, seen: bytes) -> Command:
    """Ends a session that was last active at `seen`. The answer is 0 if there is none, or it was active
    since."""
    return ("EVAL", _END, 1, keyspace.session(session_id), seen)


def judged_by(outages: Outages, now: datetime) -> tuple[int, ...]:
    """The arguments of a script that judges idleness: the moment, how much is forgiven, and the outages."""
    return (values.milliseconds(now), values.span_in_milliseconds(outages.forgives), *outages.spans(now))
