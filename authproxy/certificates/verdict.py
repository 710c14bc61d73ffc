"""PURE: how the examination of a client certificate ends. "Cannot be found out" is not among the ends: that
is `access.unavailable`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.certificates.leaf import Leaf
from authproxy.certificates.status import Good
from authproxy.identity.person import TaxNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRefused:
    """The certificate signs nobody in. `detail` is for operators: it names the rule, never what the
    certificate says of its holder."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The certificate holds; who its holder is here, the register knows."""

    leaf: Leaf
    tax_number: TaxNumber | None = field(default=None, repr=False)
    """Only where the profile believes the certificate in this."""
    path: tuple[bytes, ...] = field(repr=False)
    """DER, from the leaf to the anchor."""
    status: tuple[Good, ...]
    """For each certificate of the path that was asked about, the leaf first; empty if nothing could be found
    out and that was allowed."""
    unchecked: str | None = None
    """Why revocation could not be found out, where the portal's mode lets that pass. For the audit."""
    ends_at: datetime | None = None
    """When certificates of this authority stop being accepted; None as long as nobody needs to be told."""
