"""The gateway as a process: signals, messages to systemd, and an end that nothing can delay."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from authproxy.bootstrap import workers
from authproxy.bootstrap.descriptors import raise_limit
from authproxy.bootstrap.generations import Generations
from authproxy.bootstrap.process_end import Ending, end
from authproxy.bootstrap.starting import CannotStart, in_one_line
from authproxy.edge.client import handed_sockets
from authproxy.settings.schema import Settings
from authproxy.settings.sources import Reading
from authproxy.telemetry.logging import log_interpreter_failures, logger


def run(settings: Settings, read: Callable[[], Reading]) -> None:
    """Serves until SIGTERM or SIGINT, then drains and ends the process with exit code 0. A second such signal
    cuts running requests. SIGHUP takes the settings over as `read` finds them, and reopens the audit file;
    SIGUSR1 only reopens it. A crash leaves no core file. Raises CannotStart."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it)

    raise_limit()
    _leave_no_core()
    try:
        handed = handed_sockets.take(os.environ, os.getpid())
    except handed_sockets.BadHandover as error:
        raise CannotStart(str(error)) from error
    count = workers.count_of(settings.server.workers)
    if count > 1:
        workers.run(settings, count, handed, notify=_notify)
    else:
        uvloop.run(_serve(settings, read, handed))


async def _serve(settings: Settings, read: Callable[[], Reading], handed: tuple[socket.socket, ...]) -> None:
    generations = Generations(read)
    ending = Ending(settings)
    _on_end(ending)
    log_interpreter_failures()
    try:
        await generations.start(settings, handed)
    except Exception as error:
        logger("bootstrap").debug("start.failed", exc_info=error)
        raise CannotStart(in_one_line(error, settings)) from error
    ending.is_of(generations.running)
    hangup = _on_hangup(generations)
    _notify("READY=1")
    while await _first_of(ending.requested, hangup) is hangup:
        hangup.clear()
        _send_to_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        await generations.reload()
        ending.is_of(generations.running)
        _send_to_systemd("READY=1")
    _notify("STOPPING=1")
    await generations.end()
    end()


async def _first_of(ending: asyncio.Event, hangup: asyncio.Event) -> asyncio.Event:
    """Waits for one of the two; `ending` if both have happened."""
    waits = [asyncio.ensure_future(event.wait()) for event in (ending, hangup)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return ending if ending.is_set() else hangup


def _on_end(ending: Ending) -> None:
    """Handles SIGTERM and SIGINT: the first one begins the end, the second one shortens it."""

    def request() -> None:
        if ending.requested.is_set():
            ending.hurry()
        else:
            ending.request()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, request)


def _on_hangup(generations: Generations) -> asyncio.Event:
    """Handles SIGHUP and SIGUSR1, which `authproxy serve` has ignored so far. The event asks for a reload.
    The audit file is reopened once at this moment, in case a signal came during the start."""
    requested = asyncio.Event()

    def hang_up() -> None:
        generations.reopen()
        requested.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, generations.reopen)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    generations.reopen()
    return requested


def _leave_no_core() -> None:
    """A core file would hold keys, tickets and tokens. The hard limit of 0 cannot be raised again."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _feed_watchdog() -> None:
    """Tells systemd again and again that we run, if it watches this process (`WatchdogSec`), from the event
    loop: if the loop hangs, systemd ends the process and starts it again. With several workers it watches
    their parent, which watches them."""
    microseconds, process_id = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or process_id not in {"", str(os.getpid())}:
        return
    every = int(microseconds) / 1e6 / 3
    loop = asyncio.get_running_loop()

    def tell() -> None:
        _send_to_systemd("WATCHDOG=1")
        loop.call_later(every, tell)

    tell()


def _notify(state: str) -> None:
    """Tells systemd that the gateway answers (`READY=1`), from then on that it runs, and at last that it ends
    (`STOPPING=1`)."""
    _send_to_systemd(state)
    if state == "READY=1":
        _feed_watchdog()


def _send_to_systemd(state: str) -> None:
    """Tells systemd (sd_notify(3)) if it has started us and asks for such messages."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.connect("\0" + address[1:] if address.startswith("@") else address)
            notified.sendall(state.encode())
