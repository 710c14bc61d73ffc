"""PURE: sessions that were ended, remembered for as long as they could come back. They come back when the
store is started from an old snapshot, or when a replica that lags behind becomes the primary."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from authproxy.identity.session import SessionId

MOST: Final = 100_000
"""Beyond this the oldest are forgotten. It is about ten megabytes."""


class Endings:
    """`keeps_for` is the longest life of a session. After that it cannot come back."""

    def __init__(self, *, keeps_for: timedelta = timedelta(hours=24), most: int = MOST) -> None:
        self._keeps_for = keeps_for
        self._most = most
        # When each may be forgotten. Sessions that this instance has ended itself have no such moment until
        # the next beat of the heartbeat has told the other instances.
        self._until: dict[SessionId, datetime | None] = {}
        self._untold: dict[SessionId, None] = {}

    def __contains__(self, session_id: SessionId) -> bool:
        return session_id in self._until

    def __len__(self) -> int:
        return len(self._until)

    @property
    def untold(self) -> list[SessionId]:
        """Sessions of which the other instances do not know yet."""
        return list(self._untold)

    def every(self) -> list[SessionId]:
        return list(self._until)

    def add(self, session_ids: Iterable[SessionId]) -> None:
        """Notes sessions that this instance has ended."""
        for session_id in session_ids:
            if session_id not in self._until:
                self._until[session_id] = None
                self._untold[session_id] = None
        self._limit()

    def learn(self, session_ids: Iterable[SessionId], now: datetime) -> None:
        """Notes sessions that another instance has ended."""
        for session_id in session_ids:
            self._until.setdefault(session_id, now + self._keeps_for)
            self._untold.pop(session_id, None)
        self._limit()

    def note_told(self, session_ids: Iterable[SessionId], now: datetime) -> None:
        """Notes that the other instances have been told of these."""
        for session_id in session_ids:
            self._untold.pop(session_id, None)
            if session_id in self._until and self._until[session_id] is None:
                self._until[session_id] = now + self._keeps_for

    def tell_again(self) -> None:
        """Everything must be told once more, because the store has forgotten it."""
        self._untold = dict.fromkeys(self._until)

    def sweep(self, now: datetime) -> None:
        """Forgets sessions that cannot come back any more."""
        over = [session_id for session_id, until in self._until.items() if until is not None and until <= now]
        for session_id in over:
            del self._until[session_id]
            self._untold.pop(session_id, None)

    def _limit(self) -> None:
        while len(self._until) > self._most:
            oldest = next(iter(self._until))
            del self._until[oldest]
            self._untold.pop(oldest, None)
