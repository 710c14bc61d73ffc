"""Counted answers, blocks and messages, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.challenges.limits import ADDRESS
from authproxy.storage import retention
from authproxy.storage.expiring import Expiring
from authproxy.storage.retention import BlockRules

_LONGEST_PAUSE: Final = timedelta(days=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _AnswerCount:
    answers: int = 0
    """Since the last block."""
    blocks: int = 0
    """In a row."""
    blocked_until: datetime = _LONG_AGO


class MemoryLimits:
    def __init__(self, *, people: BlockRules, addresses: BlockRules) -> None:
        self._people = people
        self._addresses = addresses
        self._counts: Expiring[str, _AnswerCount] = Expiring()
        self._sent: Expiring[str, deque[datetime]] = Expiring()

    async def try_answer(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        until = await self.blocked_until(names, now=now)
        if until is None:
            for name in names:
                self._count(name, self._addresses if name.startswith(ADDRESS) else self._people, now)
        return until

    async def blocked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        counts = [self._counts.get(name, now) for name in names]
        ends = [count.blocked_until for count in counts if count is not None]
        return max((end for end in ends if now < end), default=None)

    async def forgive(self, names: Sequence[str]) -> None:
        await self.lift([name for name in names if not name.startswith(ADDRESS)])
        for name in names:
            count = self._counts.peek(name)
            if count is not None:
                count.answers = max(count.answers - retention.ANSWERS_SET_OFF, 0)

    async def lift(self, names: Sequence[str]) -> bool:
        counted = [name for name in names if self._counts.peek(name) is not None]
        for name in counted:
            self._counts.discard(name)
        return bool(counted)

    async def reserve(self, name: str, *, pause: timedelta, per_hour: int, now: datetime) -> datetime | None:
        sent = self._sent.get(name, now) or deque()
        while len(sent) > per_hour:
            sent.popleft()
        allowed_at = [sent[-1] + pause] if sent else []
        allowed_at += [sent[0] + retention.MESSAGES_COUNTED_FOR] if len(sent) >= per_hour else []
        if allowed_at and now < max(allowed_at):
            return max(allowed_at)
        sent.append(now)
        self._sent.put(name, sent, until=now + _LONGEST_PAUSE, now=now)
        return None

    def _count(self, name: str, rules: BlockRules, now: datetime) -> None:
        count = self._counts.get(name, now) or _AnswerCount()
        count.answers += 1
        if count.answers >= rules.after:
            count.blocked_until = now + rules.block_lasts(count.blocks)
            count.answers, count.blocks = 0, count.blocks + 1
        until = max(now, count.blocked_until) + rules.forgotten_after
        self._counts.put(name, count, until=until, now=now)
