"""PURE: a dictionary whose values have a time to live, for the stores in memory."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Expiring(Generic[_Key, _Value]):
    """`get` does not find a value whose time is over. `put` removes such values, at most once a minute, so
    that memory does not grow."""

    def __init__(self) -> None:
        self._entries: dict[_Key, tuple[_Value, datetime]] = {}
        self._swept_at = _LONG_AGO

    def put(self, key: _Key, value: _Value, *, until: datetime, now: datetime) -> None:
        self.sweep(now)
        self._entries[key] = value, until

    def get(self, key: _Key, now: datetime) -> _Value | None:
        value, until = self._entries.get(key, (None, _LONG_AGO))
        return value if now < until else None

    def peek(self, key: _Key) -> _Value | None:
        """The value, even if its time is over and it was not removed yet. For callers that have no clock."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def all(self) -> list[_Value]:
        """What `peek` finds, for every key."""
        return [value for value, _ in self._entries.values()]

    def discard(self, key: _Key) -> None:
        self._entries.pop(key, None)

    def __contains__(self, key: object) -> bool:
        """As `peek`."""
        return key in self._entries

    def __len__(self) -> int:
        """How many values take room, also those whose time is over."""
        return len(self._entries)

    def sweep(self, now: datetime) -> None:
        """Removes values whose time is over, unless that was done within the last minute."""
        if now - self._swept_at >= _SWEPT_EVERY:
            self._swept_at = now
            self._entries = {key: entry for key, entry in self._entries.items() if now < entry[1]}
