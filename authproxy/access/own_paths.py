"""PURE: the paths that the gateway answers itself on every portal's host, and those it answers on any host.
The edge asks this about requests, the pages about return-to paths, and `explain` and `check-config` about
what operators write."""

from __future__ import annotations

from typing import Final

from authproxy.access.target import RequestTarget

PREFIX: Final = "/.authproxy/"
PUBLIC_KEYS: Final = "/.authproxy/jwks.json"
"""Portals fetch it from server to server, under any host name by which they reach the gateway."""
DOCTOR: Final = "/.authproxy/doctor"
"""What `authproxy doctor` asks the gateway, with an operator's consent; 404 for everybody else."""
_BARE_PREFIX: Final = "/.authproxy"
_STATIC: Final = "/.authproxy/static/"


def is_own_path(target: RequestTarget) -> bool:
    """Whether the gateway itself answers this target."""
    path = target.path
    if path.startswith("/.authproxy/"):
        return True
    if ".authproxy" not in path.lower() and "%25" not in path:
        return False
    # Other spellings of our prefix (`/.AUTHPROXY`, `/.authproxy;x/`) must not reach a portal, which might
    # take them for the same path.
    return any(is_own_reading(reading) for reading in target.readings())


def is_own_reading(reading: str) -> bool:
    """Whether a portal that takes a path for this one might serve something of its own in our place."""
    return reading.lower().startswith(_BARE_PREFIX)


def needs_no_portal(path: str) -> bool:
    """Whether the path is answered on any host. The page "no such portal" needs its style sheet."""
    return path == PUBLIC_KEYS or path.startswith(_STATIC)
