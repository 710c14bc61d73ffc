"""PURE: sessions that were read from the store in the last few seconds. Most requests need no question to the
store because of them.

A copy may be used while it is young, while the session is not over, and if the store's invalidation channel
has proved within the time `silence` that it works. So a revocation takes effect at once, or after `silence`
if the channel is cut.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.identity.session import Session, SessionId, StoredSession

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)
_INVALIDATIONS_REMEMBERED: Final = 4096


@dataclass(slots=True, kw_only=True, eq=False)
class CachedSession:
    """A session as it was read at `read_at`. Callers keep in `extras` what they have made from the session;
    it is dropped when the session changes."""

    session: Session = field(repr=False)
    last_active_at: datetime
    forgiven: timedelta
    read_at: datetime
    good_until: datetime
    extras: dict[str, object] = field(default_factory=dict, repr=False)


class NearCache:
    """`silence` is None for the store in memory, which calls `forget` itself: there is no channel to be
    cut."""

    __slots__ = (
        "_cleared",
        "_entries",
        "_epoch",
        "_heard_at",
        "_heard_until",
        "_invalidated",
        "_machine_keys_epoch",
        "_max_entries",
        "_near_cache_for",
        "_silence",
        "_tickets",
    )

    def __init__(
        self,
        *,
        near_cache_for: timedelta,
        silence: timedelta | None = timedelta(seconds=1),
        max_entries: int = 50_000,
    ) -> None:
        self._near_cache_for = near_cache_for
        self._silence = silence
        self._max_entries = max_entries
        self._entries: OrderedDict[str, CachedSession] = OrderedDict()
        self._tickets: dict[SessionId, str] = {}
        self._heard_at = _NEVER
        self._heard_until = _FOREVER if silence is None else _NEVER
        # Invalidations are numbered. `_invalidated` has the number of each session's last one. Everything
        # that was read before the number `_cleared` counts as invalidated.
        self._epoch = 0
        self._cleared = 0
        self._invalidated: OrderedDict[SessionId, int] = OrderedDict()
        self._machine_keys_epoch = 0

    def lookup(self, ticket_text: str, now: datetime) -> CachedSession | None:
        entry = self._entries.get(ticket_text)
        # The lower bounds matter when the clock is set back. Otherwise an entry might look young for an hour.
        if (
            entry is None
            or not entry.read_at <= now < entry.good_until
            or not self._heard_at <= now < self._heard_until
        ):
            return None
        return entry

    def begin_read(self) -> int:
        """Call this before you ask the store, and hand the result to `remember` with the answer."""
        return self._epoch

    def remember(self, ticket_text: str, stored: StoredSession, now: datetime, *, read: int) -> CachedSession:
        """The entry for this answer. Later requests find it, unless the session was invalidated after the
        read began.

        `now` is the moment before the store was asked.
        """
        session = stored.session
        idle_end = stored.last_active_at + session.idle_for + stored.forgiven
        entry = CachedSession(
            session=session,
            last_active_at=stored.last_active_at,
            forgiven=stored.forgiven,
            read_at=now,
            good_until=min(now + self._near_cache_for, session.expires_at, idle_end),
        )
        previous = self._entries.get(ticket_text)
        # If the clock was set back, extras are from the future, and so would be the time in an assertion
        # among them.
        if previous is not None and previous.session == session and previous.read_at <= now:
            entry.session, entry.extras = previous.session, previous.extras
        if self._near_cache_for and not self._is_overtaken(session.session_id, read):
            self._keep(ticket_text, entry)
        return entry

    def forget(self, session_id: SessionId) -> None:
        self._epoch += 1
        self._invalidated[session_id] = self._epoch
        self._invalidated.move_to_end(session_id)
        if len(self._invalidated) > _INVALIDATIONS_REMEMBERED:
            _, self._cleared = self._invalidated.popitem(last=False)
        ticket_text = self._tickets.pop(session_id, None)
        if ticket_text is not None:
            del self._entries[ticket_text]

    def forget_machine_keys(self) -> None:
        """Notes that an API key was added or revoked. This is rare, so all of them are read again."""
        self._machine_keys_epoch += 1

    @property
    def machine_keys_epoch(self) -> int:
        """What was read of API keys may be used while this is still the number that it was before the
        reading, and while `is_heard`."""
        return self._machine_keys_epoch

    def forget_all(self) -> None:
        self._epoch += 1
        self._machine_keys_epoch += 1
        self._cleared = self._epoch
        self._invalidated.clear()
        self._entries.clear()
        self._tickets.clear()

    def heard(self, now: datetime) -> None:
        """Notes that the channel has delivered everything that was invalidated before `now`."""
        if self._silence is None:
            return
        if self._heard_until is _NEVER:
            # A session that was read while the channel was down may have been revoked since, and nobody was
            # told.
            self.forget_all()
        self._heard_at = now
        self._heard_until = now + self._silence

    def lost(self) -> None:
        """Notes that the channel is cut. Nothing is used until it works again, and nothing from before
        then."""
        if self._silence is not None:
            self._heard_until = _NEVER
            self.forget_all()

    def is_heard(self, now: datetime) -> bool:
        return self._heard_at <= now < self._heard_until

    def __len__(self) -> int:
        return len(self._entries)

    def _is_overtaken(self, session_id: SessionId, read: int) -> bool:
        return self._cleared > read or self._invalidated.get(session_id, 0) > read

    def _keep(self, ticket_text: str, entry: CachedSession) -> None:
        self._entries[ticket_text] = entry
        self._entries.move_to_end(ticket_text)
        self._tickets[entry.session.session_id] = ticket_text
        if len(self._entries) > self._max_entries:
            _, oldest = self._entries.popitem(last=False)
            del self._tickets[oldest.session.session_id]
