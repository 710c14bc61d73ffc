"""The pages of a step-up: choosing a method, answering a challenge, waiting for a phone. `flows/step_up`
decides what is a proof.

A GET changes nothing here, because browsers and mail scanners fetch pages ahead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.challenges.challenge import State
from authproxy.challenges.method import Offer
from authproxy.flows.step_up.challenges import StepUpChallenges
from authproxy.flows.step_up.outcomes import Demand, NotProved, Pending, SentAway, SteppedUp
from authproxy.flows.step_up.repeated_answers import PAGE_NAME_BYTES
from authproxy.flows.visit import Visit
from authproxy.identity.session import Session
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web import cookies, return_to
from authproxy.web.forms import cookie_fields, submitted
from authproxy.web.pages import Pages, see
from authproxy.web.refusals import RETURN_TO, Particulars, Refusals, Refused
from authproxy.web.request_keys import CONTEXT
from authproxy.web.step_up_answers import StepUpAnswers, go_on, seconds_until, sign_in_first
from authproxy.web.visits import visit_of, visit_query

_CHALLENGE_STAYS_OPEN: Final = frozenset(
    {Reason.CODE_WRONG, Reason.STEP_UP_TOO_OFTEN, Reason.SENDER_UNAVAILABLE}
)
"""After these, the same challenge can still be answered. Its page says what was wrong."""

_BLOCKS: Final = frozenset({Reason.CODE_WRONG, Reason.STEP_UP_BLOCKED})
"""With an `until`, these mean that wrong codes have closed the methods that can be guessed."""


class StepUpPages:
    def __init__(
        self,
        *,
        step_ups: StepUpChallenges,
        answers: StepUpAnswers,
        pages: Pages,
        refusals: Refusals,
        audit: Audit,
        metrics: Metrics,
        clock: Callable[[], datetime],
        random_text: Callable[[int], str],
    ) -> None:
        self._step_ups = step_ups
        self._answers = answers
        self._pages = pages
        self._refusals = refusals
        self._audit = audit
        self._metrics = metrics
        self._clock = clock
        self._random_text = random_text

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET step-up: the choice of methods, or with `c` the page of a challenge."""
        visit = visit_of(request, request.query, now=self._clock())
        challenge_id = request.query.get("c")
        if challenge_id is not None:
            return self._challenge_page(request, visit, await self._step_ups.standing(visit, challenge_id))
        demand = await self._step_ups.demand(visit)
        if demand is None:
            return sign_in_first(request, visit.return_to, visit.held)
        if demand.is_met:
            return go_on(request, demand.return_to, demand.held)
        if not demand.is_readable:
            return self._refusals.answer(request, Reason.REQUEST_CANNOT_BE_BOUND, return_to=visit.return_to)
        return self._choice(request, visit, demand)

    async def act(self, request: web.Request) -> web.StreamResponse:
        """POST step-up: with `method` begins a challenge. With `c` and `code` answers it, with `c` and
        `again` asks for another message, and with `c` alone looks whether the phone has answered."""
        self._audit.demand()
        fields = await submitted(request, self._audit)
        flow = cookies.flow_in(cookie_fields(request)).value
        browser = flow or self._random_text(cookies.FLOW_SIZE)
        visit = visit_of(request, fields, now=self._clock(), browser=browser)
        challenge_id = fields.get("c")
        if challenge_id is None:
            outcome = await self._step_ups.begin(visit, fields.get("method", ""))
            response = await self._response(request, visit, outcome)
            if flow is None and isinstance(outcome, SentAway):
                response.headers.add(hdrs.SET_COOKIE, cookies.setting(cookies.FLOW, browser))
            return response
        if fields.get("again") == "yes":
            return await self._response(request, visit, await self._step_ups.again(visit, challenge_id))
        return await self._response(
            request,
            visit,
            await self._step_ups.answer(visit, challenge_id, fields.get("code", ""), page=fields.get("page")),
        )

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GET step-up/status: for the script of the waiting page. At any state but `pending` the script sends
        the page's form, and the answer to that tells the person the result."""
        visit = visit_of(request, request.query, now=self._clock())
        outcome = await self._step_ups.standing(visit, request.query.get("c", ""))
        if outcome is None:
            raise Refused(Reason.NO_SESSION)
        state = "over" if isinstance(outcome, NotProved) else "answered" if outcome.is_answered else "pending"
        return web.json_response({"state": state}, dumps=lambda members: json.dumps(members) + "\n")

    def _choice(self, request: web.Request, visit: Visit, demand: Demand) -> web.Response:
        if demand.blocked_until is not None:
            wait = seconds_until(demand.blocked_until, visit.now)
            blocked = Particulars(wait=wait, step_up=visit_query(visit), ways=demand.offers)
            return self._refusals.answer(
                request, Reason.STEP_UP_BLOCKED, return_to=visit.return_to, about=blocked
            )
        if not demand.offers:
            needs_own = demand.change is not None and not demand.change.is_first
            impossible = Particulars(
                lacking=demand.lacking,
                withheld=demand.withheld,
                needs_own=needs_own,
                step_up=visit_query(visit),
            )
            return self._refusals.answer(
                request, Reason.STEP_UP_IMPOSSIBLE, return_to=visit.return_to, about=impossible
            )
        is_lost = request.query.get("lost") == "yes"
        return self._pages.answer(
            request,
            "step_up.html",
            here="step-up",
            keep=visit_query(visit) | ({"lost": "yes"} if is_lost else {}),
            demand=demand,
            path=return_to.shown(visit.return_to),
            is_lost=is_lost,
            is_for_methods=visit.return_to == return_to.SESSION_PAGE,
        )

    async def _response(
        self, request: web.Request, visit: Visit, outcome: Pending | SentAway | SteppedUp | NotProved | None
    ) -> web.Response:
        match outcome:
            case None:
                return sign_in_first(request, visit.return_to, visit.held)
            case Pending():
                challenge = outcome.standing.challenge
                if outcome.is_new:
                    self._record_issued(outcome.session, challenge.method)
                return _see_challenge(request, visit, challenge.challenge_id)
            case SentAway():
                self._record_issued(outcome.session, outcome.method)
                return web.Response(status=303, headers={hdrs.LOCATION: outcome.location})
            case SteppedUp():
                return self._answers.approved(request, outcome)
            case NotProved():
                return await self._not_proved(request, visit, outcome)
            case _:
                assert_never(outcome)

    async def _not_proved(self, request: web.Request, visit: Visit, outcome: NotProved) -> web.Response:
        self._answers.record(outcome)
        standing = outcome.standing
        if (
            standing is not None
            and standing.state_at(visit.now) is State.PENDING
            and outcome.reason in _CHALLENGE_STAYS_OPEN
            and request[CONTEXT].is_page_load
        ):
            return _see_challenge(request, visit, standing.challenge.challenge_id, said=outcome.reason.value)
        return self._answers.refusal_page(
            request, outcome, route=visit.route, ways=await self._methods_left(request, visit, outcome)
        )

    async def _methods_left(
        self, request: web.Request, visit: Visit, outcome: NotProved
    ) -> tuple[Offer, ...]:
        """The methods that still work while codes are blocked. The page that says so offers them."""
        if outcome.until is None or outcome.reason not in _BLOCKS or not request[CONTEXT].is_page_load:
            return ()
        route = visit.route if outcome.standing is None else outcome.standing.challenge.route
        demand = await self._step_ups.demand(
            replace(visit, return_to=outcome.return_to, held=outcome.held, route=route)
        )
        return () if demand is None else demand.offers

    def _challenge_page(
        self, request: web.Request, visit: Visit, outcome: Pending | NotProved | None
    ) -> web.Response:
        if outcome is None:
            return sign_in_first(request, visit.return_to, visit.held)
        if isinstance(outcome, NotProved):
            return self._answers.refusal_page(request, outcome, route=visit.route)
        challenge = outcome.standing.challenge
        request[RETURN_TO] = challenge.return_to
        return_query = {
            "rt": challenge.return_to,
            "for": challenge.route,
            **({} if challenge.held is None else {"held": challenge.held}),
        }
        is_on_phone = challenge.is_answered_on_phone
        reloads = is_on_phone and not outcome.is_answered and request.query.get("calm") != "yes"
        return self._pages.answer(
            request,
            "step_up_waiting.html" if is_on_phone else "step_up_code.html",
            here="step-up",
            keep={"c": challenge.challenge_id, **return_query, **({} if reloads else {"calm": "yes"})},
            challenge=challenge,
            page_name=self._random_text(PAGE_NAME_BYTES),
            tries_left=outcome.standing.tries_left,
            is_answered=outcome.is_answered,
            reloads=reloads,
            return_query=return_query,
            path=return_to.shown(challenge.return_to),
            said=_said(request.query),
            seconds_left=max(int((challenge.expires_at - visit.now).total_seconds()), 0),
            again_in=0
            if challenge.again_at is None or challenge.again_at <= visit.now
            else seconds_until(challenge.again_at, visit.now),
        )

    def _record_issued(self, session: Session, method: str) -> None:
        self._audit.record(Event.CHALLENGE_ISSUED, session=session, method=method)
        self._metrics.step_ups[method, "issued"] += 1


def _see_challenge(
    request: web.Request, visit: Visit, challenge_id: str, *, said: str | None = None
) -> web.Response:
    return see(
        request,
        "step-up",
        {"c": challenge_id, **visit_query(visit), **({} if said is None else {"said": said})},
    )


def _said(query: Mapping[str, str]) -> str | None:
    said = query.get("said")
    return said if said in _CHALLENGE_STAYS_OPEN else None
