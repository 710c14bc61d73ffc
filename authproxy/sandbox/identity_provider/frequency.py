"""Rate limits: text messages and notifications are limited for each account, whoever asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries


class Frequency:
    """At most `allowed` times for each key within any `window`."""

    def __init__(self, clock: Callable[[], datetime], *, allowed: int, window: timedelta) -> None:
        self._clock = clock
        self._allowed = allowed
        self._window = window
        self._times: ExpiringEntries[tuple[datetime, ...]] = ExpiringEntries(clock, window)

    def seconds_to_wait(self, key: str) -> int:
        """Whole seconds until it may happen again; 0: now."""
        times = self._within_window(key)
        return (
            math.ceil((times[-self._allowed] + self._window - self._clock()).total_seconds())
            if len(times) >= self._allowed
            else 0
        )

    def count(self, key: str) -> None:
        self._times.put(key, (*self._within_window(key), self._clock()))

    def forget(self, key: str) -> None:
        self._times.take(key)

    def _within_window(self, key: str) -> tuple[datetime, ...]:
        begin = self._clock() - self._window
        return tuple(at for at in self._times.get(key) or () if at > begin)
