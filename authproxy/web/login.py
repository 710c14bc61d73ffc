"""The chooser, the begin of a sign-in and its end at the callback, where fresh proofs that were made
elsewhere come back too. What a sign-in is, `flows.login` decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.access import Access
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignedIn, SignInOutcome, SignInRefused
from authproxy.flows.sign_in.certificate import CertificateSignIn
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web import cookies, return_to
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import Pages
from authproxy.web.refusals import RETURN_TO, Particulars, Refusals, Refused
from authproxy.web.request_keys import CONTEXT
from authproxy.web.step_up_answers import StepUpAnswers, go_on, log_failure
from authproxy.web.visits import visit_of


class LoginPages:
    """Without `certificate_login` nobody signs in with a certificate; `certificates_end` is when that ends,
    once people are to be told. `keeps` tells whether a sign-in brings its person back to the whole of a
    place. What a portal's settings name beyond the ways that there are is not shown."""

    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        login: OpenIdSignIn,
        sessions: Access,
        pages: Pages,
        refusals: Refusals,
        audit: Audit,
        metrics: Metrics,
        clock: Callable[[], datetime],
        random_text: Callable[[int], str],
        certificate_login: CertificateSignIn | None = None,
        certificates_end: Callable[[datetime], datetime | None] = lambda _now: None,
        return_to_fits: Callable[[str], bool] = lambda _return_to: True,
    ) -> None:
        self._login = login
        self._return_to_fits = return_to_fits
        self._certificate_login = certificate_login
        self._certificates_end = certificates_end
        self._ways = frozenset({"rekono"} if certificate_login is None else {"rekono", "acnlb"})
        self._sessions = sessions
        self._pages = pages
        self._refusals = refusals
        self._answers = StepUpAnswers(refusals=refusals, audit=audit, metrics=metrics, clock=clock)
        self._audit = audit
        self._metrics = metrics
        self._clock = clock
        self._random_text = random_text

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """GET login: the ways to sign in; straight on for somebody who has; a stop for a browser that goes
        round in circles."""
        portal = request[CONTEXT].portal
        now = self._clock()
        place = request[RETURN_TO] = portal.return_to(request.query.get("rt"))
        ticket = cookies.ticket_in(cookie_fields(request))
        if (
            await self._sessions.current(portal_id=portal.portal_id, ticket_text=ticket.value, now=now)
            is not None
        ):
            return _see(portal.origin + place)
        flow = cookies.flow_in(cookie_fields(request))
        if await self._login.looping(flow.value, now=now):
            self._record_refusal(Reason.SIGN_IN_LOOP)
            return self._refusals.answer(
                request, Reason.SIGN_IN_LOOP, return_to=place, about=Particulars(cookie_found=ticket.found)
            )
        is_cut = (
            "cut" in request.query
            or len(request.query.get("rt", "")) > return_to.LONGEST
            or not self._return_to_fits(place)
        )
        answer = self._pages.answer(
            request,
            "login.html",
            here="login",
            keep={"rt": place, "cut": "yes"} if is_cut else {"rt": place},
            rt=place,
            place=return_to.shown(place),
            is_cut=is_cut,
            ways=[way for way in portal.sign_in if way in self._ways],
            after=_just_ended(request, ticket),
            certificates_end_at=self._certificates_end(now),
        )
        if flow.value is None:
            answer.headers.add(
                hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, self._random_text(cookies.FLOW_SIZE))
            )
        return answer

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST login: to the provider, or to where certificates are shown, with the browser bound to the
        attempt."""
        context = request[CONTEXT]
        fields = await submitted(request, self._audit)
        place = request[RETURN_TO] = context.portal.return_to(fields.get("rt"))
        method = fields.get("method")
        if method not in self._ways or method not in context.portal.sign_in:
            self._record_refusal(Reason.METHOD_NOT_ALLOWED_HERE)
            raise Refused(Reason.METHOD_NOT_ALLOWED_HERE, return_to=place)
        flow = cookies.flow_in(cookie_fields(request))
        if flow.value is None and "cookie" in fields:
            # The page that sent this form came with the cookie, so the browser has thrown it away.
            self._record_refusal(Reason.COOKIES_OFF)
            raise Refused(Reason.COOKIES_OFF, return_to=place)
        browser = flow.value or self._random_text(cookies.FLOW_SIZE)
        location = await self._begun(request, method, fields, browser)
        await self._audit.assure(Event.SIGN_IN_BEGUN, method=method)
        answer = _see(location)
        if flow.value is None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, browser))
        return answer

    async def _begun(self, request: web.Request, method: str, fields: Mapping[str, str], browser: str) -> str:
        """Where the browser goes."""
        context = request[CONTEXT]
        visit = visit_of(request, fields, now=self._clock(), browser=browser)
        if method == "acnlb" and self._certificate_login is not None:
            location = await self._certificate_login.begin(visit)
            return f"{location}&lang={context.locale}" if context.locale_is_chosen else location
        # After a sign-out the provider may still have a session, and nobody is to be signed in again unasked.
        has_signed_out = cookies.left_in(cookie_fields(request)) is not None
        return await self._login.begin(visit, anew=has_signed_out or "anew" in fields)

    async def complete_certificate(self, request: web.Request) -> web.StreamResponse:
        """GET callback/acnlb, as `complete`: with the secret of the way back."""
        if self._certificate_login is None:
            raise web.HTTPNotFound
        self._audit.demand()
        outcome = await self._certificate_login.complete(
            visit_of(request, {}, now=self._clock()),
            request.query.get("hop"),
            request_id=request[CONTEXT].request_id,
        )
        return await self._ended(request, outcome)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """GET callback/rekono. A refusal is sent on to an address of its own (`refused_sign_ins`): that of
        the code stays in no browser."""
        self._audit.demand()
        visit = visit_of(request, {}, now=self._clock())
        outcome = await self._login.complete(visit, tuple(request.query.items()))
        return await self._ended(request, outcome)

    async def _ended(self, request: web.Request, outcome: SignInOutcome) -> web.Response:
        portal = request[CONTEXT].portal
        place = portal.return_to(outcome.return_to)
        match outcome:
            case SignedIn():
                if outcome.is_new_link:
                    self._audit.record(Event.PERSON_LINKED, session=outcome.session, by="provider")
                await self._record_session(outcome.session)
                self._metrics.sessions_started[portal.portal_id, outcome.session.method] += 1
                answer = _see(portal.origin + place)
                answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.TICKET, outcome.ticket_text))
                if cookies.left_in(cookie_fields(request)) is not None:
                    answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.LEFT))
                return answer
            case AlreadySignedIn():
                return go_on(request, place, outcome.held)
            case SteppedUp():
                return self._answers.approved(request, outcome)
            case NotProved():
                return self._answers.refused(request, outcome, route=outcome.route)
            case SignInRefused():
                self._record_register(outcome)
                self._record_refusal(outcome.reason, person=outcome.person, detail=outcome.found or None)
                log_failure(outcome.reason, outcome.found)
                return self._refusals.answer(
                    request, outcome.reason, return_to=place, about=_particulars(outcome)
                )
            case _:
                assert_never(outcome)

    async def _record_session(self, session: Session) -> None:
        """Records that the session begins. If that is required and cannot be written, the session is deleted,
        and its ticket is given to nobody. Raises CannotAsk."""
        try:
            await self._audit.assure(Event.SESSION_STARTED, session=session)
        except CannotAsk:
            await self._sessions.discard(session)
            self._audit.record(
                Event.SESSION_REVOKED, session=session, by="gateway", reason=Reason.AUDIT_UNAVAILABLE
            )
            raise

    def _record_register(self, refused: SignInRefused) -> None:
        """What concerns a person of the register beside the refusal."""
        told = refused.by_register
        if told is None or told.member is None or refused.person is None:
            return
        concerned = replace(refused.person, member=told.member.member_id)
        if told.is_new_link:
            self._audit.record(Event.PERSON_LINKED, person=concerned, by="provider")
        if told.is_alarm:
            self._audit.record(Event.LINK_REFUSED, person=concerned, detail=told.found)

    def _record_refusal(
        self, reason: Reason, *, person: Person | None = None, detail: str | None = None
    ) -> None:
        self._audit.record(Event.SIGN_IN_REFUSED, reason=reason, person=person, detail=detail)
        self._metrics.sign_ins_refused[(reason,)] += 1


def _particulars(refused: SignInRefused) -> Particulars:
    return Particulars(
        missing=refused.missing,
        level=refused.level,
        level_needed=refused.level_needed,
        who=refused.person.known_as if refused.person is not None else None,
        provider_error=refused.provider_error,
    )


def _just_ended(request: web.Request, ticket: cookies.CookieReading) -> str | None:
    """What has brought somebody back here who was signed in: a ticket that opens nothing any more says it by
    itself."""
    if request.query.get("after") == "sign-out":
        return "sign-out"
    return "session" if ticket.value is not None else None


def _see(location: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: location})
