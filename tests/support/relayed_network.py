"""The lines between servers on loopback, and what cuts them. Each server announces a relay instead of its own
port, and speaks from an address of its own, by which the relays know who asks. A line that is cut loses
nothing: it delivers later, as TCP does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from tests.support.ports import free_port

OUTSIDE = "127.0.0.1"
"""From where gateways and tests ask."""
_WITHIN = 10.0


class Network:
    """The relays run in a thread of their own, because servers need them while a test waits for servers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._lines: dict[tuple[str, str], asyncio.Event] = {}
        self._copying: set[asyncio.Task[None]] = set()
        self._relays: list[asyncio.Server] = []
        self._addresses: list[str] = []
        self._thread.start()

    def address(self) -> str:
        """A further address for a server to speak from (`bind-source-addr`)."""
        self._addresses.append(f"127.0.1.{len(self._addresses) + 1}")
        return self._addresses[-1]

    def relay_to(self, server: str, port: int) -> int:
        """The port that leads to this port of the server with that address."""
        relay = free_port()
        self._do(self._listen(server, port, relay))
        return relay

    def part(self, some: Iterable[str], others: Iterable[str]) -> None:
        """From now on, some and the others hear nothing of each other."""
        self._set(some, others, is_open=False)

    def join(self, some: Iterable[str], others: Iterable[str]) -> None:
        self._set(some, others, is_open=True)

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _set(self, some: Iterable[str], others: Iterable[str], *, is_open: bool) -> None:
        pairs = [pair for one in some for other in others for pair in ((one, other), (other, one))]

        async def set_all() -> None:
            for pair in pairs:
                line = self._line(*pair)
                line.set() if is_open else line.clear()

        self._do(set_all())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_WITHIN)

    def _line(self, source: str, server: str) -> asyncio.Event:
        if (source, server) not in self._lines:
            self._lines[source, server] = asyncio.Event()
            self._lines[source, server].set()
        return self._lines[source, server]

    async def _listen(self, server: str, port: int, relay: int) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._copying.add(task)
            line = self._line(writer.get_extra_info("peername")[0], server)
            ends = [writer]
            try:
                await line.wait()
                from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
                ends.append(to_server)
                await asyncio.gather(_copy(reader, to_server, line), _copy(from_server, writer, line))
            except (OSError, EOFError, asyncio.CancelledError):
                pass
            finally:
                self._copying.discard(task)
                for end in ends:
                    end.transport.abort()

        self._relays.append(await asyncio.start_server(serve, "127.0.0.1", relay, backlog=512))

    async def _end(self) -> None:
        for relay in self._relays:
            relay.close()
        for task in list(self._copying):
            task.cancel()
        while self._copying:
            await asyncio.sleep(0)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: asyncio.Event) -> None:
    while octets := await reader.read(65536):
        await line.wait()
        writer.write(octets)
        await writer.drain()
    await line.wait()
    raise EOFError


@contextlib.contextmanager
def network() -> Iterator[Network]:
    made = Network()
    try:
        yield made
    finally:
        made.close()
