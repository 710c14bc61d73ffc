"""PURE: why a text is no pattern of paths (`path_patterns.py`), and what was probably meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from authproxy.access.path_patterns import EVERYTHING_BELOW
from authproxy.access.path_readings import Paths, readings
from authproxy.access.target import TargetRefused, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFault:
    """Why a text is no pattern. `problem` continues a sentence that begins with it; `spelling` is what was
    probably meant, in words for operators, or empty."""

    problem: str
    spelling: str = ""


# What other languages write for one segment: `:id`, `{id}`, `<int:id>`, `[0-9]+`, `[^/]+`, `\d+`, `(\w+)`.
_ONE_SEGMENT: Final = re.compile(
    r":[A-Za-z_]\w*|\{[^/{}]*\}|<[^/<>]*>|\(?(?:\[(?:\^/|[^/\]])*\]|\\[dw])(?:[+*?]|\{[^/{}]*\})?\)?|\(\.[*+]\)",
    re.ASCII,
)
_ANYTHING_BELOW: Final = re.compile(r"(?:/?(?:\(?\.[*+]\)?|\*\*?))+\$?$|\(/\.\*\)\?\$?$|/\?$|\$$", re.ASCII)
_FOREIGN: Final = re.compile(r"%2A|[|^\[\]{}<>\\?]|\.[*+]|\$(?=/|$)|(?<=/):|\)[*+?]", re.ASCII)
_LANGUAGE: Final = "a path covers everything below it, and `*` stands for one whole segment"


def fault_of(text: str, paths: Paths = "exact") -> PatternFault | None:
    """Why the text is no pattern for a portal that compares paths in this way; None if it is one."""
    if not text.startswith("/"):
        # nginx marks regular expressions and exact paths: `~* ^/admin`, `= /admin`.
        bare = re.sub(r"^(?:~\*?|\^~|=)?\s*\^?/?", "/", text, flags=re.ASCII)
        spelling = "" if re.search(r"\s", bare) else _proposed(bare)
        return PatternFault(problem="covers no request: it does not begin with `/`", spelling=spelling)
    plain = text.removesuffix(EVERYTHING_BELOW) or "/"
    if re.search(r"(?<![()\]}])\?[\w.-]", plain, re.ASCII):
        problem = "covers no request: the query does not choose the route"
        return PatternFault(problem=problem, spelling=_proposed(plain.partition("?")[0]))
    if _FOREIGN.search(plain) or any("*" in segment and segment != "*" for segment in plain.split("/")):
        problem = f"covers no request: it is a pattern of another language; here {_LANGUAGE}"
        return PatternFault(problem=problem, spelling=_proposed(text))
    return _fault_of_path(plain, paths)


def _fault_of_path(path: str, paths: Paths) -> PatternFault | None:
    try:
        canonical = parse(method="GET", target=path, host="localhost").path
    except TargetRefused as refused:
        return PatternFault(problem=f"covers no request: {refused}", spelling=_respelled(path))
    # Requests are compared in one form. A pattern in another form would cover only a part of what it names.
    simplest = readings(canonical)[-1]
    if canonical != path or simplest != path:
        problem = "covers no request, or not all of them: it is not written as paths are compared"
        return PatternFault(problem=problem, spelling=f"`{simplest}`")
    if path.endswith("/") and path != "/":
        bare = path.rstrip("/")
        return PatternFault(problem=f"leaves `{bare}` itself to other rules", spelling=f"`{bare}`")
    if paths != "exact" and len(readings(path, paths)) > 1:
        return PatternFault(problem=f"is a path that servers with `paths: {paths}` take for different ones")
    return None


def _respelled(path: str) -> str:
    """The path with the escapes that it needs and without empty segments; empty if it cannot be read even
    then."""
    escaped = re.sub("/{2,}", "/", quote(path, safe="/%!$&'()*+,;=:@~"))
    try:
        return f"`{readings(parse(method='GET', target=escaped, host='localhost').path)[-1]}`"
    except TargetRefused:
        return ""


def _proposed(text: str) -> str:
    """What was probably meant, in this language; empty if nobody can know."""
    alternatives = re.search(r"\((?:\?:)?([^()|/]+(?:\|[^()|/]+)+)\)", text, re.ASCII)
    if alternatives is None:
        pattern = _one_pattern(text)
        return f"`{pattern}`" if pattern else ""
    before, after = text[: alternatives.start()], text[alternatives.end() :]
    patterns = [_one_pattern(before + name + after) for name in alternatives[1].split("|")]
    return " and ".join(f"`{pattern}`" for pattern in patterns) + ", one route each" if all(patterns) else ""


def _one_pattern(text: str) -> str:
    path = _ONE_SEGMENT.sub("*", _ANYTHING_BELOW.sub("", text))
    segments = path.rstrip("/").split("/")[1:]
    if segments and "*" in segments[-1] and segments[-1] != "*":
        # Files of one kind (`/*.do`) cannot be named. Their folder can.
        segments.pop()
    path = "/" + "/".join(segments)
    is_pattern = not any("*" in segment and segment != "*" for segment in segments)
    return path if is_pattern and not _FOREIGN.search(path) else ""
