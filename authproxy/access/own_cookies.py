"""PURE: finds our cookies among those of a request, by one rule for the edge and the pages (RFC 6265 §4.1,
§5.4; prefixes: RFC 6265bis §4.1.3).

The prefix `__Host-` must be defended when cookies are read:

- Only `;` separates cookies. A comma is part of a value. Whoever splits at commas lets a sibling host smuggle
  `x=1,__Host-authproxy=…` past the browser's check of the prefix. If a front proxy joins several Cookie
  fields by commas, nobody is signed in by them.
- Only space and tab are trimmed. Browsers check the prefix before other white space, such as U+00A0.
- The name stands directly before its `=`, as every browser writes it.
- A second cookie of our name was planted by somebody. Then no cookie counts.
"""

from __future__ import annotations

from typing import Final

TICKET: Final = "__Host-authproxy"
FLOW: Final = "__Host-authproxy-flow"
LEFT: Final = "__Host-authproxy-left"
"""Set from a sign-out until the next sign-in, so never together with a ticket."""

_TICKET_COOKIE: Final = b"__Host-authproxy="
_LONGEST: Final = 160
"""Bytes of a value that are read. Ours are shorter."""
# A number, because for `bytes in bytes` CPython raises and drops an exception before it searches (1,500
# instructions).
_SEMICOLON: Final = 0x3B


def ticket_in(cookies: bytes) -> str | None:
    """The value of the session cookie in a Cookie field, or in several joined by `;`, well-formed or not;
    None if it is absent or occurs twice. The result equals that of `values_in`, but every request needs it,
    so this is faster."""
    if cookies.startswith(_TICKET_COOKIE) and _SEMICOLON not in cookies:
        # It is the only cookie.
        return _text(cookies[len(_TICKET_COOKIE) :])
    at = cookies.find(_TICKET_COOKIE)
    if at < 0:
        return None
    if cookies.find(_TICKET_COOKIE, at + 1) >= 0:
        values = values_in(cookies, _TICKET_COOKIE)
        return values[0] if len(values) == 1 else None
    # The name occurs once, as nearly always. The text before it must end another cookie.
    if at and cookies[:at].rpartition(b";")[2].strip(b" \t"):
        return None
    return _text(cookies[at + len(_TICKET_COOKIE) :].partition(b";")[0])


def values_in(cookies: bytes, prefix: bytes) -> list[str]:
    """The values of all cookies with that name. `prefix` is the name with its `=`."""
    pairs = [pair.strip(b" \t") for pair in cookies.split(b";")]
    return [_text(pair[len(prefix) :]) for pair in pairs if pair.startswith(prefix)]


def _text(value: bytes) -> str:
    return value.strip(b" \t")[:_LONGEST].decode("ascii", "replace")
