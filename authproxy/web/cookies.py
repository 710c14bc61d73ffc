"""PURE: our two cookies: how they are written, and how strictly they are read (RFC 6265 §4.1, §5.4; prefixes: RFC 6265bis §4.1.3).

Reading is where the prefix `__Host-` is defended. Only `;` separates cookies: a comma is part of a value, and whoever splits there lets
a sibling host smuggle `x=1,__Host-authproxy=…` past the browser's check of the prefix (a front proxy that joins several Cookie fields by
comma is therefore read as no ticket). Only space and tab are trimmed: browsers check the prefix before such white space as U+00A0, which
`str.strip` would remove. A second cookie of our name means that somebody planted one, and then there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from authproxy.identity.ticket import parse

TICKET = "__Host-authproxy"
FLOW = "__Host-authproxy-flow"
FLOW_SIZE = 32
"""Random bytes of a flow cookie."""

_FLOW_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieReading:
    """What a request holds of one of our cookies; `value` is there only if `found` is `one`."""

    found: Literal["none", "one", "several", "malformed"]
    value: str | None = field(default=None, repr=False)


def ticket_in(cookie_fields: Iterable[str]) -> CookieReading:
    """The session ticket in the values of a request's Cookie fields."""
    return _read(cookie_fields, TICKET, is_well_formed=lambda value: parse(value) is not None)


def flow_in(cookie_fields: Iterable[str]) -> CookieReading:
    """The browser binding in the values of a request's Cookie fields."""
    return _read(cookie_fields, FLOW, is_well_formed=lambda value: _FLOW_VALUE.fullmatch(value) is not None)


def setting(name: str, value: str) -> str:
    """A Set-Cookie value. Without Max-Age: the browser forgets the cookie when it is closed, which is what bank users on shared
    machines are told to do."""
    return f"{name}={value}; {_ATTRIBUTES}"


def removing(name: str) -> str:
    """The Set-Cookie value that removes the cookie; a `__Host-` cookie is only replaced by one with the same attributes."""
    return f"{name}=; Max-Age=0; {_ATTRIBUTES}"


def _read(cookie_fields: Iterable[str], name: str, *, is_well_formed: Callable[[str], bool]) -> CookieReading:
    values = []
    for cookie_field in cookie_fields:
        for pair in cookie_field.split(";"):
            found, equals, value = pair.partition("=")
            if equals and found.strip(" \t") == name:
                values.append(value.strip(" \t"))
    if len(values) > 1:
        return CookieReading(found="several")
    if not values:
        return CookieReading(found="none")
    return CookieReading(found="one", value=values[0]) if is_well_formed(values[0]) else CookieReading(found="malformed")
