"""Runs one application on a loopback address. The port is bound before the application is made, because most
applications need to know it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


def bound(port: int = 0) -> socket.socket:
    """A socket bound to 127.0.0.1; port 0 takes a free one. Raises OSError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Without this a restart within a minute would find its own port in TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@asynccontextmanager
async def serving(application: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Serves `application` on `listener` for the length of the block, and closes both afterwards."""
    # No access log: its lines contain whole URLs, and a provider's URLs contain codes.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
        listener.close()
