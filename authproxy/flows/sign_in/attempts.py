"""What all sign-ins have in common, whoever vouches for the person: the attempt is this browser's and is
taken once, and it ends in a session under a ticket that nobody has seen before."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim, Members
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import NotAdmitted, changed_meanwhile
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.flows.stores import SessionStore
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import AuthenticationEvent, Level, SignInMethod
from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.person import MemberId, Person
from authproxy.identity.session import Session
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket

_CALLBACK = "/.authproxy/callback/"
_DONE_ALREADY = frozenset({Reason.ATTEMPT_USED})
_WORTH_ANOTHER_LOOK = _DONE_ALREADY | {Reason.ATTEMPT_TOO_OLD, Reason.ATTEMPT_UNKNOWN}


class Seals(Protocol):
    """Attempts as text that only this gateway can read and write."""

    def attempt_sealed(self, attempt: Attempt) -> str: ...
    def attempt_in(self, text: str) -> Attempt | None: ...
    def showing_sealed(self, showing: Showing) -> str: ...
    def showing_in(self, text: str) -> Showing | None: ...


class AttemptStore(Protocol):
    async def take(self, attempt: Attempt, *, good_until: datetime, now: datetime) -> bool:
        """Whether nobody has taken it before."""
        ...

    async def note_sign_in(self, browser: str, *, now: datetime) -> int: ...
    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int: ...


class WritableSessions(SessionStore, Protocol):
    async def create(
        self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPlace:
    """What a portal demands of a sign-in, and how long its sessions live."""

    portal_id: str
    origin: str
    required_claims: tuple[Claim, ...]
    level: Level
    idle_for: timedelta
    expires_after: timedelta
    members: Members = "anyone"
    route_levels: Mapping[str, Level] = field(default_factory=dict)
    """What each route demands, by its name, for proofs that are made for one."""

    def callback(self, method: SignInMethod) -> str:
        """Where the browser comes back to."""
        return f"{self.origin}{_CALLBACK}{method}"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody is signed in; the ticket is for their browser alone."""

    ticket_text: str = field(repr=False)
    return_to: str
    session: Session
    is_new_link: bool = False
    """The account has just been linked to a person of the register."""


