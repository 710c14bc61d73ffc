"""One connection of a client: requests in order, pipelined or not, time limits, back-pressure, upgrade, and
an orderly end.

Implements RFC 9112 §9 (connection management) for the server side. llhttp reads; a request begins when the
one before it has been answered, and until then the reading stops: what waits is never more than one read of
the socket brought.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import Final, Protocol, cast

import httptools

from authproxy.access.client_networks import network_of
from authproxy.access.decision import Reason
from authproxy.edge.client.request_reader import RequestReader
from authproxy.edge.exchange import Exchange
from authproxy.edge.rules.client_address import LOCAL_PEER, peer_of
from authproxy.edge.rules.request_head import HeadRefused, RequestHead
from authproxy.edge.rules.websocket import GOING_AWAY
from authproxy.edge.site import Gate, report
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.upstream.personal import Personal

_LINGER_FOR: Final = 2.0
"""Seconds in which a client may finish sending a request that was answered without its body; then the
connection is cut."""
_TOO_EARLY: Final = HeadRefused(400, Reason.REQUEST_UNREADABLE, "bytes after an upgrade request")
"""A client that speaks the new protocol before it has the 101 does not wait to be understood (RFC 9110
§7.8)."""
_TOO_MANY: Final = HeadRefused(
    503, Reason.TOO_MANY_CONNECTIONS, "more connections from one address than it may have"
)
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
_NO_PARSER: Final = httptools.HttpRequestParser(None)
"""What a closed connection has instead of one."""


class Connections(Protocol):
    """The listener's side: knows who is connected."""

    is_draining: bool
    """Whether connections are closed with their answers."""
    is_closed: bool
    """Whether nobody new comes in, and what would not end by itself is to be ended."""

    def opened(self, connection: ClientConnection) -> bool:
        """False if there is no room for one more."""
        ...

    def closed(self, connection: ClientConnection) -> None: ...


class _Waiting:
    """A request that has not begun (behind another one, or with a body of which only the first read was
    seen), and what has arrived of its body."""

    __slots__ = ("exchange", "pieces", "trailers")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.pieces: list[bytes] = []
        self.trailers: bytes | None = None
        """Not None once the request is complete."""


