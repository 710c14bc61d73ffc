"""PURE: writes our cookies, and reads them from a request. `access.own_cookies` finds them among others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from authproxy.access.own_cookies import FLOW, LEFT, TICKET, values_in
from authproxy.identity.ticket import parse
from authproxy.web import signed_out
from authproxy.web.signed_out import SignedOut

__all__ = [
    "CLEARED",
    "FLOW",
    "FLOW_SIZE",
    "LEFT",
    "TICKET",
    "CookieReading",
    "flow_in",
    "joined",
    "left_in",
    "removing",
    "setting",
    "ticket_in",
]

CLEARED = '"cache", "storage"'
"""What a browser forgets of a portal when its person has left. Without `"cookies"`, which would clear the
cookies of the whole registrable domain and so sign the person out of its other portals."""
FLOW_SIZE = 32
"""Random bytes in a flow cookie."""

_FLOW_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieReading:
    """One of our cookies in a request. `value` is set only if `found` is `one`."""

    found: Literal["none", "one", "several", "malformed"]
    value: str | None = field(default=None, repr=False)


def ticket_in(cookie_fields: Iterable[str]) -> CookieReading:
    """The session ticket in a request's Cookie fields."""
    return _read(cookie_fields, TICKET, is_well_formed=lambda value: parse(value) is not None)


def flow_in(cookie_fields: Iterable[str]) -> CookieReading:
    """The flow cookie, which binds a sign-in to this browser, in a request's Cookie fields."""
    return _read(cookie_fields, FLOW, is_well_formed=lambda value: _FLOW_VALUE.fullmatch(value) is not None)


def left_in(cookie_fields: Iterable[str]) -> SignedOut | None:
    """What the last sign-out in this browser has ended at this portal, if nobody has signed in since."""
    reading = _read(cookie_fields, LEFT, is_well_formed=lambda value: signed_out.parse(value) is not None)
    return None if reading.value is None else signed_out.parse(reading.value)


def joined(cookie_fields: Iterable[str]) -> bytes:
    """The fields as one, as the browser has sent it."""
    return "; ".join(cookie_fields).encode("utf-8", "surrogateescape")


def setting(name: str, value: str) -> str:
    """A Set-Cookie value. It has no Max-Age, so the browser forgets the cookie when it is closed: people are
    told to close it on shared machines."""
    return f"{name}={value}; {_ATTRIBUTES}"


def removing(name: str) -> str:
    """The Set-Cookie value that removes the cookie. It repeats the attributes: browsers reject a `__Host-`
    cookie without them (RFC 6265bis §4.1.3.2)."""
    return f"{name}=; Max-Age=0; {_ATTRIBUTES}"


def _read(cookie_fields: Iterable[str], name: str, *, is_well_formed: Callable[[str], bool]) -> CookieReading:
    values = values_in(joined(cookie_fields), f"{name}=".encode())
    if len(values) > 1:
        return CookieReading(found="several")
    if not values:
        return CookieReading(found="none")
    return (
        CookieReading(found="one", value=values[0])
        if is_well_formed(values[0])
        else CookieReading(found="malformed")
    )
