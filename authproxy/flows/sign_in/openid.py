"""Sign-in by an OpenID provider, from the click on the chooser to the session: the order of the steps is the
security of it.

The attempt travels sealed as the state, so that nothing is kept for whoever merely begins. When it comes back
it is taken, once, the browser is recognised, and only then is the response read and anything sent anywhere
(OpenID Connect Core §3.1.2, RFC 9700 §2.1, §4.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.routes import Members
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import Admitted, NotAdmitted
from authproxy.flows.sign_in.attempts import (
    AttemptStore,
    Outcome,
    Proved,
    Seals,
    SignedIn,
    SignInPlace,
    SignInRefused,
    SignIns,
)
from authproxy.flows.sign_in.openid_again import LoginAgain
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.round_trip import Authenticated, ClaimRules, Provider, RoundTrip
from authproxy.flows.step_up.elevation import Elevations
from authproxy.identity.assurance import Level
from authproxy.identity.attempt import SECRET_SIZE, Attempt
from authproxy.identity.grant import Grant
from authproxy.identity.member import Account, Member
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.oidc import claims
from authproxy.oidc.refused import AuthorizationRefused, ClaimsRefused

_METHOD: Final = "rekono"
_LOOP_AFTER = 3


class Membership(Protocol):
    async def by_sign_in(
        self, person: Person, level: Level, *, portal_id: str, members: Members
    ) -> Admitted | NotAdmitted: ...
    async def by_account(self, account: Account) -> Member | None: ...


class Accounts(Protocol):
    async def hold(self, grant: Grant | None, *, idle_for: timedelta, now: datetime) -> str | None: ...


class Login:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        provider: Provider,
        attempts: AttemptStore,
        seals: Seals,
        sign_ins: SignIns,
        elevations: Elevations,
        membership: Membership,
        places: Mapping[str, SignInPlace],
        rules: ClaimRules,
        fresh: Callable[[int], str],
        clock: Callable[[], datetime],
        accounts: Accounts | None = None,
    ) -> None:
        """`fresh(n)` is URL-safe text of n random bytes. Without `accounts` nothing is kept that the provider
        could be asked with later."""
        self._accounts = accounts
        self._provider = RoundTrip(provider=provider, seals=seals, places=places, rules=rules)
        self._attempts = attempts
        self._fresh = fresh
        self._sign_ins = sign_ins
        self._membership = membership
        self._places = places
        self._clock = clock
        proofs = ReturnedProofs(sign_ins=sign_ins, elevations=elevations)
        self._again = LoginAgain(
            provider=self._provider,
            register=membership,
            proofs=proofs,
            places=places,
            leeway=rules.leeway,
            clock=clock,
        )

    async def begin(
        self, *, portal_id: str, return_to: str, browser: str, locale: str, now: datetime, anew: bool = False
    ) -> str:
        """The URL at the provider where the browser goes; `anew` makes it ask who it is, whoever is signed in
        there. Raises CannotAsk."""
        attempt = Attempt(
            portal=portal_id,
            return_to=return_to,
            browser=browser,
            secret=self._fresh(SECRET_SIZE),
            opened_at=now,
        )
        return await self._provider.begin(attempt, locale=locale, anew=anew)

    async def begin_step_up(  # noqa: PLR0913  (what an attempt is made of)
        self,
        *,
        portal_id: str,
        return_to: str,
        route: str,
        held: str | None,
        session: Session,
        browser: str,
        locale: str,
        now: datetime,
        binding: str | None = None,
    ) -> str:
        """The URL at the provider where the session's person proves afresh who they are. Raises CannotAsk."""
        attempt = Attempt(
            portal=portal_id,
            return_to=return_to,
            browser=browser,
            secret=self._fresh(SECRET_SIZE),
            opened_at=now,
            step_up_of=session.session_id,
            route=route,
            held=held,
            binding=binding,
        )
        return await self._provider.begin(attempt, locale=locale, anew=True)

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
        """Ends the attempt that the response belongs to. What cannot be asked is a refusal, so that the way
        back to the page is not lost; raises CannotAsk only where that way is not known or nobody can say
        whether the browser has a session."""
        attempt = await self._sign_ins.taken(
            self._provider.attempt_of(parameters),
            method=_METHOD,
            portal_id=portal_id,
            browser=browser,
            ticket_text=ticket_text,
            now=now,
        )
        if not isinstance(attempt, Attempt):
            return attempt
        if attempt.step_up_of is not None:
            return await self._again.complete(attempt, parameters, ticket_text, now=now)
        try:
            return await self._redeem(attempt, parameters, ticket_text, user_agent)
        except CannotAsk as failure:
            return SignInRefused(failure.reason, attempt.return_to, found=str(failure))

    async def looping(self, *, browser: str | None, now: datetime) -> bool:
        """Whether this browser has signed in so often within a minute that it must be going round in circles.
        Raises CannotAsk."""
        return browser is not None and await self._attempts.recent_sign_ins(browser, now=now) >= _LOOP_AFTER

    async def _redeem(
        self,
        attempt: Attempt,
        parameters: Sequence[tuple[str, str]],
        ticket_text: str | None,
        user_agent: str,
    ) -> SignedIn | SignInRefused:
        place = self._places[attempt.portal]
        try:
            authenticated = await self._provider.authenticated(attempt, parameters)
            identity = self._provider.identity(authenticated, required=place.required_claims)
            refused = self._refuse_identity(
                identity, place, attempt.return_to, self._provider.unconfirmed(attempt, authenticated)
            )
        except ClaimsRefused as refusal:
            refused = SignInRefused(
                refusal.reason, attempt.return_to, found=str(refusal), person=refusal.person
            )
        except AuthorizationRefused as refusal:
            return SignInRefused(
                refusal.reason, attempt.return_to, found=str(refusal), provider_error=refusal.error
            )
        if refused is None:
            entered = await self._enter(identity, authenticated, attempt, ticket_text, user_agent)
            if isinstance(entered, SignedIn):
                return entered
            refused = entered
        # Somebody has proved who they are and may not come in: whatever session the browser has is another
        # person's, or rests on data that are no longer so.
        await self._sign_ins.end_previous(ticket_text)
        return refused

    @staticmethod
    def _refuse_identity(
        identity: claims.ClaimedIdentity, place: SignInPlace, return_to: str, unconfirmed: str | None
    ) -> SignInRefused | None:
        if identity.missing:
            reason = (
                Reason.TAX_NUMBER_MISSING
                if "tax_number" in identity.missing
                else Reason.PERSONAL_DATA_MISSING
            )
            return SignInRefused(reason, return_to, missing=identity.missing, person=identity.person)
        if identity.level < place.level:
            return SignInRefused(
                Reason.LEVEL_TOO_LOW,
                return_to,
                person=identity.person,
                level=identity.level,
                level_needed=place.level,
            )
        if unconfirmed is not None:
            return SignInRefused(
                Reason.ESSENTIAL_CLAIM_MISSING, return_to, found=unconfirmed, person=identity.person
            )
        return None

    async def _enter(
        self,
        identity: claims.ClaimedIdentity,
        authenticated: Authenticated,
        attempt: Attempt,
        ticket_text: str | None,
        user_agent: str,
    ) -> SignedIn | SignInRefused:
        place = self._places[attempt.portal]
        told = await self._ask_register(identity, place)
        if isinstance(told, NotAdmitted):
            return _refused_by_register(told, identity, attempt.return_to)
        signed_in = await self._sign_in(
            replace(identity, person=told.person), authenticated, attempt, ticket_text, user_agent
        )
        again = await self._ask_register(identity, place)
        return await self._sign_ins.confirmed(
            replace(signed_in, is_new_link=told.is_new_link),
            told=told.person.member,
            again=_refused_by_register(again, identity, attempt.return_to)
            if isinstance(again, NotAdmitted)
            else again.person.member,
        )

    async def _ask_register(
        self, identity: claims.ClaimedIdentity, place: SignInPlace
    ) -> Admitted | NotAdmitted:
        return await self._membership.by_sign_in(
            identity.person, identity.level, portal_id=place.portal_id, members=place.members
        )

    async def _sign_in(
        self,
        identity: claims.ClaimedIdentity,
        authenticated: Authenticated,
        attempt: Attempt,
        ticket_text: str | None,
        user_agent: str,
    ) -> SignedIn:
        now, place = self._clock(), self._places[attempt.portal]
        grant = None
        if self._accounts is not None:
            grant = await self._accounts.hold(authenticated.grant, idle_for=place.idle_for, now=now)
        proved = Proved(
            person=identity.person,
            method=_METHOD,
            level=identity.level,
            event=self._provider.event(identity, now=now),
            id_token=authenticated.id_token,
            provider_session=authenticated.claims.provider_session,
            claims=identity.present,
            grant=grant,
        )
        return await self._sign_ins.start(
            proved, attempt, place, ticket_text=ticket_text, user_agent=user_agent, now=now
        )


def _refused_by_register(
    told: NotAdmitted, identity: claims.ClaimedIdentity, return_to: str
) -> SignInRefused:
    return SignInRefused(
        told.reason,
        return_to,
        found=told.found,
        person=identity.person,
        level=None if told.level_needed is None else identity.level,
        level_needed=told.level_needed,
        by_register=told,
    )
