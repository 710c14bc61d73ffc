"""PURE: HTTP/2 as the doctor speaks it (RFC 9113, RFC 7541): one request on a connection, with any bytes in
its fields, and the answer to it.

As in `raw_http`, no library writes the requests, because it would refuse to. What reads the answer is small,
because there is one stream and little of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from authproxy.doctor.raw_http import Field, Message

ALPN: Final = "h2"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0, 1, 3, 4, 5, 6, 7, 8, 9,
)  # fmt: skip
_END_STREAM = _ACK = 1
_END_HEADERS, _PADDED, _PRIORITY = 4, 8, 32
_HEAD = 9
"""Bytes before a frame's payload."""
_LARGEST_FRAME = 16384
_LONGEST_BLOCK = 65536
"""Bytes of fields, as they come and as they are read."""
_WINDOW = 1 << 20
"""Bytes of an answer that the server may send without hearing from us."""
_BEGINNING = 65535
"""The window of a connection at its beginning."""


class Unreadable(ValueError):  # noqa: N818
    """What has come is not HTTP/2."""


def request(fields: Iterable[Field], *, body: bytes = b"", trailers: Iterable[Field] = ()) -> bytes:
    """All that is sent on a connection before something comes. Nothing is checked or added. Fields and body
    have at most 16 KiB each, which is what every server takes at once."""
    ends = list(trailers)
    parts = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        # Nothing may be pushed; an answer may be as large as the window.
        _frame(_SETTINGS, 0, struct.pack(">HIHI", 2, 0, 4, _WINDOW), stream=0),
        _frame(_WINDOW_UPDATE, 0, struct.pack(">I", _WINDOW - _BEGINNING), stream=0),
        _frame(_HEADERS, _END_HEADERS | (0 if body or ends else _END_STREAM), _block(fields)),
    ]
    if body or ends:
        parts.append(_frame(_DATA, 0 if ends else _END_STREAM, body))
    if ends:
        parts.append(_frame(_HEADERS, _END_HEADERS | _END_STREAM, _block(ends)))
    return b"".join(parts)


def _frame(kind: int, flags: int, payload: bytes, *, stream: int = 1) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _block(fields: Iterable[Field]) -> bytes:
    """Every field with its name and value in full (RFC 7541 §6.2.2), and without Huffman's code."""
    return b"".join(b"\0" + _written(name) + _written(value) for name, value in fields)


def _written(text: str) -> bytes:
    raw = text.encode("latin-1")
    size, coded = len(raw), b""
    if size < 127:
        return bytes([size]) + raw
    size -= 127
    while size > 127:
        coded += bytes([size % 128 + 128])
        size //= 128
    return b"\x7f" + coded + bytes([size]) + raw


_IN_STATIC_TABLE: Final = """\
:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|\
:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|\
accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|\
authorization|cache-control|content-disposition|content-encoding|content-language|content-length|\
content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|\
if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|\
proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|\
strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"""
"""RFC 7541, appendix A."""
_STATIC: Final[tuple[Field, ...]] = tuple(
    (name, value) for name, _, value in (each.partition("=") for each in _IN_STATIC_TABLE.split("|"))
)
_ROOM: Final = 4096
"""Bytes of the table that both sides fill, as long as nobody says otherwise."""


