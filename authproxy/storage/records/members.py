"""PURE: the JSON inside sealed people and accounts of the register, by the rules of `records.sessions`."""

from __future__ import annotations

import json
from typing import Any, Final

from authproxy.identity.member import Account, BlockedAccount, CertificateName, Member, PortalRole
from authproxy.identity.person import Issuer, MemberId, Subject, TaxNumber
from authproxy.storage.records.values import (
    UNREADABLE,
    newer_in,
    octets_of,
    optional_time_in,
    optional_time_text,
    time_in,
    time_text,
    with_newer,
)

_MEMBER: Final = frozenset(
    [
        "id",
        "name",
        "tax_number",
        "email",
        "phone",
        "portals",
        "roles",
        "certificates",
        "accounts",
        "blocked_at",
        "block_reason",
        "leaves",
    ]
)
_ACCOUNT: Final = frozenset(["issuer", "subject", "blocked_at", "block_reason"])


def member_octets(member: Member) -> bytes:
    return octets_of(_fields(member))


def departure_octets(member: Member, *, is_leaving: bool) -> bytes:
    """A person whose sessions must end. If they are leaving, what they have enrolled must be removed too."""
    return octets_of(_fields(member) | {"leaves": is_leaving})


def is_leaving_in(octets: bytes) -> bool:
    """Whether a departure that can be read is of a person who leaves. Older versions did not record it."""
    return json.loads(octets).get("leaves") is True


def account_octets(blocked: BlockedAccount) -> bytes:
    fields = {
        "issuer": blocked.account.issuer,
        "subject": blocked.account.subject,
        "blocked_at": time_text(blocked.blocked_at),
        "block_reason": blocked.reason,
    }
    return octets_of(with_newer(fields, blocked.newer_fields))


def account_in(octets: bytes) -> BlockedAccount | None:
    try:
        fields = json.loads(octets)
        account = Account(issuer=Issuer(fields["issuer"]), subject=Subject(fields["subject"]))
        blocked_at = time_in(fields["blocked_at"])
        return BlockedAccount(
            account=account,
            blocked_at=blocked_at,
            reason=fields.get("block_reason"),
            newer_fields=newer_in(fields, _ACCOUNT),
        )
    except UNREADABLE:
        return None


def _fields(member: Member) -> dict[str, Any]:
    fields = {
        "id": member.member_id,
        "name": member.name,
        "tax_number": member.tax_number,
        "email": member.email,
        "phone": member.phone,
        "portals": member.portals,
        "roles": member.roles,
        "certificates": [
            [certificate.fingerprint, certificate.issuer, certificate.serial]
            for certificate in member.certificates
        ],
        "accounts": [[account.issuer, account.subject] for account in member.accounts],
        "blocked_at": optional_time_text(member.blocked_at),
        "block_reason": member.block_reason,
    }
    return with_newer(fields, member.newer_fields)


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
            roles=tuple(PortalRole(portal, role) for portal, role in fields.get("roles", ())),
            certificates=tuple(map(_certificate, fields.get("certificates", ()))),
            accounts=tuple(
                Account(issuer=Issuer(issuer), subject=Subject(subject))
                for issuer, subject in fields.get("accounts", ())
            ),
            # This has no default. A record that does not say whether its person is blocked lets nobody in.
            blocked_at=optional_time_in(fields["blocked_at"]),
            block_reason=fields.get("block_reason"),
            newer_fields=newer_in(fields, _MEMBER),
        )
    except UNREADABLE:
        return None


def _tax_number(text: str | None) -> TaxNumber | None:
    return None if text is None else TaxNumber(text)


def _certificate(fields: list[Any]) -> CertificateName:
    fingerprint, issuer, serial = fields
    return CertificateName(fingerprint=fingerprint, issuer=issuer, serial=serial)
