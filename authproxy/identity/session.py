"""PURE: a session: one person signed in at one portal, with the evidence for it and its two ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NewType

from authproxy.identity.assurance import AuthenticationEvent, Level, SignInMethod
from authproxy.identity.person import Person

_NOTHING: Final = timedelta()
SessionId = NewType("SessionId", str)
"""The public name of a session in logs, in the assertion (`sid`) and for operators. It gives no access."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the gateway knows of a signed-in person.

    `expires_at` is the absolute end: it is set once, and neither activity nor a step-up moves it. `idle_for`
    is how long the session survives without activity. The store knows when it was last active.
    """

    session_id: SessionId
    portal: str
    person: Person
    method: SignInMethod
    level: Level
    events: tuple[AuthenticationEvent, ...]
    started_at: datetime
    expires_at: datetime
    idle_for: timedelta
    id_token: str | None = field(default=None, repr=False)
    """The provider's ID token as received. It is only a hint for the provider's logout endpoint."""
    provider_session: str | None = field(default=None, repr=False)
    """The provider's name (`sid`) for its own session, by which it can end this one (OpenID Connect
    Back-Channel Logout §2.1). After a sign-in with a certificate it is the certificate's SHA-256, because the
    session ends with the certificate."""
    roles: tuple[str, ...] = ()
    """The roles that the register gave the person at this portal when they signed in, sorted. If they lose
    one, the session ends; one that is added counts from the next sign-in on."""
    claims: tuple[str, ...] = ()
    """The personal data that were stated at sign-in, by the names that routes use in their demands."""
    grant: str | None = field(default=None, repr=False)
    """The secret that finds and opens the stored provider tokens (`Grant`) of this session; None if there are
    none."""
    newer_fields: str = field(default="", repr=False, compare=False)
    """What a newer version has written into the record, as JSON. This version only keeps it."""

    @property
    def certificates(self) -> tuple[str, ...]:
        """The SHA-256 of every certificate that this session rests on. If one of them is revoked, the session
        ends."""
        return tuple(
            dict.fromkeys(
                event.source.removeprefix("sha256:")
                for event in self.events
                if event.source.startswith("sha256:")
            )
        )

    @property
    def authenticated_at(self) -> datetime | None:
        """When the person last authenticated (`auth_time` of the assertion); None if no source stated a
        time."""
        return max((event.at for event in self.events if event.is_dated), default=None)

    def is_over(self, *, last_active_at: datetime, now: datetime, forgiven: timedelta = _NOTHING) -> bool:
        """Whether the absolute or the idle end has come. `forgiven` is the part of the time since the last
        activity that does not count as idle. If the clock goes back, the absolute end still holds."""
        return now >= self.expires_at or now - last_active_at - forgiven >= self.idle_for


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """Whose session a ticket opened until it ended by time, and at which portal. `person` has the identifiers
    only. It lets nobody in."""

    portal: str
    person: Person = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as the store has it, and when its person was last active, to the millisecond. `forgiven` is
    the part of the time since then that does not count as idle, because the store took no writes. `sealed`
    is the record as the store has it, if it has one: as long as it is the same, so is the session. `seen` is
    `last_active_at` as the store has it."""

    session: Session = field(repr=False)
    last_active_at: datetime
    forgiven: timedelta = _NOTHING
    sealed: bytes = field(default=b"", repr=False)
    seen: bytes = b""

    @property
    def idle_end(self) -> datetime:
        """When the session ends if its person does nothing and the absolute end does not come first."""
        return self.last_active_at + self.session.idle_for + self.forgiven


class NoSession:
    """What the store says of a session that was there before: it has none any more."""


NO_SESSION: Final = NoSession()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """What operators and the person's own session page see of a session. It needs no ticket."""

    session_id: SessionId
    portal: str
    method: SignInMethod
    level: Level
    started_at: datetime
    expires_at: datetime
    last_active_at: datetime
    browser: str
    """A short description of the browser (`Firefox, Windows`)."""
    certificates: tuple[str, ...] = ()
    """As `Session.certificates`."""
    provider_session: str | None = field(default=None, repr=False)
    person: Person | None = field(default=None, repr=False)
    """The identifiers of the person only; None for a session that an older version started."""
    tax_number: str | None = field(default=None, repr=False)
    """Masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStanding:
    """What is known of a live session without its ticket, and of its person in the register, at one
    moment."""

    summary: SessionSummary
    roles: tuple[str, ...] | None = None
    """Those that the register gives the person at the session's portal now, sorted; None if that is not
    known."""
    is_blocked: bool = False
    asked_at: datetime
