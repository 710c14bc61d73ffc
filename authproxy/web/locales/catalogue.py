"""PURE: message catalogues: what a translator edits (`.po`), compiled into what `gettext` of the standard
library reads (`.mo`).

Compiled when the pages start, so that a source checkout runs without a build step and a binary file can never
be older than its source. Implements the parts of GNU gettext's formats that the catalogues here use: no
contexts, no obsolete entries.
"""

from __future__ import annotations

import ast
import gettext
import io
import re
import struct
from dataclasses import dataclass, field

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[\d\])\s+)?("(?:[^"\\]|\\.)*")', re.ASCII)
_MAGIC = 0x950412DE


class InvalidCatalogue(ValueError):  # noqa: N818
    """The text is no catalogue; the message names the line."""


@dataclass(slots=True)
class _Entry:
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        plural = self.parts.get("msgid_plural")
        return self.parts["msgid"] if plural is None else f"{self.parts['msgid']}\0{plural}"

    @property
    def text(self) -> str:
        return "\0".join(part for name, part in self.parts.items() if name.startswith("msgstr"))


def translations(po: str) -> gettext.GNUTranslations:
    """The catalogue, ready to be asked. Raises InvalidCatalogue."""
    return gettext.GNUTranslations(io.BytesIO(compiled(po)))


def compiled(po: str) -> bytes:
    """The `.mo` form; messages that are not translated are left out, so that the original shows. Raises
    InvalidCatalogue."""
    messages: dict[str, str] = {}
    for entry in _entries(po):
        if entry.key in messages:
            raise InvalidCatalogue(f"message stands twice: {entry.key!r}")
        messages[entry.key] = entry.text
    written = sorted((key.encode(), text.encode()) for key, text in messages.items() if text.strip("\0"))
    count = len(written)
    heads, texts, at = [b"", b""], b"", 28 + 16 * count
    for column in (0, 1):
        for pair in written:
            heads[column] += struct.pack("<II", len(pair[column]), at + len(texts))
            texts += pair[column] + b"\0"
    return (
        struct.pack("<7I", _MAGIC, 0, count, 28, 28 + 8 * count, 0, 28 + 16 * count)
        + heads[0]
        + heads[1]
        + texts
    )


def _entries(po: str) -> list[_Entry]:
    entries: list[_Entry] = []
    part = ""
    for number, line in enumerate(po.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            part = ""
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or not (match[1] or part):
            raise InvalidCatalogue(f"line {number} is neither a message nor a comment")
        part = match[1] or part
        if match[1] == "msgid":
            entries.append(_Entry())
        if not entries:
            raise InvalidCatalogue(f"line {number} translates nothing")
        parts = entries[-1].parts
        # The escapes of a catalogue are those of C, which for the ones in use are Python's.
        parts[part] = parts.get(part, "") + str(ast.literal_eval(match[2]))
    return entries
