"""Values that are remembered for a limited time, in memory. Single use, expiry and the maximum number are
enforced only here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class ExpiringEntries(Generic[T]):
    """Entries with the same lifetime. If there are too many, the oldest is dropped."""

    def __init__(
        self, clock: Callable[[], datetime], lives_for: timedelta, *, capacity: int = 10_000
    ) -> None:
        self._clock = clock
        self._lives_for = lives_for
        self._capacity = capacity
        self._entries: dict[
            str, tuple[datetime, T]
        ] = {}  # in the order of their expiry, because all have the same lifetime

    def put(self, key: str, value: T) -> None:
        """Stores the value with a new lifetime."""
        self._entries.pop(key, None)
        self._purge()
        self._entries[key] = (self._clock() + self._lives_for, value)

    def add(self, key: str, value: T) -> bool:
        """Stores the value if the key is new. True if it was."""
        if key in self:
            return False
        self.put(key, value)
        return True

    def get(self, key: str) -> T | None:
        entry = self._entries.get(key)
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    def take(self, key: str) -> T | None:
        """Removes the value and returns it."""
        value = self.get(key)
        self._entries.pop(key, None)
        return value

    def values(self) -> tuple[T, ...]:
        now = self._clock()
        return tuple(value for ends, value in self._entries.values() if now < ends)

    def forget_where(self, is_meant: Callable[[T], bool]) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if not is_meant(entry[1])}

    def __contains__(self, key: str) -> bool:
        entry = self._entries.get(key)
        return entry is not None and self._clock() < entry[0]

    def _purge(self) -> None:
        now = self._clock()
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest][0] > now and len(self._entries) < self._capacity:
                return
            del self._entries[oldest]
