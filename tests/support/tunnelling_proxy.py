"""A proxy that tunnels to this machine and knows that every name under `.localhost` is it: Playwright, when
it shows client certificates, connects in Node's place, and Node asks a name service that has never heard of
them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def tunnelling_proxy() -> AsyncIterator[str]:
    """The proxy's URL, for `CONNECT` (RFC 9110 §9.3.6)."""
    tasks: set[asyncio.Task[None]] = set()

    async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).split()
            host, _, port = head[1].decode().rpartition(":")
            assert head[0] == b"CONNECT"
            assert host == "127.0.0.1" or host.endswith("localhost"), "tests ask nobody but this machine"
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(port))
            writers.append(there_writer)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(pumped(reader, there_writer), pumped(there_reader, writer))
        finally:
            for each in writers:
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(tunnel(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
