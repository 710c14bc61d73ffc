"""PURE: what a phone and the provider know of each other once OnePass is installed for an account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from authproxy.sandbox.accounts import Accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One account on one phone. The phone keeps all of it; the provider keeps the token as a hash."""

    email: str
    name: str
    device_id: str
    device_token: str = field(repr=False)
    totp_secret: str = field(repr=False)


def installed_beforehand(accounts: Accounts, fresh: Callable[[int], bytes]) -> tuple[Installation, ...]:
    """OnePass for everybody who has a code secret already, as if they had activated it. Provider and phone are made with the same ones."""
    return tuple(
        Installation(
            email=account.email, name=account.name or "", device_id=fresh(8).hex(), device_token=fresh(32).hex(),
            totp_secret=account.totp_secret,
        )
        for account in accounts
        if account.totp_secret is not None
    )  # fmt: skip
