"""PURE: the people of the sandbox and what the provider holds about each of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

PASSWORD = "Sandbox-2026!"  # noqa: S105  (printed on the start page: nothing but the sandbox accepts it)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    street_address: str
    locality: str
    postal_code: str
    country: str = "SI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at the provider. `totp_secret` (base32) is shared with the phone; None: the phone is not enrolled."""

    subject: str
    email: str
    password: str = field(repr=False)
    given_name: str
    family_name: str
    birthdate: str = field(repr=False)
    phone: str = field(repr=False)
    level: int
    tax_number: str | None = field(repr=False)
    totp_secret: str | None = field(repr=False)
    address: Address = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class Accounts:
    """Accounts by e-mail address, whatever the case it is typed in."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_email = {account.email.casefold(): account for account in accounts}

    def find(self, email: str) -> Account | None:
        return self._by_email.get(email.strip().casefold())

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_email.values())


def people(fresh: Callable[[int], bytes]) -> Accounts:
    """Everybody who can sign in to the sandbox. One-time code secrets are new at every start."""

    def totp_secret() -> str:
        return base64.b32encode(fresh(20)).decode()

    return Accounts(
        (
            Account(
                subject="90342.KRZTQWMA", email="ana.novak@example.si", password=PASSWORD, given_name="Ana", family_name="Novak",
                birthdate="1990-01-01", phone="+38640123456", level=20, tax_number="99990008", totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 1", locality="Ljubljana", postal_code="1000"),
            ),
            Account(
                subject="90343.BDVHNEJC", email="bor.kranjc@example.si", password=PASSWORD, given_name="Bor", family_name="Kranjc",
                birthdate="1985-06-15", phone="+38640123457", level=10, tax_number=None, totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 2", locality="Maribor", postal_code="2000"),
            ),
            Account(
                subject="90344.GPXSYULO", email="cvetka.zupan@example.si", password=PASSWORD, given_name="Cvetka", family_name="Zupan",
                birthdate="1978-11-30", phone="+38640123458", level=30, tax_number="99990016", totp_secret=totp_secret(),
                address=Address(street_address="Testna ulica 3", locality="Celje", postal_code="3000"),
            ),
            Account(
                subject="90345.FIMKZRTA", email="david.horvat@example.si", password=PASSWORD, given_name="David", family_name="Horvat",
                birthdate="2000-02-29", phone="+38640123459", level=10, tax_number="99990024", totp_secret=None,
                address=Address(street_address="Testna ulica 4", locality="Koper", postal_code="6000"),
            ),
        ),
    )  # fmt: skip
