"""PURE: the short way through most answers: a whole head of HTTP/1.1 with a Content-Length and nothing that concerns the connection.

Such a head goes to the client as the bytes that came, instead of being taken apart field by field (llhttp calls back for each).
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
_CONNECTION = b"\nconnection:"
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
    length_at, length_end, digits = _line(folded, _LENGTH)
    if not digits.isdigit() or len(digits) > 15 or len(data) - end > int(digits):
        return None
    start, stop = fields_at + length_at, fields_at + length_end
    connection_at, connection_end, options = _line(folded, _CONNECTION)
    if connection_at < 0:
        lines = data[fields_at:start] + data[stop : end - 2]
    elif options != b"keep-alive":
        return None
    elif connection_at < length_at:
        lines = data[fields_at : fields_at + connection_at] + data[fields_at + connection_end : start] + data[stop : end - 2]
    else:
        lines = data[fields_at:start] + data[stop : fields_at + connection_at] + data[fields_at + connection_end : end - 2]
    return PlainAnswer(int(match[1]), match[2], lines, int(digits), end)


def _line(folded: bytes, name: bytes) -> tuple[int, int, bytes]:
    """Beginning and end of the one line with this name, and its value; (-1, -1, nothing) if it is absent, no usable value if it stands
    there twice."""
    at = folded.find(name)
    if at < 0:
        return -1, -1, b""
    end = folded.find(b"\n", at + 1)
    value = b"" if folded.find(name, end) >= 0 else folded[at + len(name) : end].strip()
    return at, end, value
