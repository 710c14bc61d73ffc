"""A fresh proof by a valid client certificate. It must be the session's person's: by the register, or by the
tax number in it if the settings trust the authority that far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register import membership
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.method_changes import asked_for
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import Person


class CertificateProof:
    def __init__(
        self,
        *,
        membership: Membership,
        certificates: KeptCertificates,
        proofs: ReturnedProofs,
        demands: Mapping[str, SignInDemand],
        level: Level,
        clock: Callable[[], datetime],
    ) -> None:
        """`level` is what a certificate is trusted with. The session keeps its own level."""
        self._membership = membership
        self._certificates = certificates
        self._proofs = proofs
        self._demands = demands
        self._level = level
        self._clock = clock

    async def complete(
        self, attempt: Attempt, visit: Visit, shown: ShownCertificate
    ) -> SteppedUp | NotProved:
        """Ends an attempt that has been taken, with the certificate that was shown on it. Raises CannotAsk
        while nobody can say which session it is for. If something cannot be asked later, that is a refusal
        with the way back."""
        session = await self._proofs.session_of(attempt, visit)
        if isinstance(session, NotProved):
            return session
        demand = self._demands[attempt.portal]
        try:
            refused = await self._refusal(session.person, shown, demand)
            if refused is not None:
                return not_proved(
                    attempt, refused, detail=f"certificate {shown.fingerprint}", session=session
                )
            # Before the session rests on it: from then on the certificate can be asked about.
            await self._certificates.keep_watched(shown, demand.absolute_lifetime)
            now = self._clock()
            return await self._proofs.step_up(
                attempt, visit, session, self._event(attempt, shown, now), now=now
            )
        except CannotAsk as failure:
            return not_proved(attempt, failure.reason, detail=str(failure), session=session)

    async def _refusal(self, person: Person, shown: ShownCertificate, demand: SignInDemand) -> Reason | None:
        """Why this certificate proves nothing for this person; None if it does."""
        if person.member is None:
            return await self._refusal_by_number(person, shown)
        member = await self._membership.by_certificate(
            shown.fingerprint, (shown.issuer, shown.serial), tax_number=shown.tax_number
        )
        if member is None:
            return Reason.CERTIFICATE_UNKNOWN
        if member.member_id != person.member:
            return Reason.STEP_UP_BY_ANOTHER
        not_admitted = membership.refusal(member, portal_id=demand.portal_id, members=demand.members)
        return None if not_admitted is None else not_admitted.reason

    async def _refusal_by_number(self, person: Person, shown: ShownCertificate) -> Reason | None:
        """For a person who is not in the register. A certificate that an operator has linked to somebody is
        that person's, whatever tax number is in it."""
        linked = await self._membership.by_certificate(shown.fingerprint, (shown.issuer, shown.serial))
        if linked is None and None in (shown.tax_number, person.tax_number):
            return Reason.CERTIFICATE_UNKNOWN
        is_theirs = shown.tax_number == person.tax_number and (
            linked is None or linked.tax_number == person.tax_number
        )
        return None if is_theirs and person.tax_number is not None else Reason.STEP_UP_BY_ANOTHER

    def _event(self, attempt: Attempt, shown: ShownCertificate, now: datetime) -> AuthenticationEvent:
        return AuthenticationEvent(
            method="certificate",
            at=min(shown.shown_at, now),
            source=f"sha256:{shown.fingerprint}",
            amr=("pop",),  # RFC 8176 §2: possession of a key was proved
            is_step_up=True,
            level=self._level,
            asked_for=asked_for(attempt.route),
        )
