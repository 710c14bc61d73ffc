"""What is remembered for a while, in memory: single use, expiry and the upper bound are enforced here and
nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Expiring(Generic[T]):
    """Entries of one lifetime. When there are too many, the oldest gives way."""

    def __init__(
        self, clock: Callable[[], datetime], lives_for: timedelta, *, capacity: int = 10_000
    ) -> None:
        self._clock = clock
        self._lives_for = lives_for
        self._capacity = capacity
        self._entries: dict[
            str, tuple[datetime, T]
        ] = {}  # in the order of their expiry, because all live equally long

    def put(self, key: str, value: T) -> None:
        """Remembers the value, or remembers it anew: its life begins again."""
        self._entries.pop(key, None)
        self._purge()
        self._entries[key] = (self._clock() + self._lives_for, value)

    def add(self, key: str, value: T) -> bool:
        """Remembers the value unless the key is there already; True if it was new."""
        if key in self:
            return False
        self.put(key, value)
        return True

    def get(self, key: str) -> T | None:
        entry = self._entries.get(key)
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    def take(self, key: str) -> T | None:
        """The value, which is forgotten at the same moment."""
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
