"""PURE: from when to when the store took no activity, and how much of that time is forgiven to a session.

A session ends when its person has done nothing for its idle time. While the store takes no writes nobody can
tell whether they did, so that time does not count, up to `forgives` for each spell of idleness. Idle time
never shrinks as time goes on, so whoever was idle before an outage began stays signed out. Every instance
learns of every outage (`storage/redis/heartbeat.py`), so all of them judge alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.identity.session import SessionId
from authproxy.storage.records import values

NOTICED_WITHIN: Final = timedelta(seconds=5)
"""An outage began at the last write that was taken, but at most so long before it was noticed."""
_REMEMBERED_FOR: Final = timedelta(hours=26)
"""No session is idle for longer than a day."""
_SUSPECTS: Final = 8
_NOTHING: Final = timedelta()


@dataclass(frozen=True, slots=True, order=True)
class Outage:
    began_at: datetime
    ended_at: datetime


class Outages:
    """What one instance knows of outages, its own and those that others have told of. With `forgives` of
    nothing none of them matters."""

    def __init__(self, *, forgives: timedelta = _NOTHING) -> None:
        self.forgives = forgives
        self._known: tuple[Outage, ...] = ()
        self._taken_at: datetime | None = None
        self._failing_since: datetime | None = None
        self._suspects: dict[SessionId, None] = {}

    @property
    def suspects(self) -> tuple[SessionId, ...]:
        """Sessions that could not be asked about. In a cluster of which a part is gone, writes elsewhere
        prove nothing about them."""
        return tuple(self._suspects)

    def forgiven(self, seen: datetime, now: datetime) -> timedelta:
        """How much of the time since `seen` does not count as idleness."""
        if not self.forgives or now <= seen or (not self._known and self._failing_since is None):
            return _NOTHING
        away = sum(
            (
                min(each.ended_at, now) - max(each.began_at, seen)
                for each in self._until(now)
                if _touches(each, seen, now)
            ),
            _NOTHING,
        )
        return min(away, self.forgives)

    def failed(self, now: datetime, session_id: SessionId | None = None) -> None:
        """Something could not be asked, or a write was refused: an outage lasts until `taken` says
        otherwise."""
        if self._failing_since is None:
            self._failing_since = (
                now if self._taken_at is None else min(max(self._taken_at, now - NOTICED_WITHIN), now)
            )
        if session_id is not None and len(self._suspects) < _SUSPECTS:
            self._suspects[session_id] = None

    def taken(self, now: datetime) -> None:
        """A write that began `now` was taken, and everything that could not be asked before could be."""
        if self._failing_since is not None:
            self.learn([Outage(self._failing_since, now)], now)
            self._failing_since = None
            self._suspects.clear()
        self._taken_at = now

    def learn(self, outages: Iterable[Outage], now: datetime) -> None:
        """Adds outages, of this instance or of others, in any order and however often."""
        recent = (
            each
            for each in (*self._known, *outages)
            if each.began_at < each.ended_at and now - each.ended_at < _REMEMBERED_FOR
        )
        self._known = _merged(recent)

    @property
    def is_failing(self) -> bool:
        return self._failing_since is not None

    def current(self, now: datetime) -> Outage | None:
        """The outage that has not ended."""
        since = self._failing_since
        return None if since is None or since >= now else Outage(since, now)

    def spans(self, now: datetime) -> list[int]:
        """For scripts: beginning and end of each outage in milliseconds, none of them overlapping; nothing
        where none matters."""
        every = self._until(now) if self.forgives else ()
        return [values.milliseconds(moment) for each in every for moment in (each.began_at, each.ended_at)]

    def _until(self, now: datetime) -> tuple[Outage, ...]:
        current = self.current(now)
        return self._known if current is None else _merged((*self._known, current))


def _touches(outage: Outage, seen: datetime, now: datetime) -> bool:
    return outage.ended_at > seen and outage.began_at < now


def _merged(outages: Iterable[Outage]) -> tuple[Outage, ...]:
    """The same time without overlaps, in order."""
    merged: list[Outage] = []
    for each in sorted(outages):
        if merged and each.began_at <= merged[-1].ended_at:
            merged[-1] = Outage(merged[-1].began_at, max(merged[-1].ended_at, each.ended_at))
        else:
            merged.append(each)
    return tuple(merged)
