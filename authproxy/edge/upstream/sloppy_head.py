"""PURE: heads of answers with faults that a portal is known for (`tolerates`), rewritten as RFC 9112 wants
them before llhttp reads them.

Only faults that cannot be misread are mended, each only where the settings name it. Whatever else is wrong
stays as it is, and llhttp refuses it. The parser stays strict, so a mended head means to us exactly what is
written in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_END: Final = re.compile(rb"\r\n\r\n")
_LOOSE_END: Final = re.compile(rb"\r?\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9][0-9](?: |$)")
_BLANKS: Final = b" \t"
# All controls but the three that may never be in a value, whoever reads it (RFC 9110 §5.5), and the tab.
_CONTROLS: Final = bytes(code for code in (*range(1, 0x20), 0x7F) if code not in b"\t\r\n")
_WITHOUT_CONTROLS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
# A control in one of these may hide from some reader how the answer is framed.
_NOT_MENDED: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"trailer", b"te", b"keep-alive"}
)


class SloppyHead:
    """Mends the head of one answer, with the interim answers (1xx) before it. `has_mended` tells whether
    anything was wrong, and `waiting` how many bytes wait for the rest of a head."""

    __slots__ = ("_end", "_takes_bare_lf", "_tolerated", "_waiting", "has_mended", "is_over")

    def __init__(self, tolerated: Collection[str]) -> None:
        self._tolerated = tolerated
        self._takes_bare_lf = "bare_lf" in tolerated
        self._end = _LOOSE_END if self._takes_bare_lf else _END
        self._waiting = bytearray()
        self.has_mended = False
        self.is_over = False
        """Whether the head is complete, or cannot be mended. Then nothing more is to be given here."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def mended(self, data: bytes) -> bytes:
        """What the parser is to be given now: nothing while a head is incomplete, and behind the final head
        whatever came."""
        waiting = self._waiting
        # Nothing in front of this was the end, and an end has four octets at most.
        searched = max(0, len(waiting) - 3)
        waiting += data
        passed = b""
        while not self.is_over:
            end = self._end.search(waiting, searched)
            if not self._takes_bare_lf and _BARE_LF.search(
                waiting, searched, end.end() if end else len(waiting)
            ):
                self.is_over = True  # llhttp refuses it now, and need not wait for an end that never comes
                break
            if end is None:
                return passed
            head, written = bytes(waiting[: end.start()]), end.group()
            del waiting[: end.end()]
            searched = 0
            mended = self._mended(head)
            self.has_mended = self.has_mended or mended != head + written
            passed += mended
            self.is_over = _INTERIM.match(head) is None
        self._waiting = bytearray()
        return passed + bytes(waiting)

    def _mended(self, head: bytes) -> bytes:
        lines = _LINE_END.split(head) if self._takes_bare_lf else head.split(b"\r\n")
        fields = lines[1:]
        if "control_characters" in self._tolerated:
            fields = [_without_controls(line) for line in fields]
        if "equal_content_lengths" in self._tolerated:
            fields = _with_one_length(fields)
        return b"\r\n".join((*lines[:1], *fields, b"", b""))


def _without_controls(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    if name.strip(_BLANKS).lower() in _NOT_MENDED:
        return line
    return name + colon + value.translate(_WITHOUT_CONTROLS)


def _with_one_length(lines: list[bytes]) -> list[bytes]:
    """RFC 9110 §8.6: a length that is repeated, on lines of its own or in one list, may be taken for one if
    all of them are the same text."""
    lengths: list[bytes] = []
    others: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        lower = name.lower()
        if lower == b"content-length":
            lengths += [item.strip(_BLANKS) for item in value.split(b",")]
        else:
            others.append(line)
            if lower.strip(_BLANKS) == b"transfer-encoding":
                return lines
    if len(lengths) < 2 or len(set(lengths)) != 1 or not lengths[0].isdigit():
        return lines
    return [*others, b"Content-Length: " + lengths[0]]
