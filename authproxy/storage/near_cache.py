"""PURE: sessions that were read from the store, and what was made of them. Most requests need no question to
the store because of them.

A copy may be used while it is young, while the session is not over, and if the store's invalidation channel
has proved within the time `silence` that it works. So a revocation takes effect at once, or after `silence`
if the channel is cut.

A copy that may not be used any more is remembered for a while. If the store then has the same record, nothing
is opened, decided or signed again.
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
_REMEMBERED_FOR: Final = timedelta(minutes=2)
"""How long a copy is remembered that nobody has asked for. People who work click more often than this. What
is remembered of a session that has ended is gone from memory after this time, too."""
_OTHER_OCTETS: Final = 4096
"""What a copy takes in memory beside its record and what was made of it."""


@dataclass(slots=True, kw_only=True, eq=False)
class CachedSession:
    """A session as it was read at `read_at`. It ends at `ends_at`, unless its person is active. Callers keep
    in `extras` what they have made from the session; it is dropped when the session changes."""

    session: Session = field(repr=False)
    stored: StoredSession = field(repr=False)
    ends_at: datetime
    read_at: datetime
    good_until: datetime
    extras: dict[str, object] = field(default_factory=dict, repr=False)


class NearCache:
    """`silence` is None for the store in memory, which calls `forget` itself: there is no channel to be
    cut. Copies are bounded in number and in the octets that they take in memory, by estimate."""

    __slots__ = (
        "_cleared",
        "_entries",
        "_epoch",
        "_heard_at",
        "_heard_until",
        "_invalidated",
        "_machine_keys_epoch",
        "_max_entries",
        "_max_octets",
        "_near_cache_for",
        "_octets",
        "_remembered",
        "_remembered_for",
        "_silence",
        "_tickets",
    )

    def __init__(
        self,
        *,
        near_cache_for: timedelta,
        silence: timedelta | None = timedelta(seconds=1),
        max_entries: int = 50_000,
        max_octets: int = 256 * 1024 * 1024,
    ) -> None:
        self._near_cache_for = near_cache_for
        self._remembered_for = max(_REMEMBERED_FOR, near_cache_for)
        self._silence = silence
        self._max_entries = max_entries
        self._max_octets = max_octets
        self._octets = 0
        # What may be used is in both; what is only remembered is not in `_entries`.
        self._entries: dict[str, CachedSession] = {}
        self._remembered: OrderedDict[str, CachedSession] = OrderedDict()
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

    def remembered(self, ticket_text: str) -> StoredSession | None:
        """What the ticket has opened before. It may have changed or ended since: nobody is let in by this."""
        entry = self._remembered.get(ticket_text)
        return None if entry is None else entry.stored

    def remember(self, ticket_text: str, stored: StoredSession, now: datetime, *, read: int) -> CachedSession:
        """The entry for this answer. Later requests find it, unless the session was invalidated after the
        read began.

        `now` is the moment before the store was asked.
        """
        session = stored.session
        previous = self._remembered.get(ticket_text)
        if previous is not None and previous.read_at > now:
            # The clock was set back. Extras are from the future, and so would be the time in an assertion
            # among them.
            previous = None
        if previous is not None and previous.stored is stored:
            entry = previous
            entry.read_at = now
            entry.good_until = min(now + self._near_cache_for, entry.ends_at)
            self._remembered.move_to_end(ticket_text)
        else:
            ends_at = min(session.expires_at, stored.idle_end)
            entry = CachedSession(
                session=session,
                stored=stored,
                ends_at=ends_at,
                read_at=now,
                good_until=min(now + self._near_cache_for, ends_at),
            )
            if previous is not None and _is_same(previous.session, session):
                entry.session, entry.extras = previous.session, previous.extras
            self._keep(ticket_text, entry, now)
        if self._near_cache_for and not self._is_overtaken(session.session_id, read):
            self._entries[ticket_text] = entry
        return entry

    def drop(self, ticket_text: str) -> None:
        """Forgets what the ticket has opened: it opens nothing any more."""
        entry = self._remembered.pop(ticket_text, None)
        if entry is not None:
            self._forgotten(ticket_text, entry)

    def forget(self, session_id: SessionId) -> None:
        """Notes that the session has changed or ended."""
        self._epoch += 1
        self._invalidated[session_id] = self._epoch
        self._invalidated.move_to_end(session_id)
        if len(self._invalidated) > _INVALIDATIONS_REMEMBERED:
            _, self._cleared = self._invalidated.popitem(last=False)
        ticket_text = self._tickets.get(session_id)
        if ticket_text is not None:
            self._entries.pop(ticket_text, None)

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
        self._sweep(now)

    def lost(self) -> None:
        """Notes that the channel is cut. Nothing is used until it works again, and nothing from before
        then."""
        if self._silence is not None:
            self._heard_until = _NEVER
            self.forget_all()

    def is_heard(self, now: datetime) -> bool:
        return self._heard_at <= now < self._heard_until

    def __len__(self) -> int:
        """How many sessions may be used, those that are too old included."""
        return len(self._entries)

    def _is_overtaken(self, session_id: SessionId, read: int) -> bool:
        return self._cleared > read or self._invalidated.get(session_id, 0) > read

    def _keep(self, ticket_text: str, entry: CachedSession, now: datetime) -> None:
        self.drop(ticket_text)
        self._sweep(now)
        octets = _octets_of(entry)
        while self._remembered and (
            len(self._remembered) >= self._max_entries or self._octets + octets > self._max_octets
        ):
            self._drop_oldest()
        self._remembered[ticket_text] = entry
        self._tickets[entry.session.session_id] = ticket_text
        self._octets += octets

    def _sweep(self, now: datetime) -> None:
        """Drops what is remembered of sessions that nobody has asked for lately, and, after the clock was set
        back, what was read in the future."""
        while self._remembered:
            oldest = next(iter(self._remembered.values()))
            if abs(now - oldest.read_at) <= self._remembered_for:
                break
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._forgotten(*self._remembered.popitem(last=False))

    def _forgotten(self, ticket_text: str, entry: CachedSession) -> None:
        self._octets -= _octets_of(entry)
        self._entries.pop(ticket_text, None)
        self._tickets.pop(entry.session.session_id, None)


def _is_same(one: Session, other: Session) -> bool:
    return one is other or one == other


def _octets_of(entry: CachedSession) -> int:
    """Of the record there is a copy as it was read and one as it was opened, and the header block with the
    assertion is about as long."""
    return _OTHER_OCTETS + 3 * len(entry.stored.sealed)
