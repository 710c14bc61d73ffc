"""A fresh proof by signing in again at the provider: by the same person, after it was asked for, at a level
that the route accepts.

What was asked for need not be what was done: MITREid forgets `max_age` if there is a `prompt`, and a `prompt`
can be cut out of the address on the way. So three things in the response decide: `auth_time` (OpenID Connect
Core §2, §3.1.2.1), the account (`iss`, `sub`), and whether such a sign-in counts as a fresh proof
(`rekono.step_up_by`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.round_trip import RoundTrip
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.method_changes import asked_for
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.flows.visit import Visit
from authproxy.identity.attempt import Attempt
from authproxy.identity.member import Account
from authproxy.identity.session import Session
from authproxy.oidc.claims import ClaimedIdentity
from authproxy.oidc.id_token import auth_time_in
from authproxy.oidc.provider import Authenticated
from authproxy.oidc.refused import AuthenticationTooOld, AuthorizationRefused

_SECOND: Final = timedelta(seconds=1)


class OpenIdProof:
    def __init__(
        self,
        *,
        round_trip: RoundTrip,
        membership: Membership,
        proofs: ReturnedProofs,
        demands: Mapping[str, SignInDemand],
        leeway: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        """`leeway` is how far the provider's clock and ours may differ."""
        self._round_trip = round_trip
        self._membership = membership
        self._proofs = proofs
        self._demands = demands
        self._leeway = leeway
        self._clock = clock

    async def complete(
        self, attempt: Attempt, visit: Visit, parameters: Sequence[tuple[str, str]]
    ) -> SteppedUp | NotProved:
        """Ends an attempt that has been taken. Raises CannotAsk while nobody can say which session it is for.
        If something cannot be asked later, that is a refusal with the way back."""
        session = await self._proofs.session_of(attempt, visit)
        if isinstance(session, NotProved):
            return session
        try:
            return await self._redeem(attempt, visit, parameters, session)
        except AuthenticationTooOld as refusal:
            return not_proved(attempt, Reason.PROOF_TOO_OLD, detail=str(refusal), session=session)
        except AuthorizationRefused as refusal:
            refused = not_proved(attempt, refusal.reason, detail=str(refusal), session=session)
            return replace(refused, provider_error=refusal.error)
        except CannotAsk as refusal:
            return not_proved(attempt, refusal.reason, detail=str(refusal), session=session)

    async def _redeem(
        self, attempt: Attempt, visit: Visit, parameters: Sequence[tuple[str, str]], session: Session
    ) -> SteppedUp | NotProved:
        authenticated = await self._round_trip.authenticated(attempt, parameters)
        if not await self._is_their_account(session, authenticated):
            return not_proved(
                attempt, Reason.STEP_UP_BY_ANOTHER, detail="another account has signed in", session=session
            )
        too_old = self._why_too_old(authenticated.claims.auth_time, attempt, session)
        if too_old is not None:
            return not_proved(attempt, Reason.PROOF_TOO_OLD, detail=too_old, session=session)
        identity = self._round_trip.identity(authenticated, required=())
        demand = self._demands[attempt.portal]
        needed = demand.level_at(attempt.route)
        if identity.level < needed:
            detail = f"the account has level {int(identity.level)} now, and {int(needed)} is needed"
            return not_proved(attempt, Reason.LEVEL_TOO_LOW, detail=detail, session=session)
        unconfirmed = self._round_trip.unconfirmed(attempt, authenticated)
        if unconfirmed is not None:
            return not_proved(attempt, Reason.ESSENTIAL_CLAIM_MISSING, detail=unconfirmed, session=session)
        return await self._step_up(attempt, visit, session, authenticated, identity)

    async def _is_their_account(self, session: Session, authenticated: Authenticated) -> bool:
        person = session.person
        account = Account(issuer=authenticated.claims.issuer, subject=authenticated.claims.subject)
        if session.method == "rekono":
            # OpenID Connect Core §5.7: only `iss` and `sub` together identify somebody for good.
            return (person.issuer, person.subject) == (account.issuer, account.subject)
        # A person who signed in with a certificate is in the register, which may link an account to them.
        member = await self._membership.by_account(account)
        return member is not None and member.member_id == person.member and not member.is_blocked

    def _why_too_old(self, auth_time: datetime | None, attempt: Attempt, session: Session) -> str | None:
        """Why this authentication is no fresh one, for operators; None if it is."""
        if auth_time is None:
            return "the ID token does not say when the person has authenticated"
        if auth_time < attempt.opened_at - self._leeway:
            return (
                f"the person authenticated {int((attempt.opened_at - auth_time).total_seconds())} s before "
                "it was asked for"
            )
        # If the prompt was cut out of the address, one authentication within the leeway would make two
        # proofs. Both times are of the provider's clock, in whole seconds.
        earlier = None if session.id_token is None else auth_time_in(session.id_token)
        if earlier is not None and auth_time <= earlier <= attempt.opened_at - _SECOND:
            return (
                "the person has not authenticated anew since the session's last sign-in or proof at the "
                "provider"
            )
        return None

    async def _step_up(
        self,
        attempt: Attempt,
        visit: Visit,
        session: Session,
        authenticated: Authenticated,
        identity: ClaimedIdentity,
    ) -> SteppedUp | NotProved:
        # The provider may have replaced its own session by a new one. Signing out must end the new one.
        renewed = replace(session, id_token=authenticated.id_token)
        if session.method == "rekono" and authenticated.claims.provider_session is not None:
            renewed = replace(renewed, provider_session=authenticated.claims.provider_session)
        now = self._clock()
        event = replace(self._round_trip.event(identity, now=now), asked_for=asked_for(attempt.route))
        if not event.is_step_up:
            detail = (
                "the ID token states none of the `amr` and `acr` that make a sign-in a fresh proof "
                "(`rekono.step_up_by`)"
            )
            return not_proved(attempt, Reason.PROOF_TOO_WEAK, detail=detail, session=session)
        return await self._proofs.step_up(attempt, visit, renewed, event, now=now)
