"""What all sign-ins have in common, by whatever method: an attempt is this browser's and is taken once, and
it ends in a session under a new ticket."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.combination import BETWEEN_NAMES
from authproxy.access.decision import Reason
from authproxy.access.routes import Claim, Members
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import NotAdmitted, changed_meanwhile
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.flows.stores import AttemptStore, SessionStore
from authproxy.flows.visit import Visit, session_of
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import AuthenticationEvent, Level, SignInMethod
from authproxy.identity.attempt import SECRET_SIZE as ATTEMPT_SECRET_SIZE
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import MemberId, Person
from authproxy.identity.session import Session, SessionId
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket

_CALLBACK: Final = "/.authproxy/callback/"
_GO_ON_SIGNED_IN: Final = frozenset({Reason.ATTEMPT_USED, Reason.ATTEMPT_TOO_OLD, Reason.ATTEMPT_UNKNOWN})
"""Refusals of a sign-in that are not shown to a browser that has a session: it just goes on."""
_GO_ON_PROVED: Final = frozenset({Reason.ATTEMPT_USED})
"""The same for attempts that were to bring a proof. One that is too old is shown, because the page behind it
would ask for the proof again, without a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDemand:
    """What a portal demands of a sign-in, and how long its sessions live."""

    portal_id: str
    origin: str
    required_claims: tuple[Claim, ...]
    level: Level
    idle_for: timedelta
    absolute_lifetime: timedelta
    members: Members = "anyone"
    route_levels: Mapping[str, Level] = field(default_factory=dict)
    """The level that each route demands, by the route's name: for proofs that are made for one route."""

    def callback(self, method: SignInMethod) -> str:
        """The address to which the browser comes back."""
        return f"{self.origin}{_CALLBACK}{method}"

    def level_at(self, route: str) -> Level:
        """The level that the route of this name demands; the portal's if there is none. A combined route
        demands the highest of its parts."""
        return max(self.route_levels.get(part, self.level) for part in route.split(BETWEEN_NAMES))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody is signed in. The ticket is for their browser alone."""

    ticket_text: str = field(repr=False)
    return_to: str
    session: Session
    is_new_link: bool = False
    """The account has just been linked to a person of the register."""
    held: str | None = field(default=None, repr=False)
    """The held request that waited for a sign-in. It may be somebody else's."""


@dataclass(frozen=True, slots=True)
class AlreadySignedIn:
    """The attempt is used or stale, and the browser has a session: nothing has happened, and the person goes
    on. `held` is the request that waited for a proof, if there was one."""

    return_to: str
    held: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody was signed in. `detail` is for operators and holds no secret. `provider_error` is the provider's
    error code, if it is a registered one. `person` is known where the protocol had succeeded. The levels are
    there where one is below the other."""

    reason: Reason
    return_to: str
    missing: tuple[str, ...] = ()
    detail: str = ""
    provider_error: str | None = None
    person: Person | None = field(default=None, repr=False)
    level: Level | None = None
    level_needed: Level | None = None
    by_register: NotAdmitted | None = field(default=None, repr=False)
    """What the register answered, if it was the one to refuse."""
    held: str | None = field(default=None, repr=False)
    """The held request that still waits for a sign-in."""


RegisterAnswer = tuple[MemberId | None, tuple[str, ...]]
"""Who somebody is in the register, and their roles at the portal."""
SignInOutcome = SignedIn | AlreadySignedIn | SignInRefused | SteppedUp | NotProved
"""The last two end an attempt that was to bring a proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedSignIn:
    """Who has signed in, and by what. `id_token` is the provider's, a hint for its logout. After `ends_at`
    the evidence is worth nothing, and the session ends."""

    person: Person
    method: SignInMethod
    level: Level
    event: AuthenticationEvent
    ends_at: datetime | None = None
    id_token: str | None = field(default=None, repr=False)
    provider_session: str | None = field(default=None, repr=False)
    roles: tuple[str, ...] = ()
    """What the register gives them at the portal."""
    claims: tuple[Claim, ...] = ()
    """Which data of the person were stated."""
    grant: str | None = field(default=None, repr=False)
    """As `Session.grant`."""


