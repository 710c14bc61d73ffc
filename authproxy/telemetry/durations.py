"""PURE: durations as a histogram with fixed buckets: added when requests end, read when metrics are
collected."""

from __future__ import annotations

from typing import Final

# A list, because a compiled module makes a constant tuple anew at each use: 2,000 instructions of 2,400.
_LIMITS: Final = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
BOUNDS: Final = tuple(_LIMITS)
"""Seconds: from a decision within the process to a portal's answer that nearly timed out."""


class Tally:
    """A count that is found once and counted often."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Durations:
    """Counts durations per bucket. `counts` has one more element than `BOUNDS`, for durations beyond the last
    bound."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        place = 0
        for limit in _LIMITS:
            if seconds <= limit:
                break
            place += 1
        self.counts[place] += 1
        self.total += seconds
