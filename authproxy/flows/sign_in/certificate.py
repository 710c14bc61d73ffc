"""Sign-in by a client certificate: from the chooser to the certificate host, and back to the portal.

Two sealed texts travel, one each way. The text for the way there holds the browser's attempt; somebody who
learns it can show a certificate of their own, and nothing else. The text for the way back says which
certificate was shown on which attempt; only the browser that showed it learns it. A session needs that text
and the flow cookie of the attempt. So an attacker can slip neither somebody else's certificate nor somebody
else's way back into a sign-in. The store keeps nothing before a valid certificate was shown, and then one
record for each certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.presentation import Presented
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.validator import CertificateValidator
from authproxy.certificates.verdict import CertificateRefused, Validated
from authproxy.flows.register import membership
from authproxy.flows.register.membership import Membership, NotAdmitted
from authproxy.flows.sign_in import shown_certificate
from authproxy.flows.sign_in.attempts import (
    ProvedSignIn,
    SignedIn,
    SignInDemand,
    SignInOutcome,
    SignInRefused,
    SignIns,
    attempt_failed,
)
from authproxy.flows.sign_in.certificate_proof import CertificateProof
from authproxy.flows.sign_in.kept_certificates import SHOWN_FOR, KeptCertificates
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.outcomes import NotProved
from authproxy.flows.stores import AttemptSeals
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.member import Member
from authproxy.identity.person import Issuer
from authproxy.identity.session import Session

LESS_THAN_DEMANDED: Final = "a certificate gives less than the level that the portal demands"
_METHOD: Final = "acnlb"
_IN_REGISTER: Final[tuple[Claim, ...]] = ("tax_number", "name", "email", "phone_number")
_ASKED_OF_ACCOUNTS: Final[tuple[Claim, ...]] = ("birthdate", "address")
"""Only accounts at the provider must state these. The register does not have them, and vouches for its people
without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A browser that has come to the certificate host, on its way to a portal: to sign in, or to give a fresh
    proof. For a proof, `route` is the name of the route that demands it. `held` is the name of the held
    request that waits."""

    attempt: Attempt = field(repr=False)

    @property
    def portal_id(self) -> str:
        return self.attempt.portal

    @property
    def return_to(self) -> str:
        return self.attempt.return_to

    @property
    def is_step_up(self) -> bool:
        return self.attempt.step_up_of is not None

    @property
    def route(self) -> str:
        return self.attempt.route

    @property
    def held(self) -> str | None:
        return self.attempt.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The certificate is valid. `location` is where the browser goes on, with the text for the way back in
    it."""

    location: str = field(repr=False)
    validated: Validated


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRules:
    """`url` is the certificate host. `issuer` is the name under which this gateway vouches for the register's
    people. `level` is what a certificate is trusted with. `modes` says, by portal id, what happens while
    nobody can say whether a certificate is revoked."""

    url: str
    issuer: Issuer
    level: Level
    modes: Mapping[str, RevocationMode]