class ClientConnection(RequestReader, asyncio.Protocol):
    __slots__ = (
        "_connections",
        "_current",
        "_deadline",
        "_gate",
        "_is_clogged",
        "_is_closing",
        "_is_held",
        "_is_lingering",
        "_loop",
        "_queue",
        "_receiving",
        "_share",
        "_transport",
        "_tunnel",
        "is_trusted",
        "peer",
        "personal",
    )

    def __init__(self, gate: Gate, connections: Connections) -> None:
        super().__init__(gate.limits)
        self._gate = gate
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made before anything else
        self._current: Exchange | None = None
        self._receiving: Exchange | None = None
        self._queue: deque[_Waiting] = deque()
        self._tunnel: Tunnel | None = None
        self._is_held = False
        """The current exchange cannot take more of its body."""
        self._is_clogged = False
        """The client does not take what was written to it."""
        self._is_closing = False
        self._is_lingering = False
        self._deadline = 0.0
        self._share = ""
        """The name under which this connection is counted; empty if it is not (behind a trusted proxy the
        requests are counted instead)."""
        self.personal: Personal | None = None
        self.peer = LOCAL_PEER
        self.is_trusted = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._connections.opened(self):
            self.abort()
            return
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self.peer = peer_of(name)
        self.is_trusted = self._gate.trusted_proxies.trusts(self.peer)
        self._deadline = self._gate.time() + self._limits.idle_timeout
        if not self.is_trusted:
            share = network_of(self.peer)
            if self._gate.connections_per_address.take(share):
                self._share = share
            elif self._gate.connections_per_address.take(f"refused {share}"):
                # The connection stays for a moment, so that its 503 arrives. An address has as many of these
                # as it has connections: without a limit others would find no place.
                self._share = f"refused {share}"
                self._refuse(_TOO_MANY)
            else:
                self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.closed(self)
        self._is_closing = True
        if self._current is not None:
            self._current.client_lost()
        if self.personal is not None:
            self.personal.close()
            self.personal = None
        if self._share:
            self._gate.connections_per_address.give_back(self._share)
            self._share = ""
        # Parser, exchange and tunnel know this connection: without the knots it is freed now, not when the
        # collector comes by.
        self._current = self._receiving = self._tunnel = None
        self._queue.clear()
        self._parser = _NO_PARSER

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_clogged = True
        self._let_answer_flow(flows=False)

    def resume_writing(self) -> None:
        self._is_clogged = False
        self._let_answer_flow(flows=True)
        if self._current is None:
            self._next()

    def _let_answer_flow(self, *, flows: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.client_may_flow(flows=flows)
        elif self._current is not None:
            self._current.client_may_flow(flows=flows)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        if self._is_closing or self._refusal is not None:
            return
        current = self._current
        if current is not None and current.head.upgrade and self._receiving is None:
            self._refuse(_TOO_EARLY)
            return
        if not self._has_message:
            self._deadline = self._gate.time() + self._limits.head_timeout
            self._has_message = True
            self._line = data
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest and not self._is_closing and self._refusal is None:
            rest = self._parse(rest)
            if rest and self._queue and self._queue[-1].exchange.head.upgrade:
                # Bytes behind an offer that would go to the portal. Behind a declined one stands the next
                # request.
                self._queue.pop()
                self._refusal = _TOO_EARLY
        if self._refusal is not None:
            self._refuse(self._refusal)
        if self._queue:
            self._begin_queued()

    # httptools

    def on_headers_complete(self) -> None:
        if self._refusal is not None or self._is_closing:
            return
        head = self._finished_head()
        if head is None:
            return
        exchange = self._receiving = Exchange(self, self._gate, head)
        if self._current is not None or self._queue or head.has_body or head.upgrade or self._is_clogged:
            # A body begins only after all of this read was parsed: what turns out unreadable in it reaches
            # nobody.
            self._queue.append(_Waiting(exchange))

    def on_body(self, piece: bytes) -> None:
        self._was_heard = True
        receiving = self._receiving
        if receiving is None or self._refusal is not None:
            return
        if receiving is self._current:
            if not self._is_lingering:
                # A body that drips uses up its time and is cut: a slowloris holds a portal's connection, too.
                rate, latest = self._limits.body_rate, self._gate.time() + self._limits.body_timeout
                self._deadline = min(self._deadline + len(piece) / rate, latest) if rate else latest
            receiving.request_body(piece)
        elif self._queue:
            self._queue[-1].pieces.append(piece)

    def on_message_complete(self) -> None:
        receiving = self._receiving
        if receiving is None or self._refusal is not None or self._interrupted is not None:
            return
        lines = self._finished_trailers()
        if lines is None:
            return
        self._receiving = None
        if receiving is self._current:
            self._deadline = 0.0
            receiving.request_ended(lines)
            if self._is_lingering:
                self._next()
        elif self._queue:
            self._queue[-1].trailers = lines
        else:
            self._deadline = 0.0
            receiving.request_ended(lines)
            self._begin(receiving)

    # What an exchange asks of its connection.

    @property
    def may_stay(self) -> bool:
        return (
            self._current is not None and self._current.head.keeps_alive and not self._connections.is_draining
        )

    def write(self, *pieces: bytes) -> None:
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)

    def pause(self) -> None:
        self._is_held = True
        self._let_read()

    def resume(self) -> None:
        if self._is_held:
            self._is_held = False
            if self._receiving is not None:
                self._deadline = self._gate.time() + self._limits.body_timeout
            self._let_read()

    def _let_read(self) -> None:
        """Reads exactly while there is somebody to take what comes."""
        if self._is_closing:
            return
        if self._is_held or self._queue:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cuts the connection in a way that looks like no orderly end: an answer to HTTP/1.0 is complete
        where the connection ends."""
        self._is_closing = True
        raw = self._transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # it may have been closed by the other side
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._transport.abort()

    @property
    def is_clogged(self) -> bool:
        return self._is_clogged

    def tunnel(self, tunnel: Tunnel) -> None:
        if self._refusal is not None:
            self.abort()
            return
        self._tunnel = tunnel
        self._deadline = 0.0
        self._is_held = False
        self._let_read()

    def ended(self, *, keeps_alive: bool) -> None:
        """The current exchange is over. The connection goes on with the next request, or closes."""
        self._is_held = False
        if not keeps_alive or self._tunnel is not None:
            self._close()
        elif self._receiving is not None and self._receiving is self._current:
            # Answered before the request was complete: the rest is read and forgotten, for a while.
            self._is_lingering = True
            self._deadline = self._gate.time() + _LINGER_FOR
            self._let_read()
        else:
            self._next()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        try:
            exchange.begin()
        except Exception as error:  # noqa: BLE001  (whatever it is: it must not look like an allow, nor end other people's connections)
            report(error, "a request could not be begun")
            exchange.refuse_rest(500, Reason.UNEXPECTED)

    def _next(self) -> None:
        self._is_lingering = False
        self._current = None
        if self._is_closing:
            return
        limits = self._limits
        self._deadline = self._gate.time() + (
            limits.head_timeout if self._has_message else limits.idle_timeout
        )
        if self._queue:
            # On a turn of its own, so that a thousand pipelined requests do not become a thousand nested
            # calls.
            self._loop.call_soon(self._begin_queued)
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._let_read()

    def _begin_queued(self) -> None:
        if self._is_closing or self._is_clogged or self._current is not None or not self._queue:
            self._let_read()
            return
        waiting = self._queue.popleft()
        exchange = waiting.exchange
        if self._receiving is exchange:
            self._deadline = self._gate.time() + self._limits.body_timeout
        self._begin(exchange)
        for piece in waiting.pieces:
            exchange.request_body(piece)
        if waiting.trailers is not None:
            exchange.request_ended(waiting.trailers)
        self._let_read()

    def _refuse(self, refusal: HeadRefused) -> None:
        """Refuses what cannot be read, after the answers to what could be, and closes."""
        if self._is_closing:
            return
        self._refusal = refusal
        receiving, self._receiving = self._receiving, None
        if receiving is not None and receiving is self._current:
            # The body of a request that is already on its way turned out unreadable: nothing of it may look
            # complete.
            receiving.refuse_rest(refusal.status, refusal.reason)
            self._close()
            return
        if receiving is not None and self._queue and self._queue[-1].exchange is receiving:
            self._queue.pop()
        if self._current is None and not self._queue:
            exchange = self._current = Exchange(
                self, self._gate, RequestHead("GET", "", is_http_1_0=False, fields=[])
            )
            exchange.refuse_unread(refusal.status, refusal.reason, self._target)

    def _close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._queue.clear()
        limits = self._limits
        if self._refusal is None and self._receiving is None:
            self._deadline = self._gate.time() + limits.body_timeout
            self._transport.close()
            return
        # The client may still be sending. Closing now would answer that with a reset, which destroys our
        # answer on its way (RFC 9112 §9.6): what comes is read and forgotten until the client closes, too.
        self._deadline = self._gate.time() + _LINGER_FOR
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    # What the listener asks.

    @property
    def is_idle(self) -> bool:
        return self._current is None and not self._has_message and not self._queue

    @property
    def descriptor(self) -> int:
        """The number of its socket in this process; 0 if it has none."""
        raw = self._transport.get_extra_info("socket")
        return 0 if raw is None else cast("int", raw.fileno())

    @property
    def is_tunnel(self) -> bool:
        return self._tunnel is not None

    def leave(self) -> None:
        """The gateway is going down: ends what would not end by itself, in order. A request that is running
        may finish.

        May be called more than once, and is called every second while the listener drains: an event stream
        may begin meanwhile."""
        if self._is_closing:
            return
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)
        elif self._current is not None:
            self._current.leave()
        elif self.is_idle:
            self._close()

    def check(self, now: float) -> None:
        """Called about once a second: ends what has waited too long."""
        if self._connections.is_closed:
            self.leave()
        is_late = bool(self._deadline) and now > self._deadline
        if self._is_closing:
            if is_late:
                self._transport.abort()
        elif self._tunnel is not None:
            self._tunnel.check()
        elif self._current is None:
            if is_late:
                self._end_waiting()
        elif is_late and self._is_lingering:
            self._close()
        elif is_late and self._receiving is self._current and not self._is_held:
            self._refuse(HeadRefused(408, Reason.REQUEST_TIMEOUT, "request body took too long"))
        else:
            self._current.check(now)

    def _end_waiting(self) -> None:
        if self._has_message and not self._queue and not self._is_clogged:
            self._refuse(HeadRefused(408, Reason.REQUEST_TIMEOUT, "request head took too long"))
        else:
            self._close()
