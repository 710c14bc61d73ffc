"""PURE: tells RTSP from HTTP in request lines.

For GET, POST and OPTIONS, llhttp accepts a request line that ends in `RTSP/1.x` and does not say so
afterwards. A portal may read such a request differently, so it must be refused.
"""

from __future__ import annotations

import re
from typing import Final

_H: Final = 0x48
_RTSP: Final = re.compile(rb" +RTSP/")
_TAIL_SIZE: Final = 64
"""Bytes of an unfinished request line that are kept until more arrives."""


class RtspDetector:
    """Is given every read of a connection, and remembers as much as the next request line may need."""

    __slots__ = ("_first_read", "_is_found", "_read", "_rtsp_lines", "_tail")

    def __init__(self) -> None:
        self._first_read = b""
        """The read that begins with the request line; empty if something stood before the line."""
        self._tail = b""
        """The end of earlier reads of the same head."""
        self._is_found = False
        """Whether the line was found in one of these reads."""
        self._read = b""
        self._rtsp_lines: bytes | None = None
        """The bytes of this read and the tail, if `RTSP/` is among them; otherwise empty. None: not searched
        yet."""

    def request_begins(self, data: bytes) -> None:
        """`data` begins with a request line, behind empty lines that a server should ignore (RFC 9112
        §2.2)."""
        self._first_read = data.lstrip(b"\r\n")

    def read_begins(self, data: bytes) -> None:
        self._read = data
        self._rtsp_lines = None

    def is_rtsp(self, method: str, target: bytes) -> bool:
        """Whether the request line with this method and target, which is complete now, ends in `RTSP/1.x`.

        Where the line begins a read, one byte decides. Lines that are pipelined or arrive in pieces are
        searched for."""
        line, self._first_read = self._first_read, b""
        version_at = len(method) + len(target) + 2
        if version_at < len(line) and line[version_at] == _H:
            return False
        return self._is_found or self._is_in_read(target)

    def _is_in_read(self, target: bytes) -> bool:
        rtsp_lines = self._rtsp_lines
        if rtsp_lines is None:
            seen = self._tail + self._read
            rtsp_lines = _RTSP.sub(b" RTSP/", seen) if seen.find(b" RTSP/") >= 0 else b""
            self._rtsp_lines = rtsp_lines
        return bool(rtsp_lines) and (
            rtsp_lines.find(target[-_TAIL_SIZE // 2 :] + b" RTSP/") >= 0
            # So many blanks stand before the version that the target is in no tail any more.
            or (self._tail.isspace() and rtsp_lines.startswith(b" RTSP/"))
        )

    def read_ends(self, *, unfinished: bytes | None) -> None:
        """`unfinished` is the target of a head that is not complete yet, as far as it has arrived. Its line
        may be complete: it is judged now, because later reads are longer than what is kept of this one."""
        if unfinished is not None:
            self._is_found = self._is_found or (bool(unfinished) and self._is_in_read(unfinished))
            data = self._read
            self._tail = data[-_TAIL_SIZE:] if len(data) >= _TAIL_SIZE else (self._tail + data)[-_TAIL_SIZE:]
        self._read = b""

    def request_ends(self) -> None:
        self._first_read = self._tail = b""
        self._is_found = False
