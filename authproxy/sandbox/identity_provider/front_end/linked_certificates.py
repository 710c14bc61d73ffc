"""PURE: digital certificates that are linked to accounts: who has one, and why a shown certificate does not
confirm a sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Refusal = Literal["none_shown", "foreign", "not_valid", "revoked", "not_linked", "unknown"]
"""none_shown: the browser has none, or the person chose none. unknown: the revocation status is not
available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCertificates:
    """Certificates of one issuer, and the account to which each is linked."""

    url: str
    """The origin where TLS asks browsers for a certificate."""
    issuer: x509.Certificate
    crl_url: str
    """The issuer's complete revocation list, in DER."""
    fingerprints: Mapping[str, str]
    """SHA-256 of the certificate, in hexadecimal, by the account's e-mail address."""

    def has(self, email: str) -> bool:
        return email in self.fingerprints

    def refusal(
        self, certificate: x509.Certificate | None, *, email: str, revoked: bytes | None, now: datetime
    ) -> Refusal | None:
        """Why the certificate does not confirm the account's sign-in; None if it does. `revoked` is the list
        at `crl_url`, or None if it could not be fetched."""
        if certificate is None:
            return "none_shown"
        if not self._has_issued(certificate):
            return "foreign"
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return "not_valid"
        listed = self._current(revoked, now)
        if listed is None:
            return "unknown"
        if listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            return "revoked"
        return (
            None
            if certificate.fingerprint(hashes.SHA256()).hex() == self.fingerprints.get(email)
            else "not_linked"
        )

    def _has_issued(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.issuer)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True

    def _current(self, revoked: bytes | None, now: datetime) -> x509.CertificateRevocationList | None:
        """The list, if the issuer has signed it and it is current."""
        try:
            listed = x509.load_der_x509_crl(revoked or b"")
        except ValueError:
            return None
        key, until = self.issuer.public_key(), listed.next_update_utc
        is_signed = isinstance(key, RSAPublicKey | EllipticCurvePublicKey) and listed.is_signature_valid(key)
        is_current = listed.last_update_utc <= now and until is not None and now < until
        return listed if is_signed and is_current and listed.issuer == self.issuer.subject else None


def read(shown: tuple[bytes, ...]) -> x509.Certificate | None:
    """The browser's own certificate, which is the first of those that it shows (DER). None if it is not a
    certificate."""
    try:
        return x509.load_der_x509_certificate(shown[0]) if shown else None
    except ValueError:
        return None
