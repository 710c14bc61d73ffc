"""What systemd is told (sd_notify(3)), if it has started us and asks for such messages."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress


def serving() -> None:
    """The gateway answers. From now on systemd is told again and again that it runs."""
    _tell("READY=1")
    _feed_watchdog()


def reload_begins() -> None:
    """The settings are read again (`Type=notify-reload`): systemd waits for `reload_ended`."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def reload_ended() -> None:
    _tell("READY=1")


def ending() -> None:
    _tell("STOPPING=1")


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
        _tell("WATCHDOG=1")
        loop.call_later(every, tell)

    tell()


def _tell(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect("\0" + address[1:] if address.startswith("@") else address)
            told.sendall(state.encode())
