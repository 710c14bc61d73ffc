"""PURE: fills the body of a request that an operator has written. Each value is escaped for the body's type,
so that it cannot change its structure: JSON (RFC 8259 §7), forms (WHATWG URL §5.2), XML 1.0 §2.4, plain
text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

FIELDS: Final = ("recipient", "text", "sender", "reference")
_FIELD: Final = re.compile(r"\{([a-z_]+)\}", re.ASCII)
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Template:
    """`{recipient}`, `{text}`, `{sender}` and `{reference}` are replaced; other braces stay. In JSON they
    must stand within quotation marks. Raises ValueError with a text for the operator."""

    def __init__(self, text: str, media_type: str) -> None:
        unknown = sorted({name for name in _FIELD.findall(text) if name not in FIELDS})
        if unknown:
            raise ValueError(f"names `{{{unknown[0]}}}`, which nothing fills")
        absent = [name for name in ("recipient", "text") if f"{{{name}}}" not in text]
        if absent:
            raise ValueError(f"has no place for `{{{absent[0]}}}`")
        self._text = text
        self._escaped = _escaping(media_type)
        if self._escaped is _in_json:
            _check_json(self.filled(dict.fromkeys(FIELDS, "\"'\\\n")))

    def filled(self, values: Mapping[str, str]) -> bytes:
        """The body in UTF-8, with a value for each of `FIELDS`. Values are not searched for fields again."""
        return _FIELD.sub(lambda match: self._escaped(values[match[1]]), self._text).encode(errors="replace")


def is_writable(media_type: str) -> bool:
    """Whether values can be escaped for such a body."""
    try:
        _escaping(media_type)
    except ValueError:
        return False
    return True


def _escaping(media_type: str) -> Callable[[str], str]:
    essence = media_type.partition(";")[0].strip().lower()
    if essence == "application/json" or essence.endswith("+json"):
        return _in_json
    if essence in {"application/xml", "text/xml"} or essence.endswith("+xml"):
        return _in_xml
    if essence == "application/x-www-form-urlencoded":
        return _in_form
    if essence == "text/plain":
        return str
    raise ValueError("is of a content type for which it is not known how values are written")


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def _in_form(value: str) -> str:
    return quote_plus(value, errors="replace")


def _in_xml(value: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", value), {'"': "&quot;", "'": "&apos;"})


def _check_json(filled: bytes) -> None:
    try:
        json.loads(filled)
    except ValueError:
        raise ValueError("is not JSON when it is filled in; places stand inside of quotation marks") from None
