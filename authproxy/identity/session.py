"""PURE: a session: one person, signed in at one portal, with the evidence and the two ends of its life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NewType

from authproxy.identity.assurance import AuthenticationEvent, Level, SignInMethod
from authproxy.identity.person import Person

_NOTHING: Final = timedelta()
SessionId = NewType("SessionId", str)
"""Names a session in logs, in the assertion (`sid`) and to operators. It opens nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the gateway knows of a signed-in person.

    `expires_at` is the absolute end: it is set once and no activity or step-up moves it. `idle_for` is how
    long the session survives without activity; when it was last active is the store's knowledge, not part of
    this record.
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
    """The provider's ID token as received: the hint for its logout endpoint, never identity."""
    provider_session: str | None = field(default=None, repr=False)
    """The provider's name (`sid`) for its own session, by which it may end this one (OpenID Connect
    Back-Channel Logout §2.1). For somebody who signed in with a certificate its SHA-256, because this session
    ends with it."""
    claims: tuple[str, ...] = ()
    """Which data of the person were stated at sign-in, by the names that routes demand them under."""
    grant: str | None = field(default=None, repr=False)
    """The secret by which the provider's tokens of this session are found and opened (`Grant`); None if none
    are kept."""

    @property
    def certificates(self) -> tuple[str, ...]:
        """The SHA-256 of every certificate that this session rests on: it ends with each of them."""
        return tuple(
            dict.fromkeys(
                event.source.removeprefix("sha256:")
                for event in self.events
                if event.source.startswith("sha256:")
            )
        )

    @property
    def authenticated_at(self) -> datetime | None:
        """When the person last proved who they are: `auth_time` of the assertion. None where nobody says
        when."""
        return max((event.at for event in self.events if event.is_dated), default=None)

    def is_over(self, *, last_active_at: datetime, now: datetime, forgiven: timedelta = _NOTHING) -> bool:
        """Whether the absolute or the idle end has come. `forgiven` is how much of the time since the last
        activity does not count as idleness. A clock that went back keeps no session alive past its absolute
        end."""
        return now >= self.expires_at or now - last_active_at - forgiven >= self.idle_for


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """What operators and the person's own session page may see of a session without its ticket."""

    session_id: SessionId
    portal: str
    method: SignInMethod
    level: Level
    started_at: datetime
    expires_at: datetime
    last_active_at: datetime
    browser: str
    """A short, harmless description of the browser (`Firefox, Windows`)."""
    certificates: tuple[str, ...] = ()
    """As `Session.certificates`."""
    provider_session: str | None = field(default=None, repr=False)
    person: Person | None = field(default=None, repr=False)
    """The person's names and nothing else of them; None for a session that an older version has begun."""
    tax_number: str | None = field(default=None, repr=False)
    """Masked."""
