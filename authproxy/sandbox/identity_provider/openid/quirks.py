"""What a provider can do wrong, as data: each quirk says in one sentence what it does and changes one place of an answer.

They are switched on per client, so that a relying party can be watched living with them, or refusing to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Claims = dict[str, Any]


def _unchanged(claims: Claims) -> Claims:
    return claims


def _without(*names: str) -> Callable[[Claims], Claims]:
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


def _with(**changed: Any) -> Callable[[Claims], Claims]:
    return lambda claims: claims | changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    says: str
    id_token: Callable[[Claims], Claims] = _unchanged
    userinfo: Callable[[Claims], Claims] = _unchanged
    signed: bool = True
    rotates_key: bool = False
    redeeming: Literal["works", "breaks", "stalls"] = "works"
    authorization_error: str | None = None


QUIRKS: Mapping[str, Quirk] = {
    "tax_number_missing": Quirk(says="userinfo has no taxnumber", userinfo=_without("taxnumber")),
    "name_missing": Quirk(says="userinfo has no name of any kind", userinfo=_without("name", "given_name", "family_name")),
    "level_absent": Quirk(says="userinfo has no loa", userinfo=_without("loa")),
    "level_20_string": Quirk(says='userinfo has loa "20", a string', userinfo=_with(loa="20")),
    "wrong_nonce": Quirk(says="the ID token has another nonce", id_token=_with(nonce="not-the-nonce-that-was-sent")),
    "wrong_aud": Quirk(says="the ID token is for another client", id_token=_with(aud="another-client")),
    "exp_missing": Quirk(says="the ID token has no exp", id_token=_without("exp")),
    "auth_time_missing": Quirk(says="the ID token has no auth_time although max_age was sent", id_token=_without("auth_time")),
    "alg_none": Quirk(says="the ID token is not signed", signed=False),
    "kid_rotated": Quirk(says="the signing key is replaced, once, for everybody", rotates_key=True),
    "userinfo_sub_differs": Quirk(says="userinfo speaks of another subject", userinfo=_with(sub="90399.SOMEBODY")),
    "token_500_html": Quirk(says="the token endpoint answers 500 with a page", redeeming="breaks"),
    "token_slow": Quirk(says="the token endpoint answers after 20 seconds", redeeming="stalls"),
    "access_denied": Quirk(says="every authorization request comes back as refused by the person", authorization_error="access_denied"),
}


class ActiveQuirks:
    """The quirks that are on, by client."""

    def __init__(self) -> None:
        self._active: dict[str, dict[str, Quirk]] = {}

    def switch_on(self, client_id: str, name: str) -> Quirk:
        """Raises KeyError for a quirk that there is not."""
        self._active.setdefault(client_id, {})[name] = QUIRKS[name]
        return QUIRKS[name]

    def clear(self) -> None:
        self._active.clear()

    def names(self) -> dict[str, list[str]]:
        return {client_id: sorted(quirks) for client_id, quirks in self._active.items()}

    def of(self, client_id: str) -> tuple[Quirk, ...]:
        return tuple(self._active.get(client_id, {}).values())

    def id_token(self, client_id: str, claims: Claims) -> Claims:
        for quirk in self.of(client_id):
            claims = quirk.id_token(claims)
        return claims

    def userinfo(self, client_id: str, claims: Claims) -> Claims:
        for quirk in self.of(client_id):
            claims = quirk.userinfo(claims)
        return claims
