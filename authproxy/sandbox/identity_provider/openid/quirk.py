"""PURE: what a quirk is: one place of the provider's answers that is otherwise than usual."""

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
    """`says` is for people; everything else is the usual behaviour unless it is given."""

    says: str
    discovery: Change = unchanged
    response: Change = unchanged
    """Parameters of the authorization response; one without a value is left out."""
    id_token: Change = unchanged
    userinfo: Change = unchanged
    code: Callable[[str], str] = str
    signature: Signature = "RS256"
    names_key: bool = True
    rotates_key: bool = False
    """Once, at the moment when it is switched on."""
    publishes_old_keys: bool = False
    signs_userinfo: bool = False
    redeeming: Redeeming = "works"
    authorization_error: str | None = None
    repeats_state: bool = False
    rotates_refresh_tokens: bool = False
    asks_before_sign_out: bool = True
    takes_sign_out_by: Literal["link", "link or form", "form"] = "link"
    leads_back_without_hint: bool = False
