"""PURE: requests as the doctor writes them, byte for byte, and answers and requests as it reads them.

No library writes the requests, because most of them are ones that a library would refuse to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

Field = tuple[str, str]
_BODILESS = frozenset({101, 204, 304})
_LONGEST_NUMBER = 18
"""Digits. Python refuses to read a number of some thousand digits."""
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request that has arrived, or an answer. `start` is its first line."""

    start: str
    fields: tuple[Field, ...]
    body: bytes = field(default=b"", repr=False)
    trailers: tuple[Field, ...] = ()
    is_whole: bool = True

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each.lower() == name.lower()]

    def get(self, name: str) -> str:
        """The first value; empty if there is none."""
        return next(iter(self.all(name)), "")

    @property
    def status(self) -> int:
        """Of an answer; 0 if it is none."""
        version, _, rest = self.start.partition(" ")
        number = rest[:3]
        return int(number) if version.startswith("HTTP/") and number.isdecimal() and number.isascii() else 0

    @property
    def method(self) -> str:
        return self.start.partition(" ")[0]

    @property
    def target(self) -> str:
        """Of a request."""
        return self.start.partition(" ")[2].rpartition(" ")[0]


def request(
    method: str,
    target: str,
    fields: Iterable[Field],
    *,
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """A request. Nothing is checked or added."""
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(pieces: Iterable[bytes], trailers: Iterable[Field] = ()) -> bytes:
    """A chunked body (RFC 9112 §7.1)."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return (
        body
        + b"0\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode("latin-1")
        + b"\r\n"
    )


def read(data: bytes, *, is_answer: bool, to_method: str = "GET") -> tuple[Message | None, bytes]:
    """The first message in the bytes, and what follows it. None as long as its head is not there. A message
    whose end has not arrived is not whole; an answer without a length ends where the bytes do."""
    while True:
        head, separator, rest = data.partition(b"\r\n\r\n")
        if not separator:
            return None, data
        start, *lines = head.decode("latin-1").split("\r\n")
        message = Message(start=start, fields=tuple(_field(line) for line in lines))
        if not is_answer or not 100 <= message.status < 200 or message.status == 101:
            break
        data = rest
    if is_answer and (to_method == "HEAD" or message.status in _BODILESS):
        return message, rest
    if "chunked" in message.get("Transfer-Encoding").lower():
        return _read_chunked(message, rest)
    length = message.get("Content-Length")
    if length.isdecimal() and length.isascii():
        # Whoever says more than that sends no end.
        size = int(length[:_LONGEST_NUMBER])
        return _with(message, rest[:size], is_whole=len(rest) >= size), rest[size:]
    if is_answer:
        return _with(message, rest, is_whole=False), b""
    return message, rest


def _read_chunked(message: Message, rest: bytes) -> tuple[Message, bytes]:
    body, at = bytearray(), 0
    while True:
        ends = rest.find(b"\r\n", at)
        size = None if ends < 0 else _size(rest[at:ends])
        begins = ends + 2
        if size is None or (size and len(rest) < begins + size + 2):
            return _with(message, bytes(body), is_whole=False), b""
        if not size:
            break
        body += rest[begins : begins + size]
        at = begins + size + 2
    at, trailers = begins, list[Field]()
    while True:
        ends = rest.find(b"\r\n", at)
        if ends < 0:
            return _with(message, bytes(body), is_whole=False), b""
        if ends == at:
            return _with(message, bytes(body), tuple(trailers)), rest[ends + 2 :]
        trailers.append(_field(rest[at:ends].decode("latin-1")))
        at = ends + 2


def _size(line: bytes) -> int | None:
    number = line.partition(b";")[0].strip()
    return int(number, 16) if _CHUNK_SIZE.fullmatch(number) else None


def _field(line: str) -> Field:
    name, _, value = line.partition(":")
    return name, value.strip()


def _with(
    message: Message, body: bytes, trailers: tuple[Field, ...] = (), *, is_whole: bool = True
) -> Message:
    return Message(
        start=message.start, fields=message.fields, body=body, trailers=trailers, is_whole=is_whole
    )
