"""PURE: the results of the examination of a client certificate. "Could not be determined" is not among them;
that raises `CannotAsk`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from authproxy.access.decision import Reason
from authproxy.certificates.status import Good
from authproxy.identity.person import TaxNumber

if TYPE_CHECKING:  # the settings import this module, and without `acnlb` nothing needs its parser of ASN.1
    from authproxy.certificates.leaf import Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRefused:
    """The certificate signs nobody in. `detail` is for operators: it names the rule and never quotes what the
    certificate says about its holder."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The certificate is valid. The register knows who its holder is."""

    leaf: Leaf
    tax_number: TaxNumber | None = field(default=None, repr=False)
    """Only set if the profile believes tax numbers in certificates."""
    path: tuple[bytes, ...] = field(repr=False)
    """DER, from the leaf to the anchor."""
    status: tuple[Good, ...]
    """The status of each certificate of the path that was checked, the leaf first. Statuses that stayed
    unknown, as the mode allows, are missing."""
    unchecked: str | None = None
    """Why revocation could not be determined, if the portal's mode accepts that. For the audit."""
    ends_at: datetime | None = None
    """When certificates of this authority stop being accepted; None before people are to be told."""
