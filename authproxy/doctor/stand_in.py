"""Stands where the front proxy expects the portal, for the time of a check: answers as a portal does, and
keeps what arrives with the check's own mark, byte for byte. Everybody else is told to come again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from authproxy.doctor import raw_http
from authproxy.doctor.raw_http import Message

MARK = "Doctor-Mark"
"""The header with the mark of a request."""
_LARGEST = 32 * 1024 * 1024
_PIECE = 64 * 1024
_PATIENCE = 10.0


@dataclass(slots=True, kw_only=True)
class StandIn:
    """`mark` is the check's own, which nobody can guess."""

    mark: str
    arrivals: list[Message] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)
    """Of all that has ever arrived."""
    strangers: int = 0
    """Requests without the mark."""
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def taken(self) -> tuple[Message, ...]:
        """What has arrived since the last call."""
        arrivals, self.arrivals = self.arrivals, []
        return tuple(arrivals)

    @contextlib.asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Listens for the length of the block, at the port that it gives."""
        server = await asyncio.start_server(self._serve, host, port, limit=_PIECE)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            # Only the end of the check cancels it. asyncio would report that as an error.
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        while True:
            message, rest = raw_http.read(buffer, is_answer=False)
            if message is None or not message.is_whole:
                async with asyncio.timeout(_PATIENCE):
                    piece = await reader.read(_PIECE)
                if not piece or len(buffer) > _LARGEST:
                    return
                buffer += piece
                continue
            buffer = rest
            writer.write(self._answer(message))
            await writer.drain()

    def _answer(self, message: Message) -> bytes:
        if self.mark not in repr((message.start, message.fields, message.trailers)):
            self.strangers += 1
            return b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"
        self.arrivals.append(message)
        self.targets.add(message.target)
        body = b"" if message.method == "HEAD" else b"stand-in"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
        return head % len(b"stand-in") + body
