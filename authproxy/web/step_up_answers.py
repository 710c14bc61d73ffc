"""How a step-up ends, wherever it was made: the new ticket and the way on, or the page that helps; and what
audit and metrics hear."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import Final

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.challenges.challenge import State
from authproxy.challenges.method import Offer
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web import cookies, return_to
from authproxy.web.pages import see
from authproxy.web.refusals import PAGES, Particulars, Refusals, Refused
from authproxy.web.request_keys import CONTEXT

_ONE_MINUTE: Final = timedelta(minutes=1)
_OF_THE_PROVIDER: Final = frozenset({Reason.PROVIDER_REFUSED, Reason.PROVIDER_ANSWER_INVALID})


class StepUpAnswers:
    def __init__(
        self, *, refusals: Refusals, audit: Audit, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._refusals = refusals
        self._audit = audit
        self._metrics = metrics
        self._clock = clock

    def approved(self, request: web.Request, proved: SteppedUp) -> web.Response:
        """Counts the proof, which has been recorded before it counted, and leads on: back to the place, or to
        the page that shows the request which waits."""
        self._metrics.step_ups[proved.method, "approved"] += 1
        answer = go_on(request, proved.return_to, proved.held)
        answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.TICKET, proved.ticket_text))
        return answer

    def refused(self, request: web.Request, outcome: NotProved, *, route: str | None = None) -> web.Response:
        """Records why nothing was proved, and tells the person. The session is as it was."""
        self.record(outcome)
        return self.refusal_page(request, outcome, route=route)

    def record(self, outcome: NotProved) -> None:
        event, detail = Event.CHALLENGE_REFUSED, outcome.found or None
        if outcome.reason is Reason.STEP_UP_BLOCKED:
            event, detail = (
                Event.STEP_UP_BLOCKED,
                None if outcome.until is None else outcome.until.isoformat(timespec="seconds"),
            )
        session, method = outcome.session, outcome.method
        if session is None or method is not None:
            self._audit.record(event, session=session, method=method, reason=outcome.reason, detail=detail)
        else:  # without the session itself: its method is that of the sign-in, and none is known here
            self._audit.record(
                event,
                person=session.person,
                session_id=session.session_id,
                portal=session.portal,
                reason=outcome.reason,
                detail=detail,
            )
        if (
            outcome.state is State.EXHAUSTED and outcome.reason is Reason.CODE_WRONG
        ):  # later answers find it so
            self._audit.record(Event.CHALLENGE_EXHAUSTED, session=session, method=method)
        self._metrics.step_ups[outcome.method or "", outcome.reason] += 1
        log_failure(outcome.reason, outcome.found)

    def refusal_page(
        self,
        request: web.Request,
        outcome: NotProved,
        *,
        route: str | None = None,
        ways: tuple[Offer, ...] = (),
    ) -> web.Response:
        """The page or the problem for what was not proved; `route` is the one that demands the proof, where
        it is known, and `ways` are what can be proved meanwhile."""
        place = request[CONTEXT].portal.return_to(outcome.return_to)
        known = route if outcome.standing is None else outcome.standing.challenge.route
        way = {"rt": place, "for": known, "held": outcome.held}
        about = Particulars(
            wait=None if outcome.until is None else seconds_until(outcome.until, self._clock()),
            step_up={name: value for name, value in way.items() if value is not None},
            ways=ways,
            provider_error=outcome.provider_error,
        )
        return self._refusals.answer(request, outcome.reason, return_to=place, about=about)


def log_failure(reason: Reason, found: str) -> None:
    """Logs an end of a sign-in or of a proof that operators should know of: an outage, or a provider that
    says no or what cannot be believed. `found` holds no secret."""
    if PAGES[reason][1] == HTTPStatus.SERVICE_UNAVAILABLE:
        logger("web").error("request.unanswerable", reason=reason.value, error=found)
    elif reason in _OF_THE_PROVIDER:
        logger("web").warning("provider.refused", reason=reason.value, error=found)


def go_on(request: web.Request, place: str, held: str | None) -> web.Response:
    """303 to where somebody goes who has proved what was asked."""
    context = request[CONTEXT]
    place = context.portal.return_to(place)
    if held is not None:
        return see(request, "step-up/send", {"held": held, "rt": place})
    return web.Response(status=303, headers={hdrs.LOCATION: context.portal.origin + place})


def sign_in_first(request: web.Request, place: str) -> web.Response:
    """To the chooser, and from there to the place; scripts are told (raises Refused)."""
    if not request[CONTEXT].is_page_load:
        raise Refused(Reason.NO_SESSION)
    return see(request, "login", {} if place == return_to.HOME else {"rt": place})


def seconds_until(at: datetime, now: datetime) -> int:
    """Whole seconds to wait, at least one. From a minute on whole minutes: nobody is told to come back too
    early."""
    span = max(at - now, timedelta(seconds=1))
    return ceil(span.total_seconds()) if span < _ONE_MINUTE else ceil(span / _ONE_MINUTE) * 60
