"""A fresh proof by a client certificate: one that holds, of the person whose session it is, by the register
or, where the settings believe certificates that far, by the tax number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register import membership
from authproxy.flows.sign_in import watched_certificates
from authproxy.flows.sign_in.attempts import SignInPlace
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.step_up.elevation import not_proved
from authproxy.flows.step_up.method_changes import asked_for
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.member import Member
from authproxy.identity.person import Person, TaxNumber


class Register(Protocol):
    async def by_certificate(
        self, fingerprint: str, issuer_serial: tuple[str, int], *, tax_number: TaxNumber | None = None
    ) -> Member | None: ...


class KeptStore(Protocol):
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...


class CertificateAgain:
    def __init__(
        self,
        *,
        register: Register,
        kept: KeptStore,
        proofs: ReturnedProofs,
        places: Mapping[str, SignInPlace],
        level: Level,
        clock: Callable[[], datetime],
    ) -> None:
        """`level` is what a certificate is trusted with; the session's own stays."""
        self._register = register
        self._kept = kept
        self._proofs = proofs
        self._places = places
        self._level = level
        self._clock = clock

    async def complete(
        self, attempt: Attempt, shown: ShownCertificate, ticket_text: str | None, *, now: datetime
    ) -> SteppedUp | NotProved:
        """Ends an attempt that has been taken, with what was shown on it. Raises CannotAsk while nobody can
        say which session it is for; what cannot be asked later is a refusal with the way back."""
        session = await self._proofs.session_of(attempt, ticket_text, now=now)
        if isinstance(session, NotProved):
            return session
        try:
            refused = await self._refusal(session.person, shown, self._places[attempt.portal])
            if refused is not None:
                return not_proved(attempt, refused, found=f"certificate {shown.fingerprint}", session=session)
            # Before the session rests on it: from then on the certificate can be asked about.
            await watched_certificates.keep(self._kept, shown, self._places[attempt.portal].expires_after)
            at = self._clock()
            return await self._proofs.end(
                attempt, ticket_text, session, self._event(attempt, shown, at), now=at
            )
        except CannotAsk as failure:
            return not_proved(attempt, failure.reason, found=str(failure), session=session)

    async def _refusal(self, person: Person, shown: ShownCertificate, place: SignInPlace) -> Reason | None:
        """Why this certificate is no proof of this person's; None if it is one."""
        if person.member is None:
            return await self._refusal_by_number(person, shown)
        member = await self._register.by_certificate(
            shown.fingerprint, (shown.issuer, shown.serial), tax_number=shown.tax_number
        )
        if member is None:
            return Reason.CERTIFICATE_UNKNOWN
        if member.member_id != person.member:
            return Reason.STEP_UP_BY_ANOTHER
        told = membership.refusal(member, portal_id=place.portal_id, members=place.members)
        return None if told is None else told.reason

    async def _refusal_by_number(self, person: Person, shown: ShownCertificate) -> Reason | None:
        """For somebody who is not in the register: what an operator has linked to somebody else is theirs,
        whatever number it has."""
        linked = await self._register.by_certificate(shown.fingerprint, (shown.issuer, shown.serial))
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
            amr=("pop",),  # RFC 8176 §2: possession of the key was proved
            is_step_up=True,
            level=self._level,
            asked_for=asked_for(attempt.route),
        )
