"""Sign-out: our own session first, then the provider's (OpenID Connect RP-Initiated Logout 1.0), and a page that says what has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from authproxy.flows.logout import Ended
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import CONTEXT, Pages
from authproxy.web.session_page import Sessions

_CLEAR = '"cache", "storage"'
"""Not `"cookies"`: that would reach every cookie of the registrable domain, and so sign the person out of its other portals."""


class Logout(Protocol):
    async def end(self, *, portal_id: str, ticket_text: str | None, now: datetime, everywhere: bool) -> Ended: ...


class LogoutPages:
    def __init__(
        self, *, logout: Logout, sessions: Sessions, pages: Pages, audit: Audit, clock: Callable[[], datetime]
    ) -> None:
        self._logout = logout
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """GET logout: asks a signed-in person; tells others that they are signed out. The provider leads back to here."""
        everywhere = request.query.get("everywhere") == "yes"
        ticket = cookies.ticket_in(cookie_fields(request))
        current = await self._sessions.current(
            portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=self._clock()
        )
        if current is None:
            return self._pages.answer(
                request, "signed_out.html", here="logout", was_signed_in=False, everywhere=None, provider_logout=None
            )
        return self._pages.answer(
            request, "logout.html", form_targets=(), here="logout", keep={"everywhere": "yes"} if everywhere else {},
            session=current.session, everywhere="yes" if everywhere else None,
        )  # fmt: skip

    async def end(self, request: web.Request) -> web.StreamResponse:
        """POST logout: ends the session, or all of the person's; if the store cannot be asked, nothing is said to have ended and
        nothing is removed (503)."""
        everywhere = (await submitted(request, self._audit)).get("everywhere") == "yes"
        ticket = cookies.ticket_in(cookie_fields(request))
        ended = await self._logout.end(
            portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=self._clock(), everywhere=everywhere
        )
        if ended.session is not None:
            for session_id in ended.others:
                self._audit.record(Event.SESSION_REVOKED, session_id=session_id, person=ended.session.person, by="person")
            self._audit.record(Event.SESSION_ENDED, session=ended.session, by="person")
        provider_logout = ended.provider_logout
        answer = self._pages.answer(
            request, "signed_out.html", form_targets=() if provider_logout is None else (_origin(provider_logout.endpoint),),
            was_signed_in=ended.session is not None, everywhere=everywhere, provider_logout=provider_logout,
        )  # fmt: skip
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.TICKET))
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.FLOW))
        answer.headers["Clear-Site-Data"] = _CLEAR
        return answer


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
