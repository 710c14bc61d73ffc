"""One connection of a client: requests in order, pipelined or not, time limits, back-pressure, upgrade, and an orderly end.

Implements RFC 9112 §9 (connection management) for the server side. llhttp reads; a request begins when the one before it has been
answered, and until then the reading stops, so that nobody can make us hold a queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from authproxy.access.decision import Reason
from authproxy.edge import request_head
from authproxy.edge.client_address import LOCAL_PEER
from authproxy.edge.exchange import Exchange
from authproxy.edge.request_head import Fields, HeadRefused, RequestHead
from authproxy.edge.site import Gate
from authproxy.edge.tunnel import Tunnel

_LINGER_FOR = 2.0
"""Seconds in which a client may finish sending a request that was answered without its body; then the connection is cut."""


class Connections(Protocol):
    """The listener's side: knows who is connected."""

    is_draining: bool

    def opened(self, connection: ClientConnection) -> bool:
        """False if there is no room for one more."""
        ...

    def closed(self, connection: ClientConnection) -> None: ...


class _Waiting:
    """A pipelined request behind the current one, with what has already arrived of its body."""

    __slots__ = ("exchange", "pieces", "trailers")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.pieces: list[bytes] = []
        self.trailers: Fields | None = None
        """Not None once the request is complete."""


