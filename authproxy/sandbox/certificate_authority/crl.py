"""PURE: certificate revocation lists (RFC 5280 §5): complete, one partition, or the changes since another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.sandbox.certificate_authority.issuing import CertifiedKey, key_identifier

Kind = Literal["complete", "delta", "indirect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    at: datetime
    reason: x509.ReasonFlags


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue of a list."""

    number: int
    this_update: datetime
    next_update: datetime
    kind: Kind = "complete"
    """delta: the changes since the previous issue. indirect: claims to cover other issuers, too."""
    scope: tuple[x509.GeneralName, ...] = ()
    """Names of the partition; empty: the list covers everything that the issuer has issued."""


def revocation_list(
    issuer: CertifiedKey, entries: Iterable[tuple[int, Revocation]], issue: Issue
) -> x509.CertificateRevocationList:
    """A signed list. `entries` are serial numbers with their revocations."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(issue.this_update)
        .next_update(issue.next_update)
        .add_extension(
            x509.AuthorityKeyIdentifier(key_identifier(issuer.key.public_key()), None, None), critical=False
        )
        .add_extension(x509.CRLNumber(issue.number), critical=False)
    )
    if issue.scope or issue.kind == "indirect":
        builder = builder.add_extension(
            x509.IssuingDistributionPoint(
                full_name=issue.scope or None,
                relative_name=None,
                only_contains_user_certs=False,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=issue.kind == "indirect",
                only_contains_attribute_certs=False,
            ),
            critical=True,
        )
    if issue.kind == "delta":
        builder = builder.add_extension(x509.DeltaCRLIndicator(issue.number - 1), critical=True)
    for serial, revoked in entries:
        builder = builder.add_revoked_certificate(_entry(serial, revoked))
    return builder.sign(issuer.key, hashes.SHA256())


def _entry(serial: int, revoked: Revocation) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked.at)
    if revoked.reason is not x509.ReasonFlags.unspecified:  # RFC 5280 §5.3.1: `unspecified` should be absent
        builder = builder.add_extension(x509.CRLReason(revoked.reason), critical=False)
    return builder.build()
