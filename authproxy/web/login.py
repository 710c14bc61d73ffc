"""The chooser, the begin of a sign-in, and the callbacks at which sign-ins end. Fresh proofs that were made
elsewhere come back to the callbacks too. `flows.sign_in` decides what a sign-in is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from aiohttp import hdrs, web

from authproxy.access import problems
from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.access import Access
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignedIn, SignInOutcome, SignInRefused
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.held_requests import way_on
from authproxy.web.pages import Pages
from authproxy.web.refusals import RETURN_TO, Particulars, Refusals, Refused
from authproxy.web.request_context import is_request_id
from authproxy.web.request_keys import CONTEXT
from authproxy.web.return_to import LONGEST, shown
from authproxy.web.step_up_answers import StepUpAnswers, go_on, log_failure
from authproxy.web.visits import visit_of

if TYPE_CHECKING:  # a gateway without `acnlb` does not import it
    from authproxy.flows.sign_in.certificate import CertificateSignIn


class LoginPages:
    """Without `certificate_login` nobody signs in with a certificate, and the chooser does not show that way
    even if a portal's settings name it. `certificates_end` gives the day when certificates are no longer
    accepted, as soon as people are to be warned. `return_to_fits` says whether an attempt has room for this
    return-to; a longer one loses its query. `personal_cookies` by portal id: of them a sign-in removes what
    other people have left in the browser."""

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
        held_requests: HeldRequests,
        certificates_end: Callable[[datetime], datetime | None] = lambda _now: None,
        return_to_fits: Callable[[str], bool] = lambda _return_to: True,
        personal_cookies: Mapping[str, PersonalCookies],
    ) -> None:
        self._login = login
        self._held_requests = held_requests
        self._personal_cookies = personal_cookies
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
        """GET login: the ways to sign in, and what becomes of a form that was sent without a session. A
        browser that has a session is sent on; one that goes round in circles gets a page that stops it."""
        portal = request[CONTEXT].portal
        now = self._clock()
        visit = visit_of(request, request.query, now=now)
        return_to, held = visit.return_to, visit.held
        ticket = cookies.ticket_in(cookie_fields(request))
        current = await self._sessions.current(portal_id=portal.portal_id, ticket_text=ticket.value, now=now)
        if current is not None:
            return await way_on(request, self._held_requests, current.session, return_to, held)
        flow = cookies.flow_in(cookie_fields(request))
        if await self._login.looping(flow.value, now=now):
            self._record_refusal(Reason.SIGN_IN_LOOP)
            return self._refusals.answer(
                request,
                Reason.SIGN_IN_LOOP,
                return_to=return_to,
                about=Particulars(cookie_found=ticket.found),
            )
        is_cut = (
            "cut" in request.query
            or len(request.query.get("rt", "")) > LONGEST
            or not self._return_to_fits(return_to)
        )
        lost = request.query.get("lost", "") if held is None else ""
        is_lost = is_request_id(lost)
        marks = {"held": held, "lost": lost if is_lost else None, "cut": "yes" if is_cut else None}
        answer = self._pages.answer(
            request,
            "login.html",
            here="login",
            keep={"rt": return_to} | {name: mark for name, mark in marks.items() if mark is not None},
            rt=return_to,
            held=held,
            lost_code=problems.code_of(Reason.NOT_SENT, lost) if is_lost else None,
            shown_path=shown(return_to),
            is_cut=is_cut,
            ways=[way for way in portal.sign_in if way in self._ways],
            after=_what_ended(request, ticket),
            certificates_end_at=self._certificates_end(now),
        )
        if flow.value is None:
            answer.headers.add(
                hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, self._random_text(cookies.FLOW_SIZE))
            )
        return answer

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST login: 303 to the provider or to the certificate host. The flow cookie binds the attempt to
        this browser."""
        context = request[CONTEXT]
        fields = await submitted(request, self._audit)
        return_to = request[RETURN_TO] = context.portal.return_to(fields.get("rt"))
        method = fields.get("method")
        if method not in self._ways or method not in context.portal.sign_in:
            self._record_refusal(Reason.METHOD_NOT_ALLOWED_HERE)
            raise Refused(Reason.METHOD_NOT_ALLOWED_HERE, return_to=return_to)
        flow = cookies.flow_in(cookie_fields(request))
        if flow.value is None and "cookie" in fields:
            # The page that sent this form came with the cookie, so the browser has thrown it away.
            self._record_refusal(Reason.COOKIES_OFF)
            raise Refused(Reason.COOKIES_OFF, return_to=return_to)
        browser = flow.value or self._random_text(cookies.FLOW_SIZE)
        location = await self._location(request, method, fields, browser)
        await self._audit.assure(Event.SIGN_IN_BEGUN, method=method)
        answer = _redirect(location)
        if flow.value is None:
            answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, browser))
        return answer

    async def _location(
        self, request: web.Request, method: str, fields: Mapping[str, str], browser: str
    ) -> str:
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
        """GET callback/acnlb: as `complete`, with the sealed text of the way back."""
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
        """GET callback/rekono. A refusal is shown at an address of its own (`refused_sign_ins`), so that the
        address with the code stays in no browser."""
        self._audit.demand()
        visit = visit_of(request, {}, now=self._clock())
        outcome = await self._login.complete(visit, tuple(request.query.items()))
        return await self._ended(request, outcome)

    async def _ended(self, request: web.Request, outcome: SignInOutcome) -> web.Response:
        portal = request[CONTEXT].portal
        return_to = portal.return_to(outcome.return_to)
        match outcome:
            case SignedIn():
                if outcome.is_new_link:
                    self._audit.record(Event.PERSON_LINKED, session=outcome.session, by="provider")
                await self._record_session(outcome.session)
                self._metrics.sessions_started[portal.portal_id, outcome.session.method] += 1
                answer = await way_on(request, self._held_requests, outcome.session, return_to, outcome.held)
                answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.TICKET, outcome.ticket_text))
                if cookies.left_in(cookie_fields(request)) is not None:
                    answer.headers.add(hdrs.SET_COOKIE, cookies.removing(cookies.LEFT))
                personal = self._personal_cookies.get(portal.portal_id)
                if personal is not None:
                    owner = personal.owner(outcome.session.person)
                    left = personal.left_by_others(cookies.joined(cookie_fields(request)), owner)
                    for value in left:
                        answer.headers.add(hdrs.SET_COOKIE, value)
                    if left:
                        # Somebody else was here and has not signed out. Pages of theirs may be in the cache.
                        answer.headers["Clear-Site-Data"] = cookies.CLEARED
                return answer
            case AlreadySignedIn():
                return go_on(request, return_to, outcome.held)
            case SteppedUp():
                return self._answers.approved(request, outcome)
            case NotProved():
                return self._answers.refused(request, outcome, route=outcome.route)
            case SignInRefused():
                self._record_register(outcome)
                self._record_refusal(outcome.reason, person=outcome.person, detail=outcome.detail or None)
                log_failure(outcome.reason, outcome.detail)
                return self._refusals.answer(
                    request, outcome.reason, return_to=return_to, about=_particulars(outcome)
                )
            case _:
                assert_never(outcome)

    async def _record_session(self, session: Session) -> None:
        """Records that the session begins. If the settings require the record and it cannot be written, the
        session is deleted and its ticket given to nobody. Raises CannotAsk."""
        try:
            await self._audit.assure(Event.SESSION_STARTED, session=session)
        except CannotAsk:
            await self._sessions.discard(session)
            self._audit.record(
                Event.SESSION_REVOKED, session=session, by="gateway", reason=Reason.AUDIT_UNAVAILABLE
            )
            raise

    def _record_register(self, refused: SignInRefused) -> None:
        """Records a link or an alarm that concerns a person of the register, beside the refusal."""
        answer = refused.by_register
        if answer is None or answer.member is None or refused.person is None:
            return
        person = replace(refused.person, member=answer.member.member_id)
        if answer.is_new_link:
            self._audit.record(Event.PERSON_LINKED, person=person, by="provider")
        if answer.is_alarm:
            self._audit.record(Event.LINK_REFUSED, person=person, detail=answer.detail)

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
        held=refused.held,
    )


def _what_ended(request: web.Request, ticket: cookies.CookieReading) -> str | None:
    """Why somebody who was signed in sees the chooser: after a sign-out, or because the session behind the
    cookie has ended."""
    if request.query.get("after") == "sign-out":
        return "sign-out"
    return "session" if ticket.value is not None else None


def _redirect(location: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: location})
