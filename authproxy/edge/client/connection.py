"""One connection of a client: requests in order, pipelined or not, time limits, back-pressure, upgrade, and
an orderly end.

Implements RFC 9112 §9 (connection management) for the server side. A request begins when the one before it
has been answered. Until then nothing more is read, so that no more than one read of the socket waits in
memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

from authproxy.access.client_networks import network_of
from authproxy.access.decision import Reason
from authproxy.edge.client.request_reader import RequestEnd, RequestPart, RequestReader
from authproxy.edge.client_side import ClientSide
from authproxy.edge.exchange import Exchange
from authproxy.edge.rules.client_address import LOCAL_PEER, peer_of
from authproxy.edge.rules.request_head import HeadRefused, RequestHead
from authproxy.edge.rules.websocket import GOING_AWAY
from authproxy.edge.site import Gate, report
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.upstream.authenticated_connection import AuthenticatedConnection

_LINGER_FOR: Final = 2.0
"""Seconds in which a client may finish sending a request that was answered without its body. Then the
connection is cut."""
_TOO_EARLY: Final = HeadRefused(400, Reason.REQUEST_UNREADABLE, "bytes after an upgrade request")
"""RFC 9110 §7.8: a client must not speak the new protocol before it has the 101."""
_TOO_MANY: Final = HeadRefused(
    503, Reason.TOO_MANY_CONNECTIONS, "more connections from one address than it may have"
)
_LINGER_FOR_NO_TIME: Final = struct.pack("ii", 1, 0)


def reset_at_close(raw: socket.socket) -> None:
    """Makes the closing of a TCP socket a reset (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):  # the other side may have closed it
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_FOR_NO_TIME)


class ConnectionRegister(Protocol):
    """What connections and TLS handshakes report to the listener, which creates them and so stands above
    them."""

    is_draining: bool
    """Whether connections are closed with their answers."""
    is_closed: bool
    """Whether no new connection is accepted. Whatever would not end by itself must be ended then."""

    def accepted(self, descriptor: int, peer: str) -> ClientConnection | None:
        """A socket was accepted, and a TLS handshake with `peer` begins; without TLS that is empty. Returns
        the connection that counts from now on; None if there is no room for one more, for one more of this
        peer, or for one with this descriptor."""
        ...

    def arrived(self, connection: ClientConnection) -> None:
        """The connection is made, or its TLS handshake has failed; then it counts no longer."""
        ...

    def descriptors_exhausted(self) -> None:
        """The process has no descriptor for a connection that waits."""
        ...

    def opened(self, connection: ClientConnection) -> bool:
        """False if there is no room for one more."""
        ...

    def rests(self, connection: ClientConnection) -> None:
        """A connection has no current request any more although the gateway is draining."""
        ...

    def closed(self, connection: ClientConnection) -> None: ...


class _QueuedRequest:
    """A request that has not begun, and what has arrived of its body. It stands behind another request, or it
    has a body of which only the first read was parsed."""

    __slots__ = ("exchange", "pieces", "trailers")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.pieces: list[bytes] = []
        self.trailers: bytes | None = None
        """Not None once the request is complete."""