class ClientConnection(asyncio.Protocol):
    __slots__ = (
        "_connections", "_current", "_deadline", "_fields", "_gate", "_has_message", "_head_size", "_is_closing", "_is_lingering", "_loop",
        "_parser", "_queue", "_receiving", "_refusal", "_target", "_transport", "_tunnel", "_wants_keep_alive", "is_trusted", "peer",
    )  # fmt: skip

    def __init__(self, gate: Gate, connections: Connections) -> None:
        self._gate = gate
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made before anything else
        self._parser = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._receiving: Exchange | None = None
        self._queue: deque[_Waiting] = deque()
        self._tunnel: Tunnel | None = None
        self._target = b""
        self._fields: Fields = []
        self._has_message = False
        self._head_size = 0
        self._refusal: HeadRefused | None = None
        self._wants_keep_alive = True
        self._is_closing = False
        self._is_lingering = False
        self._deadline = 0.0
        self.peer = LOCAL_PEER
        self.is_trusted = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._connections.opened(self):
            self._transport.abort()
            return
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self.peer = name[0]
        self.is_trusted = self._gate.trusted.trusts(self.peer)
        self._deadline = self._gate.time() + self._gate.limits.idle_for

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.closed(self)
        self._is_closing = True
        if self._current is not None:
            self._current.client_lost()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._let_answer_flow(flows=False)

    def resume_writing(self) -> None:
        self._let_answer_flow(flows=True)

    def _let_answer_flow(self, *, flows: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.client_may_flow(flows=flows)
        elif self._current is not None:
            self._current.client_may_flow(flows=flows)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        if self._is_closing:
            return
        if not self._has_message:
            self._deadline = self._gate.time() + self._gate.limits.head_for
            self._has_message = True
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        size_before = self._head_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            self._refuse(HeadRefused(405, Reason.METHOD_UNSUPPORTED, "method is not known"))
        except httptools.HttpParserError:
            self._refuse(HeadRefused(400, Reason.REQUEST_UNREADABLE, "request is not HTTP"))
        else:
            if self._receiving is None and self._refusal is None and self._head_size == size_before:
                # A field that never ends is seen by no callback: what arrived without completing one counts too.
                self._count_head(len(data))
            elif self._refusal is not None:
                self._refuse(self._refusal)

    def _after_upgrade(self, rest: bytes) -> None:
        """The parser stops after a head with Upgrade. The bytes behind it wait until the portal has switched, or are the next request."""
        self._parser = httptools.HttpRequestParser(self)
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._receiving is not None:
            receiving, self._receiving = self._receiving, None
            self._complete(receiving)
        if rest:
            # A client that speaks the new protocol before it has the 101 does not wait to be understood (RFC 9110 §7.8).
            self._refuse(HeadRefused(400, Reason.REQUEST_UNREADABLE, "bytes after an upgrade request"))

    # httptools

    def on_message_begin(self) -> None:
        self._target = b""
        self._fields = []
        self._has_message = True
        self._head_size = 0

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > self._gate.limits.target_size:
            self._refusal = self._refusal or HeadRefused(414, Reason.TARGET_TOO_LONG, "target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))
        self._count_head(len(name) + len(value) + 4)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        limits = self._gate.limits
        if self._head_size > limits.head_size + limits.target_size or len(self._fields) > limits.header_count:
            self._refusal = self._refusal or HeadRefused(431, Reason.HEAD_TOO_LARGE, "head is too large")
            if self._receiving is None:
                self._refuse(self._refusal)

    def on_headers_complete(self) -> None:
        if self._refusal is not None or self._is_closing:
            return
        parser = self._parser
        try:
            head = request_head.parse(parser.get_method(), self._target, parser.get_http_version(), self._fields)
        except HeadRefused as refused:
            self._refusal = refused
            return
        if head.upgrade and (not parser.should_upgrade() or head.upgrade.lower() != b"websocket" or head.method != "GET"):
            # Only WebSocket is tunnelled; any other offer (h2c, TLS) is declined by not hearing it (RFC 9110 §7.8).
            head.upgrade = b""
        self._wants_keep_alive = parser.should_keep_alive() or bool(head.upgrade)
        self._fields = []
        self._head_size = 0
        exchange = self._receiving = Exchange(self, self._gate, head)
        if self._current is None:
            self._begin(exchange)
        else:
            self._queue.append(_Waiting(exchange))
            self._transport.pause_reading()

    def on_body(self, piece: bytes) -> None:
        if self._receiving is not None and self._refusal is None:
            self._deadline = self._gate.time() + self._gate.limits.body_for
            if self._receiving is self._current:
                self._receiving.request_body(piece)
            elif self._queue:
                self._queue[-1].pieces.append(piece)

    def on_message_complete(self) -> None:
        receiving, self._receiving = self._receiving, None
        if receiving is not None and self._refusal is None:
            self._complete(receiving)

    def _complete(self, exchange: Exchange) -> None:
        self._has_message = False
        self._deadline = 0.0
        trailers, self._fields = self._fields, []
        self._head_size = 0
        if exchange is self._current:
            exchange.request_ended(trailers)
        elif self._queue:
            self._queue[-1].trailers = trailers
        if self._is_lingering:
            self._next()

    # What an exchange asks of its connection.

    @property
    def may_stay(self) -> bool:
        return self._wants_keep_alive and not self._connections.is_draining

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        if not self._is_closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._is_closing:
            self._transport.resume_reading()

    def abort(self) -> None:
        self._is_closing = True
        self._transport.abort()

    def tunnel(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._deadline = 0.0
        self.resume()

    def ended(self, *, keeps_alive: bool) -> None:
        """The current exchange is over. The connection goes on with the next request, or closes."""
        if not keeps_alive or not self.may_stay or self._tunnel is not None:
            self._close()
        elif self._receiving is not None and self._receiving is self._current:
            # Answered before the request was complete: the rest is read and forgotten, for a while.
            self._is_lingering = True
            self._deadline = self._gate.time() + _LINGER_FOR
            self.resume()
        else:
            self._next()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        exchange.begin()

    def _next(self) -> None:
        self._is_lingering = False
        self._current = None
        if self._is_closing:
            return
        if self._refusal is not None and not self._queue:
            self._refuse(self._refusal)
            return
        self._deadline = self._gate.time() + (self._gate.limits.head_for if self._has_message else self._gate.limits.idle_for)
        if self._queue:
            # On a turn of its own, so that a thousand pipelined requests do not become a thousand nested calls.
            self._loop.call_soon(self._begin_queued)
        else:
            self.resume()

    def _begin_queued(self) -> None:
        if self._is_closing or self._current is not None or not self._queue:
            return
        waiting = self._queue.popleft()
        if not self._queue:
            self.resume()
        self._begin(waiting.exchange)
        for piece in waiting.pieces:
            waiting.exchange.request_body(piece)
        if waiting.trailers is not None:
            waiting.exchange.request_ended(waiting.trailers)

    def _refuse(self, refusal: HeadRefused) -> None:
        """Refuses what cannot be read, after the answers to what could be, and closes."""
        if self._is_closing:
            return
        self._refusal = refusal
        if self._current is not None:
            if self._current is self._receiving:
                # The body of a request that is already on its way turned out unreadable: nothing of it may look complete.
                self._current.client_lost()
                self.abort()
            return
        head = RequestHead("GET", "", is_http_1_0=False, fields=[])
        exchange = self._current = Exchange(self, self._gate, head)
        exchange.refuse_unread(refusal.status, refusal.reason)

    def _close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._transport.close()

    # What the listener asks.

    @property
    def is_idle(self) -> bool:
        return self._current is None and not self._has_message and not self._queue

    @property
    def is_tunnel(self) -> bool:
        return self._tunnel is not None

    def close_if_idle(self) -> None:
        if self.is_idle:
            self._close()

    def check(self, now: float) -> None:
        """Called about once a second: ends what has waited too long."""
        if self._tunnel is not None:
            self._tunnel.check()
            return
        if self._current is not None:
            self._current.check(now)
        if not self._deadline or now <= self._deadline or self._is_closing:
            return
        if self._current is None and self._has_message:
            self._refuse(HeadRefused(408, Reason.REQUEST_TIMEOUT, "request head took too long"))
        elif self._current is None or self._is_lingering:
            self._close()
        elif self._receiving is self._current and self._transport.is_reading():
            self._current.client_lost()
            self.abort()
