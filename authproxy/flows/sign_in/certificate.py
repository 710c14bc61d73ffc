"""Sign-in by a client certificate: from the chooser to the host where browsers show certificates, and back to
the portal.

Two sealed texts travel, one each way. The one for the way there holds the browser's attempt; who learns of it
can show a certificate of their own, and nothing else. The one for the way back says what was shown on which
attempt, and only the browser that showed it learns of it. A session needs that, and the browser's flow
cookie: neither somebody else's certificate nor somebody else's way back can be slipped into a sign-in. Before
a certificate that holds was shown the store keeps nothing, and then one record for each certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.presentation import Presented
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.verdict import CertificateRefused, Validated
from authproxy.flows.register import membership
from authproxy.flows.register.membership import NotAdmitted
from authproxy.flows.sign_in import refused_certificates, shown_certificate, watched_certificates
from authproxy.flows.sign_in.attempts import (
    Outcome,
    Proved,
    Seals,
    SignedIn,
    SignInPlace,
    SignInRefused,
    SignIns,
    over,
)
from authproxy.flows.sign_in.certificate_again import CertificateAgain
from authproxy.flows.sign_in.returned_proofs import ReturnedProofs
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.outcomes import NotProved
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import SECRET_SIZE, Attempt, Showing
from authproxy.identity.member import Member
from authproxy.identity.person import Issuer, TaxNumber
from authproxy.identity.session import Session

LESS_THAN_DEMANDED: Final = "a certificate gives less than the level that the portal demands"
_METHOD: Final = "acnlb"
_SHOWN_FOR: Final = timedelta(minutes=5)
"""How long after it was shown a certificate signs somebody in: the way back takes a moment."""
_HELD_BY_REGISTER: Final[tuple[Claim, ...]] = ("tax_number", "name", "email", "phone_number")
_ASKED_OF_ACCOUNTS: Final[tuple[Claim, ...]] = ("birthdate", "address")
"""Only accounts at the provider must state them: the register vouches for its people without."""


class KeptStore(Protocol):
    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...


class Validator(Protocol):
    async def validate(
        self, presented: Presented, *, now: datetime, mode: RevocationMode
    ) -> Validated | CertificateRefused: ...


class Register(Protocol):
    async def by_certificate(
        self, fingerprint: str, issuer_serial: tuple[str, int], *, tax_number: TaxNumber | None = None
    ) -> Member | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A browser that has come to show a certificate: for which portal, where it then wants to go there, and
    whether somebody signs in by it or, signed in already, proves afresh who they are; then for which route,
    and which request waits for it."""

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
    """The certificate holds. `location` is where the browser goes on to; it has the one secret in it."""

    location: str = field(repr=False)
    validated: Validated


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRules:
    """`url` is the host where certificates are shown, `issuer` the name under which this gateway vouches for
    the register's people. `modes` says by portal what happens while nobody knows about revocation."""

    url: str
    issuer: Issuer
    level: Level
    modes: Mapping[str, RevocationMode]


