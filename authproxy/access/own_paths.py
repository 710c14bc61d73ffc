"""PURE: which paths are the gateway's own on every portal's host and never reach a portal, and which of them
are answered on any host. The edge asks this about requests, the pages about places to return to, and
`explain` and `check-config` about what operators write."""

from __future__ import annotations

from typing import Final

from authproxy.access.target import RequestTarget

PREFIX: Final = "/.authproxy/"
PUBLIC_KEYS: Final = "/.authproxy/jwks.json"
"""Portals fetch it from server to server, under whatever name they reach us."""
_BARE_PREFIX: Final = "/.authproxy"
_STATIC: Final = "/.authproxy/static/"


def is_own_path(target: RequestTarget) -> bool:
    """Whether the gateway itself answers there, and no portal."""
    path = target.path
    if path.startswith("/.authproxy/"):
        return True
    if ".authproxy" not in path.lower() and "%25" not in path:
        return False
    # Other spellings of our place (`/.AUTHPROXY`, `/.authproxy;x/`) must not reach a portal that takes them
    # for the same.
    return any(reading.lower().startswith(_BARE_PREFIX) for reading in target.readings())


def needs_no_portal(path: str) -> bool:
    """Whether the path is answered on any host. The page that says that there is no portal here needs its
    style sheet, too."""
    return path == PUBLIC_KEYS or path.startswith(_STATIC)
