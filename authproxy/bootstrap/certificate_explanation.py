"""`authproxy certificate explain` and the question of `people link`: what the gateway makes of a certificate.

The validator, the profile and the register are those of a running gateway, so its answer would be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.access.decision import Reason
from authproxy.bootstrap.certificates import profile_of, validator_of
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.portals import all_portals, sign_in_demand, sign_in_methods
from authproxy.bootstrap.resolver import open_resolver
from authproxy.bootstrap.stores import Stores, open_stores
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
from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.schema import Settings
from authproxy.storage.memory import MemorySharedOctets


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCertificate:
    """What a file is, what the certificate in it says, how it was checked, and what follows at each portal.
    A refusal is a reason and its detail."""

    kind: FileKind
    leaf: Leaf | None = None
    lines: tuple[explain.CheckLine, ...] = ()
    person: str | None = None
    refused: str | None = None
    """The refusal that is the same at all portals."""
    refused_at: Mapping[str, str | None] = field(default_factory=dict)
    """By portal that takes certificates: its refusal, or None where the certificate signs its holder in."""

    @property
    def portals(self) -> tuple[str, ...]:
        """Where it signs its holder in."""
        return tuple(portal_id for portal_id, refusal in self.refused_at.items() if refusal is None)

    @property
    def admits(self) -> bool:
        return bool(self.portals)


async def explain_certificate(settings: Settings, octets: bytes) -> ExplainedCertificate:
    """Checks the certificate as at a sign-in, revocation and register included. Raises CannotAsk if the store
    cannot be asked."""
    if settings.acnlb is None:
        raise ValueError("no section `acnlb`")
    file = files.contents(octets)
    if not file.certificates:
        refusal = f"{Reason.CERTIFICATE_UNREADABLE}: it is {file.kind}"
        return ExplainedCertificate(kind=file.kind, refused=refusal)
    presented = presentation.presented(*file.certificates)
    if isinstance(presented, CertificateRefused):
        return ExplainedCertificate(kind=file.kind, refused=f"{presented.reason}: {presented.detail}")
    async with AsyncExitStack() as resources:
        names = await resources.enter_async_context(open_resolver(settings))
        stores = await resources.enter_async_context(open_stores(settings, names=names))
        validator = await validator_of(
            settings.acnlb, MemorySharedOctets(clock=utc_now), clock=utc_now, resources=resources, names=names
        )
        # With `alarm`, missing revocation information does not end the examination. What it means at each
        # portal is decided below.
        examination, verdict = await validator.examine(presented, now=utc_now(), mode=RevocationMode.ALARM)
        unchecked = verdict.unchecked if isinstance(verdict, Validated) else None
        explained = ExplainedCertificate(
            kind=file.kind, leaf=examination.leaf, lines=explain.lines(examination, unchecked=unchecked)
        )
        if isinstance(verdict, CertificateRefused):
            return replace(explained, refused=f"{verdict.reason}: {verdict.detail}")
        return await _at_portals(explained, verdict, settings, settings.acnlb, stores)


async def _at_portals(
    explained: ExplainedCertificate,
    validated: Validated,
    settings: Settings,
    acnlb: AcnlbSettings,
    stores: Stores,
) -> ExplainedCertificate:
    leaf = validated.leaf
    member = await Membership(store=stores.people).by_certificate(
        leaf.fingerprint, (leaf.issuer, leaf.serial_number), tax_number=validated.tax_number
    )
    refused_at = {
        portal.portal_id: _refusal_at(
            sign_in_demand(settings, portal),
            RevocationMode(portal_settings.revocation),
            validated,
            member,
            acnlb,
        )
        for portal in all_portals(settings).by_host.values()
        for portal_settings in [settings.portals[portal.portal_id]]
        if "acnlb" in sign_in_methods(settings, portal_settings)
    }
    refusals = set(refused_at.values())
    return replace(
        explained,
        person=None if member is None else member.member_id,
        refused_at=refused_at,
        refused=next(iter(refusals)) if len(refusals) == 1 else None,
    )


def _refusal_at(
    demand: SignInDemand,
    mode: RevocationMode,
    validated: Validated,
    member: Member | None,
    acnlb: AcnlbSettings,
) -> str | None:
    """How a sign-in at this portal would be refused, by the first check that fails; None if it succeeds."""
    if validated.unchecked is not None and mode is RevocationMode.HARD:
        return f"{Reason.REVOCATION_UNAVAILABLE}: {validated.unchecked}"
    if acnlb.level < demand.level:
        return f"{Reason.METHOD_NOT_ALLOWED_HERE}: {LESS_THAN_DEMANDED}"
    if member is None:
        return f"{Reason.CERTIFICATE_UNKNOWN}: nobody in the register has it"
    refusal = not_admitted(member, demand)
    return None if refusal is None else f"{refusal.reason}: {refusal.detail}"


def whether_accepted(settings: Settings, certificate: x509.Certificate) -> str:
    """Whether the profile accepts the certificate today, in words. Revocation is not checked."""
    if settings.acnlb is None:
        return "nobody yet: the settings have no section `acnlb`"
    presented = Presented(leaf=certificate.public_bytes(Encoding.DER))
    outcome = path_validation.examination(presented, profile_of(settings.acnlb), now=utc_now()).outcome
    if isinstance(outcome, CertificateRefused):
        return f"nobody: {outcome.reason} ({outcome.detail})"
    return "yes, unless it is revoked"
