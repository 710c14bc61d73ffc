"""Sockets of the edge: opens them, keeps the roll of connections, ends what waits too long, and drains on the way down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authproxy.edge.client_connection import ClientConnection
from authproxy.edge.site import Gate
from authproxy.edge.tls_door import TlsDoor, bound_sockets
from authproxy.edge.upstream_pool import UpstreamPool

_TICK: Final = 1.0
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a Unix socket with its permissions, or host and port."""

    host: str = ""
    port: int = 0
    unix_path: Path | None = None
    unix_mode: int = 0o660


class Listener:
    """All listening sockets of the edge and the connections that came in through them."""

    def __init__(self, gate: Gate, *, tls: ssl.SSLContext | None = None) -> None:
        self._gate = gate
        self._tls = tls
        self._servers: list[asyncio.AbstractServer | TlsDoor] = []
        self._connections: set[ClientConnection] = set()
        self._arriving: set[ClientConnection] = set()
        """In the middle of a TLS handshake."""
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self.is_draining = False

    async def open(self, addresses: tuple[Address, ...]) -> tuple[tuple[str, int], ...]:
        """Opens every address or raises OSError having opened none. Returns host and port of the TCP ones (a port 0 is chosen here)."""
        loop = asyncio.get_running_loop()
        try:
            for address in addresses:
                if address.unix_path is not None:
                    self._servers.append(await self._open_unix(address.unix_path, address.unix_mode))
                elif self._tls is not None:
                    await self._open_tls(address, self._tls)
                else:
                    self._servers.append(
                        await loop.create_server(
                            self._connection, address.host or None, address.port, backlog=_BACKLOG, reuse_address=True
                        )
                    )  # fmt: skip
        except OSError:
            for server in self._servers:
                server.close()
            raise
        return tuple(
            (name[0], name[1])
            for server in self._servers
            for name in (listening.getsockname() for listening in getattr(server, "sockets", ()))
            if isinstance(name, tuple)
        )

    async def _open_unix(self, path: Path, mode: int) -> asyncio.AbstractServer:
        listening = bound(path, mode)
        try:
            return await asyncio.get_running_loop().create_unix_server(self._connection, sock=listening, backlog=_BACKLOG)
        except OSError:
            listening.close()
            raise

    async def _open_tls(self, address: Address, tls: ssl.SSLContext) -> None:
        places = await asyncio.get_running_loop().getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for listening in bound_sockets(places):
            door = TlsDoor(listening, tls, self, handshake_for=self._gate.limits.head_for, spawn=self._gate.spawn)
            self._servers.append(door)
            door.open(_BACKLOG)

    def _connection(self) -> ClientConnection:
        return ClientConnection(self._gate, self)

    # What a door tells.

    def arrived(self) -> ClientConnection | None:
        if self.is_draining or self.connection_count >= self._gate.limits.connections:
            return None
        connection = self._connection()
        self._arriving.add(connection)
        return connection

    def not_arrived(self, connection: ClientConnection) -> None:
        self._arriving.discard(connection)

    # What connections tell.

    def opened(self, connection: ClientConnection) -> bool:
        self._arriving.discard(connection)
        if self.connection_count >= self._gate.limits.connections or self.is_draining:
            return False
        self._connections.add(connection)
        self._all_gone.clear()
        return True

    def closed(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    @property
    def connection_count(self) -> int:
        """Those in the middle of a handshake included."""
        return len(self._connections) + len(self._arriving)

    @property
    def tunnel_count(self) -> int:
        return sum(connection.is_tunnel for connection in self._connections)

    # Time.

    async def watch(self, pools: tuple[UpstreamPool, ...]) -> None:
        """Looks after every connection about once a second, until cancelled. One sweep is cheaper than a timer per request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            self.sweep(loop.time(), pools)

    def sweep(self, now: float, pools: tuple[UpstreamPool, ...]) -> None:
        """Ends what has waited too long at `now`, in the time of the gate."""
        for connection in tuple(self._connections):
            connection.check(now)
        for pool in pools:
            pool.expire(now)

    async def drain(self, within: float) -> bool:
        """Stops listening, lets running requests finish for at most `within` seconds, cuts the rest. Returns whether all had finished.

        What would never finish (tunnels, event streams) is ended at once."""
        self.is_draining = True
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.leave()
        try:
            async with asyncio.timeout(within):
                await self._all_gone.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._all_gone.wait()
            return False
        return True


def bound(path: Path, mode: int) -> socket.socket:
    """A bound socket whose permissions stand before it listens: everybody who can connect is a trusted peer.

    A socket that a killed process left behind is removed; a process that still listens there keeps its connections."""
    if path.is_socket():
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(mode)
    except OSError:
        listening.close()
        raise
    return listening
