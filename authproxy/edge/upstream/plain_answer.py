"""PURE: a fast way for most answers: a complete head of HTTP/1.1 with a Content-Length and nothing that
concerns the connection.

Its fields go to the client as the bytes that came. llhttp would call back for every field. The grammar is
checked here, too (RFC 9112 §4, §5: tokens, no folding, no control characters). An answer that is not plain or
not complete is left to llhttp. This module never decides that an answer is wrong.
"""

from __future__ import annotations

import re
from typing import Final

from authproxy.edge.rules.public_addresses import names_an_address

_ALLOWED: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (?!204|304)([2-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Fields about the connection, who is authenticated on it, the framing, or our cookies.
_CONCERNS_US: Final = re.compile(
    rb"transfer-encoding|set-cookie|upgrade|keep-alive|te|trailer|proxy-[a-z-]+|http2-settings|www-authenticate"
)

_UNKNOWN: Final = 0
_PASSES: Final = 1
_IS_LENGTH: Final = 2
_IS_CONNECTION: Final = 3
_IS_NOT_PLAIN: Final = 4
_IS_ADDRESS: Final = 5
# Lines of these kinds are remembered as a whole.
_KEEPS_ALIVE: Final = 6
_IS_DATE: Final = 7
_IS_COMMON: Final = 8
# By spelling, so that a line costs one look-up. Portals use a few dozen spellings; the tables are bounded,
# because a strange portal could send ever new ones.
_status_lines: Final[dict[bytes, int]] = {}
_meanings: Final[dict[bytes, int]] = {}
# By the whole line: those that a portal sends again and again, and that say nothing about a person. Cleared
# when it is full, because a portal sends a new Date each second.
_lines: Final[dict[bytes, int]] = {}
_COMMON: Final = frozenset(
    {
        b"accept-ranges",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"expires",
        b"pragma",
        b"server",
        b"vary",
        b"x-content-type-options",
        b"x-frame-options",
    }
)
_MOST_LINES: Final = 512
_LONGEST_LINE: Final = 128


class PlainAnswer:
    """`status_line` has no line end; `lines` are the fields except Connection and Content-Length, each ended
    by CRLF; the body begins at `body_at`. `has_address` tells whether one of the fields may be a URL of the
    portal."""

    __slots__ = ("body_at", "has_address", "has_date", "length", "lines", "status", "status_line")

    def __init__(
        self,
        status: int,
        status_line: bytes,
        lines: bytes,
        length: int,
        body_at: int,
        *,
        has_date: bool,
        has_address: bool,
    ) -> None:
        self.status = status
        self.status_line = status_line
        self.lines = lines
        self.length = length
        self.body_at = body_at
        self.has_date = has_date
        self.has_address = has_address

    @property
    def phrase(self) -> bytes:
        return self.status_line[len(b"HTTP/1.1 200 ") :]


def read(data: bytes) -> PlainAnswer | None:
    """The plain answer at the beginning of `data`; None if it is not plain, or if more follows than its
    body."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    fields = data[:end].split(b"\r\n")
    status_line = fields[0]
    status = _status_lines.get(status_line) or _status_of(status_line)
    if not status:
        return None
    digits: bytes | None = None
    has_date = has_address = has_connection = False
    passed: list[bytes] = []
    new: list[bytes] = []
    for index in range(1, len(fields)):
        line = fields[index]
        meaning = _lines.get(line, _UNKNOWN)
        if meaning == _UNKNOWN:
            meaning = _meaning_of_line(line)
            new.append(line)
        if meaning in (_PASSES, _IS_COMMON):
            passed.append(line)
        elif meaning == _IS_LENGTH and digits is None:
            digits = line.partition(b":")[2].strip()
        elif meaning in (_IS_DATE, _IS_ADDRESS):
            passed.append(line)
            has_date = has_date or meaning == _IS_DATE
            has_address = has_address or meaning == _IS_ADDRESS
        elif meaning == _KEEPS_ALIVE and not has_connection:
            has_connection = True
        else:
            return None
    # No control character, and no single CR or LF. What is known was judged when it was new.
    if b"".join(new).translate(None, _ALLOWED):
        return None
    body_at = end + 4
    length = _length(digits)
    if len(data) - body_at > length:
        return None
    passed.append(b"")
    return PlainAnswer(
        status,
        status_line,
        b"\r\n".join(passed),
        length,
        body_at,
        has_date=has_date,
        has_address=has_address,
    )


def _meaning_of_line(line: bytes) -> int:
    name, colon, value = line.partition(b":")
    if not colon:
        return _IS_NOT_PLAIN
    meaning = _meanings.get(name, _UNKNOWN)
    if meaning == _UNKNOWN:
        meaning = _meaning_of(name)
    if meaning == _IS_CONNECTION and value.strip().lower() == b"keep-alive":
        meaning = _KEEPS_ALIVE
    if meaning >= _KEEPS_ALIVE and len(line) <= _LONGEST_LINE and not line.translate(None, _ALLOWED):
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[line] = meaning
    return meaning


def _length(digits: bytes | None) -> int:
    """The length of the body; -1 if the head does not tell it."""
    return int(digits) if digits is not None and digits.isdigit() and len(digits) <= 15 else -1


def _status_of(line: bytes) -> int:
    """The status; 0 if the answer is not plain."""
    match = _STATUS_LINE.fullmatch(line)
    status = int(match[1]) if match is not None else 0
    if len(_status_lines) < 256:
        _status_lines[line] = status
    return status


def _meaning_of(name: bytes) -> int:
    lower = name.lower()
    if not _TOKEN.fullmatch(name) or _CONCERNS_US.fullmatch(lower):
        meaning = _IS_NOT_PLAIN
    elif lower == b"date":
        meaning = _IS_DATE
    elif names_an_address(lower):
        meaning = _IS_ADDRESS
    elif lower in _COMMON:
        meaning = _IS_COMMON
    else:
        meaning = (
            _IS_LENGTH
            if lower == b"content-length"
            else _IS_CONNECTION
            if lower == b"connection"
            else _PASSES
        )
    if len(_meanings) < 1024:
        _meanings[name] = meaning
    return meaning
