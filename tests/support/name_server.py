"""A name server on a UDP port of 127.0.0.1 that answers as the test says: late, wrongly, not at all, another
address the next time."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import struct
from collections.abc import AsyncIterator
from typing import Any

_A, _AAAA = 1, 28
_NXDOMAIN, _SERVFAIL = 3, 2


class NameServer(asyncio.DatagramProtocol):
    """`records` are addresses by name, each with `ttl` seconds to live; a name that is not there is answered
    NXDOMAIN."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.ttl = 60
        self.silent: set[str] = set()
        """Names that are heard and not answered; `*` is every name."""
        self.is_failing = False
        """Every answer is SERVFAIL."""
        self.asked: list[str] = []
        """The names of all questions for IPv4, in order."""
        self.port = 0
        self._transport: Any = None
        self._held: list[tuple[bytes, Any]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        name, kind = _question(data)
        if kind == _A:
            self.asked.append(name)
        if name in self.silent or "*" in self.silent:
            self._held.append((data, addr))
        else:
            self._answer(data, addr)

    def speak(self) -> None:
        """Ends the silence: what was asked meanwhile is answered now."""
        self.silent.clear()
        held, self._held = self._held, []
        for data, addr in held:
            self._answer(data, addr)

    def _answer(self, data: bytes, addr: Any) -> None:
        name, kind = _question(data)
        known = self.records.get(name)
        status = _SERVFAIL if self.is_failing else _NXDOMAIN if known is None else 0
        parsed = [ipaddress.ip_address(each) for each in known or ()] if not status else []
        found = [each.packed for each in parsed if each.version == (4 if kind == _A else 6)]
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | status, 1, len(found), 0, 0)
        end = data.index(b"\0", 12) + 5
        answers = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(each)) + each for each in found
        )
        self._transport.sendto(head + data[12:end] + answers, addr)

    def close(self) -> None:
        self._transport.close()


def _question(data: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii").lower())
        at += data[at] + 1
    return ".".join(labels), int.from_bytes(data[at + 1 : at + 3])


@contextlib.asynccontextmanager
async def name_server(**records: list[str]) -> AsyncIterator[NameServer]:
    """A running one. In the names of the arguments `__` stands for a dot."""
    server = NameServer()
    server.records = {name.replace("__", "."): addresses for name, addresses in records.items()}
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        server.close()
