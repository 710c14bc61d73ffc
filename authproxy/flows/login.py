"""Sign-in by an OpenID provider, from the click on the chooser to the session: the order of the steps is the security of it.

The state is taken once, the browser is recognised before anything is sent anywhere, and only then is the response read (OpenID
Connect Core §3.1.2, RFC 9700 §2.1, §4.7). Where a person wanted to go stays on the server, so that no URL travels.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.access import SessionStore, Stored
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt, TakenAttempt
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.identity.ticket import IDENTIFIER_SIZE, SECRET_SIZE, SessionTicket
from authproxy.oidc import authorization, claims
from authproxy.oidc.id_token import VerifiedClaims
from authproxy.oidc.refused import AuthorizationRefused

_CALLBACK = "/.authproxy/callback/rekono"
_LOOP_AFTER = 3


class Authenticated(Protocol):
    @property
    def claims(self) -> VerifiedClaims: ...
    @property
    def userinfo(self) -> Mapping[str, object]: ...
    @property
    def id_token(self) -> str: ...


class Provider(Protocol):
    async def authorization_request(
        self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str, ui_locales: str
    ) -> str: ...  # fmt: skip
    async def authenticate(
        self, parameters: Sequence[tuple[str, str]], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Authenticated: ...  # fmt: skip


class AttemptStore(Protocol):
    async def open(self, state: str, attempt: Attempt, *, now: datetime) -> None: ...
    async def take(self, state: str, *, now: datetime) -> TakenAttempt | None: ...
    async def note_sign_in(self, browser: str, *, now: datetime) -> int: ...
    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int: ...


class WritableSessions(SessionStore, Protocol):
    async def create(self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPlace:
    """What a portal demands of a sign-in, and how long its sessions live."""

    portal_id: str
    origin: str
    required_claims: tuple[Claim, ...]
    level: Level
    idle_for: timedelta
    expires_after: timedelta

    @property
    def redirect_uri(self) -> str:
        return self.origin + _CALLBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """How the provider's claims are read."""

    tax_number_names: tuple[str, ...]
    level_names: tuple[str, ...]
    levels: Mapping[str, Level]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody is signed in; the ticket is for their browser alone."""

    ticket_text: str = field(repr=False)
    return_to: str
    session: Session


@dataclass(frozen=True, slots=True)
class AlreadySignedIn:
    """A callback that was used before, in a browser that has a session: nothing happened, and the person can go on."""

    return_to: str


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody was signed in. `found` is for operators and holds no secret; `person` is known where the protocol had succeeded."""

    reason: Reason
    return_to: str
    missing: tuple[str, ...] = ()
    found: str = ""
    person: Person | None = field(default=None, repr=False)


Outcome = SignedIn | AlreadySignedIn | SignInRefused


