"""A step-up, from the demand of a route to the session with a fresh proof: which methods are offered, how a
challenge is issued, and what an answer does.

The order of the steps of an answer is what makes it safe: the store counts the try, the method judges the
answer, the first right answer resolves the challenge, and only then does the session get the proof, under a
new ticket. A person is never told what was wrong with a code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from authproxy.access import policy
from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.limits import address_name, person_name
from authproxy.challenges.method import Method, Offer, ProofRequest, TooOften, Verdict
from authproxy.challenges.notices import Notices
from authproxy.flows.step_up.bound_requests import BoundRequest, BoundRequests, HeldRequestGone
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.elsewhere import MethodElsewhere
from authproxy.flows.step_up.method_changes import ChangeDemand, MethodChanges, asked_for, is_change
from authproxy.flows.step_up.outcomes import Demand, NotProved, Pending, SentAway, SteppedUp
from authproxy.flows.step_up.repeated_answers import RepeatedAnswers, SentForm, sent_form
from authproxy.flows.stores import AnswerLimits, ChallengeStore, SessionStore
from authproxy.flows.visit import Visit, session_of
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import GUESSABLE, STEP_UP_METHODS, AuthenticationEvent, Level, StepUpMethod
from authproxy.identity.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpRules:
    """`levels` are the methods that a person of each level may use; signing in again at the provider is open
    to everybody. `source` is the name under which this gateway vouches for proofs that it has judged
    itself."""

    levels: Mapping[int, frozenset[StepUpMethod]]
    tries: int
    source: str


_OPEN_TO_EVERYBODY: Final[frozenset[StepUpMethod]] = frozenset({"rekono"})
_OWN_FACTORS: Final[frozenset[StepUpMethod]] = frozenset({"push", "totp", "certificate", "recovery"})
"""The person's own factors. For a change of methods they are accepted at every level."""
_SESSION_PAGE: Final = "/.authproxy/session"
_AFTER_A_WRONG_CODE: Final = frozenset({State.PENDING, State.EXHAUSTED})
_LOOKS_AFTER: Final = 0.1
"""Seconds after which a click that waits for another one looks again."""
_MOST_LOOKS: Final = 150
"""Then the other one has lost its turn (`retention.ISSUING_TAKES`)."""
_MOST_LOOKS_AT_AN_ANSWER: Final = 30
"""A proof counts once, also if both are judged at the same time. Whoever tries again after a failure of the
store, which has kept the turn, must not wait until it ends."""
# RFC 8176 §2 has no value for a code from a sheet, which is closest to a one-time password, and none for a
# signature by a phone, which is a proof of possession of a key.
_AMR: Final[Mapping[StepUpMethod, tuple[str, ...]]] = {
    "sms": ("sms",),
    "totp": ("otp",),
    "push": ("pop",),
    "recovery": ("otp",),
}


_Outcome = TypeVar("_Outcome")


class _Methods(NamedTuple):
    """The methods that a route accepts, as they stand for one person."""

    offers: list[Offer]
    lacking: list[StepUpMethod]
    withheld: list[StepUpMethod]


