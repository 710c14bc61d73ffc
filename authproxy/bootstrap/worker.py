"""One of several workers: a gateway that takes its orders from the parent process.

A worker and the parent talk in lines over a pair of sockets. The parent orders `serve`, `leave` (others serve
from now on), `end`, `hurry` or `reopen`. The worker says `prepared` when everything is ready but its
listeners, `ready` when it serves, `failed` with the reason if it cannot, and `alive` once a second. It says
`left` when it accepts nothing more, and at last `metrics` with what it has counted. If the parent is gone, so
is its end of the pair, and the worker ends in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Iterable
from typing import Final, NoReturn

from authproxy.bootstrap.gateway import Gateway, Place, running
from authproxy.bootstrap.passed_connections import PassedConnections
from authproxy.bootstrap.process_end import Ending, end
from authproxy.bootstrap.starting import in_one_line
from authproxy.edge.client.occupancy import Seat
from authproxy.edge.client.sockets import BoundAddress
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import log_interpreter_failures, logger

ALIVE_EVERY: Final = 1.0


class _EndedEarly(Exception):  # noqa: N818
    """The end was ordered before the worker has served."""


def work(
    settings: Settings,
    lent: Iterable[BoundAddress],
    parent: socket.socket,
    passed: PassedConnections,
    seat: Seat | None,
    *,
    is_reload: bool,
) -> NoReturn:
    """Serves until the parent orders the end. Never returns. `is_reload` if it follows workers with other
    settings."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it; the parent has imported it)

    code = 1
    try:
        code = uvloop.run(_Work(settings, passed, seat).run(lent, parent, is_reload=is_reload))
    except Exception:  # noqa: BLE001  (the log has it, and the parent starts another one)
        logger("bootstrap").exception("worker.failed")
    finally:
        # What lies below on the stack belongs to the parent process.
        end(code)


class _Work:
    def __init__(self, settings: Settings, passed: PassedConnections, seat: Seat | None) -> None:
        self._settings = settings
        self._passed = passed
        self._seat = seat
        self._ending = Ending(settings)
        self._may_serve = asyncio.Event()
        """Set when the parent has ordered to serve, or to end."""
        self._gateway: Gateway | None = None

    async def run(self, lent: Iterable[BoundAddress], parent: socket.socket, *, is_reload: bool) -> int:
        reader, writer = await asyncio.open_unix_connection(sock=parent)
        writer.transport.set_write_buffer_limits(0)  # `drain` waits until everything is written
        self._handle_signals()
        log_interpreter_failures()

        async def hold() -> None:
            writer.write(b"prepared\n")
            await self._may_serve.wait()
            if self._ending.requested.is_set():
                raise _EndedEarly

        async with contextlib.AsyncExitStack() as open_until_the_end:
            alive = asyncio.ensure_future(_say_alive(writer))
            open_until_the_end.callback(alive.cancel)
            orders = asyncio.ensure_future(self._obey(reader, writer))
            open_until_the_end.callback(orders.cancel)
            try:
                place = Place(hold=hold, seat=self._seat, is_reload=is_reload)
                async with running(self._settings, lent=lent, place=place) as gateway:
                    self._gateway = self._ending.gateway = gateway
                    gateway.outputs.reopen()
                    self._passed.take(gateway.listener.adopt)
                    writer.write(b"ready\n")
                    await self._ending.requested.wait()
                    self._passed.stop_taking()
            except _EndedEarly:
                return 0
            except Exception as error:
                if self._gateway is not None:
                    raise
                logger("bootstrap").debug("start.failed", exc_info=error)
                writer.write(f"failed {in_one_line(error, self._settings)}\n".encode())
                with contextlib.suppress(OSError):
                    await writer.drain()
                return 1
            writer.write(b"metrics " + json.dumps(gateway.exposition()).encode() + b"\n")
            with contextlib.suppress(OSError):
                await writer.drain()
        return 0

    def _handle_signals(self) -> None:
        """Ctrl-C and systemd send signals to all processes of a group. SIGTERM is then no second order to end
        (only the parent hurries its workers), and SIGHUP none to reload."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            loop.add_signal_handler(number, self._reopen)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            match line.strip():
                case b"serve":
                    self._may_serve.set()
                case b"leave":
                    await self._leave()
                    writer.write(b"left\n")
                case b"end":
                    self._end()
                case b"hurry":
                    self._may_serve.set()
                    self._ending.hurry()
                case b"reopen":
                    self._reopen()
        self._end()

    async def _leave(self) -> None:
        if self._gateway is not None:
            self._passed.stop_taking()
            await self._gateway.hand_out(self._passed.give)
        self._end()

    def _end(self) -> None:
        self._ending.request()
        self._may_serve.set()

    def _reopen(self) -> None:
        if self._gateway is not None:
            self._gateway.outputs.reopen()


async def _say_alive(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"alive\n")
        await asyncio.sleep(ALIVE_EVERY)
