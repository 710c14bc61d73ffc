"""Accepts connections where the loop's own server does not do: for TLS, and in one of several workers.

With TLS, each connection counts from the moment it is accepted, and has a limited time for its handshake. The
loop's own server reports it only after the handshake, so clients that connect and say nothing would not be
counted until then.

A worker that has more connections than another one steps aside for a moment. What still waits afterwards it
takes, because the others are busy or hang.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from authproxy.edge.client.connection import ClientConnection, ConnectionRegister, reset_at_close
from authproxy.edge.client.occupancy import AT_ONCE, Seat
from authproxy.edge.rules.client_address import peer_of

_ALL: Final = 4096
"""More connections than ever wait."""
_ASIDE: Final = 0.01
"""Seconds for which a worker leaves new connections to those that have fewer."""
_PAUSE: Final = 1.0
"""Seconds without accepting while the process has no descriptor to spare."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """One listening socket, with TLS or without. `handshake_for` is seconds; `spawn` runs something in the
    background; `seat` is that of one of several workers."""

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        register: ConnectionRegister,
        *,
        handshake_for: float,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        seat: Seat | None = None,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._register = register
        self._handshake_for = handshake_for
        self._spawn = spawn
        self._seat = seat
        self._handshakes: set[asyncio.Task[None]] = set()
        self._left_over = 1
        """How many connections to take when the others have taken none in time. It grows while they take
        none, so that a worker whose siblings hang soon accepts thousands in a second."""
        self._is_pausing = False
        self._is_open = False

    def renew(self, tls: ssl.SSLContext) -> None:
        """From the next connection on. For an acceptor with TLS."""
        if self._tls is not None:
            self._tls = tls

    def open(self, backlog: int) -> None:
        self._listening.listen(backlog)
        self._is_open = True
        self._resume()

    def close(self) -> None:
        """Accepts the connections that the kernel has already made, and then no more. Handshakes go on."""
        if self._is_open:
            self._accept(_ALL)
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()

    def cut(self) -> None:
        """Cuts connections whose TLS handshake is not finished. They cannot have sent a request."""
        if self._tls is not None:
            for handshake in tuple(self._handshakes):
                handshake.cancel()

    def _resume(self) -> None:
        self._is_pausing = False
        if self._is_open:
            asyncio.get_running_loop().add_reader(self._listening, self._can_accept)

    def _can_accept(self) -> None:
        most = AT_ONCE if self._seat is None else self._seat.may_take()
        if not most:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listening)
            loop.call_later(_ASIDE, self._take_left_over)
        else:
            self._left_over = 1
            self._accept(most)

    def _take_left_over(self) -> None:
        if self._is_open:
            taken = self._accept(self._left_over)
            self._left_over = min(self._left_over + 1, AT_ONCE) if taken == self._left_over else 1
            if not self._is_pausing:
                self._resume()

    def _accept(self, most: int) -> int:
        """Accepts what waits, and returns how many. If the process has no descriptor for more, it goes on
        after a pause."""
        for taken in range(most):
            try:
                accepted, name = self._listening.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause()
                return taken  # none waits, or the one that waited has failed meanwhile (accept(2))
            self._admit(accepted, "" if self._tls is None else peer_of(name))
        return most

    def _pause(self) -> None:
        self._is_pausing = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        loop.call_later(_PAUSE, self._resume)
        self._register.descriptors_exhausted()

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        connection = self._register.accepted(accepted.fileno(), peer)
        if connection is None:
            # With a reset, a refused connection takes no memory in the kernel either.
            if accepted.family != socket.AF_UNIX:
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
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._handshake_for,
            )
        except OSError:
            pass  # no TLS, no common cipher, or too slow: the client's own problem
        finally:
            self._register.arrived(connection)
