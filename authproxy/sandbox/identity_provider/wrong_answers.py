"""Protection against guessing: after five wrong answers in a row an account must wait.

Unknown accounts wait too, so that nobody learns which accounts exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries

ALLOWED = 5
WAIT = timedelta(minutes=15)


class WrongAnswers:
    """Counts wrong answers for each account, and forgets them a quarter of an hour after the last one."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._counted: ExpiringEntries[tuple[int, datetime]] = ExpiringEntries(clock, WAIT)

    def minutes_to_wait(self, account: str) -> int:
        """Whole minutes until an answer is checked again; 0: now."""
        counted = self._counted.get(account)
        if counted is None or counted[0] < ALLOWED:
            return 0
        return max(1, math.ceil((counted[1] + WAIT - self._clock()).total_seconds() / 60))

    def tries_left(self, account: str) -> int:
        counted = self._counted.get(account)
        return ALLOWED - (counted[0] if counted is not None else 0)

    def count(self, account: str) -> None:
        counted = self._counted.get(account)
        self._counted.put(account, ((counted[0] if counted else 0) + 1, self._clock()))

    def forget(self, account: str) -> None:
        self._counted.take(account)
