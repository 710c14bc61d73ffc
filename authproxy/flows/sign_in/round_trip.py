"""The way to the provider and back: what the browser is sent there with, and what its return is worth. What
becomes of it is decided by whoever has sent it: a sign-in, or a fresh proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.provider_demand import NOTHING, ProviderDemand
from authproxy.access.routes import Claim
from authproxy.flows.sign_in.attempts import Seals, SignInPlace
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.grant import Grant
from authproxy.oidc import authorization, claims
from authproxy.oidc.claims import ClaimedIdentity, ClaimNames, VerifiedWhenAbsent
from authproxy.oidc.id_token import VerifiedClaims


class Authenticated(Protocol):
    @property
    def claims(self) -> VerifiedClaims: ...
    @property
    def userinfo(self) -> Mapping[str, object]: ...
    @property
    def id_token(self) -> str: ...
    @property
    def grant(self) -> Grant | None: ...


class Provider(Protocol):
    async def authorization_request(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_verifier: str,
        ui_locales: str,
        anew: bool,
        dated: bool,
        extra: Mapping[str, str],
    ) -> str: ...
    async def authenticate(
        self, parameters: Sequence[tuple[str, str]], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Authenticated: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpBy:
    """Which sign-ins at the provider are a fresh proof, too: each one, or those that state one of these `amr`
    or one of these `acr`."""

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
    """How the provider's claims are read: under which names, which words stand for which level, what counts
    as verified where nothing is said, and which sign-ins are a fresh proof. `leeway` is lived with between
    its clock and ours."""

    names: ClaimNames
    levels: Mapping[str, Level]
    leeway: timedelta = timedelta(seconds=60)
    asked: Callable[[Attempt], ProviderDemand] = lambda _attempt: NOTHING
    """What the provider is asked for beyond the protocol, for the place that an attempt leads to."""
    when_absent: VerifiedWhenAbsent = field(default_factory=VerifiedWhenAbsent)
    step_up_by: StepUpBy = ALWAYS


class RoundTrip:
    def __init__(
        self, *, provider: Provider, seals: Seals, places: Mapping[str, SignInPlace], rules: ClaimRules
    ) -> None:
        self._provider = provider
        self._seals = seals
        self._places = places
        self._rules = rules

    async def begin(self, attempt: Attempt, *, locale: str, anew: bool) -> str:
        """The URL at the provider where the browser goes; `anew` makes it ask who it is, whoever is signed in
        there. For a step-up it must also state when it did, because nothing else makes a fresh proof. Nothing
        is kept: the attempt itself, sealed, is the state. Raises CannotAsk."""
        return await self._provider.authorization_request(
            redirect_uri=self._callback(attempt),
            state=self._seals.attempt_sealed(attempt),
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
            ui_locales=locale,
            anew=anew,
            dated=attempt.step_up_of is not None,
            extra=self._rules.asked(attempt).parameters,
        )

    def attempt_of(self, parameters: Sequence[tuple[str, str]]) -> Attempt | None:
        """The attempt that a response says it belongs to; None if there is none that is ours."""
        state = authorization.state_of(parameters)
        return None if state is None else self._seals.attempt_in(state)

    async def authenticated(self, attempt: Attempt, parameters: Sequence[tuple[str, str]]) -> Authenticated:
        """Whom the response proves; the attempt has been taken. Raises AuthorizationRefused and CannotAsk."""
        return await self._provider.authenticate(
            parameters,
            redirect_uri=self._callback(attempt),
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
        )

    def identity(self, authenticated: Authenticated, *, required: Sequence[Claim]) -> ClaimedIdentity:
        """What is said about them. Raises ClaimsRefused."""
        return claims.identity(
            authenticated.claims,
            authenticated.userinfo,
            names=self._rules.names,
            levels=self._rules.levels,
            required=required,
            when_absent=self._rules.when_absent,
        )

    def unconfirmed(self, attempt: Attempt, authenticated: Authenticated) -> str | None:
        """What was essential for the place and has not come back, for operators; None if nothing. What was
        asked for then counts, by the settings of now: nobody has carried it through the browser."""
        return self._rules.asked(attempt).unconfirmed(
            id_token=authenticated.claims.every, userinfo=authenticated.userinfo
        )

    def event(self, identity: ClaimedIdentity, *, now: datetime) -> AuthenticationEvent:
        """What an authentication at the provider is worth. It is a fresh proof if the provider states when
        the person has authenticated, and if the settings say that such a sign-in is one
        (`rekono.step_up_by`)."""
        return AuthenticationEvent(
            method="rekono",
            # A time ahead of our clock (within the leeway) must not make it fresher than now. Where none is
            # stated this is the time at which the provider has vouched for the person, and no proof is made
            # of it.
            at=min(identity.auth_time or now, now),
            source=identity.person.issuer,
            acr=identity.acr,
            amr=identity.amr,
            is_step_up=identity.auth_time is not None and self._rules.step_up_by.covers(identity),
            level=identity.level,
            is_dated=identity.auth_time is not None,
        )

    def _callback(self, attempt: Attempt) -> str:
        return self._places[attempt.portal].callback(attempt.method)
