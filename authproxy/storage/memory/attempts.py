"""Used attempts and completed sign-ins in this process: the twin of `storage/attempts.py`."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.identity.attempt import Attempt
from authproxy.storage import retention

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryAttempts:
    def __init__(self) -> None:
        self._used: dict[str, datetime] = {}
        """Secrets of attempts, and until when each is remembered."""
        self._sign_ins: dict[str, deque[datetime]] = {}
        self._swept_at = _LONG_AGO

    async def take(self, attempt: Attempt, *, good_until: datetime, now: datetime) -> bool:
        self._sweep(now)
        remembered_until = good_until + retention.USE_REMEMBERED_LONGER
        if attempt.secret in self._used or now >= remembered_until:
            return False
        self._used[attempt.secret] = remembered_until
        return True

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        self._sweep(now)
        times = self._sign_ins.setdefault(browser, deque(maxlen=retention.SIGN_INS_COUNTED))
        times.append(now)
        return retention.recent(times, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        return retention.recent(self._sign_ins.get(browser, ()), now)

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at < _SWEPT_EVERY:
            return
        self._swept_at = now
        self._used = {secret: until for secret, until in self._used.items() if now < until}
        self._sign_ins = {
            browser: times for browser, times in self._sign_ins.items() if retention.recent(times, now)
        }
