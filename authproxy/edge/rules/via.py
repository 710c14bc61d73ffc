"""PURE: the intermediaries of a request: which ones have forwarded it (Via, RFC 9110 §7.6.3), and how many
may still do so (Max-Forwards, §7.6.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authproxy.edge.rules.request_head import Fields, RequestHead

_LIMITED: Final = frozenset({"OPTIONS", "TRACE"})
"""RFC 9110 §7.6.2: Max-Forwards has a meaning for these methods only."""


class Via:
    """The name under which this gateway forwards. With an empty name no line is written and no loop is
    detected."""

    __slots__ = ("_name", "line", "line_of_1_0")

    def __init__(self, name: str = "") -> None:
        self._name = name.lower().encode()
        self.line = f"Via: 1.1 {name}\r\n".encode() if name else b""
        """The finished line for a message that came in HTTP/1.1."""
        self.line_of_1_0 = f"Via: 1.0 {name}\r\n".encode() if name else b""

    def is_loop(self, values: Sequence[bytes]) -> bool:
        """Whether a request with these Via values has been here more than once. If once, it may have been
        another gateway that has the same name."""
        return bool(self._name) and sum(self._names(hop) for value in values for hop in value.split(b",")) > 1

    def _names(self, hop: bytes) -> bool:
        words = hop.split(None, 2)
        return len(words) > 1 and words[1].lower() == self._name


def forwards_left(head: RequestHead) -> int | None:
    """How many more intermediaries may forward this request; None if there is no limit. The smallest of
    several values counts. A value that is no number is ignored."""
    if head.method not in _LIMITED:
        return None
    stated = [int(value) for value in head.all(b"max-forwards") if value.isdigit() and len(value) < 10]
    return min(stated) if stated else None


def with_one_forward_less(fields: Fields, left: int) -> Fields:
    """RFC 9110 §7.6.2: the fields of a request that is forwarded. `left` is the value that was received."""
    others = [field for field in fields if field[0].lower() != b"max-forwards"]
    return [*others, (b"Max-Forwards", b"%d" % (left - 1))]
