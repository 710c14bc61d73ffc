"""PURE: a quirk: one deviation from the provider's usual answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Claims = dict[str, Any]
Change = Callable[[Claims], Claims]
Signature = Literal["RS256", "none", "HS256 with the client secret", "HS256 with the public key", "ES256"]
Redeeming = Literal["works", "breaks", "stalls", "floods", "stammers", "mislabels", "forgets"]


def unchanged(claims: Claims) -> Claims:
    return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """One deviation. `says` describes it for people; the other fields default to the usual behaviour."""

    says: str
    discovery: Change = unchanged
    response: Change = unchanged
    """Changes the parameters of the authorization response. One without a value is left out."""
    id_token: Change = unchanged
    userinfo: Change = unchanged
    code: Callable[[str], str] = str
    signature: Signature = "RS256"
    names_key: bool = True
    rotates_key: bool = False
    """Once, when the quirk is switched on."""
    publishes_old_keys: bool = False
    signs_userinfo: bool = False
    redeeming: Redeeming = "works"
    authorization_error: str | None = None
    repeats_state: bool = False
    rotates_refresh_tokens: bool = False
    asks_before_sign_out: bool = True
    takes_sign_out_by: Literal["link", "link or form", "form"] = "link"
    leads_back_without_hint: bool = False
