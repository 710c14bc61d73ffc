"""PURE: a draft of settings → YAML with comments.

Every text that is not plainly a word or an address is quoted, and what a terminal or an editor would not show
is escaped, because it comes from a file that somebody else may have written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from authproxy.cli.imports.draft import Draft, Path

_PLAIN: Final = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./:@-]*[A-Za-z0-9_/-])?", re.ASCII)
_NOT_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def written(draft: Draft) -> str:
    """The draft as a settings file."""
    lines = [
        f"# Settings made from a configuration of {draft.product}.",
        "# `authproxy check-config` finds what is missing.",
        *(f"# To fill in: {_visible(gap)}" for gap in draft.gaps),
    ]
    for key, value in draft.tree.items():
        lines += ["", *_entry(draft, (key,), value, "")]
    return "\n".join(lines) + "\n"


def _entry(draft: Draft, path: Path, value: Any, indent: str) -> Iterator[str]:
    yield from (f"{indent}# {_visible(comment)}" for comment in draft.comments.get(path, ()))
    key = scalar(path[-1])
    if isinstance(value, dict) and value:
        yield f"{indent}{key}:"
        for name, item in value.items():
            yield from _entry(draft, (*path, name), item, indent + "  ")
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield f"{indent}{key}:"
        for at, item in enumerate(value):
            yield from _item(draft, (*path, at), item, indent + "  ")
    else:
        yield f"{indent}{key}: {scalar(value)}"


def _item(draft: Draft, path: Path, item: dict[str, Any], indent: str) -> Iterator[str]:
    yield from (f"{indent}# {_visible(comment)}" for comment in draft.comments.get(path, ()))
    start = f"{indent}- "
    for name, value in item.items():
        first, *rest = _entry(draft, (*path, name), value, "")
        yield start + first
        start = f"{indent}  "
        yield from (start + line for line in rest)


def scalar(value: object) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(scalar(item) for item in value) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else _escaped(character)


def _visible(text: str) -> str:
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    number = ord(character)
    return (
        f"\\U{number:08X}"
        if number > 0xFFFF
        else json.dumps(character)[1:-1]
        if number < 0x20
        else f"\\u{number:04X}"
    )