class ClientConnection(asyncio.Protocol, ClientSide):
    __slots__ = (
        "_body_is_paused",
        "_current",
        "_deadline",
        "_gate",
        "_is_clogged",
        "_is_closing",
        "_is_held",
        "_is_lingering",
        "_limits",
        "_loop",
        "_queue",
        "_reader",
        "_receiving",
        "_refusal",
        "_register",
        "_share",
        "_transport",
        "_tunnel",
    )

    def __init__(self, gate: Gate, register: ConnectionRegister) -> None:
        self._gate = gate
        self._limits = gate.limits
        self._register = register
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made before anything else
        self._reader = RequestReader(gate.limits, gate.known_heads)
        self._receiving: Exchange | None = None
        """The exchange whose request is arriving."""
        self._queue: deque[_QueuedRequest] = deque()
        self._current: Exchange | None = None
        """The exchange that has begun and is not over."""
        self._tunnel: Tunnel | None = None
        self._refusal: HeadRefused | None = None
        """Why nothing more is read; it is answered after the requests before it."""
        self._body_is_paused = False
        """Whether the current exchange cannot take more of its body."""
        self._is_clogged = False
        """Whether the client does not take what was written to it."""
        self._is_lingering = False
        """Whether the current exchange is answered and the rest of its request is read and forgotten."""
        self._is_closing = False
        self._is_held = False
        """Whether nothing more is read, because another process goes on with the connection."""
        self._deadline = 0.0
        """When what is going on has taken too long, in the time of the gate; 0 for never."""
        self._share = ""
        """The name under which this connection is counted; empty if it is not (behind a trusted proxy,
        requests are counted instead)."""
        self.authenticated_upstream: AuthenticatedConnection | None = None
        self.peer = LOCAL_PEER
        self.is_trusted = False

    # The connection begins and ends.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._register.opened(self):
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
                # as it has connections: without a limit, others would find no room.
                self._share = f"refused {share}"
                self._refuse(_TOO_MANY)
            else:
                self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._register.closed(self)
        self._is_closing = True
        if self._current is not None:
            self._current.client_lost()
        if self.authenticated_upstream is not None:
            self.authenticated_upstream.close()
            self.authenticated_upstream = None
        if self._share:
            self._gate.connections_per_address.give_back(self._share)
            self._share = ""
        # Exchange and tunnel know this connection. Without these references it is freed now, not when the
        # garbage collector runs.
        self._current = self._receiving = self._tunnel = None
        self._queue.clear()
        self._reader.close()

    # Bytes arrive.

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
        if current is None and not self._queue and not self._is_clogged:
            head = self._reader.known_head(data, is_from_proxy=self.is_trusted)
            if head is not None:
                self._deadline = 0.0
                exchange = Exchange(self, self._gate, head)
                exchange.request_ended(b"")
                self._begin(exchange)
                return
        if not self._reader.is_in_request:
            self._deadline = self._gate.time() + self._limits.head_timeout
        self._reader.read_begins(data)
        self._read(data)
        if self._queue:
            self._begin_queued()

    def _read(self, data: bytes) -> None:
        reader, unread = self._reader, data
        while unread and not self._is_closing:
            unread = reader.feed(unread)
            self._take(reader.take_parts())
            if reader.refusal is not None:
                self._refuse(reader.refusal)
                return
            if unread and self._queue and self._queue[-1].exchange.head.upgrade:
                # Bytes behind the handshake of a WebSocket. Behind another offer, which is declined, stands
                # the next request.
                self._queue.pop()
                self._refuse(_TOO_EARLY)
                return

    def _take(self, parts: list[RequestPart]) -> None:
        for part in parts:
            if self._is_closing:
                return
            if isinstance(part, RequestHead):
                self._head_arrived(part)
            elif isinstance(part, RequestEnd):
                self._request_complete(part.trailers)
            else:
                self._body_arrived(part)

    def _head_arrived(self, head: RequestHead) -> None:
        exchange = self._receiving = Exchange(self, self._gate, head)
        if self._current is not None or self._queue or head.has_body or head.upgrade or self._is_clogged:
            # A request with a body begins only after this whole read was parsed: if something in it is
            # unreadable, nothing of it reaches the portal.
            self._queue.append(_QueuedRequest(exchange))

    def _body_arrived(self, piece: bytes) -> None:
        receiving = self._receiving
        if receiving is None:
            return
        if receiving is self._current:
            if not self._is_lingering:
                # A body that drips uses up its time and is cut: a slowloris holds a portal's connection, too.
                rate, latest = self._limits.body_rate, self._gate.time() + self._limits.body_timeout
                self._deadline = min(self._deadline + len(piece) / rate, latest) if rate else latest
            receiving.request_body(piece)
        elif self._queue:
            self._queue[-1].pieces.append(piece)

    def _request_complete(self, trailers: bytes) -> None:
        receiving, self._receiving = self._receiving, None
        if receiving is None:
            return
        if receiving is self._current:
            self._deadline = 0.0
            receiving.request_ended(trailers)
            if self._is_lingering:
                self._next()
        elif self._queue:
            self._queue[-1].trailers = trailers
        else:
            self._deadline = 0.0
            receiving.request_ended(trailers)
            self._begin(receiving)

    # Exchanges begin, one after the other.

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        try:
            exchange.begin()
        except Exception as error:  # noqa: BLE001  (whatever it is: it must not look like an allow, nor end other people's connections)
            report(error, "a request could not be begun")
            exchange.refuse_rest(500, Reason.UNEXPECTED)

    def _begin_queued(self) -> None:
        if self._is_closing or self._is_clogged or self._current is not None or not self._queue:
            self._let_read()
            return
        queued = self._queue.popleft()
        exchange = queued.exchange
        if self._receiving is exchange:
            self._deadline = self._gate.time() + self._limits.body_timeout
        self._begin(exchange)
        for piece in queued.pieces:
            exchange.request_body(piece)
        if queued.trailers is not None:
            exchange.request_ended(queued.trailers)
        self._let_read()

    def ended(self, *, keeps_alive: bool) -> None:
        """The current exchange is over. The connection goes on with the next request, or closes."""
        self._body_is_paused = False
        if not keeps_alive or self._tunnel is not None:
            self._close()
        elif self._receiving is not None and self._receiving is self._current:
            # Answered before the request was complete: the rest is read and forgotten, for a while.
            self._is_lingering = True
            self._deadline = self._gate.time() + _LINGER_FOR
            self._let_read()
        else:
            self._next()

    def _next(self) -> None:
        self._is_lingering = False
        self._current = None
        if self._register.is_draining:
            self._register.rests(self)
        if self._is_closing:
            return
        limits = self._limits
        waits_for = limits.head_timeout if self._reader.is_in_request else limits.idle_timeout
        self._deadline = self._gate.time() + waits_for
        if self._queue:
            # In a later turn of the loop, so that a thousand pipelined requests do not become a thousand
            # nested calls.
            self._loop.call_soon(self._begin_queued)
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._let_read()

    def become_tunnel(self) -> None:
        if self._refusal is not None or self._current is None:
            self.abort()
            return
        self._tunnel = self._current.tunnel
        self._deadline = 0.0
        self._body_is_paused = False
        self._let_read()

    # What an exchange writes, and back-pressure.

    @property
    def may_stay(self) -> bool:
        return self._current is not None and self._current.head.keeps_alive and not self._register.is_draining

    def write(self, piece: bytes) -> None:
        self._transport.write(piece)

    def write_all(self, pieces: list[bytes]) -> None:
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)

    @property
    def is_clogged(self) -> bool:
        return self._is_clogged

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

    def pause(self) -> None:
        self._body_is_paused = True
        self._let_read()

    def resume(self) -> None:
        if self._body_is_paused:
            self._body_is_paused = False
            if self._receiving is not None:
                self._deadline = self._gate.time() + self._limits.body_timeout
            self._let_read()

    def _let_read(self) -> None:
        """Reads exactly while there is somebody to take what comes."""
        if self._is_closing:
            return
        if self._body_is_paused or self._queue or self._is_held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # Refusing and closing.

    def _refuse(self, refusal: HeadRefused) -> None:
        """Refuses what cannot be read, after the answers to the requests before it, and closes."""
        if self._is_closing:
            return
        self._refusal = refusal
        receiving, self._receiving = self._receiving, None
        if receiving is not None and receiving is self._current:
            # The request is already on its way to the portal and its body turned out unreadable: nothing of
            # it may look complete.
            receiving.refuse_rest(refusal.status, refusal.reason)
            self._close()
            return
        if receiving is not None and self._queue and self._queue[-1].exchange is receiving:
            self._queue.pop()
        if self._current is None and not self._queue:
            exchange = self._current = Exchange(
                self, self._gate, RequestHead("GET", "", is_http_1_0=False, fields=[])
            )
            exchange.refuse_unread(refusal.status, refusal.reason, self._reader.target)

    def _close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._queue.clear()
        if self._refusal is None and self._receiving is None:
            self._deadline = self._gate.time() + self._limits.body_timeout
            self._transport.close()
            return
        # RFC 9112 §9.6: the client may still be sending. If we closed now, the system would answer that with
        # a reset, which destroys our answer on its way. So what comes is read and forgotten until the client
        # closes, too.
        self._deadline = self._gate.time() + _LINGER_FOR
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def abort(self) -> None:
        """Cuts the connection with a reset. An orderly end would look like a complete answer to HTTP/1.0."""
        self._is_closing = True
        raw = self._transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            reset_at_close(raw)
        self._transport.abort()

    # What the listener asks.

    @property
    def is_idle(self) -> bool:
        return self._current is None and not self._reader.is_in_request and not self._queue

    @property
    def descriptor(self) -> int:
        """The number of its socket in this process; 0 if it has none."""
        raw = self._transport.get_extra_info("socket")
        return 0 if raw is None else cast("int", raw.fileno())

    @property
    def has_tls(self) -> bool:
        return self._transport.get_extra_info("sslcontext") is not None

    @property
    def is_plain_tcp(self) -> bool:
        raw = self._transport.get_extra_info("socket")
        return raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6) and not self.has_tls

    def move_to(self, gate: Gate, register: ConnectionRegister) -> None:
        """Goes on at another gate, which judges every request that has not begun. Does nothing while one is
        being answered. A connection whose upstream connection knows its person by itself is closed."""
        if self._is_closing or self._current is not None or self._refusal is not None:
            return
        if self.authenticated_upstream is not None:
            self._close()
            return
        self._register.closed(self)
        if self._share:
            self._gate.connections_per_address.give_back(self._share)
            self._share = ""
        deadline = self._deadline
        self.begin_at(gate, register)
        self.connection_made(self._transport)
        if self._reader.is_in_request:
            self._deadline = deadline
        for queued in self._queue:
            exchange = Exchange(self, gate, queued.exchange.head)
            if self._receiving is queued.exchange:
                self._receiving = exchange
            queued.exchange = exchange

    def close_between_requests(self) -> None:
        """Closes, unless a request is being answered. One that has not begun is not answered any more."""
        if self._current is None:
            self._close()

    def hold(self) -> None:
        """Reads nothing more after an answer, because another process will go on. A request that is here and
        has not begun cannot go there, and the connection is closed."""
        if self.is_idle:
            self._is_held = True
        else:
            self._close()

    def give_away(self, give: Callable[[int], bool], *, is_last_try: bool) -> bool:
        """Gives the connection to another process, which judges its next request: `give` takes a descriptor,
        and says whether it could. False if it is to be tried again, because the last answer is not sent yet,
        or a head is arriving. At the last try it is closed. What is being answered is not touched."""
        if self._is_closing or self._current is not None:
            return True
        if is_last_try and not self.is_idle:
            self.abort()
            return True
        if not self.is_idle:
            return False
        raw = self._transport.get_extra_info("socket")
        if is_last_try or raw is None or self.has_tls or self.authenticated_upstream is not None:
            self._close()
            return True
        # What comes from now on is for the other process.
        self._is_held = True
        self._transport.pause_reading()
        if self._transport.get_write_buffer_size() or not give(os.dup(raw.fileno())):
            return False
        # Our descriptor is closed, and the connection goes on with the other one.
        self._is_closing = True
        self._transport.abort()
        return True

    def begin_at(self, gate: Gate, register: ConnectionRegister) -> None:
        """Belongs to another gate. A head that is arriving is still read by the limits of the one before."""
        self._gate = gate
        self._limits = gate.limits
        self._register = register
        if not self._reader.is_in_request:
            self._reader.close()
            self._reader = RequestReader(gate.limits, gate.known_heads)

    @property
    def is_tunnel(self) -> bool:
        return self._tunnel is not None

    def wind_down(self) -> None:
        """The gateway is going down: ends in order what would not end by itself. A request that is running
        may finish.

        Called every second while the listener drains, because an event stream may begin meanwhile."""
        if self._is_closing:
            return
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)
        elif self._current is not None:
            self._current.wind_down()
        elif self.is_idle:
            self._close()

    def check(self, now: float) -> None:
        """Called about once a second: ends what has waited too long."""
        if self._register.is_closed:
            self.wind_down()
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
        elif is_late and self._receiving is self._current and not self._body_is_paused:
            self._refuse(HeadRefused(408, Reason.REQUEST_TIMEOUT, "request body took too long"))
        else:
            self._current.check(now)

    def _end_waiting(self) -> None:
        if self._reader.is_in_request and not self._queue and not self._is_clogged:
            self._refuse(HeadRefused(408, Reason.REQUEST_TIMEOUT, "request head took too long"))
        else:
            self._close()
