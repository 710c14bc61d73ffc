"""The gateway as a process of its own: signals, and what a supervisor is told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress

from authproxy.bootstrap.gateway import running
from authproxy.settings.schema import Settings


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains. SIGHUP reopens the audit file. Raises OSError or ValueError if it cannot start."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it)

    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with running(settings) as gateway:
        if gateway.audit_file is not None:
            loop.add_signal_handler(signal.SIGHUP, gateway.audit_file.reopen)
        _notify("READY=1")
        await ending.wait()
        _notify("STOPPING=1")


def _notify(state: str) -> None:
    """Tells systemd (sd_notify(3)), if it started us and wants to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.connect("\0" + address[1:] if address.startswith("@") else address)
            notified.sendall(state.encode())
