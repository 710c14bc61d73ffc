"""PURE: regular expressions for paths → paths of routes.

A regular expression is carried over only if routes can say exactly the same, or less. `^/probe` also matches
`/probes`; the path `/probe` covers whole segments, and that is less. An expression with `$` at the end
matches one path only. Two routes say that: the paths below it first, with the portal's own demands, and then
the path. Routes do not distinguish `/probe` from `/probe/`, so here they count as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Final

_MOST: Final = 32
"""So many paths may come out of one expression."""
_GROUP: Final = re.compile(r"\((?:\?:)?([A-Za-z0-9._~/|\\-]+)\)(?![?*+{])")
_SAYS_NOTHING: Final = re.compile(r"(?:\.\*|\(\.\*\))\$?$")
_SEGMENT_BORDER: Final = re.compile(
    r"(?:\((?:\?:)?(?:/|\[/\?\])\.\*\)\?\$|\((?:\?:)?(?:/|\[/\?\])(?:\.\*)?\|\$\))$"
)
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9_~/-]|\\[./~_-])*")
_ANY_SEGMENT: Final = re.compile(r"(?<=/)\[\^/\][+*](?=/|$)")
_STAR: Final = "\x00"


@dataclass(frozen=True, slots=True)
class PathCovered:
    """A path as routes have it. `is_exact`: nothing below it is meant."""

    path: str
    is_exact: bool = False


def paths_of(expression: str) -> tuple[PathCovered, ...] | None:
    """The paths that match, never one more; None if routes cannot say it."""
    found: list[PathCovered] = []
    if _STAR in expression:
        return None
    alternatives = _alternatives(expression)
    for alternative in alternatives or ():
        covered = _path_of(alternative)
        if covered is None:
            return None
        if covered not in found:
            found.append(covered)
    return tuple(found) or None


def _alternatives(expression: str) -> list[str] | None:
    """The expression without `|`, as several expressions. None if there are too many. A `|` inside of what is
    not understood stays."""
    pieces: list[list[str]] = []
    at = 0
    for group in _GROUP.finditer(expression):
        pieces += [[expression[at : group.start()]], group[1].split("|")]
        at = group.end()
    pieces.append([expression[at:]])
    count = 1
    for piece in pieces:
        count *= len(piece)
    if count > _MOST:
        return None
    whole = ["".join(chosen) for chosen in product(*pieces)]
    parted = [part for each in whole for part in (each.split("|") if "(" not in each else [each])]
    return parted if len(parted) <= _MOST else None


def _path_of(expression: str) -> PathCovered | None:
    rest = expression.removeprefix("^")
    is_exact = False
    if border := _SEGMENT_BORDER.search(rest):
        rest = rest[: border.start()]
    elif nothing := _SAYS_NOTHING.search(rest):
        rest = rest[: nothing.start()]
    elif rest.endswith("$"):
        rest, is_exact = rest[:-1], True
    rest = _ANY_SEGMENT.sub(_STAR, rest)
    parts = rest.split(_STAR)
    if not rest.startswith("/") or not all(_LITERAL.fullmatch(part) for part in parts):
        return None
    path = "*".join(part.replace("\\", "") for part in parts)
    return None if "//" in path else PathCovered(path.rstrip("/") or "/", is_exact)