class _Table:
    """Reads blocks of fields, and remembers those to which later ones refer."""

    def __init__(self) -> None:
        self._added: list[Field] = []
        self._size = 0
        self._room = _ROOM

    def read(self, block: bytes) -> list[Field]:
        """Raises Unreadable."""
        try:
            return self._read(block)
        except IndexError:
            raise Unreadable("the fields end in the middle, or refer to nothing") from None

    def _read(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, size = 0, 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _number(block, at, 7)
                fields.append(self._known(index))
                size += _size(fields[-1])
            elif first & 0xE0 == 0x20:
                self._room, at = _number(block, at, 5)
                self._forget()
            else:
                is_kept = bool(first & 0x40)
                index, at = _number(block, at, 6 if is_kept else 4)
                name, at = (self._known(index)[0], at) if index else _text(block, at)
                value, at = _text(block, at)
                fields.append((name, value))
                size += _size(fields[-1])
                if is_kept:
                    self._added.insert(0, (name, value))
                    self._size += _size(fields[-1])
                    self._forget()
            if size > _LONGEST_BLOCK:
                # A byte of the block can stand for 4 KiB.
                raise Unreadable("the fields have no end")
        return fields

    def _known(self, index: int) -> Field:
        if not index:
            raise IndexError
        return _STATIC[index - 1] if index <= len(_STATIC) else self._added[index - len(_STATIC) - 1]

    def _forget(self) -> None:
        if self._room > _ROOM:
            raise Unreadable("more is to be remembered than was agreed")
        while self._size > self._room:
            self._size -= _size(self._added.pop())


def _size(field: Field) -> int:
    """As RFC 7541 §4.1 counts it."""
    return len(field[0]) + len(field[1]) + 32


def _number(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """A number (RFC 7541 §5.1), and where it ends."""
    most = (1 << bits) - 1
    number, at = data[at] & most, at + 1
    if number < most:
        return number, at
    for shift in range(0, 28, 7):
        byte, at = data[at], at + 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise Unreadable("a number has no end")


def _text(data: bytes, at: int) -> tuple[str, int]:
    is_coded = data[at] & 0x80
    size, at = _number(data, at, 7)
    raw = data[at : at + size]
    if len(raw) < size:
        raise IndexError
    return (_decoded(raw) if is_coded else raw).decode("latin-1"), at + size


_SIGNS: Final[dict[int, bytes]] = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd"
    b"\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4"
    b"\xb6\xb7\xbc\xbf\xc5\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c"
    b"\x1d\x1e\x1f\x7f\xdc\xf9",
    30: b"\n\r\x16",
}
"""RFC 7541, appendix B: characters by how many bits stand for them. The codes are counted through, from the
shortest to the longest, so that nothing more is needed."""


def _codes() -> dict[tuple[int, int], int]:
    codes, code, before = {}, 0, 0
    for length, signs in _SIGNS.items():
        code <<= length - before
        before = length
        for sign in signs:
            codes[length, code] = sign
            code += 1
    return codes


_CODES: Final = _codes()
_LONGEST_CODE: Final = max(_SIGNS)


def _decoded(raw: bytes) -> bytes:
    """Takes Huffman's code back (RFC 7541 §5.2)."""
    text, code, length = bytearray(), 0, 0
    for byte in raw:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            sign = _CODES.get((length, code))
            if sign is not None:
                text.append(sign)
                code, length = 0, 0
            elif length == _LONGEST_CODE:
                # A code that grows with the text takes longer with each bit.
                raise Unreadable("a text has a character that there is not")
    # The last byte is filled up with ones.
    if length > 7 or code != (1 << length) - 1:
        raise Unreadable("a text ends in the middle of a character")
    return bytes(text)


@dataclass(slots=True)
class Conversation:
    """What comes on the connection."""

    is_over: bool = False
    """Whether nothing more comes that belongs to the answer."""
    _status: int = 0
    _fields: list[Field] = field(default_factory=list)
    _body: bytearray = field(default_factory=bytearray)
    _block: bytearray = field(default_factory=bytearray)
    _ends_with_block: bool = False
    _rest: bytearray = field(default_factory=bytearray)
    _table: _Table = field(default_factory=_Table)

    @property
    def answer(self) -> Message | None:
        """None if there is none, as after the end of a stream that was refused."""
        if not self._status:
            return None
        return Message(
            start=f"HTTP/2 {self._status}",
            fields=tuple(self._fields),
            body=bytes(self._body),
            is_whole=self.is_over,
        )

    def taken(self, data: bytes) -> bytes:
        """Takes what has come, and says what must be sent back. Raises Unreadable."""
        self._rest += data
        back = b""
        while len(self._rest) >= _HEAD and not self.is_over:
            size = int.from_bytes(self._rest[:3], "big")
            if size > _LARGEST_FRAME:
                raise Unreadable("a frame is larger than any may be")
            if len(self._rest) < _HEAD + size:
                break
            kind, flags = self._rest[3], self._rest[4]
            payload = bytes(self._rest[_HEAD : _HEAD + size])
            del self._rest[: _HEAD + size]
            back += self._frame(kind, flags, payload)
        return back

    def _frame(self, kind: int, flags: int, payload: bytes) -> bytes:
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            return _frame(kind, _ACK, payload if kind == _PING else b"", stream=0)
        if kind == _DATA:
            self._body += _unpadded(payload, flags)
            self.is_over = bool(flags & _END_STREAM)
        elif kind == _HEADERS:
            self._ends_with_block = bool(flags & _END_STREAM)
            self._part_of_block(_unpadded(payload, flags)[5 if flags & _PRIORITY else 0 :], flags)
        elif kind == _CONTINUATION:
            self._part_of_block(payload, flags)
        elif kind == _PUSH_PROMISE:
            raise Unreadable("something is pushed that nobody wants")
        elif kind == _RST_STREAM or (kind == _GOAWAY and payload[4:8] != bytes(4)):
            self.is_over = True
        return b""

    def _part_of_block(self, part: bytes, flags: int) -> None:
        self._block += part
        if len(self._block) > _LONGEST_BLOCK:
            raise Unreadable("the fields have no end")
        if not flags & _END_HEADERS:
            return
        fields = self._table.read(bytes(self._block))
        self._block.clear()
        status = next((value for name, value in fields if name == ":status"), "")
        # Without a status these are trailers. What comes before the final answer (1xx) is forgotten.
        if len(status) == 3 and status.isdecimal() and status.isascii() and status[0] != "1":
            self._status = int(status)
            self._fields = [each for each in fields if not each[0].startswith(":")]
        self.is_over = self._ends_with_block


def _unpadded(payload: bytes, flags: int) -> bytes:
    if not flags & _PADDED:
        return payload
    return payload[1 : max(1, len(payload) - payload[0])] if payload else b""
