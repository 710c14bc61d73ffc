"""PURE: the text of an Apache configuration → directives and sections.

The grammar is that of Apache's documentation ("Configuration Files"): one directive on a line, a backslash at
the end of a line continues it, `#` at the beginning of a line makes it a comment, names are case-insensitive,
and sections may stand in sections. In quotes, a backslash protects a quote or another backslash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from authproxy.cli.imports.draft import CannotRead

_DEEPEST: Final = 32
_WORD: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+)")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """`name` is in lower case, `spelt` as it was written. `inside` is None unless it is a section."""

    line: int
    name: str
    spelt: str
    arguments: tuple[str, ...]
    inside: tuple[Directive, ...] | None = None


def parse(text: str) -> tuple[Directive, ...]:
    """The directives in the order of the file. Raises CannotRead."""
    open_sections: list[tuple[Directive, list[Directive]]] = []
    place: list[Directive] = []
    whole = place
    for line, content in _logical_lines(text):
        if content.startswith("</"):
            if not open_sections or content[2:].rstrip("> \t").lower() != open_sections[-1][0].name:
                raise CannotRead(f"line {line}: a section ends here that did not begin")
            begun, before = open_sections.pop()
            before.append(_with(begun, tuple(place)))
            place = before
        elif content.startswith("<"):
            if not content.endswith(">") or len(open_sections) >= _DEEPEST:
                raise CannotRead(f"line {line}: this is no beginning of a section")
            open_sections.append((_directive(line, content[1:-1]), place))
            place = []
        else:
            place.append(_directive(line, content))
    if open_sections:
        raise CannotRead(f"line {open_sections[-1][0].line}: the section that begins here does not end")
    return tuple(whole)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    begun_at, kept = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if not kept:
            begun_at = number
        kept += line.rstrip("\r")
        if kept.endswith("\\") and not kept.lstrip().startswith("#"):
            kept = kept[:-1] + " "
            continue
        content, kept = kept.strip(), ""
        if content and not content.startswith("#"):
            lines.append((begun_at, content))
    if kept.strip():
        lines.append((begun_at, kept.strip()))
    return lines


def _directive(line: int, content: str) -> Directive:
    match = _NAME.match(content.strip())
    if match is None:
        raise CannotRead(f"line {line}: this is no directive")
    rest = content.strip()[match.end() :]
    if rest and not rest[0].isspace():
        raise CannotRead(f"line {line}: this is no directive")
    arguments = tuple(
        bare or re.sub(r"\\([\"'\\])", r"\1", double or single)
        for double, single, bare in _WORD.findall(rest)
    )
    return Directive(line=line, name=match[0].lower(), spelt=match[0], arguments=arguments)


def _with(begun: Directive, inside: tuple[Directive, ...]) -> Directive:
    return Directive(
        line=begun.line, name=begun.name, spelt=begun.spelt, arguments=begun.arguments, inside=inside
    )
