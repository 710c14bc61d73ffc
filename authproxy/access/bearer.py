"""PURE: the credential in `Authorization: Bearer` (RFC 6750 §2.1), and what a refusal says about it (§3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

Error = Literal["invalid_request", "invalid_token", "insufficient_scope"]
"""RFC 6750 §3.1."""
MALFORMED: Final = ""
"""Stands for a credential that cannot be read in one way only."""
_TOKEN: Final = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


def credential_in(values: Sequence[bytes]) -> str | None:
    """The credential in the values of `Authorization`; None if they have none of this scheme, and MALFORMED
    if there are several values or something other than one token."""
    bearers = [value for value in values if value[:6].lower() == b"bearer" and not value[6:7].strip()]
    if not bearers:
        return None
    found = _TOKEN.fullmatch(bearers[0].strip())
    return found[1].decode("ascii") if found is not None and len(values) == 1 else MALFORMED


def challenge(realm: str, error: Error, scopes: Sequence[str] = ()) -> str:
    """The value of WWW-Authenticate. `scopes` are those that the route demands. It does not say what is wrong
    with a token: whoever tries tokens out must not learn how far each one came."""
    value = f'Bearer realm="{realm}", error="{error}"'
    return f'{value}, scope="{" ".join(scopes)}"' if scopes else value