class CertificateLogin:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        rules: CertificateRules,
        validator: Validator,
        register: Register,
        seals: Seals,
        sign_ins: SignIns,
        elevations: Elevations,
        kept: KeptStore,
        places: Mapping[str, SignInPlace],
        attempt_for: timedelta,
        fresh: Callable[[int], str],
        clock: Callable[[], datetime],
    ) -> None:
        """`fresh(n)` is URL-safe text of n random bytes."""
        self._rules = rules
        self._validator = validator
        self._register = register
        self._seals = seals
        self._sign_ins = sign_ins
        self._kept = kept
        self._places = places
        self._attempt_for = attempt_for
        self._fresh = fresh
        self._clock = clock
        proofs = ReturnedProofs(sign_ins=sign_ins, elevations=elevations)
        self._again = CertificateAgain(
            register=register, kept=kept, proofs=proofs, places=places, level=rules.level, clock=clock
        )

    async def begin(self, *, portal_id: str, return_to: str, browser: str, now: datetime) -> str:
        """The URL where the browser shows its certificate."""
        return self._begun(
            Attempt(
                portal=portal_id,
                return_to=return_to,
                browser=browser,
                secret=self._fresh(SECRET_SIZE),
                opened_at=now,
                method=_METHOD,
            )
        )

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
        """The URL where the session's person proves afresh who they are by a certificate."""
        location = self._begun(
            Attempt(
                portal=portal_id,
                return_to=return_to,
                browser=browser,
                secret=self._fresh(SECRET_SIZE),
                opened_at=now,
                method=_METHOD,
                step_up_of=session.session_id,
                route=route,
                held=held,
                binding=binding,
            )
        )
        return f"{location}&lang={locale}"

    def hop(self, text: str, *, now: datetime) -> Hop | None:
        """The hop that this text was sealed for, if it is not too old."""
        attempt = self._seals.attempt_in(text)
        if attempt is None or attempt.method != _METHOD or now - attempt.opened_at > self._attempt_for:
            return None
        return Hop(attempt=attempt)

    async def show(self, hop: Hop, presented: Presented, *, now: datetime) -> Accepted | CertificateRefused:
        """What becomes of a certificate that was shown on this hop. A refusal leaves the hop as it is:
        another one may be shown. Raises CannotAsk where nobody can say whether the certificate is revoked."""
        found = await self._validator.validate(presented, now=now, mode=self._rules.modes[hop.portal_id])
        if isinstance(found, CertificateRefused):
            return found
        shown = shown_certificate.of(found, shown_at=now)
        await self._kept.put(_key(shown.fingerprint), shown.octets(), _SHOWN_FOR)
        way_back = self._seals.showing_sealed(
            Showing(attempt=hop.attempt, fingerprint=shown.fingerprint, shown_at=now)
        )
        return Accepted(
            location=f"{self._places[hop.portal_id].callback(_METHOD)}?hop={way_back}", validated=found
        )

    async def complete(
        self,
        *,
        portal_id: str,
        secret: str | None,
        browser: str | None,
        ticket_text: str | None,
        user_agent: str,
        request_id: str,
        now: datetime,
    ) -> Outcome:
        """Ends the attempt on which the certificate was shown. `secret` is the sealed text of the way back. A
        certificate of nobody is kept for the operator under `request_id`. What cannot be asked is a refusal,
        so that the way back to the page is not lost; raises CannotAsk only where nobody can say whether the
        browser has a session."""
        showing = None if secret is None else self._seals.showing_in(secret)
        attempt = await self._sign_ins.taken(
            None if showing is None else showing.attempt,
            method=_METHOD,
            portal_id=portal_id,
            browser=browser,
            ticket_text=ticket_text,
            now=now,
        )
        if not isinstance(attempt, Attempt):
            return attempt
        assert showing is not None  # noqa: S101  # without one there is no attempt to take
        try:
            shown = await self._shown(showing, now)
        except CannotAsk as failure:
            return over(attempt, failure.reason, found=str(failure))
        if shown is None:
            return over(attempt, Reason.ATTEMPT_TOO_OLD)
        outcome: Outcome
        if attempt.step_up_of is not None:
            outcome = await self._again.complete(attempt, shown, ticket_text, now=now)
        else:
            outcome = await self._signed_in(attempt, shown, ticket_text, user_agent)
        if isinstance(outcome, SignInRefused | NotProved) and outcome.reason is Reason.CERTIFICATE_UNKNOWN:
            with suppress(CannotAsk):  # the page is right without it
                await refused_certificates.keep(self._kept, shown, request_id)
        return outcome

    async def _signed_in(
        self, attempt: Attempt, shown: ShownCertificate, ticket_text: str | None, user_agent: str
    ) -> SignedIn | SignInRefused:
        try:
            outcome = await self._enter(shown, attempt, ticket_text, user_agent)
            if isinstance(outcome, SignInRefused):
                # Somebody has proved who they are and may not come in: the session that the browser has is
                # another person's.
                await self._sign_ins.end_previous(ticket_text)
                return replace(outcome, return_to=attempt.return_to)
        except CannotAsk as failure:
            return SignInRefused(failure.reason, attempt.return_to, found=str(failure))
        return outcome

    async def _shown(self, showing: Showing, now: datetime) -> ShownCertificate | None:
        """None if the certificate was shown more than five minutes ago: ask for it again."""
        if now - showing.shown_at > _SHOWN_FOR:
            return None
        octets = await self._kept.get(_key(showing.fingerprint))
        return None if octets is None else shown_certificate.read(octets, shown_at=showing.shown_at)

    async def _enter(
        self, shown: ShownCertificate, attempt: Attempt, ticket_text: str | None, user_agent: str
    ) -> SignedIn | SignInRefused:
        place = self._places[attempt.portal]
        told = await self._ask_register(shown, place)
        if isinstance(told, SignInRefused):
            return told
        now = self._clock()
        # Before there is a session: as long as there is one, its certificate can be asked about.
        await watched_certificates.keep(self._kept, shown, place.expires_after)
        signed_in = await self._sign_ins.start(
            self._proved(told, shown, now),
            attempt,
            place,
            ticket_text=ticket_text,
            user_agent=user_agent,
            now=now,
        )
        again = await self._ask_register(shown, place)
        return await self._sign_ins.confirmed(
            signed_in,
            told=told.member_id,
            again=again if isinstance(again, SignInRefused) else again.member_id,
        )

    async def _ask_register(self, shown: ShownCertificate, place: SignInPlace) -> Member | SignInRefused:
        if self._rules.level < place.level:
            return SignInRefused(Reason.METHOD_NOT_ALLOWED_HERE, "/", found=LESS_THAN_DEMANDED)
        member = await self._register.by_certificate(
            shown.fingerprint, (shown.issuer, shown.serial), tax_number=shown.tax_number
        )
        if member is None:
            return SignInRefused(Reason.CERTIFICATE_UNKNOWN, "/", found=f"certificate {shown.fingerprint}")
        told = not_admitted(member, place)
        if told is not None:
            return SignInRefused(
                told.reason, "/", found=told.found, person=member.person(self._rules.issuer), by_register=told
            )
        return member

    def _proved(self, member: Member, shown: ShownCertificate, now: datetime) -> Proved:
        event = AuthenticationEvent(
            method=_METHOD,
            at=min(shown.shown_at, now),
            source=f"sha256:{shown.fingerprint}",
            # RFC 8176 §2: possession of the key was proved. Whether a PIN guards it nobody can tell: one
            # factor, and no step-up.
            amr=("pop",),
            is_step_up=False,
            level=self._rules.level,
        )
        return Proved(
            person=member.person(self._rules.issuer),
            method=_METHOD,
            level=self._rules.level,
            event=event,
            ends_at=shown.not_after,
            provider_session=shown.fingerprint,
            claims=(
                *(claim for claim in _HELD_BY_REGISTER if _held(member, claim) is not None),
                *_ASKED_OF_ACCOUNTS,
            ),
        )

    def _begun(self, attempt: Attempt) -> str:
        return f"{self._rules.url}/?hop={self._seals.attempt_sealed(attempt)}"


def _key(fingerprint: str) -> str:
    return f"shown:{fingerprint}"


def not_admitted(member: Member, place: SignInPlace) -> NotAdmitted | None:
    """Why the holder of a certificate may not come in at a portal; None for whoever may."""
    return membership.refusal(member, portal_id=place.portal_id, members=place.members) or _incomplete(
        member, place
    )


def _incomplete(member: Member, place: SignInPlace) -> NotAdmitted | None:
    """Of what the portal requires the register holds a part; date of birth and address are asked of accounts
    at the provider only."""
    missing = [
        claim
        for claim in place.required_claims
        if claim in _HELD_BY_REGISTER and _held(member, claim) is None
    ]
    if not missing:
        return None
    found = f"the register lacks what the portal requires: {', '.join(missing)}"
    return NotAdmitted(reason=Reason.NOT_A_MEMBER, found=found, member=member)


def _held(member: Member, claim: Claim) -> str | None:
    known = {
        "tax_number": member.tax_number,
        "name": member.name,
        "email": member.email,
        "phone_number": member.phone,
    }
    return known.get(claim)
