"""The heartbeat of the store: about once a second, a write proves that the store takes writes.

With each beat an instance also

- records outages, and reads those that other instances have recorded,
- tells which sessions it has ended, and reads which sessions others have ended,
- writes activity that it could not write before,
- notices that the store has gone back in time (another run id, another replication id, or a lower count of
  beats). Then every session that is known to have ended is ended once more,
- notices that a newer version has written what this one would misread (`formats`).
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import SessionId
from authproxy.storage.endings import Endings
from authproxy.storage.outages import NOTICED_WITHIN, Outage, Outages
from authproxy.storage.records import values
from authproxy.storage.redis import activity, answer_shapes, condition, formats
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import (
    RedisConnection,
    TooFewReplicas,
    Unanswered,
    WrongType,
    pages,
)
from authproxy.telemetry.logging import logger

_EVERY: Final = 1.0
_AGAIN_AFTER: Final = 0.3
_GAP: Final = NOTICED_WITHIN
"""This long without a beat of any instance is an outage too, because nobody could note activity."""
_KEPT_FOR: Final = timedelta(hours=48)
_ENDINGS_AT_ONCE: Final = 20_000
_MOST_MISSED: Final = 50_000
_WRITTEN_AT_ONCE: Final = 5_000
_INFO_AGAIN_AFTER: Final = 60
"""After the store has refused INFO, it is asked again after this many beats."""
_NEVER: Final = float("-inf")
_SPAN: Final = re.compile(rb"(\d{1,15}):(\d{1,15})")

# The count comes first: a store that is full or has become a replica refuses this write. Gaps are measured by
# the store's own clock, because a gateway's clock may be set. If the user of the store may not ask for the
# time, gaps are not noticed.
_BEAT: Final = Script(
    """
local count = redis.pcall('HINCRBY', KEYS[1], 'count', 1)
if type(count) == 'table' then
  -- Somebody else has written something that is no number. That must not look like a store that takes no writes.
  if string.find(count.err, 'not an integer', 1, true) or string.find(count.err, 'overflow', 1, true) then redis.call('DEL', KEYS[1]) end
  count = redis.call('HINCRBY', KEYS[1], 'count', 1)
end
local now, gap, kept = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local function note(began, ended)
  local last = redis.call('LRANGE', KEYS[2], -1, -1)[1]
  if last then
    local before, after = string.match(last, '^(%d+):(%d+)$')
    if after and tonumber(after) >= began and tonumber(before) <= ended then
      began, ended = math.min(began, tonumber(before)), math.max(ended, tonumber(after))
      redis.call('LTRIM', KEYS[2], 0, -2)
    end
  end
  redis.call('RPUSH', KEYS[2], string.format('%.0f:%.0f', began, ended))
  redis.call('LTRIM', KEYS[2], -64, -1)
  redis.call('PEXPIRE', KEYS[2], kept)
end
local time = redis.pcall('TIME')
if not time.err then
  local here = time[1] * 1000 + math.floor(time[2] / 1000)
  local last = tonumber(redis.call('HGET', KEYS[1], 'at') or '') or here
  if here - last >= gap then note(now - (here - last), now) end
  redis.call('HSET', KEYS[1], 'at', string.format('%.0f', here))
end
redis.call('PEXPIRE', KEYS[1], kept)
if ARGV[5] then note(tonumber(ARGV[5]), tonumber(ARGV[6])) end
local seen = redis.pcall('GET', KEYS[3])
if type(seen) == 'table' then
  if string.find(seen.err, 'WRONGTYPE', 1, true) then redis.call('DEL', KEYS[3]) end
  seen = false
