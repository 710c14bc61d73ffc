"""Used attempts and completed sign-ins, in memory."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from authproxy.identity.attempt import Attempt
from authproxy.storage import retention
from authproxy.storage.expiring import Expiring


class MemoryAttempts:
    def __init__(self) -> None:
        self._used: Expiring[str, bool] = Expiring()
        """By the secret of the attempt."""
        self._sign_ins: Expiring[str, deque[datetime]] = Expiring()
        """By the browser's name."""

    async def take(self, attempt: Attempt, *, good_until: datetime, now: datetime) -> bool:
        remembered_until = good_until + retention.USE_REMEMBERED_LONGER
        if self._used.get(attempt.secret, now) or now >= remembered_until:
            return False
        self._used.put(attempt.secret, True, until=remembered_until, now=now)
        return True

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        times = self._sign_ins.get(browser, now) or deque(maxlen=retention.SIGN_INS_COUNTED)
        times.append(now)
        self._sign_ins.put(browser, times, until=now + retention.SIGN_INS_WITHIN, now=now)
        return retention.recent(times, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        return retention.recent(self._sign_ins.get(browser, now) or (), now)
