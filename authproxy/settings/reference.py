"""PURE: the schema → the reference in config/README.md. `python -m authproxy.settings.reference` prints it;
with a file as argument it writes the reference between the markers of that file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from authproxy.settings import schema_keys
from authproxy.settings.schema_keys import FILE_SUFFIX, REQUIRED, Key

BEGIN = "<!-- reference: begin (made by `make reference`) -->"
END = "<!-- reference: end -->"
_UNITS = (
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "m"),
    (timedelta(seconds=1), "s"),
    (timedelta(milliseconds=1), "ms"),
)
_SIZES = (("MiB", 1024 * 1024), ("KiB", 1024))


def text() -> str:
    """The reference in Markdown, with a table for every section; equal tables stand there once."""
    return "\n".join(_lines()).strip() + "\n"


def replaced(document: str) -> str:
    """The document with a new reference between its markers. Raises ValueError if it has no markers."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text()}\n{END}{after}"


def written(value: Any, key: Key) -> str:
    """A default as it is written in YAML."""
    if value is REQUIRED:
        return "required"
    if value is None:
        return "unset"
    if isinstance(value, timedelta):
        return next((f"{value // unit}{name}" for unit, name in _UNITS if value and not value % unit), "0")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(written(item, key) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {written(item, key)}" for name, item in value.items()) + "}"
    if key.expects == "size":
        return next(
            (f"{value // unit}{name}" for name, unit in _SIZES if value and not value % unit), str(value)
        )
    return str(value.value) if isinstance(value, IntEnum) else str(value)


def _lines() -> Iterator[str]:
    for tables, rows in _tables():
        yield from ("", f"### {', '.join(f'`{_dotted(path)}`' for path, _ in tables)}", "")
        meanings: dict[str, list[str]] = {}
        for path, meaning in tables:
            meanings.setdefault(meaning, []).append(f"`{_dotted(path)}`")
        for meaning, paths in meanings.items():
            yield meaning if len(meanings) == 1 else f"- {', '.join(paths)}: {meaning}"
        yield from ("", "| key | what it is | type | default |", "|---|---|---|---|", *rows)


def _tables() -> Iterator[tuple[list[tuple[tuple[str, ...], str]], tuple[str, ...]]]:
    """Sections with equal keys have one table, where the first of them stands."""
    tables: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
    for path, section in schema_keys.sections():
        rows = tuple(_row(name, key) for name, key in section.keys.items() if key.kind != "section")
        if rows:
            tables.setdefault(rows, []).append((path, section.meaning))
    for rows, found in tables.items():
        yield found, rows


def _row(name: str, key: Key) -> str:
    default = written(key.default, key)
    is_plain = key.default is REQUIRED or key.default is None
    shown = default if is_plain else f"`{default}`"
    return f"| `{name}` | {_meaning(key, name)} | {key.expects} | {shown} |"


def _meaning(key: Key, name: str) -> str:
    meaning = key.meaning.replace("|", "\\|")
    return f"{meaning} From a file: `{name}{FILE_SUFFIX}`." if key.is_secret else meaning


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


def main(arguments: list[str]) -> None:
    if not arguments:
        sys.stdout.write(text())
        return
    file = Path(arguments[0])
    file.write_text(replaced(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