end
local before = string.match(seen or '', '^%d+$') or '0'
local newest = math.max(#before <= 15 and tonumber(before) or 0, tonumber(ARGV[4]))
local text = string.format('%.0f', newest)
if newest > 0 and seen ~= text then redis.pcall('SET', KEYS[3], text) end
return {count, redis.call('LRANGE', KEYS[2], 0, -1), text}
""",
    lambda answer: (
        isinstance(answer, list)
        and len(answer) == 3
        and answer_shapes.whole(answer[0])
        and answer_shapes.names(answer[1])
        and isinstance(answer[2], bytes)
        and answer[2].isdigit()
    ),
)
_TELL: Final = Script(
    """
local time = redis.pcall('TIME')
local at = tonumber(ARGV[1])
if not time.err then at = time[1] * 1000 + math.floor(time[2] / 1000) end
for each = 3, #ARGV do redis.call('ZADD', KEYS[1], at, ARGV[each]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return #ARGV - 2
""",
    answer_shapes.whole,
)
_log = logger(__name__)


class LonelyPrimary(CannotAsk):
    """The primary has lost its replicas, and we have lost most of the Sentinels. So we may be cut off together
    with a former primary, where nobody hears of revocations. A node of a cluster says so itself
    (CLUSTERDOWN)."""

    def __init__(self, failure: CannotAsk) -> None:
        detail = "and most Sentinels are silent, so that it may be a former primary"
        super().__init__(failure.reason, f"{failure}, {detail}")


class Heartbeat:
    """`forgives` is how much of an outage does not count as idleness. `remembers` is the longest life of a
    session."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        forgives: timedelta = timedelta(),
        remembers: timedelta = timedelta(hours=24),
    ) -> None:
        self.outages = Outages(forgives=forgives)
        self.endings = Endings(keeps_for=remembers)
        self._connection = connection
        self._remembers = remembers
        self._missed: dict[SessionId, datetime] = {}
        self._beating = asyncio.Lock()
        self._began = _NEVER
        self._failure: CannotAsk | None = None
        self._count = 0
        self._origin: tuple[bytes, ...] | None = None
        self._info_in = 0
        self._endings_read_to: str | bytes = "-inf"
        self._must_end_again = False
        self._revision = 0
        self.newest_revision = 0
        """The newest revision of the register of people that this or another instance has seen. 0 if there
        was no register."""

    async def run(self, clock: Callable[[], datetime]) -> None:
        """Beats until the task is cancelled, and at once when other servers have the keys: they may have sessions
        that only this instance knows to have ended. Failures of the store do not end it."""
        while True:
            pause = _EVERY
            try:
                await self.beat(clock())
            except CannotAsk:
                pause = _AGAIN_AFTER
            await self._connection.rest(pause)

    async def beat(self, now: datetime) -> None:
        """Beats once. Afterwards everything is known that other instances had recorded before. Raises
        CannotAsk if the store takes no writes. Callers at the same moment share one beat."""
        asked = asyncio.get_running_loop().time()
        async with self._beating:
            if self._began >= asked:
                if self._failure is not None:
                    raise CannotAsk(self._failure.reason, str(self._failure))
                return
            self._began, self._failure = asyncio.get_running_loop().time(), None
            try:
                await self._beat(now)
            except CannotAsk as failure:
                self._failure = failure
                self._note_failure(now, failure)
                if isinstance(failure, TooFewReplicas) and self._connection.hears_few_sentinels:
                    self._connection.refused = LonelyPrimary(failure)
                raise

    def remember_activity(self, session_id: SessionId, now: datetime) -> None:
        """Remembers activity that could not be written, until the store takes writes."""
        if session_id in self._missed or len(self._missed) < _MOST_MISSED:
            self._missed[session_id] = now

    async def warnings(self, clock: Callable[[], datetime] | None = None) -> list[str]:
        """What an operator should mend, in sentences. `clock` is ours, if it should be compared with the
        store's. Raises CannotAsk."""
        aspects = await condition.aspects(self._connection, clock=clock)
        warnings = [aspect.detail for aspect in aspects if aspect.is_warning]
        warnings += await self._connection.warnings()
        if self._revision < self.newest_revision:
            warnings.append(
                f"the register of people went back from revision {self.newest_revision} to {self._revision}: "
                "blocks and links since then must be made again"
            )
        return warnings

    async def tell_endings(self, now: datetime) -> None:
        """Tells the other instances which sessions this one has ended. Raises CannotAsk."""
        untold = self.endings.untold
        lives_for = values.span_in_milliseconds(self._remembers)
        for page in pages(untold):
            await self._connection.ask(
                "EVAL", _TELL, 1, keyspace.ENDINGS, values.milliseconds(now), lives_for, *page
            )
            self.endings.note_told(page, now)

    async def _beat(self, now: datetime) -> None:
        refused = self._connection.refused
        is_lonely = isinstance(refused, LonelyPrimary)
        if refused is not None and not is_lonely and await self._is_still_refused(now):
            return
        asks_info = self._info_in <= 0
        beat, ended, revision, written, *rest = await self._connection.each(
            self._questions(now, asks_info=asks_info), in_any_case=is_lonely
        )
        if self._judge_formats(written):
            return
        if isinstance(beat, CannotAsk):
            await self._delete_wrong_types(beat)
            raise beat
        await self._note_formats(written)
        count, outages, newest_revision = beat
        self._learn_endings(ended, now)
        went_back = self._has_gone_back(count, rest[:2] if asks_info else [])
        self._note_revision(revision, int(newest_revision))
        self.outages.learn(filter(None, map(_outage, outages)), now)
        lost = [
            answer
            for answer in rest[2 if asks_info else 0 :]
            if isinstance(answer, CannotAsk) and not isinstance(answer, WrongType)
        ]
        if lost:
            self._note_failure(now, lost[0])
        else:
            self._note_success(now)
        if went_back:
            _log.warning("store.went_back", endings=len(self.endings))
            self._must_end_again = True
            await self._connection.begin_anew()
        if self._must_end_again:
            await self._end_again()
        await self.tell_endings(now)
        self.endings.sweep(now)
        await self._write_missed_activity(now)

    def _questions(self, now: datetime, *, asks_info: bool) -> list[Command]:
        return [
            (
                "EVAL",
                _BEAT,
                3,
                keyspace.HEARTBEAT,
                keyspace.OUTAGES,
                keyspace.REGISTER_SEEN,
                values.milliseconds(now),
                *_milliseconds(_GAP, _KEPT_FOR),
                self.newest_revision,
                *_ends(self.outages.current(now)),
            ),
            (
                "ZRANGE",
                keyspace.ENDINGS,
                self._endings_read_to,
                "+inf",
                "BYSCORE",
                "LIMIT",
                0,
                _ENDINGS_AT_ONCE,
                "WITHSCORES",
            ),
            ("HGET", keyspace.REGISTER, "revision"),
            formats.ASK,
            *((("INFO", "server"), ("INFO", "replication")) if asks_info else ()),
            *(("EXISTS", keyspace.session(session_id)) for session_id in self.outages.suspects),
        ]

    async def _is_still_refused(self, now: datetime) -> bool:
        """Nothing is written into a store that this version would misread, not even an outage."""
        [written] = await self._connection.each([formats.ASK], in_any_case=True)
        if isinstance(written, CannotAsk) and not isinstance(written, WrongType):
            raise written
        self._note_success(now)
        return self._judge_formats(written)

    def _judge_formats(self, written: Any) -> bool:
        """Whether the store must not be asked. Then every question is answered with CannotAsk."""
        problem = formats.problem_in(written)
        if problem is not None and not isinstance(self._connection.refused, formats.NewerStore):
            _log.error("store.newer", detail=problem)
        self._connection.refused = None if problem is None else formats.NewerStore(problem)
        return problem is not None

    async def _note_formats(self, written: Any) -> None:
        if isinstance(written, WrongType):
            await self._connection.ask("DEL", keyspace.FORMATS)
        elif not isinstance(written, CannotAsk) and not formats.is_noted(written):
            await self._connection.ask(*formats.WRITE)

    async def _end_again(self) -> None:
        for page in pages(self.endings.every()):
            # Successors are not deleted: a session that goes on under another id has not ended.
            # API keys that were revoked are among the endings, too.
            await self._connection.all(
                [
                    ("DEL", key)
                    for ended in page
                    for key in (keyspace.session(ended), keyspace.machine_key(ended))
                ]
            )
        self.endings.tell_again()
        self._must_end_again = False

    async def _write_missed_activity(self, now: datetime) -> None:
        missed = list(itertools.islice(self._missed.items(), _WRITTEN_AT_ONCE))
        for page in pages(missed):
            written = await self._connection.each(
                [activity.touch(session_id, self.outages, at=at, now=now) for session_id, at in page]
            )
            for (session_id, at), answer in zip(page, written, strict=True):
                is_refused = isinstance(answer, CannotAsk) and not isinstance(answer, WrongType)
                if not is_refused and self._missed.get(session_id) == at:
                    del self._missed[session_id]

    async def _delete_wrong_types(self, refusal: CannotAsk) -> None:
        """Otherwise somebody could cause an outage by writing a value of another type under these keys."""
        if isinstance(refusal, WrongType):
            await self._connection.all([("DEL", key) for key in (keyspace.HEARTBEAT, keyspace.OUTAGES)])

    def _learn_endings(self, ended: Any, now: datetime) -> None:
        if isinstance(ended, CannotAsk) or not ended:
            return
        self.endings.learn((SessionId(name.decode("ascii", "replace")) for name in ended[::2]), now)
        self._endings_read_to = ended[-1]

    def _has_gone_back(self, count: int, info: list[Any]) -> bool:
        went_back = count <= self._count
        self._count = count
        self._info_in -= 1
        if any(isinstance(answer, Unanswered) for answer in info):
            pass  # a part of a cluster is away; what it is when it comes back is compared with what it was
        elif any(isinstance(answer, CannotAsk) for answer in info):
            self._info_in = _INFO_AGAIN_AFTER
        elif info:
            origin = (*condition.facts(info[0], b"run_id"), *condition.facts(info[1], b"master_replid"))
            went_back |= self._origin is not None and self._origin != origin
            self._origin = origin
        if went_back:
            self._endings_read_to = "-inf"
        return went_back

    def _note_revision(self, revision: Any, seen: int) -> None:
        if not isinstance(revision, CannotAsk):
            self._revision = int(revision) if isinstance(revision, bytes) and revision.isdigit() else 0
        self.newest_revision = max(self.newest_revision, self._revision, seen)

    def _note_failure(self, now: datetime, failure: CannotAsk) -> None:
        if not self.outages.is_failing:
            _log.warning("store.outage_began", detail=str(failure))
        self.outages.note_failure(now)

    def _note_success(self, now: datetime) -> None:
        outage = self.outages.current(now)
        if outage is not None:
            _log.info(
                "store.outage_ended", seconds=round((outage.ended_at - outage.began_at).total_seconds(), 1)
            )
        self.outages.note_write(now)


def _outage(text: bytes) -> Outage | None:
    """None if the text is not an outage: then somebody else has written it."""
    span = _SPAN.fullmatch(text)
    began, ended = (None, None) if span is None else (values.moment(span[1]), values.moment(span[2]))
    return None if began is None or ended is None else Outage(began, ended)


def _ends(outage: Outage | None) -> tuple[int, ...]:
    return (
        () if outage is None else (values.milliseconds(outage.began_at), values.milliseconds(outage.ended_at))
    )


def _milliseconds(*spans: timedelta) -> tuple[int, ...]:
    return tuple(values.span_in_milliseconds(span) for span in spans)
