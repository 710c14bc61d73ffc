"""PURE: a dictionary whose values have an end, for the stores in memory: their time to live."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Expiring(Generic[_Key, _Value]):
    """A value whose end has come is not there any more. `put` removes such values, at most once a minute, so
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
        """The value, for a caller who has no clock: also one whose end has come, until it is removed."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def all(self) -> list[_Value]:
        """As `peek`, of every key."""
        return [value for value, _ in self._entries.values()]

    def discard(self, key: _Key) -> None:
        self._entries.pop(key, None)

    def __contains__(self, key: object) -> bool:
        """As `peek`."""
        return key in self._entries

    def __len__(self) -> int:
        """How many values take room, also those whose end has come."""
        return len(self._entries)

    def sweep(self, now: datetime) -> None:
        """Removes values whose end has come, if it was not done within the last minute."""
        if now - self._swept_at >= _SWEPT_EVERY:
            self._swept_at = now
            self._entries = {key: entry for key, entry in self._entries.items() if now < entry[1]}
