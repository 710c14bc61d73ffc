"""A fresh proof inside a session, from the demand of a route to the stronger session: what is offered, what
is asked, what an answer does.

The order of an answer is the security of it: the try is counted where the counts live, then judged, then the
challenge is resolved by the first who may, and only then does the session gain a proof, under a new ticket.
Everything a person may get wrong is told in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.method import Asked, Method, Offer, TooOften, Verdict
from authproxy.challenges.names import address_name, person_name
from authproxy.challenges.notices import Tells
from authproxy.flows.step_up.bound_requests import BoundRequest, BoundRequests, Gone
from authproxy.flows.step_up.method_changes import ChangeDemand, MethodChanges, asked_for, is_change
from authproxy.flows.step_up.outcomes import Demand, Issued, NotProved, SentAway, SteppedUp
from authproxy.flows.stores import SessionStore
from authproxy.flows.visit import Visit, session_of
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import GUESSABLE, STEP_UP_METHODS, AuthenticationEvent, Level, StepUpMethod
from authproxy.identity.session import Session, SessionId


class Challenges(Protocol):
    async def open(self, challenge: Challenge, *, tries: int, now: datetime) -> None: ...
    async def find(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None: ...
    async def count_try(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None: ...
    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool: ...
    async def current(self, session_id: SessionId, *, now: datetime) -> Sequence[ChallengeId]: ...


class Limits(Protocol):
    async def try_answer(self, names: Sequence[str], *, now: datetime) -> datetime | None: ...
    async def forgive(self, names: Sequence[str]) -> None: ...
    async def blocked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None: ...


class Elevations(Protocol):
    async def add(
        self,
        ticket_text: str,
        session: Session,
        event: AuthenticationEvent,
        *,
        now: datetime,
        binding: str | None = None,
    ) -> tuple[str, Session] | None: ...


class Elsewhere(Protocol):
    """A method whose proof is made at another place, from which the browser comes back to one of our
    callbacks."""

    async def offer(self, session: Session) -> Offer | None: ...
    async def begin(self, visit: Visit, session: Session, route: Route) -> str:
        """Where the browser goes. Raises CannotAsk."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpRules:
    """`levels` says which methods a person of a level may use; signing in again at the provider needs none.
    `source` is the name under which this gateway vouches for proofs that it has taken itself."""

    levels: Mapping[int, frozenset[StepUpMethod]]
    tries: int
    source: str


_EVERYBODYS: Final[frozenset[StepUpMethod]] = frozenset({"rekono"})
_OWN: Final[frozenset[StepUpMethod]] = frozenset({"push", "totp", "certificate", "recovery"})
"""Factors of one's own, which prove for a change of methods at every level."""
_OWN_PAGE: Final = "/.authproxy/session"
# RFC 8176 §2. A phone's signature and a code on paper have no words of their own: possession of a key, and a
# password that is good once.
_AMR: Final[Mapping[StepUpMethod, tuple[str, ...]]] = {
    "sms": ("sms",),
    "totp": ("otp",),
    "push": ("pop",),
    "recovery": ("otp",),
}