class StepUpChallenges:
    """Every method raises CannotAsk, and returns None if the browser has no session at the portal."""

    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        sessions: SessionStore,
        challenges: ChallengeStore,
        limits: AnswerLimits,
        repeated_answers: RepeatedAnswers,
        elevations: Elevations,
        methods: Sequence[Method],
        elsewhere: Mapping[StepUpMethod, MethodElsewhere],
        method_changes: MethodChanges,
        portals: Mapping[str, Portal],
        portal_name: Callable[[str, str], str],
        rules: StepUpRules,
        describe_browser: Callable[[str], str],
        random_text: Callable[[int], str],
        notices: Notices | None = None,
        bound_requests: BoundRequests | None = None,
    ) -> None:
        """`portal_name(portal_id, locale)` is the portal's name for people; `random_text(n)` is n random
        bytes as URL-safe text. Routes that demand a proof for each request need `bound_requests`."""
        self._sessions = sessions
        self._challenges = challenges
        self._limits = limits
        self._repeated_answers = repeated_answers
        self._elevations = elevations
        self._methods = {method.name: method for method in methods}
        self._elsewhere = elsewhere
        self._method_changes = method_changes
        self._portals = portals
        self._portal_name = portal_name
        self._rules = rules
        self._describe_browser = describe_browser
        self._random_text = random_text
        self._notices = notices
        self._bound_requests = bound_requests

    async def demand(self, visit: Visit) -> Demand | None:
        """What the person must prove, and the methods that they can use for it."""
        session = await session_of(self._sessions, visit)
        return None if session is None else await self._demand(visit, session)

    async def begin(self, visit: Visit, method: str) -> Pending | SentAway | NotProved | None:
        """Asks for a proof by this method. If an equal challenge is still pending, it is returned: two tabs
        or a double click send one message."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        demand = await self._demand(visit, session)
        if not demand.is_readable:
            return _not_proved(visit, Reason.REQUEST_CANNOT_BE_BOUND, session)
        visit = replace(visit, binding=demand.binding, shown=demand.shown)
        chosen = next((offer.method for offer in demand.offers if offer.method == method), None)
        if demand.blocked_until is not None and method in GUESSABLE:
            return _not_proved(visit, Reason.STEP_UP_BLOCKED, session, until=demand.blocked_until)
        if chosen is None:
            return _not_proved(visit, Reason.STEP_UP_IMPOSSIBLE, session)
        await self._note_activity(visit)
        if chosen in self._elsewhere:
            return SentAway(
                await self._elsewhere[chosen].begin(visit, session, demand.route), chosen, session
            )
        return await self._in_turn(
            repr((session.session_id, *_wanted(visit, demand.route.name, chosen))),
            lambda _: self._pending_or_new(visit, session, demand.route, chosen),
        )

    async def standing(self, visit: Visit, challenge_id: str) -> Pending | NotProved | None:
        """The present state of a challenge, for its page and for the script that waits. Changes nothing."""
        own = await self._own_challenge(visit, challenge_id)
        if not isinstance(own, tuple):
            return own
        session, standing = own
        over = _over(visit, session, standing)
        if over is not None:
            return over
        is_answered = await self._phone_verdict(visit, session, standing.challenge) is not Verdict.WAITING
        return Pending(session, standing, is_new=False, is_answered=is_answered)

    async def again(self, visit: Visit, challenge_id: str) -> Pending | NotProved | None:
        """Sends another message. It belongs to a new challenge, and the earlier code no longer works. A
        second click meanwhile sends none."""
        own = await self._own_challenge(visit, challenge_id)
        if not isinstance(own, tuple):
            return own
        session, standing = own
        earlier = standing.challenge
        if earlier.again_at is None:
            return _over(visit, session, standing) or Pending(session, standing, is_new=False)
        visit = replace(
            visit,
            return_to=earlier.return_to,
            held=earlier.held,
            binding=earlier.binding,
            shown=earlier.shown,
        )
        until = None
        if earlier.method in GUESSABLE:
            until = await self._limits.blocked_until(_limit_names(visit, session), now=visit.now)
        if until is not None:
            return _not_proved(visit, Reason.STEP_UP_BLOCKED, session, standing=standing, until=until)
        return await self._in_turn(
            earlier.challenge_id,
            lambda had_to_wait: self._instead_of(visit, session, standing, had_to_wait=had_to_wait),
        )

    async def _instead_of(
        self, visit: Visit, session: Session, standing: Standing, *, had_to_wait: bool
    ) -> Pending | NotProved:
        earlier = standing.challenge
        if had_to_wait:
            others = await self._pending(session, _wanted(visit, earlier.route, earlier.method), visit.now)
            if others is not None and others.challenge.challenge_id != earlier.challenge_id:
                return Pending(session, others, is_new=False)
        method = self._methods[earlier.method]
        issued = await self._issue(visit, session, earlier.route, earlier.level, method)
        if isinstance(issued, NotProved):
            return replace(issued, standing=standing)
        if await self._challenges.resolve(earlier.challenge_id, State.EXPIRED, now=visit.now):
            await method.withdraw(earlier)
        return issued

    async def answer(
        self, visit: Visit, challenge_id: str, typed: str, *, page: str | None = None
    ) -> SteppedUp | Pending | NotProved | None:
        """Judges a typed code, or what the person's phone has answered (Pending: nothing yet). `page` is the
        random name of the page that was sent: a form that is sent twice is judged once, and both get the
        same answer."""
        form = sent_form(visit, challenge_id, typed, page)
        if form is None:
            return await self._judged(visit, challenge_id, typed, None)
        # Nobody who has no session makes the store keep anything, not even a turn.
        if await session_of(self._sessions, visit) is None:
            return await self._repeated_answers.find(form, visit)
        return await self._in_turn(
            form.name,
            lambda _: self._judged(visit, challenge_id, typed, form),
            most_looks=_MOST_LOOKS_AT_AN_ANSWER,
        )

    async def _judged(
        self, visit: Visit, challenge_id: str, typed: str, form: SentForm | None
    ) -> SteppedUp | Pending | NotProved | None:
        own = await self._own_challenge(visit, challenge_id)
        if not isinstance(own, tuple):
            again = None if form is None else await self._repeated_answers.find(form, visit)
            return own if again is None else again
        session, standing = own
        if (
            form is not None
            and standing.state_at(visit.now) in _AFTER_A_WRONG_CODE
            and await self._repeated_answers.was_wrong(form)
        ):
            return replace(await self._code_wrong(visit, session, standing), is_repeated=True)
        over = _over(visit, session, standing)
        if over is not None:
            return over
        if standing.challenge.is_answered_on_phone:
            return await self._judge_phone(visit, session, standing, form)
        return await self._judge_code(visit, session, standing, typed, form)

    # What is offered.

    async def _demand(self, visit: Visit, session: Session) -> Demand:
        change, bound_request = None, None
        if is_change(visit.route):
            change = await self._method_changes.demand(session.person, visit.route or "")
        route = self._route(visit, change)
        if self._bound_requests is not None and change is None:
            bound_request = await self._bound_requests.of(
                visit, session, self._portals[visit.portal_id], route
            )
        if isinstance(bound_request, HeldRequestGone):
            # There is no request left to prove for. The page of the held request tells the person so.
            return Demand(
                session=session, route=route, return_to=visit.return_to, held=visit.held, is_met=True
            )
        if bound_request is not None:
            route = bound_request.route
        methods = await self._methods_for(session, route, self._allowed(session, change))
        blocked_until = await self._blocked_until(visit, session, methods.offers)
        offers = [offer for offer in methods.offers if blocked_until is None or offer.method not in GUESSABLE]
        return Demand(
            session=session,
            route=route,
            return_to=visit.return_to,
            held=visit.held,
            lacking=tuple(methods.lacking),
            withheld=tuple(methods.withheld),
            offers=tuple(offers),
            change=change,
            is_met=await self._is_met(visit, session, route, change, bound_request),
            blocked_until=blocked_until,
            binding=None if bound_request is None else bound_request.binding,
            shown=() if bound_request is None else bound_request.shown or (),
            is_readable=bound_request is None or bound_request.shown is not None,
        )

    async def _methods_for(
        self, session: Session, route: Route, allowed: frozenset[StepUpMethod]
    ) -> _Methods:
        accepted = (route.requirement.step_up or StepUp()).methods
        methods = _Methods([], [], [])
        for name in STEP_UP_METHODS:
            if name not in accepted or (name not in self._methods and name not in self._elsewhere):
                continue
            offer = await (
                self._elsewhere[name].offer(session)
                if name in self._elsewhere
                else self._methods[name].offer(session.person)
            )
            if offer is None:
                if name in allowed:
                    methods.lacking.append(name)
            elif name in allowed and _worth(session, offer.level) >= route.requirement.level:
                methods.offers.append(offer)
            else:
                methods.withheld.append(name)
        return methods

    async def _is_met(
        self,
        visit: Visit,
        session: Session,
        route: Route,
        change: ChangeDemand | None,
        bound_request: BoundRequest | None,
    ) -> bool:
        if bound_request is not None and self._bound_requests is not None:
            return await self._bound_requests.is_proved(bound_request, session, visit)
        if change is not None:
            return change.proof_of(session, visit.now) is not None
        demand = route.requirement
        return demand.step_up is None or demand.step_up.is_met_by(session.events, visit.now, demand.level)

    async def _blocked_until(
        self, visit: Visit, session: Session, offers: Sequence[Offer]
    ) -> datetime | None:
        """When codes are accepted again after too many wrong ones. Such a block closes only the methods that
        can be guessed: otherwise somebody who has the person's password could lock them out of every method
        by five wrong codes."""
        if GUESSABLE.isdisjoint(offer.method for offer in offers):
            return None
        return await self._limits.blocked_until(_limit_names(visit, session), now=visit.now)

    def _allowed(self, session: Session, change: ChangeDemand | None) -> frozenset[StepUpMethod]:
        """The methods that the person's level of trust allows. For a change of methods each of their own
        factors is allowed, because the question is whether this is the same person, not how much they are
        trusted."""
        allowed = self._rules.levels.get(int(session.level), frozenset()) | _OPEN_TO_EVERYBODY
        return allowed if change is None else allowed | _OWN_FACTORS

    def _route(self, visit: Visit, change: ChangeDemand | None) -> Route:
        """The route that demands the proof: the one that the visit names, or the one that covers its path."""
        name = visit.route or ""
        if change is not None:
            step_up = StepUp(methods=change.methods, max_age=change.max_age)
            return Route(name=name, path=_SESSION_PAGE, requirement=Requirement(step_up=step_up))
        portal = self._portals[visit.portal_id]
        return (
            policy.named_route(portal, name)
            or policy.route_at(portal, "GET", visit.return_to)
            or portal.routes[-1]
        )

    async def _pending(
        self, session: Session, wanted: tuple[Hashable, ...], now: datetime
    ) -> Standing | None:
        """A pending challenge of this session that asks for exactly this."""
        for challenge_id in await self._challenges.current(session.session_id, now=now):
            standing = await self._challenges.find(challenge_id, now=now)
            if standing is None or standing.state_at(now) is not State.PENDING or standing.tries_left < 1:
                continue
            known = standing.challenge
            if wanted == (
                known.method,
                known.route,
                known.return_to,
                known.held,
                known.binding,
                known.shown,
            ):
                return standing
        return None

    # What is asked.

    async def _in_turn(
        self,
        name: str,
        serve: Callable[[bool], Coroutine[Any, Any, _Outcome]],
        *,
        most_looks: int = _MOST_LOOKS,
    ) -> _Outcome:
        """The outcome of `serve`. Of clicks with the same name, wherever they arrive, one is served after the
        other: a challenge is stored after its message was sent, and until then a second click would find no
        challenge, and would be told that messages are sent too often. The second click on an answer would
        find a code that is used. `serve` is told whether it had to wait for another click."""
        owner, looks = self._random_text(16), 1
        while not await self._challenges.take_turn(name, owner) and looks < most_looks:
            looks += 1
            await asyncio.sleep(_LOOKS_AFTER)
        try:
            return await serve(looks > 1)
        finally:
            with contextlib.suppress(CannotAsk):  # it ends by itself
                await self._challenges.end_turn(name, owner)

    async def _pending_or_new(
        self, visit: Visit, session: Session, route: Route, method: StepUpMethod
    ) -> Pending | NotProved:
        pending = await self._pending(session, _wanted(visit, route.name, method), visit.now)
        if pending is not None:
            return Pending(session, pending, is_new=False)
        return await self._issue(visit, session, route.name, route.requirement.level, self._methods[method])

    async def _issue(
        self, visit: Visit, session: Session, route: str, level: Level, method: Method
    ) -> Pending | NotProved:
        challenge_id = ChallengeId(self._random_text(16))
        request = ProofRequest(
            person=session.person,
            portal_id=visit.portal_id,
            portal_name=self._portal_name(visit.portal_id, visit.locale),
            origin=self._portals[visit.portal_id].origin,
            path=visit.return_to.partition("?")[0],
            browser=self._describe_browser(visit.user_agent),
            address=visit.address,
            locale=visit.locale,
            shown=visit.shown,
            level=level,
        )
        try:
            details = await method.issue(request, challenge_id, now=visit.now)
        except TooOften as refused:
            return _not_proved(
                visit, Reason.STEP_UP_TOO_OFTEN, session, method=method.name, until=refused.until
            )
        except CannotAsk as failure:
            if failure.reason is not Reason.SENDER_UNAVAILABLE:
                raise
            return _not_proved(visit, failure.reason, session, method=method.name, detail=str(failure))
        challenge = Challenge(
            challenge_id=challenge_id,
            method=method.name,
            session_id=session.session_id,
            portal=visit.portal_id,
            route=route,
            return_to=visit.return_to,
            held=visit.held,
            binding=visit.binding,
            shown=visit.shown,
            answer=details.answer,
            number=details.number,
            enrolment_id=details.enrolment_id,
            destination=details.destination,
            issued_at=visit.now,
            expires_at=visit.now + details.lives_for,
            again_at=None if details.again_after is None else visit.now + details.again_after,
            level=_worth(session, details.level),
        )
        await self._challenges.open(challenge, tries=self._rules.tries, now=visit.now)
        return Pending(
            session,
            Standing(challenge=challenge, state=State.PENDING, tries_left=self._rules.tries),
            is_new=True,
        )

    async def _phone_verdict(self, visit: Visit, session: Session, challenge: Challenge) -> Verdict:
        """What the phone has answered; WAITING while the service cannot be asked. Changes nothing: the
        browser's next POST resolves the challenge."""
        if not challenge.is_answered_on_phone:
            return Verdict.WAITING
        try:
            return await self._methods[challenge.method].verify(challenge, session.person, "", now=visit.now)
        except CannotAsk as failure:
            if failure.reason is not Reason.SENDER_UNAVAILABLE:
                raise
            return Verdict.WAITING

    # What an answer does.

    async def _judge_code(
        self, visit: Visit, session: Session, standing: Standing, typed: str, form: SentForm | None
    ) -> SteppedUp | NotProved | None:
        names = _limit_names(visit, session)
        until = await self._limits.try_answer(names, now=visit.now)
        if until is not None:
            return _not_proved(visit, Reason.STEP_UP_BLOCKED, session, standing=standing, until=until)
        counted = await self._challenges.count_try(standing.challenge.challenge_id, now=visit.now)
        if counted is None:
            return _not_proved(visit, Reason.CHALLENGE_OVER, session)
        if counted.state_at(visit.now) is not State.PENDING:
            if counted.state is State.APPROVED:
                # Another tab, or the first click of two, has just given the right answer.
                await self._limits.forgive(names[:1])
            return _not_proved(visit, Reason.CHALLENGE_OVER, session, standing=counted)
        method = self._methods[standing.challenge.method]
        if await method.verify(standing.challenge, session.person, typed, now=visit.now) is not Verdict.RIGHT:
            if counted.tries_left < 1:
                await self._challenges.resolve(
                    standing.challenge.challenge_id, State.EXHAUSTED, now=visit.now
                )
                counted = replace(counted, state=State.EXHAUSTED)
            if form is not None:
                await self._repeated_answers.keep_wrong(form)
            return await self._code_wrong(visit, session, counted)
        return await self._approve(visit, session, counted, form)

    async def _code_wrong(self, visit: Visit, session: Session, standing: Standing) -> NotProved:
        until = None
        if standing.state is State.EXHAUSTED:
            until = await self._limits.blocked_until(_limit_names(visit, session), now=visit.now)
        return _not_proved(visit, Reason.CODE_WRONG, session, standing=standing, until=until)

    async def _judge_phone(
        self, visit: Visit, session: Session, standing: Standing, form: SentForm | None
    ) -> SteppedUp | Pending | NotProved | None:
        challenge = standing.challenge
        verdict = await self._phone_verdict(visit, session, challenge)
        if verdict is Verdict.WAITING:
            return Pending(session, standing, is_new=False)
        if verdict is Verdict.RIGHT:
            return await self._approve(visit, session, standing, form)
        # A wrong number does not count as a wrong code: it was chosen on the person's own phone, not guessed
        # in a browser.
        await self._challenges.resolve(challenge.challenge_id, State.REFUSED, now=visit.now)
        return _not_proved(
            visit, Reason.PUSH_REFUSED, session, standing=replace(standing, state=State.REFUSED)
        )

    async def _approve(
        self, visit: Visit, session: Session, standing: Standing, form: SentForm | None
    ) -> SteppedUp | NotProved | None:
        challenge = standing.challenge
        if not await self._challenges.resolve(challenge.challenge_id, State.APPROVED, now=visit.now):
            return _not_proved(visit, Reason.CHALLENGE_OVER, session, standing=standing)
        if challenge.method in GUESSABLE:
            # Only a right code forgives wrong ones: with another proof, whoever has guessed would get new
            # tries.
            await self._limits.forgive(_limit_names(visit, session))

        event = AuthenticationEvent(
            method=challenge.method,
            at=visit.now,
            source=self._rules.source,
            amr=_AMR[challenge.method],
            is_step_up=True,
            level=_worth(session, challenge.level),
            asked_for=asked_for(challenge.route),
        )

        async def announce(ticket_text: str) -> None:
            if form is not None:
                await self._repeated_answers.keep(form, ticket_text, challenge)

        elevated = await self._elevations.add(
            visit.ticket_text or "",
            session,
            event,
            now=visit.now,
            binding=challenge.binding,
            announce=announce,
        )
        if elevated is None:
            return None
        ticket_text, stronger = elevated
        if challenge.method == "recovery" and self._notices is not None:
            # Somebody who finds the sheet needs nothing else, so its person must learn of every use.
            await self._notices.tell(
                session.person,
                change="used",
                method="recovery",
                portal_id=visit.portal_id,
                locale=visit.locale,
            )
        return SteppedUp(ticket_text, stronger, challenge.method, challenge.return_to, challenge.held)

    async def _note_activity(self, visit: Visit) -> None:
        ticket = tickets.parse(visit.ticket_text)
        if ticket is not None:
            await self._sessions.touch(ticket, now=visit.now)

    async def _own_challenge(
        self, visit: Visit, challenge_id: str
    ) -> tuple[Session, Standing] | NotProved | None:
        """The session and its challenge. A challenge of another session or portal, and one that never
        existed, are answered alike: it is over."""
        session = await session_of(self._sessions, visit)
        if session is None:
            return None
        standing = await self._challenges.find(ChallengeId(challenge_id), now=visit.now)
        if standing is None or (standing.challenge.session_id, standing.challenge.portal) != (
            session.session_id,
            visit.portal_id,
        ):
            return _not_proved(visit, Reason.CHALLENGE_OVER, session)
        return session, standing


