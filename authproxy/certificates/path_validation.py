"""PURE: the path from a presented certificate to an anchor of the profile (RFC 5280 §6), built by
`cryptography`'s client verifier.

`second_opinion` examines the path again with other libraries. `revocation` asks whether it has been revoked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

from authproxy.access.decision import Reason
from authproxy.certificates import leaf as leaves
from authproxy.certificates import profiles
from authproxy.certificates.leaf import Leaf, UnreadableLeaf
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import CertificateCheck, Profile
from authproxy.certificates.verdict import CertificateRefused

_DEPTH = 3
"""The maximum number of CA certificates between leaf and anchor. AC NLB has one."""
_UNDERSTOOD: frozenset[type[x509.GeneralName]] = frozenset(
    {x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress}
)
"""The kinds of names whose constraints all three readers handle: they apply them, or they refuse a
certificate that has such a name (the first reader does that for URIs). One reader does neither for IP
addresses, so those are checked here."""


Pairs = tuple[tuple[x509.Certificate, x509.Certificate], ...]
"""Pairs of a certificate and its issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePath:
    """A path that was valid when it was built: the leaf, the CAs above it, the anchor."""

    leaf: Leaf
    certificates: tuple[x509.Certificate, ...]

    @property
    def pairs(self) -> Pairs:
        """Each certificate that its issuer could have revoked, with that issuer, the leaf first."""
        return tuple(zip(self.certificates, self.certificates[1:], strict=False))

    @property
    def der(self) -> tuple[bytes, ...]:
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.certificates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The checks that were made, each with its refusal or None if it passed, and the outcome."""

    checks: tuple[tuple[CertificateCheck, CertificateRefused | None], ...]
    outcome: CertificatePath | CertificateRefused
    leaf: Leaf | None = None
    """None if the certificate could not be read."""

    def after(self, check: CertificateCheck, refused: CertificateRefused | None) -> Examination:
        """This examination with one more check."""
        return replace(self, checks=(*self.checks, (check, refused)), outcome=refused or self.outcome)


def examination(presented: Presented, profile: Profile, *, now: datetime) -> Examination:
    """Checks every rule of the profile, and builds the path if all hold. A person is told the first rule that
    fails."""
    try:
        certificate, chain = _loaded(presented)
        leaf = leaves.read(certificate)
    except UnreadableLeaf as unreadable:
        refused = CertificateRefused(reason=Reason.CERTIFICATE_UNREADABLE, detail=str(unreadable))
        return Examination(checks=((CertificateCheck.READABLE, refused),), outcome=refused)
    checks = (
        (CertificateCheck.READABLE, None),
        *profiles.examined(certificate, profile, chain=chain, now=now),
    )
    first = next((refused for _, refused in checks if refused is not None), None)
    if first is not None:
        return Examination(checks=checks, outcome=first, leaf=leaf)
    path = _built(certificate, chain, profile, now)
    if isinstance(path, CertificateRefused):
        return Examination(checks=(*checks, (CertificateCheck.PATH, path)), outcome=path, leaf=leaf)
    return Examination(
        checks=(*checks, (CertificateCheck.PATH, None)),
        outcome=CertificatePath(leaf=leaf, certificates=path),
        leaf=leaf,
    )


def _loaded(presented: Presented) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    try:
        leaf, *chain = (x509.load_der_x509_certificate(der) for der in (presented.leaf, *presented.chain))
    except ValueError:
        raise UnreadableLeaf("not an X.509 certificate in DER") from None
    return leaf, tuple(chain)


def _built(
    leaf: x509.Certificate, chain: tuple[x509.Certificate, ...], profile: Profile, now: datetime
) -> tuple[x509.Certificate, ...] | CertificateRefused:
    verifier = (
        PolicyBuilder()
        .store(Store(list(profile.anchors)))
        .time(profiles.to_the_second(now).astimezone(UTC).replace(tzinfo=None))
        .max_chain_depth(_DEPTH)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_PERSONS)
        .build_client_verifier()
    )
    try:
        path = tuple(verifier.verify(leaf, [*profile.intermediates, *chain]).chain)
    except Exception as error:  # noqa: BLE001  (VerificationError, and others for crafted certificates)
        return _untrusted(f"no path to an anchor: {_first_line(error)}")
    for authority in path[1:]:
        if weak := profiles.weakness(authority):
            return _untrusted(f"a certificate of the path is weak: {weak.detail}")
    try:
        return _beyond_constraints(path) or path
    except ValueError:
        return _untrusted("a CA of the path has an extension that cannot be read")


def _beyond_constraints(path: tuple[x509.Certificate, ...]) -> CertificateRefused | None:
    """RFC 5280 §4.2.1.10: refuses the path if a CA constrains kinds of names that not every reader
    understands, whatever the names are."""
    for depth, authority in enumerate(path[1:], start=1):
        kinds = _constrained_kinds(authority)
        if kinds - _UNDERSTOOD:
            return _untrusted("a CA of the path constrains names of a kind that is not understood here")
        if x509.IPAddress in kinds and any(_has_address(below) for below in path[:depth]):
            return _untrusted("a certificate names an IP address, and a CA above it constrains those")
    return None


def _constrained_kinds(authority: x509.Certificate) -> frozenset[type[x509.GeneralName]]:
    try:
        stated = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        type(name) for name in (*(stated.permitted_subtrees or ()), *(stated.excluded_subtrees or ()))
    )


def _has_address(certificate: x509.Certificate) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return any(isinstance(name, x509.IPAddress) for name in names)


def _untrusted(problem: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_UNTRUSTED, detail=problem)


def _first_line(error: Exception) -> str:
    """The library's message without the certificates that it appends to some messages."""
    return str(error).partition("\n")[0].partition(" (encountered processing")[0][:200]


def _needs_key_identifier(
    _policy: object,
    certificate: x509.Certificate,
    identifier: x509.AuthorityKeyIdentifier | x509.SubjectKeyIdentifier | None,
) -> None:
    """An intermediate must have both key identifiers. Two authorities may share a name, and the wrong one
    might be followed otherwise."""
    if identifier is None and certificate.issuer != certificate.subject:
        raise ValueError("an intermediate certificate without key identifier")


# The rules of the Web PKI with these differences: a person's certificate needs neither an alternative name
# nor the identifier of the issuer's key; policies and extended key usage may be critical, because `profiles`
# judges them; an intermediate must have both key identifiers. What a CA says about policies is critical by
# RFC 5280 §4.2.1.11 and §4.2.1.14, and `second_opinion` judges it.
_AUTHORITIES = (
    ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
    .may_be_present(x509.PolicyConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.InhibitAnyPolicy, Criticality.AGNOSTIC, None)
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, _needs_key_identifier)
    .may_be_present(x509.SubjectKeyIdentifier, Criticality.NON_CRITICAL, _needs_key_identifier)
)
_PERSONS = (
    ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
    .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
)
