"""What the command line asks of a store while a gateway runs elsewhere."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.keys import KeyRing, demand_rotatable, rotate
from authproxy.bootstrap import meanings
from authproxy.bootstrap.acts import act
from authproxy.bootstrap.certificates import profile_of, validator_of
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.meanings import ways
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.stores import Stores, stores
from authproxy.certificates import explain, path_validation, presentation
from authproxy.certificates.leaf import Leaf
from authproxy.certificates.path_validation import Examination
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import Profile
from authproxy.certificates.status import Mode
from authproxy.certificates.validator import CertificateValidator
from authproxy.certificates.verdict import Refused
from authproxy.flows.membership import Membership, refusal
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId, SessionSummary
from authproxy.settings.certificates import Acnlb
from authproxy.settings.schema import Settings
from authproxy.storage.memory import MemoryKept
from authproxy.telemetry.audit import Event


async def list_sessions(settings: Settings) -> list[SessionSummary]:
    """Every live session, the newest first. Raises CannotAsk."""
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        if opened.pulse is not None:
            # Sessions are judged as the instances judge them. This also works while the store takes no writes.
            with suppress(CannotAsk):
                await opened.pulse.beat(utc_now())
        found = [summary async for summary in opened.sessions.all_summaries(now=utc_now())]
    return sorted(found, key=lambda summary: summary.started_at, reverse=True)


async def revoke_sessions(
    settings: Settings, *, session_id: str | None = None, issuer: str | None = None, subject: str | None = None
) -> int:
    """Ends one session or all of a person, and returns how many there were. Raises CannotAsk, also if the act cannot be written down."""
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        if session_id is not None:
            async with act(settings, opened.acts, "sessions revoke", session_id=session_id) as own:
                ended = int(await opened.sessions.revoke(SessionId(session_id)))
                if ended:
                    await own.tell(Event.SESSION_REVOKED, session_id=session_id)
            return ended
        person = Person(issuer=Issuer(issuer or settings.rekono.issuer), subject=Subject(subject or ""))
        async with act(settings, opened.acts, "sessions revoke --subject", person=person) as own:
            ended = await opened.sessions.revoke_subject(person.issuer, person.subject)
            if ended:
                await own.tell(Event.SESSION_REVOKED, person=person, detail=f"{ended} sessions of this person")
        return ended


async def rotate_keys(settings: Settings) -> KeyRing:
    """Rotates the keys that sign assertions, which counts after a restart. Raises CannotAsk where it cannot be written down, KeyRefused
    where a file is missing or cannot be used."""
    files = meanings.key_files(settings)
    demand_rotatable(files, settings.assertions.algorithm)  # what cannot work is refused before anybody announces it
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        async with act(settings, opened.acts, "keys rotate") as own:
            ring = rotate(files, settings.assertions.algorithm)
            await own.tell(Event.KEY_ROTATED, detail=ring.current.key_id)
        return ring


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCertificate:
    """What a certificate says, how it was examined, and whom it signs in where. `refused` is a reason and what is behind it."""

    leaf: Leaf | None
    lines: tuple[explain.Line, ...]
    person: str | None = None
    portals: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def admits(self) -> bool:
        return self.refused is None


async def explain_certificate(settings: Settings, octets: bytes) -> ExplainedCertificate:
    """The same examination as at a sign-in, with the register's word. Raises CannotAsk where the store cannot be asked."""
    if settings.acnlb is None:
        raise ValueError("no section `acnlb`")
    shown = presentation.presented(*_certificates_in(octets))
    if isinstance(shown, Refused):
        return ExplainedCertificate(leaf=None, lines=(), refused=f"{shown.reason}: {shown.detail}")
    async with AsyncExitStack() as resources:
        names = await resources.enter_async_context(resolver(settings))
        opened = await resources.enter_async_context(stores(settings, names=names))
        validator = await validator_of(settings.acnlb, MemoryKept(clock=utc_now), clock=utc_now, resources=resources, names=names)
        examination, unknown = await _examined(validator, shown, profile_of(settings.acnlb))
        told = ExplainedCertificate(leaf=examination.leaf, lines=explain.lines(examination))
        if isinstance(outcome := examination.outcome, Refused):
            return replace(told, refused=f"{outcome.reason}: {outcome.detail}")
        if unknown is not None or examination.leaf is None:
            return replace(told, refused=f"{Reason.REVOCATION_UNAVAILABLE}: {unknown}")
        return await _with_register(told, examination.leaf, settings, settings.acnlb, opened)


async def _examined(validator: CertificateValidator, shown: Presented, profile: Profile) -> tuple[Examination, CannotAsk | None]:
    """The examination; without its end and with the reason where nobody can say whether the certificate is revoked."""
    now = utc_now()
    try:
        return (await validator.examine(shown, now=now, mode=Mode.HARD))[0], None
    except CannotAsk as unknown:
        return path_validation.examination(shown, profile, now=now), unknown


async def _with_register(
    told: ExplainedCertificate, leaf: Leaf, settings: Settings, acnlb: Acnlb, opened: Stores
) -> ExplainedCertificate:  # fmt: skip
    member = await Membership(store=opened.people).by_certificate(
        leaf.fingerprint, (leaf.issuer, leaf.serial_number), tax_number=leaf.tax_number if acnlb.believes_tax_numbers else None
    )
    if member is None:
        return replace(told, refused=f"{Reason.CERTIFICATE_UNKNOWN}: nobody in the register has it")
    portals = tuple(
        portal_id
        for portal_id, portal in settings.portals.items()
        if "acnlb" in ways(settings, portal) and refusal(member, portal_id=portal_id, members=portal.members) is None
    )
    refused = None if portals else f"{Reason.NOT_A_MEMBER}: {'blocked' if member.is_blocked else 'no portal is open to them'}"
    return replace(told, person=member.member_id, portals=portals, refused=refused)


def _certificates_in(octets: bytes) -> list[bytes]:
    """The certificates of a PEM text, whatever else stands in it, or the octets themselves."""
    if b"-----BEGIN" not in octets:
        return [octets]
    try:
        return [certificate.public_bytes(Encoding.DER) for certificate in x509.load_pem_x509_certificates(octets)]
    except ValueError:
        return [octets]
