"""What the command line asks of a store while a gateway runs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.keys import SigningKeyRing, demand_rotatable, rotate
from authproxy.bootstrap import meanings
from authproxy.bootstrap.acts import act, audit_of_commands
from authproxy.bootstrap.certificates import profile_of, validator_of
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.meanings import ways
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.stores import Stores, stores
from authproxy.certificates import explain, files, path_validation, presentation
from authproxy.certificates.files import FileKind
from authproxy.certificates.leaf import Leaf
from authproxy.certificates.presentation import Presented
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.verdict import CertificateRefused, Validated
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.flows.sign_in.certificate import LESS_THAN_DEMANDED, not_admitted
from authproxy.identity.member import Member
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId, SessionSummary
from authproxy.settings.certificates import Acnlb
from authproxy.settings.schema import Settings
from authproxy.storage.memory import MemorySharedOctets
from authproxy.telemetry.audit import Event


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A live session, and the name under which its person appears in the audit trail: empty for one of an
    older version."""

    summary: SessionSummary
    audit_name: str

    def is_of(self, person: str) -> bool:
        """Whether this is the person's id in the register, their `sub`, or their name in the audit trail."""
        known = self.summary.person
        return known is not None and person in {known.member, known.subject, self.audit_name}


async def list_sessions(
    settings: Settings, *, person: str | None = None, portal: str | None = None
) -> list[OpenSession]:
    """The live sessions of the person (`OpenSession.is_of`), or everybody's, at the portal or all of them,
    the newest first. Raises CannotAsk."""
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        found = await _open_sessions(settings, opened)
    return [
        each
        for each in found
        if (person is None or each.is_of(person)) and portal in (None, each.summary.portal)
    ]


async def _open_sessions(settings: Settings, opened: Stores) -> list[OpenSession]:
    if opened.heartbeat is not None:
        # Sessions are judged as the instances judge them. This also works while the store takes no writes.
        with suppress(CannotAsk):
            await opened.heartbeat.beat(utc_now())
    audit = audit_of_commands(settings, opened.audit_queue)
    found = [
        OpenSession(summary, "" if summary.person is None else audit.name_of(summary.person))
        async for summary in opened.sessions.all_summaries(now=utc_now())
    ]
    return sorted(found, key=lambda each: each.summary.started_at, reverse=True)


class SeveralPeople(ValueError):  # noqa: N818
    """More than one person is known by the name; the message has their names in the audit trail."""


async def revoke_sessions_of(settings: Settings, person: str) -> int:
    """Ends all sessions of the person (`OpenSession.is_of`), and returns how many there were. Raises
    SeveralPeople, and CannotAsk, also if the act cannot be written down."""
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        found = [each for each in await _open_sessions(settings, opened) if each.is_of(person)]
        people = {each.audit_name: each.summary.person for each in found}
        if len(people) > 1:
            raise SeveralPeople(f"several people are known by that: say one of {', '.join(sorted(people))}")
        [whose] = people.values() or [None]
        if whose is None:
            return 0
        async with act(settings, opened.audit_queue, "sessions revoke --person", person=whose) as own:
            ended = len(await opened.sessions.revoke_all([each.summary.session_id for each in found]))
            if ended:
                await own.tell(Event.SESSION_REVOKED, person=whose, detail=f"{ended} sessions of this person")
        return ended


async def revoke_sessions(
    settings: Settings,
    *,
    session_id: str | None = None,
    issuer: str | None = None,
    subject: str | None = None,
) -> int:
    """Ends one session or all of a person, and returns how many there were. Raises CannotAsk, also if the act
    cannot be written down."""
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        if session_id is not None:
            async with act(settings, opened.audit_queue, "sessions revoke", session_id=session_id) as own:
                ended = int(await opened.sessions.revoke(SessionId(session_id)))
                if ended:
                    await own.tell(Event.SESSION_REVOKED, session_id=session_id)
            return ended
        person = Person(issuer=Issuer(issuer or settings.rekono.issuer), subject=Subject(subject or ""))
        async with act(settings, opened.audit_queue, "sessions revoke --subject", person=person) as own:
            ended = await opened.sessions.revoke_subject(person.issuer, person.subject)
            if ended:
                await own.tell(
                    Event.SESSION_REVOKED, person=person, detail=f"{ended} sessions of this person"
                )
        return ended


