"""PURE: how long a source that did not answer is left alone: one second at first, twice as long after every
further failure, at most half a minute. One lost connection must not keep people out, and a source that is
down must not be asked by everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(seconds=30)


@dataclass(slots=True, kw_only=True)
class Pauses:
    """The consecutive failures of one source."""

    in_a_row: int = 0
    failed_at: datetime | None = None

    @property
    def pause(self) -> timedelta:
        """How long the source is not asked after the last failure."""
        return min(FIRST * 2 ** min(self.in_a_row - 1, 10), LONGEST) if self.in_a_row else timedelta(0)

    def is_resting(self, now: datetime) -> bool:
        return self.failed_at is not None and timedelta(0) <= now - self.failed_at < self.pause

    def failed(self, *, asked_at: datetime, now: datetime) -> None:
        """Counts a failure. A question that was asked before the last failure was known does not count, so
        many simultaneous questions count once."""
        if self.failed_at is None or asked_at > self.failed_at:
            self.in_a_row += 1
            self.failed_at = now

    def answered(self) -> None:
        self.in_a_row, self.failed_at = 0, None
