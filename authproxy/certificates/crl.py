"""PURE: certificate revocation lists, whole and partitioned (RFC 5280 §5, §6.3): which list may be believed
about which certificate.

A delta list, or one with some reasons only, can only show that a certificate is revoked; if it does not name
a certificate, that proves nothing. Indirect lists are refused: no authority here publishes them, and reading
them only in part would hide revocations.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from authproxy.certificates import profiles
from authproxy.certificates.status import Good, IssuedCertificate, Revoked, StatusSource, UnusableEvidence

CLOCK_SKEW = timedelta(seconds=60)
"""How far an authority's clock may be ahead of ours."""
_KNOWN = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.DELTA_CRL_INDICATOR,
    }
)
CRITICAL = b"\x01\x01\xff"
"""The DER encoding of `critical TRUE` in an extension."""
_KNOWN_OF_ENTRIES = frozenset({CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list with a valid signature, read completely."""

    issuer: x509.Certificate = field(repr=False)
    """The authority whose key has signed it. Two authorities may share a name, and each has its own list; two
    certificates of one authority share a list."""
    this_update: datetime
    next_update: datetime
    point: x509.IssuingDistributionPoint | None = field(repr=False)
    entries: Mapping[int, x509.RevokedCertificate] = field(repr=False)
    der: bytes = field(repr=False)
    partial: str | None = None
    """Why the list is incomplete (`a delta list`). Such a list never shows that a certificate is good."""

    def status(self, subject: IssuedCertificate, *, now: datetime, max_stale: timedelta) -> Good | Revoked:
        """What the list says about a certificate of its issuer. Raises UnusableEvidence if the list does not
        cover the certificate or is not current.

        An old list is believed if it says "revoked", because a revocation is not undone by time.
        """
        if not profiles.is_same_authority(subject.issuer, self.issuer):
            raise UnusableEvidence("the list is of another issuer")
        if self.point is not None:
            _check_scope(self.point, subject)
        entry = self.entries.get(subject.certificate.serial_number)
        # RFC 5280 §5.3.1: only delta lists use removeFromCRL, for a certificate that is no longer on hold. It
        # is not revoked then.
        if entry is not None and (reason := _reason(entry)) != x509.ReasonFlags.remove_from_crl.value:
            return Revoked(source=StatusSource.CRL, at=entry.revocation_date_utc, reason=reason)
        if self.partial is not None:
            raise UnusableEvidence(self.partial)
        if self.point is not None and not _is_of_point(self.point, subject, every_reason=True):
            raise UnusableEvidence("the certificate names the list for some reasons only")
        if now + CLOCK_SKEW < self.this_update:
            raise UnusableEvidence("the list is of the future")
        if now > self.next_update + max_stale:
            raise UnusableEvidence("the list is out of date")
        return Good(
            source=StatusSource.CRL,
            this_update=self.this_update,
            next_update=self.next_update,
            is_stale=now > self.next_update,
            evidence=self.der,
        )


def read(octets: bytes, issuers: Sequence[x509.Certificate]) -> RevocationList:
    """Reads a list, DER or PEM. Raises UnusableEvidence unless one of the issuers has signed it and all its
    critical extensions are known (RFC 5280 §5.2).

    Takes about half a second per hundred thousand entries, so call it in a thread. There it blocks the event
    loop only for a hundredth of a second per megabyte, while the list is parsed. The library's own functions
    for signature and entries would hold the interpreter for half a second, so they are not used.
    """
    try:
        der = _der(octets)
        parsed = x509.load_der_x509_crl(der)
        return _read(parsed, der, _signer(parsed, der, issuers))
    except UnusableEvidence:
        raise
    except Exception as error:  # noqa: BLE001  (ValueError and others for crafted octets)
        raise UnusableEvidence(f"not a list that can be read: {type(error).__name__}") from None


def _der(octets: bytes) -> bytes:
    if octets.lstrip()[:11] != b"-----BEGIN ":
        return octets
    _, begin, rest = octets.partition(b"-----BEGIN X509 CRL-----")
    inside, end, _ = rest.partition(b"-----END X509 CRL-----")
    if not begin or not end:
        raise UnusableEvidence("PEM of something else than a list")
    return base64.b64decode(b"".join(inside.split()), validate=True)


def _signer(
    parsed: x509.CertificateRevocationList, der: bytes, issuers: Sequence[x509.Certificate]
) -> x509.Certificate:
    if not profiles.is_strong_hash(parsed.signature_hash_algorithm):
        raise UnusableEvidence("the list is signed with a weak hash")
    named = [issuer for issuer in issuers if issuer.subject.public_bytes() == parsed.issuer.public_bytes()]
    if not named:
        raise UnusableEvidence("the list is of another issuer")
    for issuer in named:
        key = issuer.public_key()
        if profiles.is_strong(key) and _has_signed(key, parsed, der):
            check_usage(issuer, crl=True)
            return issuer
    raise UnusableEvidence("the issuer has not signed the list")


def _has_signed(key: object, parsed: x509.CertificateRevocationList, der: bytes) -> bool:
    signed = _signed_part(der)
    kind, signature, parameters = (
        parsed.signature_hash_algorithm,
        parsed.signature,
        parsed.signature_algorithm_parameters,
    )
    try:
        if kind is None and isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, bytes(signed))
            return True
        if kind is None:
            return False
        # `hashlib` releases the interpreter while it computes.
        digest = hashlib.new(kind.name.replace("-", "_"), signed).digest()
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, (padding.PKCS1v15, padding.PSS)):
            key.verify(signature, digest, parameters, Prehashed(kind))
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, digest, ec.ECDSA(Prehashed(kind)))
        else:
            return False
    except Exception:  # noqa: BLE001  (InvalidSignature, ValueError, UnsupportedAlgorithm: all of them mean no)
        return False
    return True


def _signed_part(der: bytes) -> memoryview:
    """The signed part: the first element, tBSCertList (RFC 5280 §5.1.1.1). The DER has been parsed before."""
    start, _ = _content(der, 0)
    _, end = _content(der, start)
    return memoryview(der)[start:end]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Start and end of the content of the DER element at this offset."""
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + octets]), begin + octets
    return begin, begin + length


