"""PURE: the rules of an authority's profile for client certificates (RFC 5280 §4.2 and rules of AC NLB).

`path_validation` checks the path and its signatures. The rules here are those that no validator knows, and
those whose failure a person is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.access.decision import Reason
from authproxy.certificates.verdict import CertificateRefused

_NLB = "1.3.6.1.4.1.7597.1.5"
ACNLB_PERSONS = frozenset({f"{_NLB}.11", f"{_NLB}.12", f"{_NLB}.13", f"{_NLB}.14"})
"""AC NLB's policies for electronic signatures. Their holders are natural persons."""
ACNLB_SEALS = frozenset({f"{_NLB}.15", f"{_NLB}.16"})
"""AC NLB's policies for electronic seals. Their holders are organisations, so they sign nobody in."""
ACNLB_ROOT = "32974009d1662c1426dbcc121468f1ffc8e7081c52c5b7050bec0a9686abccff"
ACNLB_SUB = "a008209da8eea5d669aa9e48382af0528087f5830b0919caa99507c57eca1a51"
"""SHA-256 of the two certificates of AC NLB that may have issued certificates which are still valid (EU
trusted list of Slovenia)."""

_STRONG_HASHES = (
    hashes.SHA256,
    hashes.SHA384,
    hashes.SHA512,
    hashes.SHA3_256,
    hashes.SHA3_384,
    hashes.SHA3_512,
)
_STRONG_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_CLIENT_USAGES = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
# Below 2048 bits RSA is weak. Above 8192 bits one verification is so expensive that clients could use it for
# an attack.
_RSA_BITS = range(2048, 8192 + 1, 8)


class CertificateCheck(StrEnum):
    """The checks, in the order in which a refusal names them."""

    READABLE = "readable"
    STRENGTH = "strength"
    ISSUER = "issuer"
    TIME = "time"
    SUNSET = "sunset"
    SEAL = "seal"
    POLICY = "policy"
    KEY_USAGE = "key_usage"
    EXTENDED_KEY_USAGE = "extended_key_usage"
    PATH = "path"
    REVOCATION = "revocation"
    SECOND_OPINION = "second_opinion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sunset:
    """From `warn_from` on people are told that these certificates will stop being accepted. From `stop_at`
    on they sign nobody in."""

    warn_from: datetime
    stop_at: datetime

    def __post_init__(self) -> None:
        if self.warn_from > self.stop_at:
            raise ValueError("people must be told before certificates stop being accepted, not after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The trusted authorities and their rules. System roots are never used. An anchor is trusted as
    configured, regardless of who has signed it.

    An expired anchor signs nobody in.
    """

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    """CAs for the path search, because browsers may send the leaf alone. They are trusted no more than those
    that browsers send."""
    accepted_policies: frozenset[str] = frozenset()
    """The leaf must state one of these, and every CA above it must allow it. Empty: every policy is
    accepted."""
    seal_policies: frozenset[str] = frozenset()
    requires_key_usage: bool = False
    requires_extended_key_usage: bool = False
    """Whether the extension must be present. If it is present, it always counts."""
    believes_tax_numbers: bool = False
    """Whether a `TINSI-` serial number in the subject is believed as a tax number."""
    sunset: Sunset | None = None
    checks_intermediates: bool = True
    """Whether the CAs of the path are checked for revocation, too."""
    authorities: tuple[x509.Certificate, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.anchors:
            raise ValueError("a profile without anchors trusts nobody")
        object.__setattr__(self, "authorities", (*self.intermediates, *self.anchors))

    def ends_at(self, now: datetime) -> datetime | None:
        """When these certificates stop being accepted; None before people are to be told."""
        return self.sunset.stop_at if self.sunset is not None and now >= self.sunset.warn_from else None


def examined(
    leaf: x509.Certificate, profile: Profile, *, chain: tuple[x509.Certificate, ...], now: datetime
) -> Iterator[tuple[CertificateCheck, CertificateRefused | None]]:
    """Every rule of the profile with its refusal, or None if it holds, in the order of `CertificateCheck`."""
    yield CertificateCheck.STRENGTH, weakness(leaf)
    yield CertificateCheck.ISSUER, _stranger(leaf, (*profile.authorities, *chain))
    yield CertificateCheck.TIME, _out_of_time(leaf, now)
    yield CertificateCheck.SUNSET, _sunset(profile, now)
    policies = _policies(leaf)
    yield CertificateCheck.SEAL, _seal(policies, profile)
    yield CertificateCheck.POLICY, _policy(policies, profile)
    yield CertificateCheck.KEY_USAGE, _key_usage(leaf, profile)
    yield CertificateCheck.EXTENDED_KEY_USAGE, _extended_key_usage(leaf, profile)


def weakness(certificate: x509.Certificate) -> CertificateRefused | None:
    """Refuses keys and signatures that could be forged today, and old forms: other versions than 3, and
    serial numbers that RFC 5280 §4.1.2.2 forbids (not positive, or longer than 20 bytes)."""
    try:
        key, algorithm = certificate.public_key(), certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return _weak("a key or a signature of an unknown kind")
    if not is_strong_hash(algorithm):
        return _weak("signed with a hash that is broken, as SHA-1 is")
    if not is_strong(key):
        return _weak("a key that is too short, or of a kind that is not used any more")
    if certificate.version is not x509.Version.v3 or not 0 < certificate.serial_number < 1 << 160:
        return _weak("not a certificate of version 3 with a serial number of at most 20 bytes")
    return None


def is_strong_hash(algorithm: hashes.HashAlgorithm | None) -> bool:
    """None stands for signature algorithms without a separate hash (Ed25519, Ed448)."""
    return algorithm is None or isinstance(algorithm, _STRONG_HASHES)


def is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in _RSA_BITS and key.public_numbers().e >= 3
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _STRONG_CURVES)
    return isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))


def issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the authority's key has signed the certificate, and the issuer name equals the authority's name
    byte by byte."""
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm: all of them mean no)
        return False
    return True


