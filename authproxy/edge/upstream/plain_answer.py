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
_IS_DATE: Final = 5
_IS_ADDRESS: Final = 6
# By spelling, so that a line costs one look-up. Portals use a few dozen spellings; the tables are bounded,
# because a strange portal could send ever new ones.
_status_lines: Final[dict[bytes, int]] = {}
_meanings: Final[dict[bytes, int]] = {}


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
    head = data[:end]
    fields = head.split(b"\r\n")
    # Only the line ends may be left: no other control character, and no single CR or LF.
    if len(head.translate(None, _ALLOWED)) != 2 * len(fields) - 2:
        return None
    status_line = fields[0]
    status = _status_lines.get(status_line) or _status_of(status_line)
    if not status:
        return None
    digits: bytes | None = None
    connection: bytes | None = None
    has_date = has_address = False
    passed: list[bytes] = []
    for index in range(1, len(fields)):
        line = fields[index]
        name, colon, value = line.partition(b":")
        if not colon:
            return None
        meaning = _meanings.get(name, _UNKNOWN)
        if meaning == _UNKNOWN:
            meaning = _meaning_of(name)
        if meaning == _PASSES:
            passed.append(line)
        elif meaning == _IS_LENGTH and digits is None:
            digits = value.strip()
        elif meaning in (_IS_DATE, _IS_ADDRESS):
            passed.append(line)
            has_date = has_date or meaning == _IS_DATE
            has_address = has_address or meaning == _IS_ADDRESS
        elif meaning == _IS_CONNECTION and connection is None:
            connection = value.strip()
        else:
            return None
    body_at = end + 4
    length = _length(digits, connection)
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


def _length(digits: bytes | None, connection: bytes | None) -> int:
    """The length of the body; -1 if the head does not tell it, or the portal closes the connection."""
    if (
        digits is None
        or not digits.isdigit()
        or len(digits) > 15
        or (connection is not None and connection.lower() != b"keep-alive")
    ):
        return -1
    return int(digits)


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