async def rotate_keys(settings: Settings) -> SigningKeyRing:
    """Rotates the keys that sign assertions, which counts after a restart. Raises CannotAsk where it cannot
    be written down, KeyRefused where a file is missing or cannot be used."""
    files = meanings.key_files(settings)
    demand_rotatable(
        files, settings.assertions.algorithm
    )  # what cannot work is refused before anybody announces it
    async with resolver(settings) as names, stores(settings, names=names) as opened:
        async with act(settings, opened.audit_queue, "keys rotate") as own:
            ring = rotate(files, settings.assertions.algorithm)
            await own.tell(Event.KEY_ROTATED, detail=ring.current.key_id)
        return ring


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCertificate:
    """What a file is, what the certificate in it says, how it was examined, and what becomes of it at each
    portal."""

    kind: FileKind
    leaf: Leaf | None = None
    lines: tuple[explain.CheckLine, ...] = ()
    person: str | None = None
    refused: str | None = None
    """A reason and what is behind it, if it is the same at all portals."""
    told_at: Mapping[str, str | None] = field(default_factory=dict)
    """By portal where certificates sign people in: a reason and what is behind it, or None where it signs its
    holder in."""

    @property
    def portals(self) -> tuple[str, ...]:
        """Where it signs its holder in."""
        return tuple(portal_id for portal_id, told in self.told_at.items() if told is None)

    @property
    def admits(self) -> bool:
        return bool(self.portals)


async def explain_certificate(settings: Settings, octets: bytes) -> ExplainedCertificate:
    """The same examination as at a sign-in, with the register's word. Raises CannotAsk where the store cannot
    be asked."""
    if settings.acnlb is None:
        raise ValueError("no section `acnlb`")
    found = files.contents(octets)
    if not found.certificates:
        return ExplainedCertificate(
            kind=found.kind, refused=f"{Reason.CERTIFICATE_UNREADABLE}: it is {found.kind}"
        )
    shown = presentation.presented(*found.certificates)
    if isinstance(shown, CertificateRefused):
        return ExplainedCertificate(kind=found.kind, refused=f"{shown.reason}: {shown.detail}")
    async with AsyncExitStack() as resources:
        names = await resources.enter_async_context(resolver(settings))
        opened = await resources.enter_async_context(stores(settings, names=names))
        validator = await validator_of(
            settings.acnlb, MemorySharedOctets(clock=utc_now), clock=utc_now, resources=resources, names=names
        )
        # Mode `alarm` tells everything that can be found out; what follows from what cannot, each portal
        # decides.
        examination, verdict = await validator.examine(shown, now=utc_now(), mode=RevocationMode.ALARM)
        unchecked = verdict.unchecked if isinstance(verdict, Validated) else None
        told = ExplainedCertificate(
            kind=found.kind, leaf=examination.leaf, lines=explain.lines(examination, unchecked=unchecked)
        )
        if isinstance(verdict, CertificateRefused):
            return replace(told, refused=f"{verdict.reason}: {verdict.detail}")
        return await _at_portals(told, verdict, settings, settings.acnlb, opened)


async def _at_portals(
    told: ExplainedCertificate, validated: Validated, settings: Settings, acnlb: Acnlb, opened: Stores
) -> ExplainedCertificate:
    leaf = validated.leaf
    member = await Membership(store=opened.people).by_certificate(
        leaf.fingerprint, (leaf.issuer, leaf.serial_number), tax_number=validated.tax_number
    )
    at = {
        portal.portal_id: _told_at(
            meanings.sign_in_demand(settings, portal),
            RevocationMode(own.revocation),
            validated,
            member,
            acnlb,
        )
        for portal in meanings.portals(settings).by_host.values()
        for own in [settings.portals[portal.portal_id]]
        if "acnlb" in ways(settings, own)
    }
    reasons = set(at.values())
    return replace(
        told,
        person=None if member is None else member.member_id,
        told_at=at,
        refused=next(iter(reasons)) if len(reasons) == 1 else None,
    )


def _told_at(
    demand: SignInDemand, mode: RevocationMode, validated: Validated, member: Member | None, acnlb: Acnlb
) -> str | None:
    """What a sign-in at this portal ends with, in the order in which it asks."""
    if validated.unchecked is not None and mode is RevocationMode.HARD:
        return f"{Reason.REVOCATION_UNAVAILABLE}: {validated.unchecked}"
    if acnlb.level < demand.level:
        return f"{Reason.METHOD_NOT_ALLOWED_HERE}: {LESS_THAN_DEMANDED}"
    if member is None:
        return f"{Reason.CERTIFICATE_UNKNOWN}: nobody in the register has it"
    told = not_admitted(member, demand)
    return None if told is None else f"{told.reason}: {told.found}"


def whether_accepted(settings: Settings, certificate: x509.Certificate) -> str:
    """Whether the profile takes the certificate today, for an operator. Asks nobody whether it is revoked."""
    if settings.acnlb is None:
        return "nobody yet: the settings have no section `acnlb`"
    presented = Presented(leaf=certificate.public_bytes(Encoding.DER))
    outcome = path_validation.examination(presented, profile_of(settings.acnlb), now=utc_now()).outcome
    if isinstance(outcome, CertificateRefused):
        return f"nobody: {outcome.reason} ({outcome.detail})"
    return "yes, unless it is revoked"
