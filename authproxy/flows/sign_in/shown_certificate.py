"""PURE: what is remembered of a certificate between the certificate host and the portal, as JSON in the
store."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime

from authproxy.certificates.verdict import Validated
from authproxy.identity.person import TaxNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCertificate:
    """A certificate that was examined and is valid, and when it was shown."""

    shown_at: datetime
    fingerprint: str
    issuer: str
    serial: int
    tax_number: TaxNumber | None = field(repr=False)
    not_after: datetime
    leaf: bytes = field(repr=False)
    """DER."""
    above: tuple[bytes, ...] = field(default=(), repr=False)
    """The CAs between it and the anchor, DER. The browser may have sent some that the settings do not
    name."""

    def octets(self) -> bytes:
        """The record in the store. The time is not in it, because the same certificate may be shown several
        times while the record lives."""
        return json.dumps(
            {
                "fingerprint": self.fingerprint,
                "issuer": self.issuer,
                "serial": f"{self.serial:x}",
                "tax_number": self.tax_number,
                "not_after": self.not_after.isoformat(),
                "leaf": base64.b64encode(self.leaf).decode(),
                "above": [base64.b64encode(der).decode() for der in self.above],
            }
        ).encode()


def of(validated: Validated, *, shown_at: datetime) -> ShownCertificate:
    leaf = validated.leaf
    return ShownCertificate(
        shown_at=shown_at,
        fingerprint=leaf.fingerprint,
        issuer=leaf.issuer,
        serial=leaf.serial_number,
        tax_number=validated.tax_number,
        not_after=leaf.not_after,
        leaf=validated.path[0],
        above=validated.path[1:-1],
    )


def read(octets: bytes, *, shown_at: datetime) -> ShownCertificate | None:
    """The certificate in a record; None if another version of the gateway wrote it in another shape."""
    try:
        fields = json.loads(octets)
        return ShownCertificate(
            shown_at=shown_at,
            fingerprint=fields["fingerprint"],
            issuer=fields["issuer"],
            serial=int(fields["serial"], 16),
            tax_number=fields["tax_number"],
            not_after=datetime.fromisoformat(fields["not_after"]),
            leaf=base64.b64decode(fields["leaf"]),
            above=tuple(base64.b64decode(der) for der in fields.get("above", ())),
        )
    except (ValueError, TypeError, KeyError):
        return None
