"""Attempts in this process: the twin of `storage/attempts.py`."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.identity.attempt import Attempt, TakenAttempt
from authproxy.storage import retention

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryAttempts:
    def __init__(self) -> None:
        self._attempts: dict[str, TakenAttempt] = {}
        self._states: dict[str, deque[str]] = {}
        self._sign_ins: dict[str, deque[datetime]] = {}
        self._swept_at = _LONG_AGO

    async def open(self, state: str, attempt: Attempt, *, now: datetime) -> None:
        self._sweep(now)
        states = self._states.setdefault(attempt.browser, deque())
        states.append(state)
        if len(states) > retention.ATTEMPTS_PER_BROWSER:
            self._attempts.pop(states.popleft(), None)
        self._attempts[state] = TakenAttempt(attempt=attempt, already_used=False)

    async def find(self, state: str, *, now: datetime) -> Attempt | None:
        kept = self._attempts.get(state)
        return kept.attempt if kept is not None and not kept.already_used and retention.is_kept(kept.attempt, now) else None

    async def take(self, state: str, *, now: datetime) -> TakenAttempt | None:
        taken = self._attempts.get(state)
        if taken is None or not retention.is_kept(taken.attempt, now):
            return None
        self._attempts[state] = TakenAttempt(attempt=taken.attempt, already_used=True)
        return taken

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        times = self._sign_ins.setdefault(browser, deque(maxlen=retention.SIGN_INS_COUNTED))
        times.append(now)
        return retention.recent(times, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        return retention.recent(self._sign_ins.get(browser, ()), now)

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at < _SWEPT_EVERY:
            return
        self._swept_at = now
        self._attempts = {state: taken for state, taken in self._attempts.items() if retention.is_kept(taken.attempt, now)}
        self._states = {
            browser: kept
            for browser, states in self._states.items()
            if (kept := deque(state for state in states if state in self._attempts))
        }
        self._sign_ins = {browser: times for browser, times in self._sign_ins.items() if retention.recent(times, now)}
