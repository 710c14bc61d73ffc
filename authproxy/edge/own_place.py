"""PURE: the gateway's own place on every portal's host: what never reaches a portal, and what is answered on any host."""

from __future__ import annotations

from typing import Final

from authproxy.access.target import RequestTarget

_PREFIX: Final = "/.authproxy"
_PUBLIC_KEYS: Final = "/.authproxy/jwks.json"
"""Portals fetch it from server to server, under whatever name they reach us."""
_STATIC: Final = "/.authproxy/static/"


def is_own_place(target: RequestTarget) -> bool:
    """Whether the gateway itself answers there, and no portal."""
    path = target.path
    if path.startswith("/.authproxy/"):
        return True
    if ".authproxy" not in path.lower():
        return False
    # Other spellings of our place (`/.AUTHPROXY`, `/.authproxy;x/`) must not reach a portal that takes them for the same.
    return any(reading.lower().startswith(_PREFIX) for reading in target.readings())


def needs_no_portal(target: RequestTarget) -> bool:
    """The page that says that there is no portal here needs its style sheet as any other does."""
    return target.path == _PUBLIC_KEYS or target.path.startswith(_STATIC)
