"""PURE: what is inside a sealed person of the register: JSON, by the rules of `records`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from authproxy.identity.member import Account, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Subject, TaxNumber


def member_octets(member: Member) -> bytes:
    fields = {
        "id": member.member_id,
        "name": member.name,
        "tax_number": member.tax_number,
        "email": member.email,
        "phone": member.phone,
        "portals": member.portals,
        "certificates": [[each.fingerprint, each.issuer, each.serial] for each in member.certificates],
        "accounts": [[account.issuer, account.subject] for account in member.accounts],
        "blocked_at": None if member.blocked_at is None else member.blocked_at.astimezone(UTC).isoformat(),
        "block_reason": member.block_reason,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def member_in(octets: bytes) -> Member | None:
    try:
        fields = json.loads(octets)
        return Member(
            member_id=MemberId(fields["id"]),
            name=fields["name"],
            tax_number=_tax_number(fields.get("tax_number")),
            email=fields.get("email"),
            phone=fields.get("phone"),
            portals=tuple(fields.get("portals", ())),
            certificates=tuple(map(_certificate, fields.get("certificates", ()))),
            accounts=tuple(Account(issuer=Issuer(issuer), subject=Subject(subject)) for issuer, subject in fields.get("accounts", ())),
            # Not by default: a record that no longer says whether its person is blocked lets nobody in.
            blocked_at=_time(fields["blocked_at"]),
            block_reason=fields.get("block_reason"),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _tax_number(text: str | None) -> TaxNumber | None:
    return None if text is None else TaxNumber(text)


def _certificate(fields: list[Any]) -> CertificateName:
    fingerprint, issuer, serial = fields
    return CertificateName(fingerprint=fingerprint, issuer=issuer, serial=serial)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
