"""PURE: the people of the sandbox and what the provider holds about each of them; what is unique among
accounts is enforced here."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

PASSWORD = "Sandbox-2026!"  # noqa: S105  (printed on the start page: nothing but the sandbox accepts it)
PUK = "202611220000"
# As the provider keeps them (identity_provider/secret_hash.py). Made beforehand: a start should not cost
# eight slow hashes.
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
class Account:
    """One account at the provider. A new one knows an e-mail address and a telephone; None: not entered yet.

    `totp_secret` (base32) is shared with the phone; None: the phone is not enrolled. `password_hash` and
    `puk_hash` are scrypt.
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
    """Nobody signs in to an account that is not."""

    @property
    def name(self) -> str | None:
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None


class Accounts:
    """Accounts by e-mail address, whatever the case it is typed in. A tax number belongs to one account, a
    telephone to any number."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_email: dict[str, Account] = {}
        for account in accounts:
            self.add(account)
        self._seeded = tuple(self._by_email)

    def find(self, email: str) -> Account | None:
        return self._by_email.get(_key(email))

    def add(self, account: Account) -> None:
        """Raises EmailTaken or TaxNumberTaken."""
        if _key(account.email) in self._by_email:
            raise EmailTaken
        self.put(account)

    def put(self, account: Account) -> None:
        """Adds the account, or puts it in the place of the one with its e-mail address. Raises
        TaxNumberTaken."""
        if account.tax_number is not None and self.tax_number_is_taken(
            account.tax_number, by_other_than=account.email
        ):
            raise TaxNumberTaken
        self._by_email[_key(account.email)] = account

    def tax_number_is_taken(self, tax_number: str, *, by_other_than: str) -> bool:
        return any(
            held.tax_number == tax_number
            for key, held in self._by_email.items()
            if key != _key(by_other_than)
        )

    @property
    def seeded(self) -> tuple[Account, ...]:
        """Those that were there from the beginning, as they are now: the ones that pages may name."""
        return tuple(self._by_email[key] for key in self._seeded)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_email.values())

    def snapshot(self) -> list[dict[str, Any]]:
        return [asdict(account) for account in self]

    def restore(self, saved: Any) -> None:
        """Puts saved accounts in place; who is here and was not saved stays, without a tax number that is
        somebody's by now.

        Raises TypeError or ValueError for what `snapshot` did not write.
        """
        restored = Accounts(_account(**members) for members in saved)
        for account in self:
            if account.email not in restored:
                taken = account.tax_number is not None and restored.tax_number_is_taken(
                    account.tax_number, by_other_than=""
                )
                restored.add(replace(account, tax_number=None) if taken else account)
        self._by_email = restored._by_email

    def __contains__(self, email: str) -> bool:
        return self.find(email) is not None


def _key(email: str) -> str:
    return email.strip().casefold()


def _account(
    *, address: dict[str, Any] | None, level: int, is_enabled: bool = True, **texts: str | None
) -> Account:
    if (
        type(level) is not int
        or type(is_enabled) is not bool
        or not all(isinstance(text, str | None) for text in texts.values())
    ):
        raise TypeError(
            "an account's level is a number, is_enabled a truth value, and everything else a text"
        )
    found = Address(**address) if address is not None else None
    return Account(**texts, level=level, is_enabled=is_enabled, address=found)  # type: ignore[arg-type]


def people(random_bytes: Callable[[int], bytes]) -> Accounts:
    """Everybody who can sign in to the sandbox. One-time code secrets are new at every start."""

    def totp_secret() -> str:
        return base64.b32encode(random_bytes(20)).decode()

    return Accounts(
        (
            Account(
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
            Account(
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
            Account(
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
            Account(
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