class StepUps:
    """Every method raises CannotAsk, and gives None where nobody is signed in at the portal."""

    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        sessions: SessionStore,
        challenges: Challenges,
        limits: Limits,
        elevations: Elevations,
        methods: Sequence[Method],
        elsewhere: Mapping[StepUpMethod, Elsewhere],
        changes: MethodChanges,
        portals: Mapping[str, Portal],
        portal_names: Callable[[str, str], str],
        rules: StepUpRules,
        describe_browser: Callable[[str], str],
        fresh: Callable[[int], str],
        notices: Tells | None = None,
        bound: BoundRequests | None = None,
    ) -> None:
        """`portal_names(portal_id, locale)` is what people call a portal; `fresh(n)` is URL-safe text of n
        random bytes. `bound` is needed where a route demands a proof for each request."""
        self._sessions = sessions
        self._challenges = challenges
        self._limits = limits
        self._elevations = elevations
        self._methods = {method.method: method for method in methods}
        self._elsewhere = elsewhere
        self._changes = changes
        self._portals = portals
        self._portal_names = portal_names
        self._rules = rules
        self._describe_browser = describe_browser
        self._fresh = fresh
        self._notices = notices
        self._bound = bound

    async def demand(self, visit: Visit) -> Demand | None:
        """What the place demands of the person, and what they can prove it with."""
        session = await session_of(self._sessions, visit)
        return None if session is None else await self._demand(visit, session)

    async def begin(self, visit: Visit, method: str) -> Issued | SentAway | NotProved | None:
        """Asks for a proof by this method. A challenge of the same kind for the same place that still waits
        is not made again: two tabs and a second click send one message."""
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
        waiting = await self._waiting(visit, session, demand.route, chosen)
        if waiting is not None:
            return Issued(session, waiting, is_new=False)
        return await self._issue(
            visit, session, demand.route.name, demand.route.requirement.level, self._methods[chosen]
        )

    async def standing(self, visit: Visit, challenge_id: str) -> Issued | NotProved | None:
        """The challenge as it stands: for its page, and for the script that waits. Changes nothing."""
        found = await self._of_session(visit, challenge_id)
        if not isinstance(found, tuple):
            return found
        session, standing = found
        over = _over(visit, session, standing)
        if over is not None:
            return over
        is_answered = await self._phone_says(visit, session, standing.challenge) is not Verdict.WAITING
        return Issued(session, standing, is_new=False, is_answered=is_answered)

    async def again(self, visit: Visit, challenge_id: str) -> Issued | NotProved | None:
        """Another message in the place of the one before, whose code is worth nothing from then on."""
        found = await self._of_session(visit, challenge_id)
        if not isinstance(found, tuple):
            return found
        session, standing = found
        earlier = standing.challenge
        if earlier.again_at is None:
            return _over(visit, session, standing) or Issued(session, standing, is_new=False)
        visit = replace(
            visit,
            return_to=earlier.return_to,
            held=earlier.held,
            binding=earlier.binding,
            shown=earlier.shown,
        )
        until = None
        if earlier.method in GUESSABLE:
            until = await self._limits.blocked_until(self._names(visit, session), now=visit.now)
        if until is not None:
            return _not_proved(visit, Reason.STEP_UP_BLOCKED, session, standing=standing, until=until)
        method = self._methods[earlier.method]
        issued = await self._issue(visit, session, earlier.route, earlier.level, method)
        if isinstance(issued, Issued) and await self._challenges.resolve(
            earlier.challenge_id, State.EXPIRED, now=visit.now
        ):
            await method.withdraw(earlier)
        return replace(issued, standing=standing) if isinstance(issued, NotProved) else issued

    async def answer(
        self, visit: Visit, challenge_id: str, typed: str
    ) -> SteppedUp | Issued | NotProved | None:
        """Judges an answer; for a notification, looks whether the phone has given one (Issued: not yet)."""
        found = await self._of_session(visit, challenge_id)
        if not isinstance(found, tuple):
            return found
        session, standing = found
        over = _over(visit, session, standing)
        if over is not None:
            return over
        return await (self._look if standing.challenge.method == "push" else self._judge)(
            visit, session, standing, typed
        )

    # What is offered.

    async def _demand(self, visit: Visit, session: Session) -> Demand:
        change = (
            await self._changes.demand(session.person, visit.route or "") if is_change(visit.route) else None
        )
        route = self._route(visit, change)
        request = None
        if self._bound is not None and change is None:
            request = await self._bound.of(visit, session, self._portals[visit.portal_id], route)
        if isinstance(request, Gone):
            # Nothing is left that a proof could be for; the page of the form says so.
            return Demand(
                session=session, route=route, return_to=visit.return_to, held=visit.held, is_met=True
            )
        route = route if request is None else request.route
        wanted = route.requirement.step_up or StepUp()
        allowed = self._allowed(session, change)
        offers: list[Offer] = []
        lacking: list[StepUpMethod] = []
        withheld: list[StepUpMethod] = []
        for name in STEP_UP_METHODS:
            if name not in wanted.methods or (name not in self._methods and name not in self._elsewhere):
                continue
            is_allowed = name in allowed
            offer = await (
                self._elsewhere[name].offer(session)
                if name in self._elsewhere
                else self._methods[name].offer(session.person)
            )
            if offer is None:
                lacking += [name] if is_allowed else []
            elif is_allowed and _worth(session, offer.level) >= route.requirement.level:
                offers.append(offer)
            else:
                withheld.append(name)
        blocked_until = await self._blocked_until(visit, session, offers)
        return Demand(
            session=session,
            route=route,
            return_to=visit.return_to,
            held=visit.held,
            lacking=tuple(lacking),
            withheld=tuple(withheld),
            offers=tuple(offer for offer in offers if blocked_until is None or offer.method not in GUESSABLE),
            change=change,
            is_met=await self._is_met(visit, session, route, change, request),
            blocked_until=blocked_until,
            binding=None if request is None else request.binding,
            shown=() if request is None else request.shown or (),
            is_readable=request is None or request.shown is not None,
        )

    async def _is_met(
        self,
        visit: Visit,
        session: Session,
        route: Route,
        change: ChangeDemand | None,
        request: BoundRequest | None,
    ) -> bool:
        if request is not None and self._bound is not None:
            return await self._bound.is_proved(request, session, visit)
        return _is_met(session, route, change, visit.now)

    async def _blocked_until(
        self, visit: Visit, session: Session, offers: Sequence[Offer]
    ) -> datetime | None:
        """Until when none of these that can be guessed is open. A block closes nothing else: otherwise
        whoever signs in with somebody's password could keep that person from every way, by five wrong
        codes."""
        if GUESSABLE.isdisjoint(offer.method for offer in offers):
            return None
        return await self._limits.blocked_until(self._names(visit, session), now=visit.now)

    def _allowed(self, session: Session, change: ChangeDemand | None) -> frozenset[StepUpMethod]:
        """The methods that this person's level of trust allows. Whoever changes their ways to confirm may
        prove any of them: what is asked is whether the person is the same, and not how much they are
        trusted."""
        allowed = self._rules.levels.get(int(session.level), frozenset()) | _EVERYBODYS
        return allowed if change is None else allowed | _OWN

    def _route(self, visit: Visit, change: ChangeDemand | None) -> Route:
        """The route that demands the proof: the named one, or the one that covers the place."""
        own = visit.route or ""
        if change is not None:
            step_up = StepUp(methods=change.methods, max_age=change.max_age)
            return Route(name=own, path=_OWN_PAGE, requirement=Requirement(step_up=step_up))
        portal = self._portals[visit.portal_id]
        named = next((route for route in portal.routes if route.name == own), None)
        path = visit.return_to.partition("?")[0]
        return named or portal.route(path, "GET") or portal.routes[-1]

    async def _waiting(
        self, visit: Visit, session: Session, route: Route, method: StepUpMethod
    ) -> Standing | None:
        for challenge_id in await self._challenges.current(session.session_id, now=visit.now):
            standing = await self._challenges.find(challenge_id, now=visit.now)
            if (
                standing is None
                or standing.state_at(visit.now) is not State.PENDING
                or standing.tries_left < 1
            ):
                continue
            known = standing.challenge
            asked_for = (method, route.name, visit.return_to, visit.held, visit.binding, visit.shown)
            if (
                known.method,
                known.route,
                known.return_to,
                known.held,
                known.binding,
                known.shown,
            ) == asked_for:
                return standing
        return None

    # What is asked.

    async def _issue(
        self, visit: Visit, session: Session, route: str, level: Level, method: Method
    ) -> Issued | NotProved:
        challenge_id = ChallengeId(self._fresh(16))
        asked = Asked(
            person=session.person,
            portal_id=visit.portal_id,
            portal_name=self._portal_names(visit.portal_id, visit.locale),
            origin=self._portals[visit.portal_id].origin,
            place=visit.return_to.partition("?")[0],
            browser=self._describe_browser(visit.user_agent),
            address=visit.address,
            locale=visit.locale,
            shown=visit.shown,
            level=level,
        )
        try:
            issue = await method.issue(asked, challenge_id, now=visit.now)
        except TooOften as refused:
            return _not_proved(
                visit, Reason.STEP_UP_TOO_OFTEN, session, method=method.method, until=refused.until
            )
        except CannotAsk as failure:
            if failure.reason is not Reason.SENDER_UNAVAILABLE:
                raise
            return _not_proved(visit, failure.reason, session, method=method.method, found=str(failure))
        challenge = Challenge(
            challenge_id=challenge_id,
            method=method.method,
            session_id=session.session_id,
            portal=visit.portal_id,
            route=route,
            return_to=visit.return_to,
            held=visit.held,
            binding=visit.binding,
            shown=visit.shown,
            answer=issue.answer,
            number=issue.number,
            enrolment_id=issue.enrolment_id,
            destination=issue.destination,
            issued_at=visit.now,
            expires_at=visit.now + issue.lives_for,
            again_at=None if issue.again_after is None else visit.now + issue.again_after,
            level=_worth(session, issue.level),
        )
        await self._challenges.open(challenge, tries=self._rules.tries, now=visit.now)
        return Issued(
            session,
            Standing(challenge=challenge, state=State.PENDING, tries_left=self._rules.tries),
            is_new=True,
        )

    async def _phone_says(self, visit: Visit, session: Session, challenge: Challenge) -> Verdict:
        """What the phone has answered, and nothing while nobody can say. Looking spends nothing: the
        browser's next POST resolves it."""
        if challenge.method != "push":
            return Verdict.WAITING
        try:
            return await self._methods["push"].verify(challenge, session.person, "", now=visit.now)
        except CannotAsk as failure:
            if failure.reason is not Reason.SENDER_UNAVAILABLE:
                raise
            return Verdict.WAITING

    # What an answer does.

    async def _judge(
        self, visit: Visit, session: Session, standing: Standing, typed: str
    ) -> SteppedUp | NotProved | None:
        names = self._names(visit, session)
        until = await self._limits.try_answer(names, now=visit.now)
        if until is not None:
            return _not_proved(visit, Reason.STEP_UP_BLOCKED, session, standing=standing, until=until)
        counted = await self._challenges.count_try(standing.challenge.challenge_id, now=visit.now)
        if counted is None:
            return _not_proved(visit, Reason.CHALLENGE_OVER, session)
        if counted.state_at(visit.now) is not State.PENDING:
            if counted.state is State.APPROVED:
                await self._limits.forgive(
                    names[:1]
                )  # answered rightly at this very moment, by another tab or a second click
            return _not_proved(visit, Reason.CHALLENGE_OVER, session, standing=counted)
        method = self._methods[standing.challenge.method]
        if await method.verify(standing.challenge, session.person, typed, now=visit.now) is not Verdict.RIGHT:
            if counted.tries_left < 1:
                await self._challenges.resolve(
                    standing.challenge.challenge_id, State.EXHAUSTED, now=visit.now
                )
                counted = replace(counted, state=State.EXHAUSTED)
                until = await self._limits.blocked_until(names, now=visit.now)
            return _not_proved(visit, Reason.CODE_WRONG, session, standing=counted, until=until)
        return await self._approve(visit, session, counted)

    async def _look(
        self, visit: Visit, session: Session, standing: Standing, _typed: str
    ) -> SteppedUp | Issued | NotProved | None:
        challenge = standing.challenge
        verdict = await self._phone_says(visit, session, challenge)
        if verdict is Verdict.WAITING:
            return Issued(session, standing, is_new=False)
        if verdict is Verdict.RIGHT:
            return await self._approve(visit, session, standing)
        # A wrong number is not counted with wrong codes: it was chosen on the person's own phone, not guessed
        # in a browser.
        await self._challenges.resolve(challenge.challenge_id, State.REFUSED, now=visit.now)
        return _not_proved(
            visit, Reason.PUSH_REFUSED, session, standing=replace(standing, state=State.REFUSED)
        )

    async def _approve(
        self, visit: Visit, session: Session, standing: Standing
    ) -> SteppedUp | NotProved | None:
        challenge = standing.challenge
        if not await self._challenges.resolve(challenge.challenge_id, State.APPROVED, now=visit.now):
            return _not_proved(visit, Reason.CHALLENGE_OVER, session, standing=standing)
        if (
            challenge.method in GUESSABLE
        ):  # another proof says nothing about who has guessed, and must not give them new tries
            await self._limits.forgive(self._names(visit, session))
        event = AuthenticationEvent(
            method=challenge.method,
            at=visit.now,
            source=self._rules.source,
            amr=_AMR[challenge.method],
            is_step_up=True,
            level=_worth(session, challenge.level),
            asked_for=asked_for(challenge.route),
        )
        elevated = await self._elevations.add(
            visit.ticket_text or "", session, event, now=visit.now, binding=challenge.binding
        )
        if elevated is None:
            return None
        ticket_text, stronger = elevated
        if challenge.method == "recovery" and self._notices is not None:
            # Whoever has found the sheet has everything that its person has.
            await self._notices.tell(
                session.person,
                change="used",
                method="recovery",
                portal_id=visit.portal_id,
                locale=visit.locale,
            )
        return SteppedUp(ticket_text, stronger, challenge.method, challenge.return_to, challenge.held)

    # Who and which.

    async def _note_activity(self, visit: Visit) -> None:
        ticket = tickets.parse(visit.ticket_text)
        if ticket is not None:
            await self._sessions.touch(ticket, now=visit.now)

    async def _of_session(
        self, visit: Visit, challenge_id: str
    ) -> tuple[Session, Standing] | NotProved | None:
        """The session and its challenge. Another session's, another portal's and one that never was are the
        same: over."""
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

    @staticmethod
    def _names(visit: Visit, session: Session) -> tuple[str, ...]:
        """The person, and the address unless it is one that everybody behind a proxy shares."""
        person = person_name(owner_of(session.person))
        return (person, address_name(visit.address)) if visit.is_counted_by_address else (person,)


def _worth(session: Session, level: Level | None) -> Level:
    """What a proof is worth that is good for this level at most: a step-up raises nobody's."""
    return session.level if level is None else min(session.level, level)


def _is_met(session: Session, route: Route, change: ChangeDemand | None, now: datetime) -> bool:
    if change is not None:
        return change.proof_of(session, now) is not None
    demand = route.requirement
    return demand.step_up is None or demand.step_up.is_met_by(session.events, now, demand.level)


def _over(visit: Visit, session: Session, standing: Standing) -> NotProved | None:
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
    found: str = "",
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
        found=found,
    )
