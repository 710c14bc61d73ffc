"""How a process of the gateway ends: in order, within a limited time, and without waiting for threads."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn

from authproxy.bootstrap.gateway import Gateway
from authproxy.settings.schema import Settings

GRACE: Final = 6.0
"""Seconds after `server.timeouts.leave` and `.drain` in which everything is closed. Then the process ends,
whatever hangs."""
HURRIED_GRACE: Final = 4.0


class Ending:
    """The end of a process that serves: `request` begins an orderly end of limited length, and `hurry`
    shortens it."""

    def __init__(self, settings: Settings) -> None:
        self._takes = longest_end(settings)
        self.requested = asyncio.Event()
        self.gateway: Gateway | None = None

    def is_of(self, gateway: Gateway) -> None:
        """Which gateway ends then, and how long it may take."""
        self.gateway = gateway
        self._takes = longest_end(gateway.settings)

    def request(self) -> None:
        if not self.requested.is_set():
            self.requested.set()
            end_at_last_after(self._takes)

    def hurry(self) -> None:
        self.requested.set()
        end_at_last_after(HURRIED_GRACE)
        if self.gateway is not None:
            self.gateway.listener.hurry()


def longest_end(settings: Settings) -> float:
    """Seconds within which a process that serves has ended."""
    timeouts = settings.server.timeouts
    return (timeouts.leave + timeouts.drain) / timedelta(seconds=1) + GRACE


def end_at_last_after(seconds: float) -> None:
    """Ends the process with exit code 1 after so many seconds, by a thread that needs neither the event loop
    nor the interpreter's lock."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=Path(os.devnull).open("wb"))  # noqa: SIM115  (read by that thread until the end)


def end(code: int = 0) -> NoReturn:
    """Ends the process now. A return from `main` would wait for threads, and one of them may be asking a name
    server that never answers."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
