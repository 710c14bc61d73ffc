"""One of several workers: a gateway that takes its orders from the parent process.

A worker and the parent talk in lines over a pair of sockets. The worker says `ready`, `failed` with the
reason, and `alive` once a second. The parent orders `end`, `hurry` or `reopen`. If the parent is gone, so is
its end of the pair, and the worker ends in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterable
from typing import Final, NoReturn

from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.process_end import Ending, end
from authproxy.bootstrap.starting import in_one_line
from authproxy.edge.client.occupancy import Seat
from authproxy.edge.client.sockets import BoundAddress
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import log_interpreter_failures, logger

ALIVE_EVERY: Final = 1.0


def work(
    settings: Settings, lent: Iterable[BoundAddress], parent: socket.socket, seat: Seat | None
) -> NoReturn:
    """Serves until the parent orders the end. Never returns."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it; the parent has imported it)

    code = 1
    try:
        code = uvloop.run(_work(settings, lent, parent, seat))
    except Exception:  # noqa: BLE001  (the log has it, and the parent starts another one)
        logger("bootstrap").exception("worker.failed")
    finally:
        # What lies below on the stack belongs to the parent process.
        end(code)


async def _work(
    settings: Settings, lent: Iterable[BoundAddress], parent: socket.socket, seat: Seat | None
) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=parent)
    ending = Ending(settings)
    _handle_signals(ending)
    log_interpreter_failures()
    async with contextlib.AsyncExitStack() as open_until_the_end:
        alive = asyncio.ensure_future(_say_alive(writer))
        open_until_the_end.callback(alive.cancel)
        orders = asyncio.ensure_future(_obey(reader, ending))
        open_until_the_end.callback(orders.cancel)
        try:
            gateway = await open_until_the_end.enter_async_context(running(settings, lent=lent, seat=seat))
        except Exception as error:  # noqa: BLE001  (the parent says it, or tries again)
            logger("bootstrap").debug("start.failed", exc_info=error)
            writer.write(f"failed {in_one_line(error, settings)}\n".encode())
            with contextlib.suppress(OSError):
                await writer.drain()
            return 1
        ending.gateway = gateway
        _on_hangup(gateway)
        writer.write(b"ready\n")
        await ending.requested.wait()
    return 0


def _handle_signals(ending: Ending) -> None:
    """Ctrl-C and systemd send signals to all processes of a group. SIGTERM is then no second order to end:
    only the parent hurries its workers."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.request)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_hangup(gateway: Gateway) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.outputs.reopen)
    gateway.outputs.reopen()


async def _say_alive(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"alive\n")
        await asyncio.sleep(ALIVE_EVERY)


async def _obey(reader: asyncio.StreamReader, ending: Ending) -> None:
    while line := await reader.readline():
        match line.strip():
            case b"end":
                ending.request()
            case b"hurry":
                ending.hurry()
            case b"reopen" if ending.gateway is not None:
                ending.gateway.outputs.reopen()
    ending.request()
