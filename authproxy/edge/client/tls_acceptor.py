"""Accepts TCP connections for TLS. Each counts from the moment it is accepted, and has a limited time for its
handshake.

The loop's own server reports a connection only after the handshake. Clients that connect and say nothing
would not be counted until then.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from authproxy.edge.client.connection import ClientConnection, ConnectionRegister, reset_at_close
from authproxy.edge.rules.client_address import peer_of

_AT_ONCE: Final = 128
"""Connections that are accepted in one turn of the loop."""
_PAUSE: Final = 1.0
"""Seconds without accepting while the process has no descriptor to spare."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TlsAcceptor:
    """One listening socket. `handshake_for` is seconds; `spawn` runs a handshake in the background."""

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext,
        register: ConnectionRegister,
        *,
        handshake_for: float,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._register = register
        self._handshake_for = handshake_for
        self._spawn = spawn
        self._handshakes: set[asyncio.Task[None]] = set()
        self._is_open = False

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self._listening,) if self._is_open else ()

    def renew(self, tls: ssl.SSLContext) -> None:
        """From the next connection on."""
        self._tls = tls

    def open(self, backlog: int) -> None:
        self._listening.listen(backlog)
        self._is_open = True
        self._resume()

    def close(self) -> None:
        """Accepts the connections that the kernel has already made, and then no more. Handshakes go on."""
        if self._is_open:
            self._accept()
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()

    def cut(self) -> None:
        """Cuts connections whose handshake is not finished. They cannot have sent a request."""
        for handshake in tuple(self._handshakes):
            handshake.cancel()

    def _resume(self) -> None:
        if self._is_open:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, name = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause()
                return
            self._admit(accepted, peer_of(name))

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        loop.call_later(_PAUSE, self._resume)
        self._register.descriptors_exhausted()

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        connection = self._register.handshake_begins(accepted.fileno(), peer)
        if connection is None:
            # With a reset, a refused connection takes no memory in the kernel either.
            reset_at_close(accepted)
            accepted.close()
            return
        handshake = self._spawn(self._shake(accepted, connection))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    async def _shake(self, accepted: socket.socket, connection: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_for
            )
        except OSError:
            pass  # no TLS, no common cipher, or too slow: the client's own problem
        finally:
            self._register.handshake_ended(connection)
