"""PURE: where a browser may be sent after a sign-in: to the portal from which it came, and nowhere else (ASVS
5.0 V3.7.2).

A return-to is judged by the parser that judges requests. What the edge would refuse, or what could be read in
two ways, is no return-to.
"""

from __future__ import annotations

import re

from authproxy.access.own_paths import is_own_path
from authproxy.access.target import TargetRefused, parse

LONGEST = 2048
HOME = "/"
SESSION_PAGE = "/.authproxy/session"
"""The only page of our own to which somebody may want to go back. Looking at it does nothing."""
_LONGEST_SHOWN = 60

# What a URL parser may take for `//host`: sooner or later a browser or a proxy reads an encoded slash or
# backslash as a slash.
_LEAVES_THE_HOST = re.compile(r"/(?:/|%2f)|.*%5c", re.IGNORECASE | re.ASCII)


def safe(
    text: str | None,
    *,
    origin: str,
    accepts_encoded_slash: bool = False,
    accepts_encoded_percent: bool = False,
) -> str:
    """The path and query of `text`, if the portal at `origin` may be asked for them; otherwise `/`.

    A fragment is dropped, because it never belongs to a request. Of more than 2048 characters only the path
    is kept. The result begins with exactly one slash and is printable ASCII, and no reader finds a scheme or
    a host in it.
    """
    target = _without_origin(text or "", origin).partition("#")[0]
    if len(target) > LONGEST:
        target = target.partition("?")[0]
    if target == SESSION_PAGE:
        return target
    is_safe = len(target) <= LONGEST and _is_on_portal(
        target, accepts_encoded_slash=accepts_encoded_slash, accepts_encoded_percent=accepts_encoded_percent
    )
    return target if is_safe else HOME


def shown(return_to: str) -> str:
    """As much of a return-to as helps to recognise it. The query is left out, because it may be private. The
    path stays percent-encoded, so that no letter can look like another one. Empty for the portal's first page
    and for our own."""
    path = return_to.partition("?")[0]
    if path in {HOME, SESSION_PAGE}:
        return ""
    return path if len(path) <= _LONGEST_SHOWN else path[:_LONGEST_SHOWN] + "…"


def _without_origin(text: str, origin: str) -> str:
    rest = text.removeprefix(origin)
    return "/" + rest if rest[:1] in {"", "?", "#"} else rest


def _is_on_portal(target: str, *, accepts_encoded_slash: bool, accepts_encoded_percent: bool) -> bool:
    if not target.startswith("/") or "\\" in target:
        return False
    try:
        parsed = parse(
            method="GET",
            target=target,
            host="portal",
            accepts_encoded_slash=accepts_encoded_slash,
            accepts_encoded_percent=accepts_encoded_percent,
        )
    except TargetRefused:
        return False
    # Not our own pages: the chooser would be a loop, the callback a replay, and the sign-out a trap.
    readings = parsed.readings()
    return (
        not is_own_path(parsed)
        and bool(readings)
        and not any(_LEAVES_THE_HOST.match(reading) for reading in readings)
    )