Greeting = Callable[[Session], Awaitable[None]]


async def _no_greeting(_session: Session) -> None:
    return


class SignIns:
    """Every method that waits raises CannotAsk."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        sessions: SessionStore,
        attempt_for: timedelta,
        random_bytes: Callable[[int], bytes],
        random_text: Callable[[int], str],
        describe_browser: Callable[[str], str],
        greet: Greeting = _no_greeting,
    ) -> None:
        """`attempt_for` is how long an attempt may take. `random_text(n)` gives URL-safe text made of n
        random bytes. `greet` is called with every new session, and raises nothing."""
        self._attempts = attempts
        self._sessions = sessions
        self._attempt_for = attempt_for
        self._random_bytes = random_bytes
        self._random_text = random_text
        self._describe_browser = describe_browser
        self._greet = greet

    def sign_in_attempt(self, visit: Visit, method: SignInMethod) -> Attempt:
        """A new attempt of this browser to sign in."""
        return self._attempt(visit, method, held=visit.held)

    def proof_attempt(self, visit: Visit, method: SignInMethod, session: Session, route: str) -> Attempt:
        """A new attempt to bring this session a proof, which the route demands."""
        return self._attempt(
            visit,
            method,
            step_up_of=session.session_id,
            route=route,
            held=visit.held,
            binding=visit.binding,
        )

    def _attempt(
        self,
        visit: Visit,
        method: SignInMethod,
        *,
        step_up_of: SessionId | None = None,
        route: str = "",
        held: str | None = None,
        binding: str | None = None,
    ) -> Attempt:
        return Attempt(
            portal=visit.portal_id,
            return_to=visit.return_to,
            browser=visit.browser or "",
            secret=self._random_text(ATTEMPT_SECRET_SIZE),
            opened_at=visit.now,
            method=method,
            step_up_of=step_up_of,
            route=route,
            held=held,
            binding=binding,
        )

    async def taken(
        self, attempt: Attempt | None, visit: Visit, method: SignInMethod
    ) -> Attempt | AlreadySignedIn | SignInRefused | NotProved:
        """The attempt, if it is of this method, this portal and this browser, young and unused. From then on
        nobody can take it again.

        A browser without a flow cookie leaves the attempt as it is, and the proof that it brings is not
        looked at. So a program that follows addresses (a mail scanner, a preview) keeps nobody from signing
        in. An attempt ends in a session only in the browser that began it.

        A browser with another flow cookie spends the attempt. An attacker may have begun it and made this
        browser's person prove themselves on it. The address with that proof must be worth nothing in the
        attacker's own browser afterwards.

        A used or stale attempt in a browser that is signed in is passed over in silence: the tab was
        restored, or somebody pressed the back button.
        """
        if attempt is None:
            return await self._or_signed_in(SignInRefused(Reason.ATTEMPT_UNKNOWN, "/"), visit)
        refused = await self._refusal(attempt, visit, method)
        if refused is None:
            return attempt
        return await self._or_signed_in(refused, visit)

    async def _refusal(
        self, attempt: Attempt, visit: Visit, method: SignInMethod
    ) -> SignInRefused | NotProved | None:
        """Takes the attempt, unless it is too old or the browser has no flow cookie. Why it cannot be
        completed; None if it can."""
        is_too_old = visit.now - attempt.opened_at > self._attempt_for
        failure: CannotAsk | None = None
        is_first = False
        if not is_too_old and visit.browser is not None:
            try:
                is_first = await self._attempts.take(
                    attempt, good_until=attempt.opened_at + self._attempt_for, now=visit.now
                )
            except CannotAsk as failed:
                failure = failed
        # Nothing has shown yet that the attempt is this browser's. Another browser must not learn where the
        # attempt's person wanted to go, so these refusals lead to `/`.
        if attempt.portal != visit.portal_id or attempt.method != method:
            return SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
        if visit.browser is None:
            return SignInRefused(Reason.COOKIES_OFF, "/")
        # OpenID Connect Core §3.1.2.1: `state` is bound to a cookie of the browser, against forged responses
        # (RFC 9700 §4.7).
        if not hmac.compare_digest(attempt.browser.encode(), visit.browser.encode()):
            return SignInRefused(Reason.ATTEMPT_OF_ANOTHER_BROWSER, "/")
        if is_too_old:
            return attempt_failed(attempt, Reason.ATTEMPT_TOO_OLD)
        if failure is not None:
            return attempt_failed(attempt, failure.reason, detail=str(failure))
        return None if is_first else attempt_failed(attempt, Reason.ATTEMPT_USED)

    async def _or_signed_in(
        self, refused: SignInRefused | NotProved, visit: Visit
    ) -> AlreadySignedIn | SignInRefused | NotProved:
        """The refusal, or the way on for a browser that has a session and need not be told."""
        silent = _GO_ON_SIGNED_IN if isinstance(refused, SignInRefused) else _GO_ON_PROVED
        if refused.reason not in silent or visit.browser is None or await self.session_of(visit) is None:
            return refused
        return AlreadySignedIn(refused.return_to, refused.held if isinstance(refused, NotProved) else None)

    async def session_of(self, visit: Visit) -> Session | None:
        """The session that the browser has at the portal."""
        return await session_of(self._sessions, visit)

    async def start(
        self, proved: ProvedSignIn, attempt: Attempt, demand: SignInDemand, visit: Visit, *, now: datetime
    ) -> SignedIn:
        """Stores the new session, and ends the one that the browser had."""
        ticket = SessionTicket(self._random_bytes(IDENTIFIER_SIZE), self._random_bytes(SECRET_SIZE))
        session = Session(
            session_id=ticket.session_id,
            portal=attempt.portal,
            person=proved.person,
            method=proved.method,
            level=proved.level,
            events=(proved.event,),
            started_at=now,
            expires_at=min(filter(None, (now + demand.absolute_lifetime, proved.ends_at))),
            idle_for=demand.idle_for,
            id_token=proved.id_token,
            provider_session=proved.provider_session,
            roles=proved.roles,
            claims=proved.claims,
            grant=proved.grant,
        )
        await self._sessions.create(
            ticket, session, browser=self._describe_browser(visit.user_agent), now=now
        )
        await self.end_previous(visit)
        await self._count_sign_in(attempt.browser, now)
        await self._greet(session)
        return SignedIn(ticket.text, attempt.return_to, session, held=attempt.held)

    async def confirmed(
        self, signed_in: SignedIn, *, first: RegisterAnswer, second: RegisterAnswer | SignInRefused
    ) -> SignedIn | SignInRefused:
        """The session, if the register gives the same answer after it was stored (`second`) as before
        (`first`); otherwise the session ends. Of a block or a lost role in between, either the operator's
        command finds the session, or the second question finds the change."""
        if second == first:
            return signed_in
        await self._sessions.revoke(signed_in.session.session_id)
        if isinstance(second, SignInRefused):
            return second
        raise changed_meanwhile()

    async def end_previous(self, visit: Visit) -> None:
        """Ends the session that the browser had: another person may have signed in."""
        previous = tickets.parse(visit.ticket_text)
        if previous is not None:
            await self._sessions.revoke(previous.session_id)

    async def _count_sign_in(self, browser: str, now: datetime) -> None:
        try:
            await self._attempts.note_sign_in(browser, now=now)
        except CannotAsk:
            return  # only the count is lost by which a loop of sign-ins is found


def attempt_failed(attempt: Attempt, reason: Reason, *, detail: str = "") -> SignInRefused | NotProved:
    """The outcome of an attempt that was given up before anybody looked at what it has brought."""
    if attempt.step_up_of is None:
        return SignInRefused(reason, attempt.return_to, detail=detail, held=attempt.held)
    return not_proved(attempt, reason, detail=detail)
