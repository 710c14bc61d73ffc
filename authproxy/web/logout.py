"""Sign-out: first our own session, then the provider's (OpenID Connect RP-Initiated Logout 1.0), and a page
that says what has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import hdrs, web

from authproxy.access import request_senders
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.flows.access import Access
from authproxy.flows.ending.logout import Logout
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.telemetry.audit import Audit, Event
from authproxy.web import cookies, signed_out
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import PREFIX, Pages
from authproxy.web.request_keys import CONTEXT
from authproxy.web.signed_out import SignedOut


class LogoutPages:
    def __init__(
        self,
        *,
        logout: Logout,
        sessions: Access,
        pages: Pages,
        audit: Audit,
        clock: Callable[[], datetime],
        personal_cookies: Mapping[str, PersonalCookies],
    ) -> None:
        """`personal_cookies` by portal id, of the portals that have any."""
        self._logout = logout
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock
        self._personal_cookies = personal_cookies

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """GET logout: asks a signed-in person whether to sign out. Others see what their last sign-out has
        ended; the provider sends the browser back to here. A portal's own sign-out link may have led here
        inside a frame (`sign_out_paths`): then the page only leads out of it."""
        if request_senders.is_in_frame(request.raw_headers):
            whole = f"{request[CONTEXT].portal.origin}{PREFIX}logout"
            return self._pages.answer(request, "logout.html", whole=whole, everywhere=None)
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
        """POST logout: ends the session, or all of the person's, and sends the browser on to the provider. If
        the store cannot be asked, the answer is 503, and no cookie is removed."""
        everywhere = (await submitted(request, self._audit)).get("everywhere") == "yes"
        sent_cookies = cookie_fields(request)
        ended = await self._logout.end(
            portal_id=request[CONTEXT].portal.portal_id,
            ticket_text=cookies.ticket_in(sent_cookies).value,
            now=self._clock(),
            everywhere=everywhere,
            cookies="; ".join(sent_cookies),
        )
        if ended.session is not None:
            for session_id in ended.others:
                self._audit.record(
                    Event.SESSION_REVOKED, session_id=session_id, person=ended.session.person, by="person"
                )
            self._audit.record(Event.SESSION_ENDED, session=ended.session, by="person")
        at_provider = ended.provider_logout
        # A script would follow the redirect to the provider and could not read the answer.
        if at_provider is not None and at_provider.by == "get" and not request[CONTEXT].is_page_load:
            at_provider = None
        left = signed_out.of(ended.session, everywhere=everywhere, is_sent_on=at_provider is not None)
        answer = self._answer(request, left, at_provider, cookies.left_in(sent_cookies))
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.TICKET))
        answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.FLOW))
        if left is not None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.LEFT, left.text))
        personal = self._personal_cookies.get(request[CONTEXT].portal.portal_id)
        if personal is not None:
            for value in personal.expired(cookies.joined(sent_cookies)):
                answer.headers.add(hdrs.SET_COOKIE, value)
        answer.headers["Clear-Site-Data"] = cookies.CLEARED
        return answer

    def _answer(
        self,
        request: web.Request,
        left: SignedOut | None,
        at_provider: EndSessionRequest | None,
        earlier: SignedOut | None,
    ) -> web.Response:
        """The redirect to the provider, or the page. `earlier` is what an earlier sign-out has ended; it is
        shown if this one has ended nothing."""
        if at_provider is not None and at_provider.by == "get":
            return web.Response(status=303, headers={hdrs.LOCATION: at_provider.location})
        return self._pages.answer(
            request, "signed_out.html", has_ended=left is not None, left=left or earlier, form=at_provider
        )