class Login:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        provider: Provider,
        attempts: AttemptStore,
        sessions: WritableSessions,
        places: Mapping[str, SignInPlace],
        rules: ClaimRules,
        attempt_for: timedelta,
        fresh: Callable[[int], str],
        random_bytes: Callable[[int], bytes],
        clock: Callable[[], datetime],
        describe_browser: Callable[[str], str],
    ) -> None:
        """`fresh(n)` is URL-safe text of n random bytes; `describe_browser` turns a User-Agent into a few harmless words."""
        self._provider = provider
        self._attempts = attempts
        self._sessions = sessions
        self._places = places
        self._rules = rules
        self._attempt_for = attempt_for
        self._fresh = fresh
        self._random_bytes = random_bytes
        self._clock = clock
        self._describe_browser = describe_browser

    async def begin(self, *, portal_id: str, return_to: str, browser: str, locale: str, now: datetime) -> str:
        """The URL at the provider where the browser goes. Raises CannotAsk."""
        state, nonce, code_verifier = self._fresh(32), self._fresh(32), self._fresh(48)
        attempt = Attempt(
            portal=portal_id, return_to=return_to, browser=browser, nonce=nonce, code_verifier=code_verifier, opened_at=now
        )  # fmt: skip
        url = await self._provider.authorization_request(
            redirect_uri=self._places[portal_id].redirect_uri, state=state, nonce=nonce, code_verifier=code_verifier, ui_locales=locale
        )
        await self._attempts.open(state, attempt, now=now)
        return url

    async def complete(
        self,
        *,
        portal_id: str,
        parameters: Sequence[tuple[str, str]],
        browser: str | None,
        ticket_text: str | None,
        user_agent: str,
        now: datetime,
    ) -> Outcome:
        """Ends the attempt that the response belongs to. Raises CannotAsk; the attempt is then used up, but no cookie changes."""
        state = authorization.state_of(parameters)
        taken = None if state is None else await self._attempts.take(state, now=now)
        refused = self._refuse_attempt(taken, portal_id, browser, now)
        if refused is not None or taken is None:
            return await self._instead(refused or SignInRefused(Reason.ATTEMPT_UNKNOWN, "/"), portal_id, browser, ticket_text, now)
        attempt = taken.attempt
        place = self._places[portal_id]
        try:
            authenticated = await self._provider.authenticate(
                parameters, redirect_uri=place.redirect_uri, nonce=attempt.nonce, code_verifier=attempt.code_verifier
            )
            identity = self._identity(authenticated, place)
        except AuthorizationRefused as refusal:
            return SignInRefused(refusal.reason, attempt.return_to, found=str(refusal))
        refusal_by_place = self._refuse_identity(identity, place, attempt.return_to)
        if refusal_by_place is not None:
            return refusal_by_place
        return await self._sign_in(identity, authenticated, attempt, ticket_text, user_agent)

    async def looping(self, *, browser: str | None, now: datetime) -> bool:
        """Whether this browser has signed in so often within a minute that it must be going round in circles. Raises CannotAsk."""
        return browser is not None and await self._attempts.recent_sign_ins(browser, now=now) >= _LOOP_AFTER

    def _refuse_attempt(
        self, taken: TakenAttempt | None, portal_id: str, browser: str | None, now: datetime
    ) -> SignInRefused | None:  # fmt: skip
        if taken is None:
            return SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
        attempt = taken.attempt
        if attempt.portal != portal_id:
            return SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
        if browser is None:
            return SignInRefused(Reason.COOKIES_OFF, "/")
        if not hmac.compare_digest(attempt.browser.encode(), browser.encode()):
            # Where another browser's person wanted to go is not this one's business.
            return SignInRefused(Reason.ATTEMPT_OF_ANOTHER_BROWSER, "/")
        if taken.already_used:
            return SignInRefused(Reason.ATTEMPT_USED, attempt.return_to)
        if now - attempt.opened_at > self._attempt_for:
            return SignInRefused(Reason.ATTEMPT_TOO_OLD, attempt.return_to)
        return None

    async def _instead(
        self, refused: SignInRefused, portal_id: str, browser: str | None, ticket_text: str | None, now: datetime
    ) -> AlreadySignedIn | SignInRefused:  # fmt: skip
        """A replayed or stale callback in a browser that is signed in goes on without a word: a restored tab, the back button."""
        if refused.reason in {Reason.ATTEMPT_USED, Reason.ATTEMPT_TOO_OLD, Reason.ATTEMPT_UNKNOWN} and browser is not None:
            current = await self._present(ticket_text, portal_id, now)
            if current is not None:
                return AlreadySignedIn(refused.return_to)
        return refused

    async def _present(self, ticket_text: str | None, portal_id: str, now: datetime) -> Stored | None:
        ticket = tickets.parse(ticket_text) if ticket_text is not None else None
        stored = None if ticket is None else await self._sessions.load(ticket, now=now)
        return stored if stored is not None and stored.session.portal == portal_id else None

    def _identity(self, authenticated: Authenticated, place: SignInPlace) -> claims.ClaimedIdentity:
        return claims.identity(
            authenticated.claims,
            authenticated.userinfo,
            tax_number_names=self._rules.tax_number_names,
            level_names=self._rules.level_names,
            levels=self._rules.levels,
            required=place.required_claims,
        )

    @staticmethod
    def _refuse_identity(identity: claims.ClaimedIdentity, place: SignInPlace, return_to: str) -> SignInRefused | None:
        if identity.missing:
            reason = Reason.TAX_NUMBER_MISSING if "tax_number" in identity.missing else Reason.PERSONAL_DATA_MISSING
            return SignInRefused(reason, return_to, missing=identity.missing, person=identity.person)
        if identity.level < place.level:
            return SignInRefused(Reason.LEVEL_TOO_LOW, return_to, person=identity.person)
        return None

    async def _sign_in(
        self, identity: claims.ClaimedIdentity, authenticated: Authenticated, attempt: Attempt, ticket_text: str | None, user_agent: str
    ) -> SignedIn:  # fmt: skip
        now = self._clock()
        place = self._places[attempt.portal]
        ticket = SessionTicket(self._random_bytes(IDENTIFIER_SIZE), self._random_bytes(SECRET_SIZE))
        event = AuthenticationEvent(
            method="rekono",
            # Rekono has confirmed the person by SMS, code, push or certificate at `auth_time`: it counts as a step-up then. A time
            # ahead of our clock (within the leeway) must not make it fresher than now.
            at=min(identity.auth_time or now, now),
            source=identity.person.issuer,
            acr=identity.acr,
            amr=identity.amr,
            is_step_up=True,
        )
        session = Session(
            session_id=ticket.session_id,
            portal=attempt.portal,
            person=identity.person,
            method="rekono",
            level=identity.level,
            events=(event,),
            started_at=now,
            expires_at=now + place.expires_after,
            idle_for=place.idle_for,
            id_token=authenticated.id_token,
        )
        await self._sessions.create(ticket, session, browser=self._describe_browser(user_agent), now=now)
        await self._end_previous(ticket_text)
        await self._note(attempt.browser, now)
        return SignedIn(ticket.text, attempt.return_to, session)

    async def _end_previous(self, ticket_text: str | None) -> None:
        """A new sign-in in a browser replaces the session that it had (another person may have signed in)."""
        previous = tickets.parse(ticket_text) if ticket_text is not None else None
        if previous is not None:
            await self._sessions.revoke(previous.session_id)

    async def _note(self, browser: str, now: datetime) -> None:
        try:
            await self._attempts.note_sign_in(browser, now=now)
        except CannotAsk:
            return  # only the loop breaker's count is lost
