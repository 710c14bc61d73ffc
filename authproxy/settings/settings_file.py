"""Reads the settings file as a tree of values, and what little a health check needs of it. It imports no
schema, because supervisors of containers start a health check every few seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from authproxy.settings.document import Document, DocumentUnreadable, parse
from authproxy.settings.values import MANAGEMENT

_LARGEST = 4 * 1024 * 1024
_SERVER_VARIABLE: Final = "AUTHPROXY__SERVER"
_MANAGEMENT_VARIABLE: Final = f"{_SERVER_VARIABLE}__MANAGEMENT"


def document_in(path: Path) -> Document:
    """The content of the file, which is a mapping. Raises OSError if it cannot be read, and
    DocumentUnreadable."""
    octets = octets_of(path, _LARGEST)
    try:
        document = parse(octets.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentUnreadable("is not UTF-8 text", octets.count(b"\n", 0, error.start) + 1) from None
    if not isinstance(document.value, dict):
        problem = "is empty" if document.value is None else "holds no `key: value`"
        raise DocumentUnreadable(f"{problem}; config/authproxy.example.yaml shows every key", None)
    return document


def management(path: Path | None, environ: Mapping[str, str]) -> str:
    """`server.management` from the file and the environment, or its default. Nothing else is checked.

    Raises OSError if the file cannot be read, and DocumentUnreadable if it is no YAML."""
    tree = document_in(path).value if path is not None else {}
    server = tree.get("server") if isinstance(tree, dict) else None
    for variable in sorted(environ):
        name, text = variable.upper(), environ[variable].strip()
        if name == _MANAGEMENT_VARIABLE and text:
            return text
        if name == _SERVER_VARIABLE:  # the whole section, as JSON
            with suppress(ValueError, RecursionError):
                server = json.loads(text)
    asked = server.get("management") if isinstance(server, dict) else None
    return MANAGEMENT if asked is None else str(asked)


def octets_of(path: Path, largest: int) -> bytes:
    """The content of a file. Raises OSError if it cannot be read or has more than `largest` bytes."""
    with path.open("rb") as opened:
        octets = opened.read(largest + 1)
    if len(octets) > largest:
        raise OSError(0, f"larger than {largest} bytes")
    return octets
