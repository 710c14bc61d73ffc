"""PURE: where the frames of a WebSocket begin and end (RFC 6455 §5.2), so that a close frame can be sent
between two of them.

Only frame headers are read, never payloads.
"""

from __future__ import annotations

from typing import Final

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008

_CLOSE: Final = 0x8
_KNOWN_OPCODES: Final = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})


class Frames:
    """Follows one direction. RFC 6455 §5.1: `are_masked` is True for the frames of a client.

    Bytes that are no frames of that direction set `are_lost`. From there on no border can be found."""

    __slots__ = ("_are_masked", "_header", "_is_close", "_left", "are_lost", "has_closed", "messages")

    def __init__(self, *, are_masked: bool) -> None:
        self._are_masked = are_masked
        self._header = b""
        self._left = 0
        self._is_close = False
        self.are_lost = False
        self.has_closed = False
        """Whether a close frame has passed. Nothing may follow it."""
        self.messages = 0
        """How many frames of messages have begun. Pings and their answers, which a browser sends without its
        person, are no messages."""

    @property
    def is_at_border(self) -> bool:
        return not self._left and not self._header and not self.are_lost

    def pass_on(self, data: bytes) -> None:
        """Follows `data` to its end."""
        at, end = 0, len(data)
        while at < end and not self.are_lost:
            at = self._step(data, at, end)

    def to_border(self, data: bytes) -> int:
        """Follows `data` up to the first border between frames. Returns the number of bytes before it, or of
        all bytes if there is none."""
        at, end = 0, len(data)
        while at < end and not self.are_lost and not self.is_at_border:
            at = self._step(data, at, end)
        return end if self.are_lost else at

    def _step(self, data: bytes, at: int, end: int) -> int:
        if self._left:
            step = min(self._left, end - at)
            self._left -= step
            at += step
        else:
            at = self._read_header(data, at, end)
        if not self._left and self._is_close and not self._header:
            self.has_closed = True
        return at

    def _read_header(self, data: bytes, at: int, end: int) -> int:
        had = len(self._header)
        header = self._header + data[at : min(at + 14 - had, end)]
        if len(header) < 2:
            self._header = header
            return end
        opcode, short = header[0] & 0x0F, header[1] & 0x7F
        is_control = opcode >= _CLOSE
        # RFC 6455 §5.5: a control frame is short and not fragmented. §5.1: only clients mask.
        if (
            opcode not in _KNOWN_OPCODES
            or bool(header[1] & 0x80) != self._are_masked
            or (is_control and (short > 125 or header[0] < 0x80))
        ):
            self.are_lost = True
            return end
        wide = 8 if short == 127 else 2 if short == 126 else 0
        size = 2 + wide + (4 if self._are_masked else 0)
        if len(header) < size:
            self._header = header
            return end
        self._header = b""
        self._left = int.from_bytes(header[2 : 2 + wide], "big") if wide else short
        self._is_close = opcode == _CLOSE
        if not is_control:
            self.messages += 1
        return at + size - had


def close_frame(code: int) -> bytes:
    """RFC 6455 §5.5.1: a close frame as a server sends it."""
    return b"\x88\x02" + code.to_bytes(2, "big")


def masked_close_frame(code: int) -> bytes:
    """The same as a client sends it. The mask is zero: masks protect proxies from payloads that scripts
    choose, and this payload is ours."""
    return b"\x88\x82\x00\x00\x00\x00" + code.to_bytes(2, "big")
