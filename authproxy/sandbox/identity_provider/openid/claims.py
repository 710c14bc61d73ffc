"""PURE: the claims of each scope (OpenID Connect Core §5.4). A claim without a value is left out, not
null."""

from __future__ import annotations

from typing import Any

from authproxy.sandbox.accounts import Address, ProviderAccount
from authproxy.sandbox.identity_provider.openid.authorization import TAX_NUMBER_SCOPE


def released(account: ProviderAccount, scopes: tuple[str, ...]) -> dict[str, Any]:
    """The claims for these scopes. The level of trust is always among them, because it describes the account
    and not the person."""
    by_scope: dict[str, dict[str, Any]] = {
        "openid": {"sub": account.subject, "loa": account.level},
        "profile": {
            "name": account.name,
            "preferred_username": account.email,
            "given_name": account.given_name,
            "family_name": account.family_name,
            "birthdate": account.birthdate,
            "locale": "sl",
        },
        "email": {"email": account.email, "email_verified": True},
        "phone": {"phone_number": account.phone, "phone_number_verified": True},
        "address": {"address": _address(account.address) if account.address is not None else None},
        TAX_NUMBER_SCOPE: {"taxnumber": account.tax_number},
    }
    claims = {name: value for scope in scopes for name, value in by_scope.get(scope, {}).items()}
    return {name: value for name, value in claims.items() if value is not None}


def _address(address: Address) -> dict[str, str]:
    return {
        "formatted": f"{address.street_address}\n{address.postal_code} {address.locality}",
        "street_address": address.street_address,
        "locality": address.locality,
        "postal_code": address.postal_code,
        "country": address.country,
    }
