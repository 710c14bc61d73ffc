"""The doctor's connections: each request has one of its own, one after the other, and no more than a check
may send."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from authproxy.doctor import http2, raw_http
from authproxy.doctor.raw_http import Message

_CLOSED = "the connection was closed"
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
    """Where requests are sent. `context` is None for plain TCP; `http2`, which offers HTTP/2, then too."""

    address: str
    port: int
    server_name: str
    context: ssl.SSLContext | None
    budget: Budget
    http2: ssl.SSLContext | None = None
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
        async with self._trying(patience), self._connection(self.context) as (reader, writer):
            # What the server answers before it has read everything must not be lost.
            sending = asyncio.ensure_future(_send(writer, data))
            while not _has(bytes(buffer), method, most) and len(buffer) < _LARGEST:
                piece = await reader.read(_PIECE)
                if not piece:
                    break
                buffer += piece
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return _messages(bytes(buffer), method, most)

    async def ask_http2(self, data: bytes, *, patience: float | None = None) -> Message | None:
        """The answer over HTTP/2; None if there is none. `data` are those of `http2.request`."""
        self.budget.take()
        conversation, left = http2.Conversation(), _LARGEST
        async with self._trying(patience), self._connection(self.http2) as (reader, writer):
            tls = writer.get_extra_info("ssl_object")
            if tls is None or tls.selected_alpn_protocol() != http2.ALPN:
                self.failures.append("the front proxy does not offer it")
                return None
            writer.write(data)
            while not conversation.is_over and left > 0 and (piece := await reader.read(_PIECE)):
                left -= len(piece)
                writer.write(conversation.taken(piece))
            if conversation.answer is None:
                self.failures.append("the request was refused" if conversation.is_over else _CLOSED)
        return conversation.answer

    @contextlib.asynccontextmanager
    async def _connection(
        self, context: ssl.SSLContext | None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        name = None if context is None else self.server_name
        reader, writer = await asyncio.open_connection(
            self.address, self.port, ssl=context, server_hostname=name
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def _trying(self, patience: float | None) -> AsyncIterator[None]:
        """What ends a connection early ends the block, and is kept in `failures`."""
        try:
            async with asyncio.timeout(self.patience if patience is None else patience):
                yield
        except TimeoutError:
            self.failures.append("no answer in time")
        except ssl.SSLCertVerificationError as error:
            self.failures.append(f"the certificate does not hold: {error.verify_message} (--ca-file)")
        except (OSError, ssl.SSLError) as error:
            self.failures.append(in_words(error))
        except http2.Unreadable as error:
            self.failures.append(f"what answers is not HTTP/2: {error}")


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
