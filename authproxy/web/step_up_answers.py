"""The answer at the end of a step-up, wherever the proof was made: the new ticket and the way on, or a page
that helps. Audit trail and metrics are written here too."""

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
from authproxy.web import cookies
from authproxy.web.pages import see
from authproxy.web.refusals import PAGES, Particulars, Refusals, Refused
from authproxy.web.request_keys import CONTEXT
from authproxy.web.return_to import HOME

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
        """Sets the new ticket and leads on: to where the person wanted to go, or to the page that shows the
        held request. The proof is in the audit trail already, since before it counted."""
        if not proved.is_repeated:
            self._metrics.step_ups[proved.method, "approved"] += 1
        answer = go_on(request, proved.return_to, proved.held)
        answer.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.TICKET, proved.ticket_text))
        return answer

    def refused(self, request: web.Request, outcome: NotProved, *, route: str | None = None) -> web.Response:
        """Records why nothing was proved, and answers with the page that says so. The session stays as it
        was."""
        self.record(outcome)
        return self.refusal_page(request, outcome, route=route)

    def record(self, outcome: NotProved) -> None:
        if outcome.is_repeated:
            return
        event, detail = Event.CHALLENGE_REFUSED, outcome.detail or None
        if outcome.reason is Reason.STEP_UP_BLOCKED:
            event, detail = (
                Event.STEP_UP_BLOCKED,
                None if outcome.until is None else outcome.until.isoformat(timespec="seconds"),
            )
        session, method = outcome.session, outcome.method
        if session is None or method is not None:
            self._audit.record(event, session=session, method=method, reason=outcome.reason, detail=detail)
        else:  # not the session itself: the record would name the method of its sign-in as the proof's
            self._audit.record(
                event,
                person=session.person,
                session_id=session.session_id,
                portal=session.portal,
                reason=outcome.reason,
                detail=detail,
            )
        # Only the answer that has exhausted the challenge is wrong; later answers come too late.
        if outcome.state is State.EXHAUSTED and outcome.reason is Reason.CODE_WRONG:
            self._audit.record(Event.CHALLENGE_EXHAUSTED, session=session, method=method)
        self._metrics.step_ups[outcome.method or "", outcome.reason] += 1
        log_failure(outcome.reason, outcome.detail)

    def refusal_page(
        self,
        request: web.Request,
        outcome: NotProved,
        *,
        route: str | None = None,
        ways: tuple[Offer, ...] = (),
    ) -> web.Response:
        """The page, or the problem document, that says why nothing was proved. `route` is the one that
        demands the proof, if it is known. `ways` are the methods that can be used meanwhile."""
        return_to = request[CONTEXT].portal.return_to(outcome.return_to)
        demanded_by = route if outcome.standing is None else outcome.standing.challenge.route
        query = {"rt": return_to, "for": demanded_by, "held": outcome.held}
        about = Particulars(
            wait=None if outcome.until is None else seconds_until(outcome.until, self._clock()),
            step_up={name: value for name, value in query.items() if value is not None},
            ways=ways,
            provider_error=outcome.provider_error,
        )
        return self._refusals.answer(request, outcome.reason, return_to=return_to, about=about)


def log_failure(reason: Reason, detail: str) -> None:
    """Logs a failed sign-in or proof if operators should know of it: an outage, or a provider that refuses or
    gives an answer that cannot be believed. `detail` holds no secret."""
    if PAGES[reason][1] == HTTPStatus.SERVICE_UNAVAILABLE:
        logger("web").error("request.unanswerable", reason=reason.value, error=detail)
    elif reason in _OF_THE_PROVIDER:
        logger("web").warning("provider.refused", reason=reason.value, error=detail)


def go_on(request: web.Request, return_to: str, held: str | None) -> web.Response:
    """303 for a person who has proved what was asked: to the page of the held request, or to `return_to`."""
    context = request[CONTEXT]
    return_to = context.portal.return_to(return_to)
    if held is not None:
        return see(request, "step-up/send", {"held": held, "rt": return_to})
    return web.Response(status=303, headers={hdrs.LOCATION: context.portal.origin + return_to})


def sign_in_first(request: web.Request, return_to: str, held: str | None = None) -> web.Response:
    """303 to the chooser, and from there to `return_to`, or to the page of the held request. Raises Refused
    for scripts."""
    if not request[CONTEXT].is_page_load:
        raise Refused(Reason.NO_SESSION)
    query = {} if return_to == HOME else {"rt": return_to}
    return see(request, "login", query if held is None else query | {"held": held})


def seconds_until(at: datetime, now: datetime) -> int:
    """Whole seconds to wait, at least one. A minute or more is rounded up to whole minutes, so that nobody
    comes back too early."""
    wait = max(at - now, timedelta(seconds=1))
    return ceil(wait.total_seconds()) if wait < _ONE_MINUTE else ceil(wait / _ONE_MINUTE) * 60
