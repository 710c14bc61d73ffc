"""Signing out: first the session here, whatever happens then; after that, if the browser goes there, the
provider's own session (OpenID Connect RP-Initiated Logout 1.0).

The return from the provider proves nothing about what it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.portal_sign_out import PortalSignOuts
from authproxy.flows.stores import SessionStore
from authproxy.identity import ticket as tickets
from authproxy.identity.session import Session, SessionId
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.oidc.provider import OpenIdProvider

_RETURN = "/.authproxy/logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutOutcome:
    """What a sign-out has ended. `session` is None if nobody was signed in. `others` are sessions of the same
    person that have ended with it. `provider_logout` is None if there is nothing to end at the provider."""

    session: Session | None
    provider_logout: EndSessionRequest | None
    others: tuple[SessionId, ...] = ()


class Logout:
    def __init__(
        self,
        *,
        sessions: SessionStore,
        provider: OpenIdProvider,
        origins: Mapping[str, str],
        random_text: Callable[[int], str],
        forget_grant: Callable[[str], None] = lambda _grant: None,
        portals: PortalSignOuts | None = None,
    ) -> None:
        """`origins` are the portals' public origins by portal id. `forget_grant` is called with the grant of
        a session that has ended, and returns before the provider has been told. `portals` are told that a
        person has signed out; without it none is."""
        self._sessions = sessions
        self._provider = provider
        self._origins = origins
        self._random_text = random_text
        self._forget_grant = forget_grant
        self._portals = portals

    async def end(
        self,
        *,
        portal_id: str,
        ticket_text: str | None,
        now: datetime,
        everywhere: bool = False,
        cookies: str = "",
    ) -> LogoutOutcome:
        """Ends the session behind the ticket, and with `everywhere` all other sessions of its person. Once
        this has returned, they open nothing on any instance. Raises CannotAsk if the store could not be told:
        then nobody may be told that anything has ended. `cookies` are those of the request, for the portal's
        own sign-out."""
        ticket = tickets.parse(ticket_text)
        stored = None if ticket is None else await self._sessions.load(ticket, now=now)
        if ticket is None or stored is None:
            return LogoutOutcome(session=None, provider_logout=None)
        others = await self._end_others(stored.session, now) if everywhere else ()
        # Last, because the person needs the ticket to try again if the store fails before.
        await self._sessions.revoke(ticket.session_id)
        if stored.session.grant is not None:
            self._forget_grant(stored.session.grant)
        if self._portals is not None:
            self._portals.begin(stored.session, cookies, now=now)
        return LogoutOutcome(
            session=stored.session,
            provider_logout=await self._at_provider(stored.session, portal_id),
            others=others,
        )

    async def _end_others(self, session: Session, now: datetime) -> tuple[SessionId, ...]:
        summaries = await self._sessions.of_person(session.person, now=now)
        others = tuple(
            summary.session_id for summary in summaries if summary.session_id != session.session_id
        )
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
                state=self._random_text(16),
            )
        except CannotAsk:
            return None
