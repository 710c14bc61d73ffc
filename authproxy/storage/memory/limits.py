"""Limits in this process: the twin of `storage/limits.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.challenges.names import ADDRESS
from authproxy.storage.redis.limits import HOUR, SET_OFF, BlockRules, lasting

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(days=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _Counted:
    answers: int = 0
    blocks: int = 0
    until: datetime = _LONG_AGO
    forgotten: datetime = _LONG_AGO


class MemoryLimits:
    def __init__(self, *, people: BlockRules, addresses: BlockRules) -> None:
        self._people = people
        self._addresses = addresses
        self._counted: dict[str, _Counted] = {}
        self._sent: dict[str, deque[datetime]] = {}
        self._swept_at = _LONG_AGO

    async def try_answer(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        until = await self.blocked_until(names, now=now)
        if until is not None:
            return until
        self._sweep(now)
        for name in names:
            self._count(name, self._addresses if name.startswith(ADDRESS) else self._people, now)
        return None

    async def blocked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        found = [self._counted[name].until for name in names if name in self._counted]
        return max((until for until in found if now < until), default=None)

    async def forgive(self, names: Sequence[str]) -> None:
        await self.lift([name for name in names if not name.startswith(ADDRESS)])
        for name in names:
            counted = self._counted.get(name)
            if counted is not None:
                counted.answers = max(counted.answers - SET_OFF, 0)

    async def lift(self, names: Sequence[str]) -> bool:
        return len([name for name in names if self._counted.pop(name, None) is not None]) > 0

    async def reserve(self, name: str, *, pause: timedelta, per_hour: int, now: datetime) -> datetime | None:
        self._sweep(now)
        sent = self._sent.setdefault(name, deque())
        while len(sent) > per_hour:
            sent.popleft()
        free = [sent[-1] + pause] if sent else []
        free += [sent[0] + HOUR] if len(sent) >= per_hour else []
        if free and now < max(free):
            return max(free)
        sent.append(now)
        return None

    def _count(self, name: str, rules: BlockRules, now: datetime) -> None:
        counted = self._counted.get(name)
        if counted is None or now >= counted.forgotten:
            counted = self._counted[name] = _Counted()
        counted.answers += 1
        if counted.answers >= rules.after:
            counted.until = now + lasting(rules, counted.blocks)
            counted.answers, counted.blocks = 0, counted.blocks + 1
        counted.forgotten = max(now, counted.until) + rules.forgotten_after

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at >= _SWEPT_EVERY:
            self._swept_at = now
            self._counted = {
                name: counted for name, counted in self._counted.items() if now < counted.forgotten
            }
            self._sent = {
                name: sent for name, sent in self._sent.items() if sent and now < sent[-1] + _LONGEST_PAUSE
            }
