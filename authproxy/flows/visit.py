"""A browser on our pages, and the session that it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from authproxy.flows.stores import SessionStore
from authproxy.identity import ticket as tickets
from authproxy.identity.session import Session, StoredSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A browser on our pages: at which portal, with which cookies, and where on the portal it wants to go.
    For a step-up, `route` names the route that demands the proof, because a POST may have another route than
    a GET. A person who changes it in the address only proves something that the portal does not ask for."""

    portal_id: str
    ticket_text: str | None = field(repr=False)
    browser: str | None = field(repr=False)
    """The flow cookie."""
    user_agent: str
    address: str
    locale: str
    now: datetime
    return_to: str = "/"
    route: str | None = None
    held: str | None = field(default=None, repr=False)
    """The name of a held request that waits for the proof or the sign-in."""
    binding: str | None = field(default=None, repr=False)
    """Which one request the proof is for, once that is known (`access.bound_proof`). It is never read from
    the address of a page."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What the person sees of that request."""
    is_counted_by_address: bool = True
    """False where the address is a proxy's, shared by everybody behind it."""


async def stored_session(
    sessions: SessionStore, ticket_text: str | None, *, portal_id: str, now: datetime
) -> StoredSession | None:
    """What the store has of the session behind a ticket, if it is a session at this portal. Asking is no
    activity. Raises CannotAsk."""
    ticket = tickets.parse(ticket_text)
    stored = None if ticket is None else await sessions.load(ticket, now=now)
    return stored if stored is not None and stored.session.portal == portal_id else None


async def session_of(sessions: SessionStore, visit: Visit) -> Session | None:
    """The session that the browser has at the portal that it visits. Raises CannotAsk."""
    stored = await stored_session(sessions, visit.ticket_text, portal_id=visit.portal_id, now=visit.now)
    return None if stored is None else stored.session
