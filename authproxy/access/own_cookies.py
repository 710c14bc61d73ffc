"""PURE: our cookies among those of a request, read by one rule wherever they are asked for (RFC 6265 §4.1,
§5.4; prefixes: RFC 6265bis §4.1.3).

Reading is where the prefix `__Host-` is defended. Only `;` parts cookies: a comma is part of a value, and
whoever parts there lets a sibling host smuggle `x=1,__Host-authproxy=…` past the browser's check of the
prefix (a front proxy that joins several Cookie fields by comma is therefore read as no ticket). Only space
and tab are trimmed: browsers check the prefix before such white space as U+00A0. The name stands directly
before its `=`, as every browser writes it. A second cookie of our name means that somebody planted one, and
then there is none.
"""

from __future__ import annotations

from typing import Final

TICKET: Final = "__Host-authproxy"
FLOW: Final = "__Host-authproxy-flow"
LEFT: Final = "__Host-authproxy-left"
"""Stands from a sign-out to the next sign-in, so never beside a ticket."""

_TICKET_COOKIE: Final = b"__Host-authproxy="
_LONGEST: Final = 160
"""Bytes of a value; ours are shorter, and nothing longer is carried around."""
# A number, because CPython raises and drops an exception for every `bytes in bytes` before it looks (1,500
# instructions).
_SEMICOLON: Final = 0x3B


def ticket_in(cookies: bytes) -> str | None:
    """The value of the session cookie in a Cookie field, or in several joined by `;`, whether it is
    well-formed or not; None if it is absent or stands there twice. It equals the only value of `values_in`,
    and is faster, because every request asks for it."""
    if cookies.startswith(_TICKET_COOKIE) and _SEMICOLON not in cookies:
        # The whole field, where the portal sets no cookies of its own.
        return _text(cookies[len(_TICKET_COOKIE) :])
    at = cookies.find(_TICKET_COOKIE)
    if at < 0:
        return None
    if cookies.find(_TICKET_COOKIE, at + 1) >= 0:
        found = values_in(cookies, _TICKET_COOKIE)
        return found[0] if len(found) == 1 else None
    # The name stands there once, as nearly always. What is before it must be the end of another cookie.
    if at and cookies[:at].rpartition(b";")[2].strip(b" \t"):
        return None
    return _text(cookies[at + len(_TICKET_COOKIE) :].partition(b";")[0])


def values_in(cookies: bytes, prefix: bytes) -> list[str]:
    """The values of all cookies of a name. `prefix` is the name with its `=`."""
    pairs = [pair.strip(b" \t") for pair in cookies.split(b";")]
    return [_text(pair[len(prefix) :]) for pair in pairs if pair.startswith(prefix)]


def _text(value: bytes) -> str:
    return value.strip(b" \t")[:_LONGEST].decode("ascii", "replace")
