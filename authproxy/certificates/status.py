"""PURE: the revocation status of a certificate, and where it is known from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509


class RevocationMode(StrEnum):
    """What happens if no source can tell whether a certificate is revoked. A certificate that is known to be
    revoked is refused in both modes."""

    HARD = "hard"
    """Nobody signs in."""
    ALARM = "alarm"
    """People sign in, and an audit event records every such sign-in."""


class StatusSource(StrEnum):
    OCSP = "ocsp"
    STAPLED = "stapled"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Not revoked, according to the issuer at `this_update`. `evidence` is the list or answer in DER."""

    source: StatusSource
    this_update: datetime
    next_update: datetime | None
    is_stale: bool = False
    """Whether `next_update` is over and the operator's `max_stale` is not."""
    evidence: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked at that time, for a reason of RFC 5280 §5.3.1 (`unspecified` if none was stated)."""

    source: StatusSource
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate and the CA that has issued it, as path validation has established."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def is_authority(self) -> bool:
        try:
            return self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            return False


class UnusableEvidence(ValueError):  # noqa: N818
    """A CRL or OCSP response that cannot be used for the certificate. The message is for operators."""
