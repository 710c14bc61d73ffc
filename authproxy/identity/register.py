"""PURE: the register as a whole: importing a list into it, entries that contradict each other, and the people
whose sessions a change ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from authproxy.identity.member import EVERY_PORTAL, CertificateName, Member, PortalRole, RegisterKey
from authproxy.identity.person import MemberId, TaxNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPerson:
    """A person as a list states them. `roles`, `certificates` and `is_blocked` may be None: then the
    register's value stays, so that a list made elsewhere neither unblocks somebody whom an operator has
    blocked here nor drops a role or a certificate that was added here."""

    member_id: MemberId
    name: str = field(repr=False)
    tax_number: TaxNumber | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    portals: tuple[str, ...] = ()
    roles: tuple[PortalRole, ...] | None = None
    certificates: tuple[CertificateName, ...] | None = None
    is_blocked: bool | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two people with the same key. `later` is the entry that is reported as the duplicate."""

    later: MemberId
    earlier: MemberId
    key: RegisterKey = field(repr=False)


Register = Mapping[MemberId, Member]


def after_import(
    before: Register, listed: Sequence[ListedPerson], *, replaces: bool, now: datetime
) -> dict[MemberId, Member]:
    """The register after the import of a list. With `replaces`, people who are not in the list are
    removed."""
    after = {} if replaces else dict(before)
    for entry in listed:
        after[entry.member_id] = _updated(before.get(entry.member_id), entry, now)
    return after


def conflicts(members: Iterable[Member]) -> Iterator[Conflict]:
    """Each key that two people share, in a stable order."""
    owners: dict[RegisterKey, MemberId] = {}
    for member in members:
        for key in sorted(member.keys):
            owner = owners.setdefault(key, member.member_id)
            if owner != member.member_id:
                yield Conflict(member.member_id, owner, key)


def members_to_sign_out(before: Register, after: Register) -> Iterator[Member]:
    """The people whose sessions must end. Somebody who is blocked now is named with their new keys as well as
    their old ones."""
    for member_id, was in before.items():
        now = after.get(member_id)
        if now is None or has_lost(was, now):
            yield was
    for member_id, now in after.items():
        if now.is_blocked and now != before.get(member_id):
            yield now


def leaves(was: Member, after: Register) -> bool:
    """Whether the person leaves the register, or their tax number changes or goes. The id may belong to
    somebody else from now on, who must not inherit their step-up methods."""
    now = after.get(was.member_id)
    return now is None or was.tax_number not in (None, now.tax_number)


def has_lost(before: Member, after: Member) -> bool:
    """Whether the person lost a portal, a role, or something by which they may have signed in or proved
    themselves. A changed telephone number counts, because codes were sent to the old one."""
    loses_portal = EVERY_PORTAL not in after.portals and not set(before.portals) <= set(after.portals)
    loses_role = any(
        not {granted, PortalRole(EVERY_PORTAL, granted.role)} & set(after.roles) for granted in before.roles
    )
    loses_phone = before.phone is not None and before.phone != after.phone
    return (
        loses_portal
        or loses_role
        or loses_phone
        or not before.keys <= after.keys
        or (after.is_blocked and not before.is_blocked)
    )


def _updated(before: Member | None, listed: ListedPerson, now: datetime) -> Member:
    member = Member(
        member_id=listed.member_id,
        name=listed.name,
        tax_number=listed.tax_number,
        email=listed.email,
        phone=listed.phone,
        portals=listed.portals,
        certificates=listed.certificates or (),
    )
    if before is not None:
        # An account was linked because of the tax number. If the number changes, nobody has proved that the
        # account belongs to this person.
        keeps_accounts = before.tax_number in (None, listed.tax_number)
        member = replace(
            member,
            accounts=before.accounts if keeps_accounts else (),
            certificates=before.certificates if listed.certificates is None else listed.certificates,
            blocked_at=before.blocked_at,
            block_reason=before.block_reason,
            newer_fields=before.newer_fields,
        )
    roles = listed.roles if listed.roles is not None else before.roles if before is not None else ()
    member = member.with_roles(roles)
    if listed.is_blocked is None or listed.is_blocked == member.is_blocked:
        return member
    return member.blocked(now, None) if listed.is_blocked else member.unblocked()
