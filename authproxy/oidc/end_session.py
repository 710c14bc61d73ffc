"""PURE: the request with which a browser ends the session at the provider (OpenID Connect RP-Initiated Logout
1.0 §2).

Some providers (MITREid) send the browser back only if there is an `id_token_hint`. In a URL the hint reaches
histories and logs, so a token with personal data is put there only if the settings say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from authproxy.oidc.relying_party import LogoutHint, RelyingParty
from authproxy.oidc.wire import Unreadable, json_object, octets_of, with_parameters

_OF_THE_PROTOCOL: Final = frozenset(
    {
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "kid",
        "typ",
        "nonce",
        "auth_time",
        "acr",
        "amr",
        "azp",
        "sid",
        "at_hash",
        "c_hash",
        "s_hash",
    }
)
_PERSONAL: Final = re.compile(r"[@\s]|^(?:SI)?[0-9]{8}$|^[0-9]{13}$", re.ASCII | re.IGNORECASE)
"""A subject that looks like an e-mail address, a name with spaces, a tax number or a personal number
(EMŠO)."""
_LONGEST_IN_URL: Final = 2048
"""Characters of a token in a URL. A front proxy accepts 4 KiB for the head of our answer by default
(nginx)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSessionRequest:
    """What the browser sends to the provider's `endpoint`: by GET at `location`, or as a form by POST."""

    by: Literal["get", "post"]
    endpoint: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """The URL for a GET."""
        return with_parameters(self.endpoint, self.fields)


def request(
    relying_party: RelyingParty, *, endpoint: str, id_token: str, post_logout_redirect_uri: str, state: str
) -> EndSessionRequest | None:
    """The request for one session; None if the settings send nobody to the provider."""
    if relying_party.logout_method == "none":
        return None
    fields = {
        "client_id": relying_party.client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": state,
    }
    if _tells(relying_party.logout_hint, id_token, is_in_url=relying_party.logout_method == "get"):
        fields["id_token_hint"] = id_token
    return EndSessionRequest(by=relying_party.logout_method, endpoint=endpoint, fields=fields)


def is_impersonal(id_token: str) -> bool:
    """Whether the token identifies the person only by the provider's subject. A token that cannot be read
    counts as personal."""
    try:
        _, payload, _ = id_token.split(".")
        claims = json_object(octets_of(payload))
    except (Unreadable, ValueError):
        return False
    subject = claims.get("sub")
    return claims.keys() <= _OF_THE_PROTOCOL and isinstance(subject, str) and not _PERSONAL.search(subject)


def _tells(hint: LogoutHint, id_token: str, *, is_in_url: bool) -> bool:
    if hint == "auto":
        return not is_in_url or (len(id_token) <= _LONGEST_IN_URL and is_impersonal(id_token))
    return hint == "always"
