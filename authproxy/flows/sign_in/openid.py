"""Sign-in at an OpenID provider, from the click on the chooser to the session. The order of the steps keeps
it secure.

The attempt travels sealed as the state, so nothing is stored for a browser that only begins. When the attempt
comes back, it is taken once and the browser is recognised. Only then is the response read and anything sent
anywhere (OpenID Connect Core §3.1.2, RFC 9700 §2.1, §4.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import Admitted, Membership, NotAdmitted
from authproxy.flows.sign_in.attempts import (
    ProvedSignIn,
    SignedIn,
    SignInDemand,
    SignInOutcome,
    SignInRefused,
    SignIns,
    attempt_failed,
)
from authproxy.flows.sign_in.openid_proof import OpenIdProof
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.round_trip import ClaimRules, RoundTrip
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.stores import AttemptSeals, AttemptStore
from authproxy.flows.visit import Visit
from authproxy.identity.attempt import Attempt
from authproxy.identity.grant import Grant
from authproxy.identity.session import Session
from authproxy.oidc.claims import ClaimedIdentity
from authproxy.oidc.provider import Authenticated, OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused, ClaimsRefused

_METHOD: Final = "rekono"
_LOOP_AFTER: Final = 3
"""Sign-ins of one browser within a minute."""


class GrantKeeper(Protocol):
    """Part of `ending.account_watch`, which `sign_in` may not import."""

    async def keep(self, grant: Grant | None, *, idle_for: timedelta, now: datetime) -> str | None: ...


class OpenIdSignIn:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        provider: OpenIdProvider,
        attempts: AttemptStore,
        seals: AttemptSeals,
        sign_ins: SignIns,
        elevations: Elevations,
        membership: Membership,
        demands: Mapping[str, SignInDemand],
        rules: ClaimRules,
        clock: Callable[[], datetime],
        accounts: GrantKeeper | None = None,
    ) -> None:
        """`demands` are by portal id. Without `accounts` nothing is kept with which the provider could be
        asked about the account later."""
        self._accounts = accounts
        self._round_trip = RoundTrip(provider=provider, seals=seals, demands=demands, rules=rules)
        self._attempts = attempts
        self._sign_ins = sign_ins
        self._membership = membership
        self._demands = demands
        self._clock = clock
        self._proof = OpenIdProof(
            round_trip=self._round_trip,
            membership=membership,
            proofs=ReturnedProofs(sign_ins=sign_ins, elevations=elevations),
            demands=demands,
            leeway=rules.leeway,
            clock=clock,
        )

    async def begin(self, visit: Visit, *, anew: bool = False) -> str:
        """The URL at the provider where the browser goes. `anew` makes the provider ask who is there, even if
        somebody is signed in at it. Raises CannotAsk."""
        attempt = self._sign_ins.sign_in_attempt(visit, _METHOD)
        return await self._round_trip.begin(attempt, locale=visit.locale, anew=anew)

    async def begin_step_up(self, visit: Visit, session: Session, route: str) -> str:
        """The URL at the provider where the session's person proves afresh who they are. Raises CannotAsk."""
        attempt = self._sign_ins.proof_attempt(visit, _METHOD, session, route)
        return await self._round_trip.begin(attempt, locale=visit.locale, anew=True)

    async def complete(self, visit: Visit, parameters: Sequence[tuple[str, str]]) -> SignInOutcome:
        """Ends the attempt to which the response belongs. If something cannot be asked, that is a refusal,
        because its page leads back to where the person wanted to go. Raises CannotAsk only where that is not
        known, or nobody can say whether the browser has a session."""
        attempt = await self._sign_ins.taken(self._round_trip.attempt_of(parameters), visit, _METHOD)
        if not isinstance(attempt, Attempt):
            return attempt
        if attempt.step_up_of is not None:
            return await self._proof.complete(attempt, visit, parameters)
        try:
            outcome = await self._redeem(attempt, visit, parameters)
        except CannotAsk as failure:
            return attempt_failed(attempt, failure.reason, detail=str(failure))
        return replace(outcome, held=attempt.held)

    async def looping(self, browser: str | None, *, now: datetime) -> bool:
        """Whether this browser has signed in so often within a minute that it must be going round in circles.
        `browser` is the flow cookie. Raises CannotAsk."""
        return browser is not None and await self._attempts.recent_sign_ins(browser, now=now) >= _LOOP_AFTER

    async def _redeem(
        self, attempt: Attempt, visit: Visit, parameters: Sequence[tuple[str, str]]
    ) -> SignedIn | SignInRefused:
        demand = self._demands[attempt.portal]
        outcome: SignedIn | SignInRefused | None
        try:
            authenticated = await self._round_trip.authenticated(attempt, parameters)
            identity = self._round_trip.identity(authenticated, required=demand.required_claims)
            outcome = _refused_by_portal(
                identity, demand, attempt.return_to, self._round_trip.unconfirmed(attempt, authenticated)
            )
        except ClaimsRefused as refusal:
            outcome = SignInRefused(
                refusal.reason, attempt.return_to, detail=str(refusal), person=refusal.person
            )
        except AuthorizationRefused as refusal:
            return SignInRefused(
                refusal.reason, attempt.return_to, detail=str(refusal), provider_error=refusal.error
            )
        if outcome is None:
            outcome = await self._enter(attempt, visit, identity, authenticated)
        if isinstance(outcome, SignInRefused):
            # Somebody has proved who they are and may not come in. The session that the browser has is
            # another person's, or rests on data that are no longer true.
            await self._sign_ins.end_previous(visit)
        return outcome

    async def _enter(
        self, attempt: Attempt, visit: Visit, identity: ClaimedIdentity, authenticated: Authenticated
    ) -> SignedIn | SignInRefused:
        """Asks the register, starts the session, and asks once more, because somebody may have been blocked
        in between."""
        first = await self._ask_register(identity, attempt)
        if isinstance(first, SignInRefused):
            return first
        signed_in = await self._start(
            attempt, visit, replace(identity, person=first.person), authenticated, first.roles
        )
        second = await self._ask_register(identity, attempt)
        return await self._sign_ins.confirmed(
            replace(signed_in, is_new_link=first.is_new_link),
            first=(first.person.member, first.roles),
            second=second if isinstance(second, SignInRefused) else (second.person.member, second.roles),
        )

    async def _ask_register(self, identity: ClaimedIdentity, attempt: Attempt) -> Admitted | SignInRefused:
        answer = await self._membership.by_sign_in(
            identity.person,
            identity.level,
            portal_id=attempt.portal,
            members=self._demands[attempt.portal].members,
        )
        if isinstance(answer, NotAdmitted):
            return SignInRefused(
                answer.reason,
                attempt.return_to,
                detail=answer.detail,
                person=identity.person,
                level=None if answer.level_needed is None else identity.level,
                level_needed=answer.level_needed,
                by_register=answer,
            )
        return answer

    async def _start(
        self,
        attempt: Attempt,
        visit: Visit,
        identity: ClaimedIdentity,
        authenticated: Authenticated,
        roles: tuple[str, ...],
    ) -> SignedIn:
        now, demand = self._clock(), self._demands[attempt.portal]
        grant = None
        if self._accounts is not None:
            grant = await self._accounts.keep(authenticated.grant, idle_for=demand.idle_for, now=now)
        proved = ProvedSignIn(
            person=identity.person,
            method=_METHOD,
            level=identity.level,
            event=self._round_trip.event(identity, now=now),
            id_token=authenticated.id_token,
            provider_session=authenticated.claims.provider_session,
            roles=roles,
            claims=identity.present,
            grant=grant,
        )
        return await self._sign_ins.start(proved, attempt, demand, visit, now=now)


def _refused_by_portal(
    identity: ClaimedIdentity, demand: SignInDemand, return_to: str, unconfirmed: str | None
) -> SignInRefused | None:
    """Why this identity does not do for the portal; None if it does. `unconfirmed` names an essential claim
    that is missing."""
    if identity.missing:
        reason = (
            Reason.TAX_NUMBER_MISSING if "tax_number" in identity.missing else Reason.PERSONAL_DATA_MISSING
        )
        return SignInRefused(reason, return_to, missing=identity.missing, person=identity.person)
    if identity.level < demand.level:
        return SignInRefused(
            Reason.LEVEL_TOO_LOW,
            return_to,
            person=identity.person,
            level=identity.level,
            level_needed=demand.level,
        )
    if unconfirmed is not None:
        return SignInRefused(
            Reason.ESSENTIAL_CLAIM_MISSING, return_to, detail=unconfirmed, person=identity.person
        )
    return None