def _wanted(visit: Visit, route: str, method: StepUpMethod) -> tuple[Hashable, ...]:
    """What a challenge asks for. Challenges of one session that ask for the same are interchangeable."""
    return method, route, visit.return_to, visit.held, visit.binding, visit.shown


def _limit_names(visit: Visit, session: Session) -> tuple[str, ...]:
    """The names under which a wrong code is counted: the person, and the address, unless it is a proxy's that
    everybody behind it shares."""
    person = person_name(owner_of(session.person))
    return (person, address_name(visit.address)) if visit.is_counted_by_address else (person,)


def _worth(session: Session, level: Level | None) -> Level:
    """What a proof is worth. It is at most the session's level: a step-up raises nobody's level."""
    return session.level if level is None else min(session.level, level)


def _over(visit: Visit, session: Session, standing: Standing) -> NotProved | None:
    """The outcome of a challenge that is no longer pending."""
    state = standing.state_at(visit.now)
    if state is State.PENDING:
        return None
    reason = Reason.PUSH_REFUSED if state is State.REFUSED else Reason.CHALLENGE_OVER
    return _not_proved(visit, reason, session, standing=standing)


def _not_proved(
    visit: Visit,
    reason: Reason,
    session: Session,
    *,
    standing: Standing | None = None,
    method: StepUpMethod | None = None,
    until: datetime | None = None,
    detail: str = "",
) -> NotProved:
    challenge = None if standing is None else standing.challenge
    return NotProved(
        reason=reason,
        return_to=visit.return_to if challenge is None else challenge.return_to,
        session=session,
        standing=standing,
        held=visit.held if challenge is None else challenge.held,
        method=method if challenge is None else challenge.method,
        state=None if standing is None else standing.state_at(visit.now),
        until=until,
        detail=detail,
    )
