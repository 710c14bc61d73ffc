"""A fresh proof by signing in again at the provider: by the same person, after it was asked for, at a level
that the place accepts.

What was asked (`prompt=login`) is not what came back: MITREid forgets `max_age` beside a prompt, and a prompt
can be cut out of the address on the way. So these decide: `auth_time` (OpenID Connect Core §2, §3.1.2.1), the
account by (`iss`, `sub`), and whether such a sign-in is a fresh proof at all (`rekono.step_up_by`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.sign_in.attempts import SignInPlace
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.round_trip import Authenticated, RoundTrip
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.method_changes import asked_for
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.attempt import Attempt
from authproxy.identity.member import Account, Member
from authproxy.identity.session import Session
from authproxy.oidc.claims import ClaimedIdentity
from authproxy.oidc.id_token import auth_time_in
from authproxy.oidc.refused import AuthenticationTooOld, AuthorizationRefused

_SECOND: Final = timedelta(seconds=1)


class Register(Protocol):
    async def by_account(self, account: Account) -> Member | None: ...


class LoginAgain:
    def __init__(
        self,
        *,
        provider: RoundTrip,
        register: Register,
        proofs: ReturnedProofs,
        places: Mapping[str, SignInPlace],
        leeway: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._provider = provider
        self._register = register
        self._proofs = proofs
        self._places = places
        self._leeway = leeway
        self._clock = clock

    async def complete(
        self,
        attempt: Attempt,
        parameters: Sequence[tuple[str, str]],
        ticket_text: str | None,
        *,
        now: datetime,
    ) -> SteppedUp | NotProved:
        """Ends an attempt that has been taken. Raises CannotAsk while nobody can say which session it is for;
        what cannot be asked later is a refusal with the way back."""
        session = await self._proofs.session_of(attempt, ticket_text, now=now)
        if isinstance(session, NotProved):
            return session
        try:
            return await self._redeem(attempt, parameters, ticket_text, session)
        except AuthenticationTooOld as refusal:
            return not_proved(attempt, Reason.PROOF_TOO_OLD, found=str(refusal), session=session)
        except AuthorizationRefused as refusal:
            refused = not_proved(attempt, refusal.reason, found=str(refusal), session=session)
            return replace(refused, provider_error=refusal.error)
        except CannotAsk as refusal:
            return not_proved(attempt, refusal.reason, found=str(refusal), session=session)

    async def _redeem(
        self,
        attempt: Attempt,
        parameters: Sequence[tuple[str, str]],
        ticket_text: str | None,
        session: Session,
    ) -> SteppedUp | NotProved:
        authenticated = await self._provider.authenticated(attempt, parameters)
        if not await self._is_their_account(session, authenticated):
            return not_proved(
                attempt, Reason.STEP_UP_BY_ANOTHER, found="another account has signed in", session=session
            )
        stale = self._stale(authenticated.claims.auth_time, attempt, session)
        if stale is not None:
            return not_proved(attempt, Reason.PROOF_TOO_OLD, found=stale, session=session)
        identity = self._provider.identity(authenticated, required=())
        place = self._places[attempt.portal]
        needed = place.route_levels.get(attempt.route, place.level)
        if identity.level < needed:
            found = f"the account has level {int(identity.level)} now, and {int(needed)} is needed"
            return not_proved(attempt, Reason.LEVEL_TOO_LOW, found=found, session=session)
        unconfirmed = self._provider.unconfirmed(attempt, authenticated)
        if unconfirmed is not None:
            return not_proved(attempt, Reason.ESSENTIAL_CLAIM_MISSING, found=unconfirmed, session=session)
        return await self._stronger(attempt, ticket_text, session, authenticated, identity)

    async def _is_their_account(self, session: Session, authenticated: Authenticated) -> bool:
        person, account = (
            session.person,
            Account(issuer=authenticated.claims.issuer, subject=authenticated.claims.subject),
        )
        if session.method == "rekono":
            return (person.issuer, person.subject) == (account.issuer, account.subject)
        # Whoever came with a certificate is somebody in the register, to whom an account may be linked.
        member = await self._register.by_account(account)
        return member is not None and member.member_id == person.member and not member.is_blocked

    def _stale(self, auth_time: datetime | None, attempt: Attempt, session: Session) -> str | None:
        if auth_time is None:
            return "the ID token does not say when the person has authenticated"
        if auth_time < attempt.opened_at - self._leeway:
            return (
                f"the person authenticated {int((attempt.opened_at - auth_time).total_seconds())} s before "
                "it was asked for"
            )
        # Within the leeway a prompt that was cut out would make two proofs of one authentication. Both times
        # are of one clock, in seconds.
        earlier = None if session.id_token is None else auth_time_in(session.id_token)
        if earlier is not None and auth_time <= earlier <= attempt.opened_at - _SECOND:
            return (
                "the person has not authenticated anew since the session's last sign-in or proof at the "
                "provider"
            )
        return None

    async def _stronger(
        self,
        attempt: Attempt,
        ticket_text: str | None,
        session: Session,
        authenticated: Authenticated,
        identity: ClaimedIdentity,
    ) -> SteppedUp | NotProved:
        # The provider may have begun a session of its own in the place of the old one: signing out must end
        # that.
        renewed = replace(session, id_token=authenticated.id_token)
        if session.method == "rekono" and authenticated.claims.provider_session is not None:
            renewed = replace(renewed, provider_session=authenticated.claims.provider_session)
        now = self._clock()
        event = replace(self._provider.event(identity, now=now), asked_for=asked_for(attempt.route))
        if not event.is_step_up:
            found = (
                "the ID token states none of the `amr` and `acr` that make a sign-in a fresh proof "
                "(`rekono.step_up_by`)"
            )
            return not_proved(attempt, Reason.PROOF_TOO_WEAK, found=found, session=session)
        return await self._proofs.end(attempt, ticket_text, renewed, event, now=now)
