"""PURE: the short way through most answers: a whole head of HTTP/1.1 with a Content-Length and nothing that concerns the connection.

Such a head goes to the client as the bytes that came, which costs a fifth of taking it apart (llhttp calls back for every field).
The grammar is checked all the same (RFC 9112 §4, §5: tokens, no folding, no control characters); whatever is not plain, or not whole,
is left to llhttp: this never decides that an answer is wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HEAD = re.compile(
    rb"HTTP/1\.1 (?!204|304)([2-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
# Whatever says something about the connection, the framing or our cookies.
_CONCERNS_US = re.compile(
    rb"\n(?:transfer-encoding|set-cookie|upgrade|keep-alive|te|trailer|proxy-[a-z-]+|http2-settings):"
)  # fmt: skip
_KEEPS_ALIVE = b"connection: keep-alive\r\n"
_LENGTH = b"\ncontent-length:"


class PlainAnswer(NamedTuple):
    """`lines` are the fields without Connection and Content-Length, each ended by CRLF; the body begins at `body_at`."""

    status: int
    phrase: bytes
    lines: bytes
    length: int
    body_at: int


def read(data: bytes) -> PlainAnswer | None:
    """The plain answer at the beginning of `data`, of whose body no more than its length may be there. None for every other."""
    match = _HEAD.match(data)
    if match is None:
        return None
    end = match.end()
    fields_at = match.end(2) + 2
    # With the line feed before the first field, so that every name is found by what stands before it.
    folded = data[fields_at - 1 : end].lower()
    if _CONCERNS_US.search(folded) is not None:
        return None
    found = folded.find(_LENGTH)
    if found < 0 or folded.find(_LENGTH, found + 1) >= 0:
        return None
    line_end = folded.index(b"\r\n", found + 1)
    digits = folded[found + len(_LENGTH) : line_end].strip()
    if not digits.isdigit() or len(digits) > 15:
        return None
    length = int(digits)
    if len(data) - end > length:
        return None
    lines = data[fields_at : fields_at + found] + data[fields_at + line_end + 1 : end - 2]
    connection = folded.find(b"\nconnection:")
    if connection >= 0:
        at = lines.lower().find(_KEEPS_ALIVE)
        if folded.find(b"\nconnection:", connection + 1) >= 0 or at < 0 or (at and lines[at - 1 : at] != b"\n"):
            return None
        lines = lines[:at] + lines[at + len(_KEEPS_ALIVE) :]
    return PlainAnswer(int(match[1]), match[2], lines, length, end)
