"""PURE: when the store took no writes, and how much of that time does not count as idleness of a session.

A session ends when its person has done nothing for its idle time. While the store takes no writes, nobody can
tell whether they did something. So that time does not count, up to `forgives` for each period of idleness.
The idle time that counts never shrinks: somebody whose session had ended before the outage stays signed out.
All instances know of every outage (`storage/redis/heartbeat.py`), so they judge alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.identity.session import SessionId
from authproxy.storage.records import values

NOTICED_WITHIN: Final = timedelta(seconds=5)
"""An outage begins at the last write that the store took, but at most this long before it was noticed."""
_REMEMBERED_FOR: Final = timedelta(hours=26)
"""No session is idle for longer than a day."""
_SUSPECTS: Final = 8
_NOTHING: Final = timedelta()


@dataclass(frozen=True, slots=True, order=True)
class Outage:
    began_at: datetime
    ended_at: datetime


class Outages:
    """The outages of which one instance knows, by itself or from others. If `forgives` is zero, none of them
    matters."""

    def __init__(self, *, forgives: timedelta = _NOTHING) -> None:
        self.forgives = forgives
        self._known: tuple[Outage, ...] = ()
        """In order, and without overlaps."""
        self._written_at: datetime | None = None
        self._failing_since: datetime | None = None
        self._suspects: dict[SessionId, None] = {}

    @property
    def suspects(self) -> tuple[SessionId, ...]:
        """Sessions about which the store could not be asked. If a part of a cluster is gone, writes to other
        parts prove nothing about them."""
        return tuple(self._suspects)

    def forgiven(self, seen: datetime, now: datetime) -> timedelta:
        """How much of the time since `seen` does not count as idleness."""
        if not self.forgives or now <= seen:
            return _NOTHING
        unknown = _NOTHING
        # Most people were active since the last outage. They need not pay for those of a whole day.
        for outage in reversed(self._known if self._failing_since is None else self._until(now)):
            if outage.ended_at <= seen:
                break
            if outage.began_at < now:
                unknown += min(outage.ended_at, now) - max(outage.began_at, seen)
        return min(unknown, self.forgives)

    def note_failure(self, now: datetime, session_id: SessionId | None = None) -> None:
        """Notes that the store could not be asked, or refused a write. The outage lasts until
        `note_write`."""
        if self._failing_since is None:
            self._failing_since = (
                now if self._written_at is None else min(max(self._written_at, now - NOTICED_WITHIN), now)
            )
        if session_id is not None and len(self._suspects) < _SUSPECTS:
            self._suspects[session_id] = None

    def note_write(self, now: datetime) -> None:
        """Notes that the store took a write that began at `now`, and could be asked about all suspects."""
        if self._failing_since is not None:
            self.learn([Outage(self._failing_since, now)], now)
            self._failing_since = None
            self._suspects.clear()
        self._written_at = now

    def learn(self, outages: Iterable[Outage], now: datetime) -> None:
        """Adds outages of this instance or of others. Their order does not matter, nor how often they are
        added."""
        recent = (
            outage
            for outage in (*self._known, *outages)
            if outage.began_at < outage.ended_at and now - outage.ended_at < _REMEMBERED_FOR
        )
        self._known = _merged(recent)

    @property
    def is_failing(self) -> bool:
        return self._failing_since is not None

    def current(self, now: datetime) -> Outage | None:
        """The outage that has not ended yet."""
        since = self._failing_since
        return None if since is None or since >= now else Outage(since, now)

    def spans(self, now: datetime) -> list[int]:
        """For scripts: beginning and end of each outage in milliseconds. No two of them overlap. Empty if no
        outage matters."""
        outages = self._until(now) if self.forgives else ()
        return [
            values.milliseconds(moment) for outage in outages for moment in (outage.began_at, outage.ended_at)
        ]

    def _until(self, now: datetime) -> tuple[Outage, ...]:
        current = self.current(now)
        return self._known if current is None else _merged((*self._known, current))


def _merged(outages: Iterable[Outage]) -> tuple[Outage, ...]:
    """The same times in order and without overlaps."""
    merged: list[Outage] = []
    for outage in sorted(outages):
        if merged and outage.began_at <= merged[-1].ended_at:
            merged[-1] = Outage(merged[-1].began_at, max(merged[-1].ended_at, outage.ended_at))
        else:
            merged.append(outage)
    return tuple(merged)
