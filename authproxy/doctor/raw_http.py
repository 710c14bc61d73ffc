"""PURE: requests as the doctor writes them, byte for byte, and answers and requests as it reads them.

No library writes the requests, because most of them are ones that a library would refuse to write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Field = tuple[str, str]
_BODILESS = frozenset({204, 304})


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
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None, data
    start, *lines = head.decode("latin-1").split("\r\n")
    fields = tuple(_field(line) for line in lines)
    message = Message(start=start, fields=fields)
    if is_answer and (to_method == "HEAD" or message.status in _BODILESS or 100 <= message.status < 200):
        if 100 <= message.status < 200 and message.status != 101:
            return read(rest, is_answer=True, to_method=to_method)
        return message, rest
    if "chunked" in message.get("Transfer-Encoding").lower():
        return _read_chunked(message, rest)
    length = message.get("Content-Length")
    if length.isdecimal() and length.isascii():
        size = int(length)
        return _with(message, rest[:size], is_whole=len(rest) >= size), rest[size:]
    if is_answer:
        return _with(message, rest, is_whole=False), b""
    return message, rest


def _read_chunked(message: Message, rest: bytes) -> tuple[Message, bytes]:
    body = b""
    while True:
        line, separator, after = rest.partition(b"\r\n")
        size = _size(line)
        if not separator or size is None or (size and len(after) < size + 2):
            return _with(message, body, is_whole=False), b""
        if not size:
            break
        body, rest = body + after[:size], after[size + 2 :]
    trailers: list[Field] = []
    while True:
        line, separator, after = after.partition(b"\r\n")
        if not separator:
            return _with(message, body, is_whole=False), b""
        if not line:
            return _with(message, body, tuple(trailers)), after
        trailers.append(_field(line.decode("latin-1")))


def _size(line: bytes) -> int | None:
    try:
        return int(line.partition(b";")[0].strip(), 16)
    except ValueError:
        return None


def _field(line: str) -> Field:
    name, _, value = line.partition(":")
    return name, value.strip()


def _with(
    message: Message, body: bytes, trailers: tuple[Field, ...] = (), *, is_whole: bool = True
) -> Message:
    return Message(
        start=message.start, fields=message.fields, body=body, trailers=trailers, is_whole=is_whole
    )
