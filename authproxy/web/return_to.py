"""PURE: where a browser may be sent after sign-in: a place on the portal it came from, and nowhere else (ASVS
5.0 V3.7.2).

A place is judged by the parser that judges requests: what the edge would refuse, or could read in two ways,
is no place to go to.
"""

from __future__ import annotations

import re

from authproxy.access.own_paths import is_own_path
from authproxy.access.target import TargetRefused, parse

LONGEST = 2048
HOME = "/"
SESSION_PAGE = "/.authproxy/session"
"""The one place of ours that somebody may want to go back to: it does nothing by being looked at."""
_LONGEST_SHOWN = 60

# What a URL parser can take for `//host`: browsers and proxies read an encoded slash or backslash as a slash
# sooner or later.
_LEAVES_THE_HOST = re.compile(r"/(?:/|%2f)|.*%5c", re.IGNORECASE | re.ASCII)


def safe(
    text: str | None,
    *,
    origin: str,
    accepts_encoded_slash: bool = False,
    accepts_encoded_percent: bool = False,
) -> str:
    """The path and query of `text` if it names a place on the portal at `origin` that the portal may be asked
    for, otherwise `/`.

    A fragment is dropped: it never belonged to a request. Of what is longer than 2048 characters only the
    path is kept. The result begins with exactly one slash, is printable ASCII, and has neither scheme nor
    host for any reader.
    """
    place = _without_origin(text or "", origin).partition("#")[0]
    if len(place) > LONGEST:
        place = place.partition("?")[0]
    if place == SESSION_PAGE:
        return place
    is_ours = len(place) <= LONGEST and _is_ours(
        place, accepts_encoded_slash=accepts_encoded_slash, accepts_encoded_percent=accepts_encoded_percent
    )
    return place if is_ours else HOME


def shown(place: str) -> str:
    """The place as far as it helps to recognise it: without the query, which may hold what is nobody else's
    business on a screen, and in the letters of its URL, among which no other can hide. Empty for the portal's
    first page and for our own."""
    path = place.partition("?")[0]
    if path in {HOME, SESSION_PAGE}:
        return ""
    return path if len(path) <= _LONGEST_SHOWN else path[:_LONGEST_SHOWN] + "…"


def _without_origin(text: str, origin: str) -> str:
    rest = text.removeprefix(origin)
    return "/" + rest if rest[:1] in {"", "?", "#"} else rest


def _is_ours(place: str, *, accepts_encoded_slash: bool, accepts_encoded_percent: bool) -> bool:
    if not place.startswith("/") or "\\" in place:
        return False
    try:
        target = parse(
            method="GET",
            target=place,
            host="portal",
            accepts_encoded_slash=accepts_encoded_slash,
            accepts_encoded_percent=accepts_encoded_percent,
        )
    except TargetRefused:
        return False
    # Our own places: the chooser as its own target would be a loop, the callback a replay, the sign-out a
    # trap.
    return not is_own_path(target) and not any(
        _LEAVES_THE_HOST.match(reading) for reading in target.readings()
    )
