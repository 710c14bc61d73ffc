"""PURE: what a request says of the intermediaries on its way: who has forwarded it (Via), and how many may
still do so (Max-Forwards).

Implements RFC 9110 §7.6.2 and §7.6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authproxy.edge.rules.request_head import Fields, RequestHead

_LIMITED: Final = frozenset({"OPTIONS", "TRACE"})
"""Methods for which Max-Forwards means anything."""


class Via:
    """The name under which this gateway forwards; empty for none, and then no line is written and no circle
    noticed."""

    __slots__ = ("_name", "line", "line_of_1_0", "text", "text_of_1_0")

    def __init__(self, name: str = "") -> None:
        self._name = name.lower().encode()
        self.text = f"Via: 1.1 {name}\r\n" if name else ""
        """The finished line for a message that came in HTTP/1.1."""
        self.text_of_1_0 = f"Via: 1.0 {name}\r\n" if name else ""
        self.line = self.text.encode()
        self.line_of_1_0 = self.text_of_1_0.encode()

    def is_circle(self, values: Sequence[bytes]) -> bool:
        """Whether a request with these Via values has been here more than once. Once may be another gateway
        that has kept the name."""
        return bool(self._name) and sum(self._names(hop) for value in values for hop in value.split(b",")) > 1

    def _names(self, hop: bytes) -> bool:
        words = hop.split(None, 2)
        return len(words) > 1 and words[1].lower() == self._name


def forwards_left(head: RequestHead) -> int | None:
    """How many more intermediaries may forward this request; None if nothing limits them. Of several values
    the smallest counts, and what is no number limits nothing."""
    if head.method not in _LIMITED:
        return None
    stated = [int(value) for value in head.all(b"max-forwards") if value.isdigit() and len(value) < 10]
    return min(stated) if stated else None


def with_one_forward_less(fields: Fields, left: int) -> Fields:
    """The fields of a request that is forwarded while `left` more intermediaries may do so, this one among
    them."""
    kept = [field for field in fields if field[0].lower() != b"max-forwards"]
    return [*kept, (b"Max-Forwards", b"%d" % (left - 1))]
