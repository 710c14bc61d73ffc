"""PURE: what can be known of the revocation of a certificate, and what it is known from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509


class RevocationMode(StrEnum):
    """What happens while nobody can say whether a certificate is revoked. One that is known to be revoked is
    refused in both."""

    HARD = "hard"
    """Nobody signs in."""
    ALARM = "alarm"
    """People sign in, and every such sign-in is told of in the audit."""


class StatusSource(StrEnum):
    OCSP = "ocsp"
    STAPLED = "stapled"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Not revoked, as its issuer said at `this_update`; no later than `next_update`, or `is_stale`.
    `evidence` is what it said, DER."""

    source: StatusSource
    this_update: datetime
    next_update: datetime | None
    is_stale: bool = False
    """Beyond `next_update`, within what the operator allows as `max_stale`."""
    evidence: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked at that time, for a reason of RFC 5280 §5.3.1 (`unspecified` if none is given)."""

    source: StatusSource
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """The certificate in question and the CA that has issued it; that it has is known from path
    validation."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def is_authority(self) -> bool:
        try:
            return self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            return False


class UnusableEvidence(ValueError):  # noqa: N818
    """A CRL or an OCSP response that says nothing about the certificate in question. The message is for
    operators."""