class CertificateSignIn:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        rules: CertificateRules,
        validator: CertificateValidator,
        membership: Membership,
        seals: AttemptSeals,
        sign_ins: SignIns,
        elevations: Elevations,
        certificates: KeptCertificates,
        demands: Mapping[str, SignInDemand],
        attempt_for: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        """`demands` are by portal id; `attempt_for` is how long an attempt may take."""
        self._rules = rules
        self._validator = validator
        self._membership = membership
        self._seals = seals
        self._sign_ins = sign_ins
        self._certificates = certificates
        self._demands = demands
        self._attempt_for = attempt_for
        self._clock = clock
        self._proof = CertificateProof(
            membership=membership,
            certificates=certificates,
            proofs=ReturnedProofs(sign_ins=sign_ins, elevations=elevations),
            demands=demands,
            level=rules.level,
            clock=clock,
        )

    async def begin(self, visit: Visit) -> str:
        """The URL where the browser shows its certificate."""
        return self._certificate_host(self._sign_ins.sign_in_attempt(visit, _METHOD))

    async def begin_step_up(self, visit: Visit, session: Session, route: str) -> str:
        """The URL where the session's person proves afresh who they are by a certificate."""
        attempt = self._sign_ins.proof_attempt(visit, _METHOD, session, route)
        return f"{self._certificate_host(attempt)}&lang={visit.locale}"

    def _certificate_host(self, attempt: Attempt) -> str:
        return f"{self._rules.url}/?hop={self._seals.attempt_sealed(attempt)}"

    def hop(self, text: str, *, now: datetime) -> Hop | None:
        """The hop for which this text was sealed; None if it is none of ours, or too old."""
        attempt = self._seals.attempt_in(text)
        if attempt is None or attempt.method != _METHOD or now - attempt.opened_at > self._attempt_for:
            return None
        return Hop(attempt=attempt)

    async def show(self, hop: Hop, presented: Presented, *, now: datetime) -> Accepted | CertificateRefused:
        """Examines a certificate that was shown on this hop. A refusal leaves the hop as it is, and another
        certificate may be shown. Raises CannotAsk if nobody can say whether the certificate is revoked."""
        verdict = await self._validator.validate(presented, now=now, mode=self._rules.modes[hop.portal_id])
        if isinstance(verdict, CertificateRefused):
            return verdict
        shown = shown_certificate.of(verdict, shown_at=now)
        await self._certificates.keep_shown(shown)
        way_back = self._seals.showing_sealed(
            Showing(attempt=hop.attempt, fingerprint=shown.fingerprint, shown_at=now)
        )
        return Accepted(
            location=f"{self._demands[hop.portal_id].callback(_METHOD)}?hop={way_back}", validated=verdict
        )

    async def complete(self, visit: Visit, way_back: str | None, *, request_id: str) -> SignInOutcome:
        """Ends the attempt on which the certificate was shown. `way_back` is the sealed text. A certificate
        of nobody is kept for the operator under `request_id`. If something cannot be asked, that is a
        refusal, because its page leads back to where the person wanted to go. Raises CannotAsk only where
        nobody can say whether the browser has a session."""
        showing = None if way_back is None else self._seals.showing_in(way_back)
        attempt = await self._sign_ins.taken(None if showing is None else showing.attempt, visit, _METHOD)
        if not isinstance(attempt, Attempt):
            return attempt
        assert showing is not None  # noqa: S101  # without one there is no attempt to take
        try:
            shown = await self._shown(showing, visit.now)
        except CannotAsk as failure:
            return attempt_failed(attempt, failure.reason, detail=str(failure))
        if shown is None:
            return attempt_failed(attempt, Reason.ATTEMPT_TOO_OLD)
        outcome: SignInOutcome
        if attempt.step_up_of is not None:
            outcome = await self._proof.complete(attempt, visit, shown)
        else:
            outcome = await self._sign_in(attempt, visit, shown)
        if isinstance(outcome, SignInRefused | NotProved) and outcome.reason is Reason.CERTIFICATE_UNKNOWN:
            with suppress(CannotAsk):  # the page is right without it
                await self._certificates.keep_refused(shown, request_id)
        return outcome

    async def _shown(self, showing: Showing, now: datetime) -> ShownCertificate | None:
        """None if the certificate was shown more than five minutes ago: it must be shown again."""
        return None if now - showing.shown_at > SHOWN_FOR else await self._certificates.shown(showing)

    async def _sign_in(
        self, attempt: Attempt, visit: Visit, shown: ShownCertificate
    ) -> SignedIn | SignInRefused:
        try:
            outcome = await self._enter(attempt, visit, shown)
            if isinstance(outcome, SignInRefused):
                # Somebody has proved who they are and may not come in. The session that the browser has is
                # another person's.
                await self._sign_ins.end_previous(visit)
                return replace(outcome, return_to=attempt.return_to, held=attempt.held)
        except CannotAsk as failure:
            return SignInRefused(failure.reason, attempt.return_to, detail=str(failure), held=attempt.held)
        return outcome

    async def _enter(
        self, attempt: Attempt, visit: Visit, shown: ShownCertificate
    ) -> SignedIn | SignInRefused:
        """Asks the register, starts the session, and asks once more, because somebody may have been blocked
        in between."""
        demand = self._demands[attempt.portal]
        first = await self._ask_register(shown, demand)
        if isinstance(first, SignInRefused):
            return first
        now = self._clock()
        # Before there is a session: its certificate can be asked about for as long as the session lives.
        await self._certificates.keep_watched(shown, demand.absolute_lifetime)
        proved = replace(self._proved(first, shown, now), roles=first.roles_at(demand.portal_id))
        signed_in = await self._sign_ins.start(proved, attempt, demand, visit, now=now)
        second = await self._ask_register(shown, demand)
        return await self._sign_ins.confirmed(
            signed_in,
            first=(first.member_id, first.roles_at(demand.portal_id)),
            second=second
            if isinstance(second, SignInRefused)
            else (second.member_id, second.roles_at(demand.portal_id)),
        )

    async def _ask_register(self, shown: ShownCertificate, demand: SignInDemand) -> Member | SignInRefused:
        """The person of the certificate, if they may come in at the portal."""
        if self._rules.level < demand.level:
            return SignInRefused(Reason.METHOD_NOT_ALLOWED_HERE, "/", detail=LESS_THAN_DEMANDED)
        member = await self._membership.by_certificate(
            shown.fingerprint, (shown.issuer, shown.serial), tax_number=shown.tax_number
        )
        if member is None:
            return SignInRefused(Reason.CERTIFICATE_UNKNOWN, "/", detail=f"certificate {shown.fingerprint}")
        refused = not_admitted(member, demand)
        if refused is not None:
            return SignInRefused(
                refused.reason,
                "/",
                detail=refused.detail,
                person=member.person(self._rules.issuer),
                by_register=refused,
            )
        return member

    def _proved(self, member: Member, shown: ShownCertificate, now: datetime) -> ProvedSignIn:
        event = AuthenticationEvent(
            method=_METHOD,
            at=min(shown.shown_at, now),
            source=f"sha256:{shown.fingerprint}",
            # RFC 8176 §2: `pop` says that possession of the key was proved. Nobody can tell whether a PIN
            # guards the key, so it is one factor, and no step-up.
            amr=("pop",),
            is_step_up=False,
            level=self._rules.level,
        )
        return ProvedSignIn(
            person=member.person(self._rules.issuer),
            method=_METHOD,
            level=self._rules.level,
            event=event,
            ends_at=shown.not_after,
            # The session is found by its certificate, as others are by the provider's session.
            provider_session=shown.fingerprint,
            claims=(
                *(claim for claim in _IN_REGISTER if _in_register(member, claim) is not None),
                *_ASKED_OF_ACCOUNTS,
            ),
        )


def not_admitted(member: Member, demand: SignInDemand) -> NotAdmitted | None:
    """Why the holder of a certificate may not come in at a portal; None if they may."""
    return membership.refusal(member, portal_id=demand.portal_id, members=demand.members) or _incomplete(
        member, demand
    )


def _incomplete(member: Member, demand: SignInDemand) -> NotAdmitted | None:
    """Refuses a person if the register lacks data that the portal requires. Date of birth and address are
    required of accounts at the provider only."""
    missing = [
        claim
        for claim in demand.required_claims
        if claim in _IN_REGISTER and _in_register(member, claim) is None
    ]
    if not missing:
        return None
    detail = f"the register lacks what the portal requires: {', '.join(missing)}"
    return NotAdmitted(reason=Reason.NOT_A_MEMBER, detail=detail, member=member)


def _in_register(member: Member, claim: Claim) -> str | None:
    values = {
        "tax_number": member.tax_number,
        "name": member.name,
        "email": member.email,
        "phone_number": member.phone,
    }
    return values.get(claim)
