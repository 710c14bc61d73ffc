"""PURE: a person in the register: what the bank has entered about them, and the keys by which they are found.

A key is something that somebody vouches for: a certificate, an account at the provider, a tax number. Nobody
is found by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple

from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber

EVERY_PORTAL = "*"
ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""A role's name. Nothing in it can end it in any list that portals know: no comma, `|`, `;`, `:` or blank."""
_SHOWN_DIGITS = 3
_DIGITS_OF_A_NUMBER = 5
"""A text with fewer digits is neither a tax number nor a telephone number."""

KeyKind = Literal["id", "tax number", "fingerprint", "issuer and serial", "account"]


class PortalRole(NamedTuple):
    """A role at one portal, or with `*` at every portal that the person may enter."""

    portal: str
    role: str

    def is_within(self, portals: Collection[str]) -> bool:
        """Whether it belongs to a person who may enter these portals. One at `*` belongs to everybody."""
        return self.portal in {EVERY_PORTAL, *portals} or EVERY_PORTAL in portals

    def __str__(self) -> str:
        return f"{self.portal}:{self.role}"


class RegisterKey(NamedTuple):
    """A key that at most one person of the register has."""

    kind: KeyKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateName:
    """Identifies a certificate: by the SHA-256 of its DER (64 hexadecimal digits, lower case), by issuer (RFC
    4514) and serial number, or by both."""

    fingerprint: str | None = None
    issuer: str | None = None
    serial: int | None = None

    @property
    def keys(self) -> Iterator[RegisterKey]:
        if self.fingerprint is not None:
            yield RegisterKey("fingerprint", self.fingerprint)
        if self.issuer is not None and self.serial is not None:
            yield issuer_and_serial(self.issuer, self.serial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at an OpenID provider."""

    issuer: Issuer
    subject: Subject = field(repr=False)

    @property
    def key(self) -> RegisterKey:
        return RegisterKey("account", f"{self.issuer}\0{self.subject}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedAccount:
    """A blocked account of somebody outside the register. It may enter no portal."""

    account: Account
    blocked_at: datetime
    reason: str | None = field(default=None, repr=False)
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person of the register. `portals` are the ids of the portals they may enter, or `*` for all. Every
    other portal refuses them."""

    member_id: MemberId
    name: str = field(repr=False)
    tax_number: TaxNumber | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    """E.164: `+38640123456`."""
    portals: tuple[str, ...] = ()
    roles: tuple[PortalRole, ...] = ()
    certificates: tuple[CertificateName, ...] = ()
    accounts: tuple[Account, ...] = ()
    """At most one at each provider."""
    blocked_at: datetime | None = None
    block_reason: str | None = field(default=None, repr=False)
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""

    @property
    def is_blocked(self) -> bool:
        return self.blocked_at is not None

    @property
    def keys(self) -> frozenset[RegisterKey]:
        """Every key by which this person is found."""
        keys = {RegisterKey("id", self.member_id), *(account.key for account in self.accounts)}
        keys.update(key for certificate in self.certificates for key in certificate.keys)
        return frozenset(keys | ({tax_number_key(self.tax_number)} if self.tax_number is not None else set()))

    def may_enter(self, portal_id: str) -> bool:
        return not self.is_blocked and (portal_id in self.portals or EVERY_PORTAL in self.portals)

    def roles_at(self, portal_id: str) -> tuple[str, ...]:
        """The person's roles at the portal, sorted. A portal that they may not enter gives them none."""
        if not self.may_enter(portal_id):
            return ()
        return tuple(sorted({role for portal, role in self.roles if portal in (portal_id, EVERY_PORTAL)}))

    def with_roles(self, roles: Iterable[PortalRole]) -> Member:
        """Replaces all roles. Those at portals that the person may not enter are dropped, so that they do not
        come back with the portal."""
        kept = {granted for granted in roles if granted.is_within(self.portals)}
        return replace(self, roles=tuple(sorted(kept)))

    def account_at(self, issuer: str) -> Account | None:
        return next((account for account in self.accounts if account.issuer == issuer), None)

    def with_account(self, account: Account) -> Member:
        """Replaces the account that the person had at the same provider."""
        others = tuple(other for other in self.accounts if other.issuer != account.issuer)
        return replace(self, accounts=(*others, account))

    def with_certificate(self, certificate: CertificateName) -> Member:
        """Adds the certificate. It replaces entries that share a key with it, such as one with the
        fingerprint alone."""
        keys = set(certificate.keys)
        others = tuple(other for other in self.certificates if not keys.intersection(other.keys))
        return replace(self, certificates=(*others, certificate))

    def without_certificate(self, certificate: CertificateName) -> Member:
        """Removes every entry that shares a key with the certificate."""
        keys = set(certificate.keys)
        return replace(
            self,
            certificates=tuple(other for other in self.certificates if not keys.intersection(other.keys)),
        )

    def without_account(self, account: Account) -> Member:
        return replace(self, accounts=tuple(other for other in self.accounts if other != account))

    def blocked(self, at: datetime, reason: str | None) -> Member:
        return replace(self, blocked_at=at, block_reason=reason)

    def unblocked(self) -> Member:
        return replace(self, blocked_at=None, block_reason=None)

    def person(self, issuer: Issuer) -> Person:
        """The person as portals see them after a sign-in with a certificate, where every name comes from the
        register. `issuer` is the gateway's own."""
        return Person(
            issuer=issuer,
            subject=Subject(self.member_id),
            name=self.name,
            email=self.email,
            tax_number=self.tax_number,
            member=self.member_id,
            phone=self.phone,
        )


def tax_number_key(number: TaxNumber) -> RegisterKey:
    return RegisterKey("tax number", number)


def issuer_and_serial(issuer: str, serial: int) -> RegisterKey:
    return RegisterKey("issuer and serial", f"{issuer}\0{serial:x}")


def masked(text: str) -> str:
    """The text for an operator's screen: of anything that could be a tax or telephone number only the last
    three digits stay."""
    digits = sum(character.isdigit() for character in text)
    if digits < _DIGITS_OF_A_NUMBER:
        return text
    return re.sub(r"\d", "*", text, count=digits - _SHOWN_DIGITS)