@dataclass(frozen=True, slots=True)
class AlreadySignedIn:
    """A callback that was used before, in a browser that has a session: nothing happened, and the person can
    go on; to the request that waited for a proof, if there was one."""

    return_to: str
    held: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody was signed in. `found` is for operators and holds no secret; `provider_error` is the provider's
    error code, if it stated a registered one; `person` is known where the protocol had succeeded, and the two
    levels where one is below the other."""

    reason: Reason
    return_to: str
    missing: tuple[str, ...] = ()
    found: str = ""
    provider_error: str | None = None
    person: Person | None = field(default=None, repr=False)
    level: Level | None = None
    level_needed: Level | None = None
    by_register: NotAdmitted | None = field(default=None, repr=False)
    """What the register said, if it was the one to refuse."""


Outcome = SignedIn | AlreadySignedIn | SignInRefused | SteppedUp | NotProved
"""The last two end an attempt that was to bring a proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Who has signed in, and by what. `id_token` is the provider's, for its logout; `ends_at`: what proved it
    is worth nothing after."""

    person: Person
    method: SignInMethod
    level: Level
    event: AuthenticationEvent
    ends_at: datetime | None = None
    id_token: str | None = field(default=None, repr=False)
    provider_session: str | None = field(default=None, repr=False)
    claims: tuple[Claim, ...] = ()
    """Which data of the person have been stated."""
    grant: str | None = field(default=None, repr=False)
    """As `Session.grant`."""


Greeting = Callable[[Session], Awaitable[None]]


async def _nobody(_session: Session) -> None:
    return


class SignIns:
    """Every method raises CannotAsk."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        sessions: WritableSessions,
        attempt_for: timedelta,
        random_bytes: Callable[[int], bytes],
        describe_browser: Callable[[str], str],
        greet: Greeting = _nobody,
    ) -> None:
        """`greet` hears of every new session, and raises nothing."""
        self._attempts = attempts
        self._sessions = sessions
        self._attempt_for = attempt_for
        self._random_bytes = random_bytes
        self._describe_browser = describe_browser
        self._greet = greet

    async def taken(
        self,
        attempt: Attempt | None,
        *,
        method: SignInMethod,
        portal_id: str,
        browser: str | None,
        ticket_text: str | None,
        now: datetime,
    ) -> Attempt | AlreadySignedIn | SignInRefused | NotProved:
        """The attempt, if it is of this method, this portal and this browser, young and unused. From then on
        nobody can take it again.

        What has no flow cookie leaves the attempt as it is, and the proof that it brings is not looked at. So
        a program that follows addresses (a mail scanner, a preview) keeps nobody from signing in. An attempt
        ends in a session only in the browser that began it.

        A browser with another flow cookie spends the attempt. It may be that of a person whom somebody has
        made prove themselves on an attempt that he has begun: the address with that proof must be worth
        nothing in his own browser afterwards.

        A replayed or stale one in a browser that is signed in goes on without a word: a restored tab, the
        back button. One that was to bring a proof is told when it is stale: the browser is signed in all the
        same, and its person would be asked again.
        """
        refused: SignInRefused | NotProved | None = SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
        if attempt is not None:
            refused = await self._refusal(attempt, method, portal_id, browser, now)
            if refused is None:
                return attempt
        assert refused is not None  # noqa: S101  # an attempt that is not there has been refused
        return await self._or_signed_in(
            refused, portal_id=portal_id, browser=browser, ticket_text=ticket_text, now=now
        )

    async def _or_signed_in(
        self,
        refused: SignInRefused | NotProved,
        *,
        portal_id: str,
        browser: str | None,
        ticket_text: str | None,
        now: datetime,
    ) -> AlreadySignedIn | SignInRefused | NotProved:
        worth = _WORTH_ANOTHER_LOOK if isinstance(refused, SignInRefused) else _DONE_ALREADY
        is_worth_it = refused.reason in worth and browser is not None
        if is_worth_it and await self.current(ticket_text, portal_id=portal_id, now=now) is not None:
            return AlreadySignedIn(
                refused.return_to, refused.held if isinstance(refused, NotProved) else None
            )
        return refused

    async def current(self, ticket_text: str | None, *, portal_id: str, now: datetime) -> Session | None:
        """The session that the browser has at this portal."""
        ticket = tickets.parse(ticket_text)
        stored = None if ticket is None else await self._sessions.load(ticket, now=now)
        return stored.session if stored is not None and stored.session.portal == portal_id else None

    async def start(
        self,
        proved: Proved,
        attempt: Attempt,
        place: SignInPlace,
        *,
        ticket_text: str | None,
        user_agent: str,
        now: datetime,
    ) -> SignedIn:
        """The new session; the one that the browser had has ended."""
        ticket = SessionTicket(self._random_bytes(IDENTIFIER_SIZE), self._random_bytes(SECRET_SIZE))
        session = Session(
            session_id=ticket.session_id,
            portal=attempt.portal,
            person=proved.person,
            method=proved.method,
            level=proved.level,
            events=(proved.event,),
            started_at=now,
            expires_at=min(filter(None, (now + place.expires_after, proved.ends_at))),
            idle_for=place.idle_for,
            id_token=proved.id_token,
            provider_session=proved.provider_session,
            claims=proved.claims,
            grant=proved.grant,
        )
        await self._sessions.create(ticket, session, browser=self._describe_browser(user_agent), now=now)
        await self.end_previous(ticket_text)
        await self._note(attempt.browser, now)
        await self._greet(session)
        return SignedIn(ticket.text, attempt.return_to, session)

    async def confirmed(
        self, signed_in: SignedIn, *, told: MemberId | None, again: MemberId | SignInRefused | None
    ) -> SignedIn | SignInRefused:
        """What stays of a session after the register was asked once more, whose first answer was `told`. A
        person who was blocked in between: either the blocking has found the session, or this question finds
        the blocking."""
        if again == told:
            return signed_in
        await self._sessions.revoke(signed_in.session.session_id)
        if isinstance(again, SignInRefused):
            return again
        raise changed_meanwhile()

    async def end_previous(self, ticket_text: str | None) -> None:
        """A new sign-in in a browser replaces the session that it had (another person may have signed in)."""
        previous = tickets.parse(ticket_text)
        if previous is not None:
            await self._sessions.revoke(previous.session_id)

    async def _refusal(
        self, attempt: Attempt, method: SignInMethod, portal_id: str, browser: str | None, now: datetime
    ) -> SignInRefused | NotProved | None:
        is_too_old = now - attempt.opened_at > self._attempt_for
        failure: CannotAsk | None = None
        is_first = False
        if not is_too_old and browser is not None:
            try:
                is_first = await self._attempts.take(
                    attempt, good_until=attempt.opened_at + self._attempt_for, now=now
                )
            except CannotAsk as failed:
                failure = failed
        # Where another browser's person wanted to go is not this one's business.
        if attempt.portal != portal_id or attempt.method != method:
            return SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
        if browser is None:
            return SignInRefused(Reason.COOKIES_OFF, "/")
        if not hmac.compare_digest(attempt.browser.encode(), browser.encode()):
            return SignInRefused(Reason.ATTEMPT_OF_ANOTHER_BROWSER, "/")
        if is_too_old:
            return over(attempt, Reason.ATTEMPT_TOO_OLD)
        if failure is not None:
            return over(attempt, failure.reason, found=str(failure))
        return None if is_first else over(attempt, Reason.ATTEMPT_USED)

    async def _note(self, browser: str, now: datetime) -> None:
        try:
            await self._attempts.note_sign_in(browser, now=now)
        except CannotAsk:
            return  # only the loop breaker's count is lost


def over(attempt: Attempt, reason: Reason, *, found: str = "") -> SignInRefused | NotProved:
    """How an attempt ends about which nothing more is looked at."""
    if attempt.step_up_of is None:
        return SignInRefused(reason, attempt.return_to, found=found)
    return not_proved(attempt, reason, found=found)
