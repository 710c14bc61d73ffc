"""PURE: certificate revocation lists, whole and partitioned (RFC 5280 §5, §6.3): which ones may be believed about which certificate.

Delta lists and lists of some reasons only are read for one thing: whom they name is revoked. That somebody is not in them says nothing.
Indirect lists are refused: no authority here publishes them, and half-understood they hide revocations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from authproxy.certificates import profiles
from authproxy.certificates.status import Good, Revoked, Source, Subject, Unusable

CLOCK_SKEW = timedelta(seconds=60)
"""How far ahead of ours an authority's clock may be."""
_KNOWN = frozenset({
    ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER,
    ExtensionOID.DELTA_CRL_INDICATOR,
})  # fmt: skip
_KNOWN_OF_ENTRIES = frozenset({CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list that its issuer has signed, read to the last entry."""

    issuer: x509.Certificate = field(repr=False)
    """Whose key has signed it. Of two authorities of one name each has its own list."""
    this_update: datetime
    next_update: datetime
    point: x509.IssuingDistributionPoint | None = field(repr=False)
    revoked: Mapping[int, tuple[datetime, str]] = field(repr=False)
    der: bytes = field(repr=False)
    partial: str | None = None
    """Why the list does not name everybody who is revoked (`a delta list`). It says of nobody that they are good."""

    def status(self, subject: Subject, *, now: datetime, max_stale: timedelta) -> Good | Revoked:
        """What the list says of a certificate of its issuer. Raises Unusable if it is not about it, or not of now.

        That a certificate is revoked is believed of an old list, too: time does not undo it.
        """
        if subject.issuer != self.issuer:
            raise Unusable("the list is of another issuer")
        if self.point is not None:
            _check_scope(self.point, subject)
        if (entry := self.revoked.get(subject.certificate.serial_number)) is not None:
            return Revoked(source=Source.CRL, at=entry[0], reason=entry[1])
        if self.partial is not None:
            raise Unusable(self.partial)
        if self.point is not None and not _is_of_point(self.point, subject, every_reason=True):
            raise Unusable("the certificate names the list for some reasons only")
        if now + CLOCK_SKEW < self.this_update:
            raise Unusable("the list is of the future")
        if now > self.next_update + max_stale:
            raise Unusable("the list is out of date")
        return Good(
            source=Source.CRL,
            this_update=self.this_update,
            next_update=self.next_update,
            is_stale=now > self.next_update,
            evidence=self.der,
        )


def read(octets: bytes, issuers: Sequence[x509.Certificate]) -> RevocationList:
    """The list in the octets, DER or PEM. Raises Unusable unless one of the issuers has signed it and every critical word is understood.

    Takes about a second for each hundred thousand entries: not for the event loop.
    """
    try:
        parsed = _parsed(octets)
        return _read(parsed, _signer(parsed, issuers))
    except Unusable:
        raise
    except Exception as error:  # noqa: BLE001  (ValueError and others for crafted octets)
        raise Unusable(f"not a list that can be read: {type(error).__name__}") from None


def _parsed(octets: bytes) -> x509.CertificateRevocationList:
    if octets.lstrip()[:11] == b"-----BEGIN ":
        return x509.load_pem_x509_crl(octets)
    return x509.load_der_x509_crl(octets)


def _signer(parsed: x509.CertificateRevocationList, issuers: Sequence[x509.Certificate]) -> x509.Certificate:
    if not profiles.is_strong_hash(parsed.signature_hash_algorithm):
        raise Unusable("the list is signed with a weak hash")
    named = [issuer for issuer in issuers if issuer.subject.public_bytes() == parsed.issuer.public_bytes()]
    if not named:
        raise Unusable("the list is of another issuer")
    for issuer in named:
        key = issuer.public_key()
        if profiles.is_strong(key) and parsed.is_signature_valid(key):  # type: ignore[arg-type]  # of the kinds that are strong
            check_usage(issuer, crl=True)
            return issuer
    raise Unusable("the issuer has not signed the list")


def check_usage(issuer: x509.Certificate, *, crl: bool) -> None:
    """Raises Unusable if the issuer's key usage, where stated, is not for this: cRLSign, or digitalSignature."""
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not (usage.crl_sign if crl else usage.digital_signature):
        raise Unusable("the key usage of the signer is not for this")


def _read(parsed: x509.CertificateRevocationList, issuer: x509.Certificate) -> RevocationList:
    point = partial = None
    for extension in parsed.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            partial = "a delta list"
        if extension.critical and extension.oid not in _KNOWN:
            raise Unusable("the list has a critical extension that is not known")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
    if point is not None and (point.indirect_crl or point.only_contains_attribute_certs):
        raise Unusable("an indirect list, or one of attribute certificates only")
    if point is not None and point.only_some_reasons:
        partial = "a list of some reasons only"
    if parsed.next_update_utc is None:
        raise Unusable("the list does not say when the next one is due")
    entries = ((entry.serial_number, _entry(entry)) for entry in parsed)
    return RevocationList(
        issuer=issuer,
        this_update=parsed.last_update_utc,
        next_update=parsed.next_update_utc,
        point=point,
        # Only delta lists say of a certificate that it is no longer on hold: then they do not name it as revoked.
        revoked={serial: entry for serial, entry in entries if entry[1] != x509.ReasonFlags.remove_from_crl.value},
        der=parsed.public_bytes(Encoding.DER),
        partial=partial,
    )


def _entry(entry: x509.RevokedCertificate) -> tuple[datetime, str]:
    reason = "unspecified"
    for extension in entry.extensions:
        if extension.critical and extension.oid not in _KNOWN_OF_ENTRIES:
            # RFC 5280 §5.3: such a list must not be used for any certificate at all.
            raise Unusable("an entry has a critical extension that is not known")
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason.value
    return entry.revocation_date_utc, reason


def _check_scope(point: x509.IssuingDistributionPoint, subject: Subject) -> None:
    """RFC 5280 §6.3.3 (b)(2): the partition must be the one that the certificate names."""
    if point.only_contains_user_certs and subject.is_authority:
        raise Unusable("the list is of end entities only")
    if point.only_contains_ca_certs and not subject.is_authority:
        raise Unusable("the list is of authorities only")
    if not _is_of_point(point, subject, every_reason=False):
        raise Unusable("the list is another partition than the certificate's")


def _is_of_point(point: x509.IssuingDistributionPoint, subject: Subject, *, every_reason: bool) -> bool:
    """Whether the certificate names this partition; with `every_reason`, for all reasons of revocation. A list that is no partition is
    everybody's."""
    if point.full_name is None and point.relative_name is None:
        return True
    own = _names(point.full_name, point.relative_name, subject.certificate.issuer)
    return any(
        own & _names(stated.full_name, stated.relative_name, subject.certificate.issuer)
        for stated in points(subject.certificate)
        if stated.reasons is None or not every_reason
    )


def points(certificate: x509.Certificate) -> list[x509.DistributionPoint]:
    """Where the certificate's issuer publishes lists about it. Points of other issuers are for indirect lists."""
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
