"""PURE: what phone and provider share when OnePass is installed for an account or linked to a relying party,
and the statements that phones sign (the contract is in authproxy/delivery/README.md)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from authproxy.sandbox.accounts import Accounts

RELYING_PARTY = "Bankart Varni Spletni Prehod"
# People whose phone is linked to the gateway from the start, and the names of their phones.
_PHONES = {"ana.novak@example.si": "Anin telefon", "cvetka.zupan@example.si": "Cvetkin telefon"}
# The order of P-256: private keys are below it (FIPS 186-5 §3.2.1).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One account on one phone. The phone keeps all fields; the provider keeps a hash of the token."""

    email: str
    name: str
    device_id: str
    device_token: str = field(repr=False)
    totp_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A phone that belongs to one person at one relying party. The phone keeps all fields, and the key never
    leaves it. The provider keeps a hash of the token and delivers notifications. The relying party has the
    public key."""

    relying_party: str
    account: str
    """The relying party's name for the account: an e-mail address, or a name."""
    device_id: str
    device_name: str
    device_token: str = field(repr=False)
    private_key: str = field(repr=False)
    """P-256, PKCS#8 in PEM."""

    @property
    def public_key(self) -> str:
        """SubjectPublicKeyInfo in PEM, as the relying party stores it."""
        return (
            _key(self.private_key)
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    @property
    def public_key_text(self) -> str:
        """SubjectPublicKeyInfo in DER and base64url, as it is sent."""
        return _base64url(
            _key(self.private_key).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )

    def signed(self, statement: str) -> str:
        """The signature of the statement: ECDSA with SHA-256, r and s in base64url."""
        r, s = decode_dss_signature(_key(self.private_key).sign(statement.encode(), ec.ECDSA(SHA256())))
        return _base64url(r.to_bytes(32) + s.to_bytes(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPhone:
    """What one person has enrolled at the gateway from the start: OnePass codes, and a phone."""

    email: str
    totp_secret: str = field(repr=False)
    device_id: str
    device_name: str
    public_key: str
    """SubjectPublicKeyInfo in PEM."""


def statement(head: str, **fields: str) -> str:
    """The text that a phone signs: a line that names the kind of statement, and a line for each field. Raises
    ValueError for a value that contains a line end."""
    if not all(value.isprintable() for value in fields.values()):
        raise ValueError("a value that is not on one line")
    return "".join(f"{line}\n" for line in (head, *(f"{name}: {value}" for name, value in fields.items())))


def new_private_key(random_bytes: Callable[[int], bytes]) -> str:
    number = int.from_bytes(random_bytes(48)) % (_ORDER - 1) + 1
    return (
        ec.derive_private_key(number, ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )


def installed_beforehand(
    accounts: Accounts, random_bytes: Callable[[int], bytes]
) -> tuple[Installation, ...]:
    """OnePass for everybody who has a code secret, as if they had activated it. Provider and phone must be
    given the same installations."""
    return tuple(
        Installation(
            email=account.email,
            name=account.name or "",
            device_id=random_bytes(8).hex(),
            device_token=random_bytes(32).hex(),
            totp_secret=account.totp_secret,
        )
        for account in accounts
        if account.totp_secret is not None
    )


def linked_beforehand(accounts: Accounts, random_bytes: Callable[[int], bytes]) -> tuple[Link, ...]:
    """Phones that are linked to the gateway, as if their people had enrolled them. Provider and phone must be
    given the same links."""
    return tuple(
        Link(
            relying_party=RELYING_PARTY,
            account=account.email,
            device_id=random_bytes(16).hex(),
            device_name=_PHONES[account.email],
            device_token=random_bytes(32).hex(),
            private_key=new_private_key(random_bytes),
        )
        for account in accounts
        if account.email in _PHONES
    )


def to_be_enrolled(accounts: Accounts, links: Iterable[Link]) -> tuple[EnrolledPhone, ...]:
    """The enrolments that the gateway gets at the start. `links` are the links on the phone; after a restart
    the phone has those that it has kept."""
    link_accounts = ((link, accounts.find(link.account)) for link in links if link.account in _PHONES)
    return tuple(
        EnrolledPhone(
            email=account.email,
            totp_secret=account.totp_secret,
            device_id=link.device_id,
            device_name=link.device_name,
            public_key=link.public_key,
        )
        for link, account in link_accounts
        if account is not None and account.totp_secret is not None
    )


def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a phone's key is on P-256")
    return key


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
