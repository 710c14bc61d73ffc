"""One request over HTTP/2 with any bytes in its fields. Libraries refuse to write them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable

from tests.support.fronts.world import PATIENCE, Standing

_HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


async def asked_over_http2(
    front: Standing,
    target: bytes,
    fields: Iterable[tuple[bytes, bytes]] = (),
    *,
    authority: bytes | None = None,
) -> None:
    """Sends a GET, and waits until the front proxy has answered or refused it."""
    pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", target)]
    head = b"".join(
        b"\x10" + _text(name) + _text(value)
        for name, value in (*pseudo, (b":authority", authority or front.host.encode()), *fields)
    )
    front.world.tls.set_alpn_protocols(["h2"])
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            front.place.port,
            ssl=front.world.tls,
            server_hostname=front.place.hosts["acq.example.si"],
        )
    finally:
        front.world.tls.set_alpn_protocols(["http/1.1"])
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b""))
        writer.write(_frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, head))
        async with asyncio.timeout(PATIENCE):
            await _answered(reader, writer)
    finally:
        writer.transport.abort()


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of the answer, or of the connection."""
    while True:
        try:
            begun = await reader.readexactly(9)
            await reader.readexactly(int.from_bytes(begun[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        kind, flags = begun[3], begun[4]
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind in {_RST_STREAM, _GOAWAY} or (kind <= _HEADERS and flags & _END_STREAM):
            return


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(text: bytes) -> bytes:
    """A string without Huffman's code (RFC 7541 §5.2)."""
    size, coded = len(text), b""
    if size < 127:
        return bytes([size]) + text
    size -= 127
    while size > 127:
        coded += bytes([size % 128 + 128])
        size //= 128
    return b"\x7f" + coded + bytes([size]) + text
