"""The chooser, the begin of a sign-in and its end at the callback. What a sign-in is, `flows.login` decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, assert_never

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.flows.login import AlreadySignedIn, SignedIn, SignInRefused
from authproxy.identity.person import Person
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web import cookies, return_to
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import CONTEXT, Links, Pages
from authproxy.web.refusals import Refusals, Refused
from authproxy.web.session_page import Sessions


class Login(Protocol):
    async def begin(self, *, portal_id: str, return_to: str, browser: str, locale: str, now: datetime) -> str: ...

    async def complete(
        self, *, portal_id: str, parameters: Sequence[tuple[str, str]], browser: str | None, ticket_text: str | None, user_agent: str,
        now: datetime,
    ) -> SignedIn | AlreadySignedIn | SignInRefused: ...  # fmt: skip

    async def looping(self, *, browser: str | None, now: datetime) -> bool: ...


class LoginPages:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self, *, login: Login, sessions: Sessions, pages: Pages, refusals: Refusals, links: Links, audit: Audit, metrics: Metrics,
        clock: Callable[[], datetime], fresh: Callable[[int], str],
    ) -> None:  # fmt: skip
        self._login = login
        self._sessions = sessions
        self._pages = pages
        self._refusals = refusals
        self._links = links
        self._audit = audit
        self._metrics = metrics
        self._clock = clock
        self._fresh = fresh

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """GET login: the ways to sign in; straight on for somebody who has; a stop for a browser that goes round in circles."""
        portal = request[CONTEXT].portal
        now = self._clock()
        place = return_to.safe(request.query.get("rt"), origin=portal.origin)
        ticket = cookies.ticket_in(cookie_fields(request))
        if await self._sessions.current(portal_id=portal.portal_id, ticket_text=ticket.value, now=now) is not None:
            return _see(portal.origin + place)
        flow = cookies.flow_in(cookie_fields(request))
        if await self._login.looping(browser=flow.value, now=now):
            self._record_refusal(Reason.SIGN_IN_LOOP)
            return self._refusals.answer(request, Reason.SIGN_IN_LOOP, return_to=place, cookie_found=ticket.found)
        answer = self._pages.answer(request, "login.html", form_targets=self._links.provider_origins, rt=place)
        if flow.value is None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, self._fresh(cookies.FLOW_SIZE)))
        return answer

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST login: to the provider, with the browser bound to the attempt."""
        context = request[CONTEXT]
        fields = await submitted(request, self._audit)
        place = return_to.safe(fields.get("rt"), origin=context.portal.origin)
        if fields.get("method") != "rekono" or "rekono" not in context.portal.sign_in:
            self._record_refusal(Reason.METHOD_NOT_ALLOWED_HERE)
            raise Refused(Reason.METHOD_NOT_ALLOWED_HERE, return_to=place)
        flow = cookies.flow_in(cookie_fields(request))
        if flow.value is None and "cookie" in fields:
            # The page that sent this form came with the cookie, so the browser has thrown it away.
            self._record_refusal(Reason.COOKIES_OFF)
            raise Refused(Reason.COOKIES_OFF, return_to=place)
        browser = flow.value or self._fresh(cookies.FLOW_SIZE)
        location = await self._login.begin(
            portal_id=context.portal.portal_id, return_to=place, browser=browser, locale=context.locale, now=self._clock()
        )
        self._audit.record(Event.SIGN_IN_BEGUN, method="rekono")
        answer = _see(location)
        if flow.value is None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, browser))
        return answer

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """GET callback/rekono: the code's address never stays in the browser, unless it is on a page that leads away from it."""
        portal = request[CONTEXT].portal
        held = cookie_fields(request)
        outcome = await self._login.complete(
            portal_id=portal.portal_id,
            parameters=tuple(request.query.items()),
            browser=cookies.flow_in(held).value,
            ticket_text=cookies.ticket_in(held).value,
            user_agent=request.headers.get(hdrs.USER_AGENT, ""),
            now=self._clock(),
        )
        place = return_to.safe(outcome.return_to, origin=portal.origin)
        match outcome:
            case SignedIn():
                self._audit.record(Event.SESSION_STARTED, session=outcome.session)
                self._metrics.sessions_started[portal.portal_id, outcome.session.method] += 1
                answer = _see(portal.origin + place)
                answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.TICKET, outcome.ticket_text))
                return answer
            case AlreadySignedIn():
                return _see(portal.origin + place)
            case SignInRefused():
                self._record_refusal(outcome.reason, person=outcome.person, detail=outcome.found or None)
                return self._refusals.answer(request, outcome.reason, return_to=place, missing=outcome.missing)
            case _:
                assert_never(outcome)

    def _record_refusal(self, reason: Reason, *, person: Person | None = None, detail: str | None = None) -> None:
        self._audit.record(Event.SIGN_IN_REFUSED, reason=reason, person=person, detail=detail)
        self._metrics.sign_ins_refused[(reason,)] += 1


def _see(location: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: location})
