"""The doctor's connections: each request has one of its own, one after the other, and no more than a check
may send."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field

from authproxy.doctor import raw_http
from authproxy.doctor.raw_http import Message

_LARGEST = 1024 * 1024
_PIECE = 64 * 1024


class BudgetSpent(Exception):  # noqa: N818
    """The check may send nothing more."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """How much a check may send, in requests, and until when, by the loop's clock."""

    requests: int
    ends_at: float
    sent: int = 0

    def take(self) -> None:
        if self.sent >= self.requests or asyncio.get_running_loop().time() >= self.ends_at:
            raise BudgetSpent
        self.sent += 1


@dataclass(slots=True, kw_only=True)
class Door:
    """Where requests are sent. `context` is None for plain TCP."""

    address: str
    port: int
    server_name: str
    context: ssl.SSLContext | None
    budget: Budget
    patience: float = 5.0
    """Seconds for one answer."""
    failures: list[str] = field(default_factory=list)
    """Why connections failed, for the operator."""

    async def ask(self, data: bytes, *, method: str = "GET", patience: float | None = None) -> Message | None:
        """The answer; None if there is none."""
        answers = await self.answers(data, method=method, most=1, patience=patience)
        return answers[0] if answers else None

    async def answers(
        self, data: bytes, *, method: str = "GET", most: int = 1, patience: float | None = None
    ) -> list[Message]:
        """Up to so many answers that come on one connection."""
        self.budget.take()
        buffer = bytearray()
        try:
            async with asyncio.timeout(self.patience if patience is None else patience):
                reader, writer = await self._connected()
                try:
                    # What the server answers before it has read everything must not be lost.
                    sending = asyncio.ensure_future(_send(writer, data))
                    while not _has(bytes(buffer), method, most) and len(buffer) < _LARGEST:
                        piece = await reader.read(_PIECE)
                        if not piece:
                            break
                        buffer += piece
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            self.failures.append("no answer in time")
        except ssl.SSLCertVerificationError as error:
            self.failures.append(f"the certificate does not hold: {error.verify_message} (--ca-file)")
        except (OSError, ssl.SSLError) as error:
            self.failures.append(in_words(error))
        return _messages(bytes(buffer), method, most)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.context is None:
            return await asyncio.open_connection(self.address, self.port)
        return await asyncio.open_connection(
            self.address, self.port, ssl=self.context, server_hostname=self.server_name
        )


def in_words(error: OSError) -> str:
    """Why a connection failed, for the operator. Without the address, which stands beside it."""
    if isinstance(error, socket.gaierror):
        return "the name has no address here (--connect HOST:PORT names one)"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return error.strerror or str(error) or type(error).__name__


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        for begin in range(0, len(data), _PIECE):
            writer.write(data[begin : begin + _PIECE])
            await writer.drain()


def _messages(data: bytes, method: str, most: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < most:
        message, data = raw_http.read(data, is_answer=True, to_method=method)
        if message is None:
            break
        found.append(message)
    return found


def _has(data: bytes, method: str, most: int) -> bool:
    found = _messages(data, method, most)
    return len(found) == most and found[-1].is_whole