def is_same_authority(first: x509.Certificate, second: x509.Certificate) -> bool:
    """Whether both belong to one authority, that is, have the same name and key. An authority gets another
    certificate at each renewal or cross-signing."""
    return first == second or (
        first.subject.public_bytes() == second.subject.public_bytes()
        and first.public_key() == second.public_key()
    )


def to_the_second(now: datetime) -> datetime:
    """The time in whole seconds, as certificates state it. `notAfter` is inclusive (RFC 5280 §4.1.2.5), so
    the whole last second is valid."""
    return now.replace(microsecond=0)


def _weak(problem: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_WEAK, detail=problem)


def _stranger(leaf: x509.Certificate, authorities: tuple[x509.Certificate, ...]) -> CertificateRefused | None:
    if any(issued(authority, leaf) for authority in authorities):
        return None
    return CertificateRefused(
        reason=Reason.CERTIFICATE_UNTRUSTED, detail="no authority that is trusted here has issued it"
    )


def _out_of_time(leaf: x509.Certificate, now: datetime) -> CertificateRefused | None:
    now = to_the_second(now)
    if now < leaf.not_valid_before_utc:
        return CertificateRefused(
            reason=Reason.CERTIFICATE_NOT_YET_VALID,
            detail=f"valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC",
        )
    if now > leaf.not_valid_after_utc:
        return CertificateRefused(
            reason=Reason.CERTIFICATE_EXPIRED,
            detail=f"valid until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
        )
    return None


def _sunset(profile: Profile, now: datetime) -> CertificateRefused | None:
    if profile.sunset is None or now < profile.sunset.stop_at:
        return None
    return CertificateRefused(
        reason=Reason.CERTIFICATE_SUNSET, detail=f"not accepted since {profile.sunset.stop_at:%Y-%m-%d}"
    )


def _seal(policies: frozenset[str], profile: Profile) -> CertificateRefused | None:
    if policies & profile.seal_policies:
        return CertificateRefused(
            reason=Reason.CERTIFICATE_IS_A_SEAL, detail="its policy is one for seals of organisations"
        )
    return None


def _policy(policies: frozenset[str], profile: Profile) -> CertificateRefused | None:
    if profile.accepted_policies and not policies & profile.accepted_policies:
        return _not_for_signing_in("none of its policies is accepted")
    return None


def _key_usage(leaf: x509.Certificate, profile: Profile) -> CertificateRefused | None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return _not_for_signing_in("it states no key usage") if profile.requires_key_usage else None
    return None if usage.digital_signature else _not_for_signing_in("its key usage is not digitalSignature")


def _extended_key_usage(leaf: x509.Certificate, profile: Profile) -> CertificateRefused | None:
    try:
        usages = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return (
            _not_for_signing_in("it states no extended key usage")
            if profile.requires_extended_key_usage
            else None
        )
    return (
        None if usages & _CLIENT_USAGES else _not_for_signing_in("its extended key usage is not clientAuth")
    )


def _not_for_signing_in(problem: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_NOT_FOR_SIGNING_IN, detail=problem)


def _policies(leaf: x509.Certificate) -> frozenset[str]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(policy.policy_identifier.dotted_string for policy in extension.value)
