"""The way to the provider and back: what the browser takes there, and what its return proves. The caller
decides what becomes of it: a sign-in, or a fresh proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.provider_demand import NOTHING, ProviderDemand
from authproxy.access.routes import Claim
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.flows.stores import AttemptSeals
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.oidc import authorization, claims
from authproxy.oidc.claims import ClaimedIdentity, ClaimNames, VerifiedWhenAbsent
from authproxy.oidc.provider import Authenticated, OpenIdProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpBy:
    """Which sign-ins at the provider are also a fresh proof: every one, or those that state one of these
    `amr` or one of these `acr`."""

    every: bool = False
    amr: frozenset[str] = frozenset()
    acr: frozenset[str] = frozenset()

    @property
    def is_possible(self) -> bool:
        return self.every or bool(self.amr or self.acr)

    def covers(self, identity: ClaimedIdentity) -> bool:
        return self.every or identity.acr in self.acr or not self.amr.isdisjoint(identity.amr)


ALWAYS: Final = StepUpBy(every=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """How the provider's claims are read: under which names, and which words stand for which level. `leeway`
    is how far its clock and ours may differ."""

    names: ClaimNames
    levels: Mapping[str, Level]
    leeway: timedelta = timedelta(seconds=60)
    provider_demand: Callable[[Attempt], ProviderDemand] = lambda _attempt: NOTHING
    """What the provider is asked for beyond the protocol, by the route to which an attempt leads."""
    verified_when_absent: VerifiedWhenAbsent = field(default_factory=VerifiedWhenAbsent)
    step_up_by: StepUpBy = ALWAYS


class RoundTrip:
    def __init__(
        self,
        *,
        provider: OpenIdProvider,
        seals: AttemptSeals,
        demands: Mapping[str, SignInDemand],
        rules: ClaimRules,
    ) -> None:
        self._provider = provider
        self._seals = seals
        self._demands = demands
        self._rules = rules

    async def begin(self, attempt: Attempt, *, locale: str, anew: bool) -> str:
        """The URL at the provider where the browser goes. `anew` makes the provider ask who is there, even if
        somebody is signed in at it. For a step-up it must also state when it asked (`auth_time`): without
        that there is no fresh proof. Nothing is stored, because the sealed attempt is the `state`. Raises
        CannotAsk."""
        return await self._provider.authorization_request(
            redirect_uri=self._callback(attempt),
            state=self._seals.attempt_sealed(attempt),
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
            ui_locales=locale,
            anew=anew,
            dated=attempt.step_up_of is not None,
            extra=self._rules.provider_demand(attempt).parameters,
        )

    def attempt_of(self, parameters: Sequence[tuple[str, str]]) -> Attempt | None:
        """The attempt to which a response says that it belongs; None if it names none of ours."""
        state = authorization.state_of(parameters)
        return None if state is None else self._seals.attempt_in(state)

    async def authenticated(self, attempt: Attempt, parameters: Sequence[tuple[str, str]]) -> Authenticated:
        """Who has signed in, by the response; the attempt has been taken. Raises AuthorizationRefused and
        CannotAsk."""
        return await self._provider.authenticate(
            parameters,
            redirect_uri=self._callback(attempt),
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
        )

    def identity(self, authenticated: Authenticated, *, required: Sequence[Claim]) -> ClaimedIdentity:
        """What the provider states about the person. Raises ClaimsRefused."""
        return claims.identity(
            authenticated.claims,
            authenticated.userinfo,
            names=self._rules.names,
            levels=self._rules.levels,
            required=required,
            verified_when_absent=self._rules.verified_when_absent,
        )

    def unconfirmed(self, attempt: Attempt, authenticated: Authenticated) -> str | None:
        """Which essential claim has not come back, for operators; None if all have. The present settings say
        what is essential, because the browser does not carry that."""
        return self._rules.provider_demand(attempt).unconfirmed(
            id_token=authenticated.claims.every, userinfo=authenticated.userinfo
        )

    def event(self, identity: ClaimedIdentity, *, now: datetime) -> AuthenticationEvent:
        """The evidence that a sign-in at the provider gives. It is a fresh proof if the provider states when
        the person has authenticated, and the settings count such a sign-in (`rekono.step_up_by`)."""
        return AuthenticationEvent(
            method="rekono",
            # A time ahead of our clock (within the leeway) must not make the evidence fresher than now. If
            # `auth_time` is missing, this is when the provider vouched for the person, and it is no proof.
            at=min(identity.auth_time or now, now),
            source=identity.person.issuer,
            acr=identity.acr,
            amr=identity.amr,
            is_step_up=identity.auth_time is not None and self._rules.step_up_by.covers(identity),
            level=identity.level,
            is_dated=identity.auth_time is not None,
        )

    def _callback(self, attempt: Attempt) -> str:
        return self._demands[attempt.portal].callback(attempt.method)
