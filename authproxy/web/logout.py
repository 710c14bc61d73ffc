"""Sign-out: our own session first, then the provider's (OpenID Connect RP-Initiated Logout 1.0), and a page
that says what has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import hdrs, web

from authproxy.flows.access import Access
from authproxy.flows.ending.logout import Logout
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import cookies, signed_out
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import Pages
from authproxy.web.request_keys import CONTEXT
from authproxy.web.signed_out import SignedOut

_CLEAR = '"cache", "storage"'
"""Not `"cookies"`: that would reach every cookie of the registrable domain, and so sign the person out of its
other portals."""


class LogoutPages:
    def __init__(
        self, *, logout: Logout, sessions: Access, pages: Pages, audit: Audit, clock: Callable[[], datetime]
    ) -> None:
        self._logout = logout
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """GET logout: asks a signed-in person; tells others what their sign-out has ended. The provider leads
        back to here."""
        everywhere = request.query.get("everywhere") == "yes"
        ticket = cookies.ticket_in(cookie_fields(request))
        current = await self._sessions.current(
            portal_id=request[CONTEXT].portal.portal_id, ticket_text=ticket.value, now=self._clock()
        )
        if current is None:
            left = cookies.left_in(cookie_fields(request))
            return self._pages.answer(
                request, "signed_out.html", here="logout", has_ended=left is not None, left=left, form=None
            )
        return self._pages.answer(
            request,
            "logout.html",
            here="logout",
            keep={"everywhere": "yes"} if everywhere else {},
            session=current.session,
            everywhere="yes" if everywhere else None,
        )

    async def end(self, request: web.Request) -> web.StreamResponse:
        """POST logout: ends the session, or all of the person's, and sends the browser on to the provider; if
        the store cannot be asked, nothing is said to have ended and nothing is removed (503)."""
        everywhere = (await submitted(request, self._audit)).get("everywhere") == "yes"
        held = cookie_fields(request)
        ended = await self._logout.end(
            portal_id=request[CONTEXT].portal.portal_id,
            ticket_text=cookies.ticket_in(held).value,
            now=self._clock(),
            everywhere=everywhere,
        )
        if ended.session is not None:
            for session_id in ended.others:
                self._audit.record(
                    Event.SESSION_REVOKED, session_id=session_id, person=ended.session.person, by="person"
                )
            self._audit.record(Event.SESSION_ENDED, session=ended.session, by="person")
        onward = ended.provider_logout
        # A script would follow a redirect to the provider and could not read what comes.
        if onward is not None and onward.by == "get" and not request[CONTEXT].is_page_load:
            onward = None
        left = signed_out.of(ended.session, everywhere=everywhere, is_sent_on=onward is not None)
        answer = self._answer(request, left, onward, cookies.left_in(held))
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.TICKET))
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.FLOW))
        if left is not None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.LEFT, left.text))
        answer.headers["Clear-Site-Data"] = _CLEAR
        return answer

    def _answer(
        self,
        request: web.Request,
        left: SignedOut | None,
        onward: EndSessionRequest | None,
        before: SignedOut | None,
    ) -> web.Response:
        """To the provider, or the page. `before` is what an earlier sign-out has ended, where this one has
        ended nothing."""
        if onward is not None and onward.by == "get":
            return web.Response(status=303, headers={hdrs.LOCATION: onward.location})
        return self._pages.answer(
            request, "signed_out.html", has_ended=left is not None, left=left or before, form=onward
        )
