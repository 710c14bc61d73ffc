"""The gateway as a process: signals, messages to systemd, and an end that nothing can delay."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from authproxy.bootstrap.descriptors import raise_limit
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.starting import CannotStart, in_one_line
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import log_interpreter_failures, logger

_GRACE: Final = 6.0
"""Seconds after `server.timeouts.leave` and `.drain` in which everything is closed. Then the process ends,
whatever hangs."""
_HURRIED_GRACE: Final = 4.0


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains and ends the process with exit code 0. A second such signal
    cuts running requests. SIGHUP reopens the audit file. A crash leaves no core file. Raises CannotStart."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it)

    raise_limit()
    _leave_no_core()
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    ending = _Ending(settings)
    log_interpreter_failures()
    async with contextlib.AsyncExitStack() as open_until_the_end:
        try:
            gateway = await open_until_the_end.enter_async_context(running(settings))
        except Exception as error:
            logger("bootstrap").debug("start.failed", exc_info=error)
            raise CannotStart(in_one_line(error, settings)) from error
        ending.gateway = gateway
        _on_hangup(gateway)
        _notify("READY=1")
        _keep_telling_that_we_run()
        await ending.requested.wait()
        _notify("STOPPING=1")
    _end()


class _Ending:
    """Handles SIGTERM and SIGINT: the first one begins an orderly end of limited length, the second one
    shortens it."""

    def __init__(self, settings: Settings) -> None:
        timeouts = settings.server.timeouts
        self._takes = timeouts.leave.total_seconds() + timeouts.drain.total_seconds() + _GRACE
        self.requested = asyncio.Event()
        self.gateway: Gateway | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._request)

    def _request(self) -> None:
        if not self.requested.is_set():
            self.requested.set()
            _end_at_last_after(self._takes)
        else:
            _end_at_last_after(_HURRIED_GRACE)
            if self.gateway is not None:
                self.gateway.listener.hurry()


def _on_hangup(gateway: Gateway) -> None:
    """Handles SIGHUP, which `authproxy serve` has ignored so far. The file is reopened once at this moment,
    in case a signal came during the start."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.outputs.reopen)
    gateway.outputs.reopen()


def _end_at_last_after(seconds: float) -> None:
    """Ends the process with exit code 1 after so many seconds, by a thread that needs neither the event loop
    nor the interpreter's lock."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=Path(os.devnull).open("wb"))  # noqa: SIM115  (read by that thread until the end)


def _end() -> None:
    """Ends the process now. A return from `main` would wait for threads, and one of them may be asking a name
    server that never answers."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _leave_no_core() -> None:
    """A core file would hold keys, tickets and tokens. The hard limit of 0 cannot be raised again."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _keep_telling_that_we_run() -> None:
    """Feeds systemd's watchdog (`WatchdogSec`), if it watches this process, from the event loop: if the loop
    hangs, systemd ends the process and starts it again."""
    microseconds, process_id = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or process_id not in {"", str(os.getpid())}:
        return
    every = int(microseconds) / 1e6 / 3
    loop = asyncio.get_running_loop()

    def tell() -> None:
        _notify("WATCHDOG=1")
        loop.call_later(every, tell)

    tell()


def _notify(state: str) -> None:
    """Tells systemd (sd_notify(3)) if it has started us and asks for such messages."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.connect("\0" + address[1:] if address.startswith("@") else address)
            notified.sendall(state.encode())