def check_usage(issuer: x509.Certificate, *, crl: bool) -> None:
    """RFC 5280 §4.2.1.3: raises UnusableEvidence if the issuer states a key usage without cRLSign, or without
    digitalSignature if this is about OCSP."""
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not (usage.crl_sign if crl else usage.digital_signature):
        raise UnusableEvidence("the key usage of the signer is not for this")


def _read(parsed: x509.CertificateRevocationList, der: bytes, issuer: x509.Certificate) -> RevocationList:
    point = partial = None
    for extension in parsed.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            partial = "a delta list"
        if extension.critical and extension.oid not in _KNOWN:
            raise UnusableEvidence("the list has a critical extension that is not known")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
    if point is not None and (point.indirect_crl or point.only_contains_attribute_certs):
        raise UnusableEvidence("an indirect list, or one of attribute certificates only")
    if point is not None and point.only_some_reasons:
        partial = "a list of some reasons only"
    if parsed.next_update_utc is None:
        raise UnusableEvidence("the list does not say when the next one is due")
    return RevocationList(
        issuer=issuer,
        this_update=parsed.last_update_utc,
        next_update=parsed.next_update_utc,
        point=point,
        entries=_entries(parsed, der),
        der=der,
        partial=partial,
    )


def _entries(parsed: x509.CertificateRevocationList, der: bytes) -> dict[int, x509.RevokedCertificate]:
    """The entries by serial number. Their extensions are read only when somebody asks about that certificate,
    unless one may be critical. Every critical extension has a mark in DER, and the marks of the list's own
    extensions are known, so more marks mean critical extensions of entries."""
    if der.count(CRITICAL) > sum(extension.critical for extension in parsed.extensions):
        for entry in parsed:
            _check_extensions(entry)
    found: dict[int, x509.RevokedCertificate] = {}
    for entry in parsed:
        serial = entry.serial_number
        if serial not in found or _reason(found[serial]) == x509.ReasonFlags.remove_from_crl.value:
            found[serial] = entry
    return found


def _check_extensions(entry: x509.RevokedCertificate) -> None:
    """RFC 5280 §5.3: a list with an unknown critical entry extension must not be used for any certificate."""
    if any(extension.critical and extension.oid not in _KNOWN_OF_ENTRIES for extension in entry.extensions):
        raise UnusableEvidence("an entry has a critical extension that is not known")


def _reason(entry: x509.RevokedCertificate) -> str:
    """The reason of the revocation. It is `unspecified` also if the extensions cannot be read: the
    certificate is revoked in any case."""
    reason = "unspecified"
    with suppress(ValueError):
        for extension in entry.extensions:
            if isinstance(extension.value, x509.CRLReason):
                reason = extension.value.reason.value
    return reason


def _check_scope(point: x509.IssuingDistributionPoint, subject: IssuedCertificate) -> None:
    """RFC 5280 §6.3.3 (b)(2): the list must cover certificates of this kind, and be a partition that the
    certificate names."""
    if point.only_contains_user_certs and subject.is_authority:
        raise UnusableEvidence("the list is of end entities only")
    if point.only_contains_ca_certs and not subject.is_authority:
        raise UnusableEvidence("the list is of authorities only")
    if not _is_of_point(point, subject, every_reason=False):
        raise UnusableEvidence("the list is another partition than the certificate's")


def _is_of_point(
    point: x509.IssuingDistributionPoint, subject: IssuedCertificate, *, every_reason: bool
) -> bool:
    """Whether the certificate names this partition; with `every_reason`, whether it names it for all reasons
    of revocation. A list that is not a partition covers every certificate."""
    if point.full_name is None and point.relative_name is None:
        return True
    own = _names(point.full_name, point.relative_name, subject.certificate.issuer)
    return any(
        own & _names(stated.full_name, stated.relative_name, subject.certificate.issuer)
        for stated in points(subject.certificate)
        if stated.reasons is None or not every_reason
    )


def points(certificate: x509.Certificate) -> list[x509.DistributionPoint]:
    """The distribution points at which the certificate's issuer publishes lists. Points with a cRLIssuer
    belong to indirect lists and are left out (RFC 5280 §4.2.1.13)."""
    try:
        stated = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [point for point in stated if point.crl_issuer is None]


def _names(
    full: list[x509.GeneralName] | None, relative: x509.RelativeDistinguishedName | None, issuer: x509.Name
) -> frozenset[object]:
    if relative is not None:
        return frozenset({x509.Name([*issuer.rdns, relative])})
    return frozenset(name.value for name in full or ())
