"""The clock of a test: time is an argument of the gateway and of the sandbox, and this is what is handed in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta


class Clock:
    """Goes as time goes, or stands still `at` a moment. Either way the test moves it."""

    def __init__(self, at: datetime | None = None) -> None:
        self._at = at
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return (self._at or datetime.now(UTC)) + self._ahead

    @property
    def now(self) -> datetime:
        return self()

    @now.setter
    def now(self, moment: datetime) -> None:
        """From here on the clock stands still at this moment."""
        self._at, self._ahead = moment, timedelta()

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """No time goes by inside the block, and afterwards it goes on from there."""
        at, self._at, self._ahead = self._at, self(), timedelta()
        try:
            yield
        finally:
            if at is None:
                self._at, self._ahead = None, self() - datetime.now(UTC)

    def advance(self, **span: float) -> None:
        self._ahead += timedelta(**span)
