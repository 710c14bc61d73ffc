"""PURE: the people of the sandbox and their accounts at the provider. E-mail addresses and tax numbers are
unique; this module enforces it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

PASSWORD = "Sandbox-2026!"  # noqa: S105  (printed on the start page: nothing but the sandbox accepts it)
PUK = "202611220000"
# As the provider stores them (identity_provider/secret_hash.py). Computed in advance, because eight slow
# hashes would delay each start.
PASSWORD_HASH = "scrypt$16384$8$1$YXV0aHByb3h5IHNhbmRib3g=$AGlzEE+eCUQU/eDmPS/tIl9Qbp4f5PDGDfWUKY0GH4o="  # noqa: S105
PUK_HASH = "scrypt$16384$8$1$YXV0aHByb3h5IHNhbmRib3g=$/hJKyu62t+KkhUAmLOg4hJj67xsMcE+5YDJjKBa/NR0="


class EmailTaken(ValueError):  # noqa: N818
    """Another account has this e-mail address."""


class TaxNumberTaken(ValueError):  # noqa: N818
    """Another account has this tax number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    street_address: str
    locality: str
    postal_code: str
    country: str = "SI"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """One account at the provider. A new account has only an e-mail address and a telephone; None means not
    entered yet.

    `totp_secret` (base32) is shared with the phone, and None without one. `password_hash` and `puk_hash` are
    scrypt.
    """

    subject: str
    email: str
    password_hash: str = field(repr=False)
    puk_hash: str | None = field(default=None, repr=False)
    phone: str = field(repr=False)
    level: int = 10
    given_name: str | None = None
    family_name: str | None = None
    birthdate: str | None = field(default=None, repr=False)
    tax_number: str | None = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    is_enabled: bool = True
    """False: nobody can sign in to the account."""

    @property
    def name(self) -> str | None:
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None


class Accounts:
    """Accounts by e-mail address, in any case. A tax number belongs to one account; several accounts may
    share a telephone."""

    def __init__(self, accounts: Iterable[ProviderAccount]) -> None:
        self._by_email: dict[str, ProviderAccount] = {}
        for account in accounts:
            self.add(account)
        self._seeded = tuple(self._by_email)

    def find(self, email: str) -> ProviderAccount | None:
        return self._by_email.get(_key(email))

    def add(self, account: ProviderAccount) -> None:
        """Raises EmailTaken or TaxNumberTaken."""
        if _key(account.email) in self._by_email:
            raise EmailTaken
        self.put(account)

    def put(self, account: ProviderAccount) -> None:
        """Adds the account, or replaces the one with the same e-mail address. Raises TaxNumberTaken."""
        if account.tax_number is not None and self.tax_number_is_taken(
            account.tax_number, by_other_than=account.email
        ):
            raise TaxNumberTaken
        self._by_email[_key(account.email)] = account

    def tax_number_is_taken(self, tax_number: str, *, by_other_than: str) -> bool:
        return any(
            account.tax_number == tax_number
            for key, account in self._by_email.items()
            if key != _key(by_other_than)
        )

    @property
    def seeded(self) -> tuple[ProviderAccount, ...]:
        """The accounts that existed at the start, in their current state. Pages may name only these."""
        return tuple(self._by_email[key] for key in self._seeded)

    def __iter__(self) -> Iterator[ProviderAccount]:
        return iter(self._by_email.values())

    def snapshot(self) -> list[dict[str, Any]]:
        return [asdict(account) for account in self]

    def restore(self, saved: Any) -> None:
        """Restores saved accounts. An account that was not saved stays; if its tax number now belongs to a
        saved account, it loses it.

        Raises TypeError or ValueError for data that `snapshot` did not write.
        """
        restored = Accounts(_account(**members) for members in saved)
        for account in self:
            if account.email not in restored:
                is_taken = account.tax_number is not None and restored.tax_number_is_taken(
                    account.tax_number, by_other_than=""
                )
                restored.add(replace(account, tax_number=None) if is_taken else account)
        self._by_email = restored._by_email

    def __contains__(self, email: str) -> bool:
        return self.find(email) is not None


def _key(email: str) -> str:
    return email.strip().casefold()


def _account(
    *, address: dict[str, Any] | None, level: int, is_enabled: bool = True, **texts: str | None
) -> ProviderAccount:
    if (
        type(level) is not int
        or type(is_enabled) is not bool
        or not all(isinstance(text, str | None) for text in texts.values())
    ):
        raise TypeError(
            "an account's level is a number, is_enabled a truth value, and everything else a text"
        )
    parsed_address = Address(**address) if address is not None else None
    return ProviderAccount(**texts, level=level, is_enabled=is_enabled, address=parsed_address)  # type: ignore[arg-type]


def people(random_bytes: Callable[[int], bytes]) -> Accounts:
    """Everybody who can sign in to the sandbox. The secrets of one-time codes are new at every start."""

    def totp_secret() -> str:
        return base64.b32encode(random_bytes(20)).decode()

    return Accounts(
        (
            ProviderAccount(
                subject="90342.KRZTQWMA",
                email="ana.novak@example.si",
                password_hash=PASSWORD_HASH,
                puk_hash=PUK_HASH,
                given_name="Ana",
                family_name="Novak",
                birthdate="1990-01-01",
                phone="+38640123456",
                level=20,
                tax_number="99990008",
                totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 1", locality="Ljubljana", postal_code="1000"),
            ),
            ProviderAccount(
                subject="90343.BDVHNEJC",
                email="bor.kranjc@example.si",
                password_hash=PASSWORD_HASH,
                puk_hash=PUK_HASH,
                given_name="Bor",
                family_name="Kranjc",
                birthdate="1985-06-15",
                phone="+38640123457",
                level=10,
                tax_number=None,
                totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 2", locality="Maribor", postal_code="2000"),
            ),
            ProviderAccount(
                subject="90344.GPXSYULO",
                email="cvetka.zupan@example.si",
                password_hash=PASSWORD_HASH,
                puk_hash=PUK_HASH,
                given_name="Cvetka",
                family_name="Zupan",
                birthdate="1978-11-30",
                phone="+38640123458",
                level=30,
                tax_number="99990016",
                totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 3", locality="Celje", postal_code="3000"),
            ),
            ProviderAccount(
                subject="90345.FIMKZRTA",
                email="david.horvat@example.si",
                password_hash=PASSWORD_HASH,
                puk_hash=PUK_HASH,
                given_name="David",
                family_name="Horvat",
                birthdate="2000-02-29",
                phone="+38640123459",
                level=10,
                tax_number="99990024",
                totp_secret=None,
                address=Address(street_address="Testna ulica 4", locality="Koper", postal_code="6000"),
            ),
        ),
    )
