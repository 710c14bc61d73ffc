"""PURE: the second line of defence against secrets in logs (ASVS 5.0 V16.2.5): decides which values must not
be written. The first is that no code logs them. This one catches what a library puts into an exception
text."""

from __future__ import annotations

import re
from collections.abc import Mapping

REMOVED = "[removed]"
LONGEST = 4096
"""Characters of one value. The rest is cut, so that no request decides how long a log line is."""

_SECRET_KEYS = frozenset(
    {
        "authorization",
        "cookie",
        "set_cookie",
        "code",
        "state",
        "nonce",
        "token",
        "id_token",
        "access_token",
        "refresh_token",
        "id_token_hint",
        "logout_token",
        "client_secret",
        "client_assertion",
        "code_verifier",
        "password",
        "secret",
        "ticket",
        "ticket_text",
        "assertion",
        "x_auth_assertion",
        "tax_number",
        "x_auth_tax_number",
        "taxnumber",
        "davcna_stevilka",
        "phone",
        "phone_number",
        "email",
    }
)
_SECRET_TEXT = re.compile(
    # A compact JWS or JWE (RFC 7515 §7.1): its header begins with `{"`.
    r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,4}"
    r"|\b1\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"  # our session ticket
    r"|authproxy_[0-9a-f]{16,64}"  # an API key of a program, or the beginning of one
    # The portal's own session in a path, as Java servers and ASP.NET write it for browsers without cookies.
    r"|(?i:(?:;|%3b)[a-z_]{0,16}s(?:ess(?:ion)?)?_?id=)[^/;?#\s\"']+"
    r"|\((?:[A-Z]\([A-Za-z0-9_-]{16,}\))+\)"
    r"|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|(?i:\b(?:code|state|nonce|token|password|secret|tax_?number|[a-z_]+_token|id_token_hint|client_secret|code_verifier|client_assertion)"
    r"[\"']?\s*[=:]\s*)[\"']?[^\s&\"',;}]+"
    r"|__Host-authproxy(?:-flow)?=[^\s;,]+",
    re.ASCII,
)


def redacted(text: str) -> str:
    """The text without anything that looks like a token, ticket or credential, and cut to LONGEST
    characters."""
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return _SECRET_TEXT.sub(REMOVED, cut)


def cleaned(value: object) -> object:
    """A value for a log line. Members with a secret's name lose their value at every depth, texts are
    redacted, and values that JSON cannot express become redacted text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {
            redacted(str(name)): REMOVED if _is_secret(str(name)) else cleaned(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(member) for member in value]
    return redacted(str(value))


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "_") in _SECRET_KEYS
