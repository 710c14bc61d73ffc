"""Signing out: the session here first and whatever happens, then, if the person's browser goes there, the
provider's own.

RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). The return from the provider proves nothing
about what it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from authproxy.access.unavailable import CannotAsk
from authproxy.flows.stores import SessionStore
from authproxy.identity import ticket as tickets
from authproxy.identity.session import Session, SessionId
from authproxy.oidc.end_session import EndSessionRequest

_RETURN = "/.authproxy/logout"


class Provider(Protocol):
    async def end_session_request(
        self, *, id_token: str, post_logout_redirect_uri: str, state: str
    ) -> EndSessionRequest | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`session` is the one that has ended; None if nobody was signed in. `others` are the same person's that
    have ended with it. `provider_logout` is None where there is nowhere to go."""

    session: Session | None
    provider_logout: EndSessionRequest | None
    others: tuple[SessionId, ...] = ()

    @property
    def was_signed_in(self) -> bool:
        return self.session is not None


class Logout:
    def __init__(
        self,
        *,
        sessions: SessionStore,
        provider: Provider,
        origins: Mapping[str, str],
        fresh: Callable[[int], str],
        let_go: Callable[[str], None] = lambda _grant: None,
    ) -> None:
        """`origins` are the portals' public origins by portal id. `let_go` is told of the grants of sessions
        that have ended, and does not wait for what becomes of them."""
        self._let_go = let_go
        self._sessions = sessions
        self._provider = provider
        self._origins = origins
        self._fresh = fresh

    async def end(
        self, *, portal_id: str, ticket_text: str | None, now: datetime, everywhere: bool = False
    ) -> Ended:
        """Ends the session behind the ticket, and `everywhere` all others of its person. Once this has
        returned, they open nothing on any instance. Raises CannotAsk if the store could not be told: then
        nobody may be told that anything has ended."""
        ticket = tickets.parse(ticket_text)
        if ticket is None:
            return Ended(session=None, provider_logout=None)
        stored = await self._sessions.load(ticket, now=now)
        if stored is None:
            return Ended(session=None, provider_logout=None)
        others = await self._end_others(stored.session, now) if everywhere else ()
        # Last, so that whoever has to try again can: the ticket is what the trying is done with.
        await self._sessions.revoke(ticket.session_id)
        if stored.session.grant is not None:
            self._let_go(stored.session.grant)
        return Ended(
            session=stored.session,
            provider_logout=await self._at_provider(stored.session, portal_id),
            others=others,
        )

    async def _end_others(self, session: Session, now: datetime) -> tuple[SessionId, ...]:
        every = await self._sessions.of_person(session.person, now=now)
        others = tuple(summary.session_id for summary in every if summary.session_id != session.session_id)
        for session_id in others:
            await self._sessions.revoke(session_id)
        return others

    async def _at_provider(self, session: Session, portal_id: str) -> EndSessionRequest | None:
        if session.id_token is None:
            return None
        try:
            return await self._provider.end_session_request(
                id_token=session.id_token,
                post_logout_redirect_uri=self._origins[portal_id] + _RETURN,
                state=self._fresh(16),
            )
        except CannotAsk:
            return None
