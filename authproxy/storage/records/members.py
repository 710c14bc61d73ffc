"""PURE: what is inside a sealed person of the register: JSON, by the rules of `records`."""

from __future__ import annotations

import json
from typing import Any

from authproxy.identity.member import Account, BlockedAccount, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Subject, TaxNumber
from authproxy.storage.records.values import (
    UNREADABLE,
    octets_of,
    optional_time_in,
    optional_time_text,
    time_in,
    time_text,
)


def member_octets(member: Member) -> bytes:
    return octets_of(_fields(member))


def departure_octets(member: Member, *, is_leaving: bool) -> bytes:
    """A person whose sessions must end. `is_leaving`: what they have enrolled must go, too."""
    return octets_of(_fields(member) | {"leaves": is_leaving})


def is_leaving_in(octets: bytes) -> bool:
    """What `departure_octets` has said, of a departure that can be read. An older version says nothing of
    it."""
    return json.loads(octets).get("leaves") is True


def account_octets(blocked: BlockedAccount) -> bytes:
    return octets_of(
        {
            "issuer": blocked.account.issuer,
            "subject": blocked.account.subject,
            "blocked_at": time_text(blocked.blocked_at),
            "block_reason": blocked.reason,
        }
    )


def account_in(octets: bytes) -> BlockedAccount | None:
    try:
        fields = json.loads(octets)
        account = Account(issuer=Issuer(fields["issuer"]), subject=Subject(fields["subject"]))
        blocked_at = time_in(fields["blocked_at"])
        return BlockedAccount(account=account, blocked_at=blocked_at, reason=fields.get("block_reason"))
    except UNREADABLE:
        return None


def _fields(member: Member) -> dict[str, Any]:
    return {
        "id": member.member_id,
        "name": member.name,
        "tax_number": member.tax_number,
        "email": member.email,
        "phone": member.phone,
        "portals": member.portals,
        "certificates": [[each.fingerprint, each.issuer, each.serial] for each in member.certificates],
        "accounts": [[account.issuer, account.subject] for account in member.accounts],
        "blocked_at": optional_time_text(member.blocked_at),
        "block_reason": member.block_reason,
    }


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
            accounts=tuple(
                Account(issuer=Issuer(issuer), subject=Subject(subject))
                for issuer, subject in fields.get("accounts", ())
            ),
            # Not by default: a record that no longer says whether its person is blocked lets nobody in.
            blocked_at=optional_time_in(fields["blocked_at"]),
            block_reason=fields.get("block_reason"),
        )
    except UNREADABLE:
        return None


def _tax_number(text: str | None) -> TaxNumber | None:
    return None if text is None else TaxNumber(text)


def _certificate(fields: list[Any]) -> CertificateName:
    fingerprint, issuer, serial = fields
    return CertificateName(fingerprint=fingerprint, issuer=issuer, serial=serial)
