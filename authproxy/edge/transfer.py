"""Streams one request to a portal (or to our own pages) and its answer back, with the framing of each side
and at the pace of the slower one.

Back-pressure goes both ways: when one side cannot take more, the other is not read. So only what is on its
way is in memory.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import Marking
from authproxy.edge.client_side import ClientSide
from authproxy.edge.rules import headers
from authproxy.edge.rules.request_head import Fields, RequestHead
from authproxy.edge.site import EdgeLimits, Gate
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.upstream.authenticated_connection import AuthenticatedConnection
from authproxy.edge.upstream.connection import AnswerHead, AnswerReader, UpstreamConnection
from authproxy.edge.upstream.plain_answer import PlainAnswer
from authproxy.edge.upstream.pool import UpstreamPool, UpstreamUnreachable

_CONTINUE_AFTER: Final = 1.0
"""Seconds after which a client that waits for `100 Continue` gets it from the gateway."""
_LONG_AFTER: Final = 10.0
"""Seconds after which an exchange counts among the portal's streams and no longer among its requests, if
there is room among the streams."""
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"})


class TransferOwner(Protocol):
    """The exchange that a transfer belongs to. One of the methods is called once, when the transfer is over
    or becomes a tunnel."""

    __slots__ = ()

    @property
    def may_stay(self) -> bool:
        """Whether the client's connection can be used again after this answer."""
        ...

    def transferred(self, *, keeps_alive: bool) -> None:
        """The answer is complete."""
        ...

    def not_transferred(self, status: int, reason: Reason) -> None:
        """It failed before the first byte of an answer, so another answer can be given."""
        ...

    def broken(self) -> None:
        """It failed after the first byte, so the client's connection must be cut."""
        ...

    def switched(self, connection: UpstreamConnection) -> None:
        """The portal has switched protocols; the 101 has been written."""
        ...


class Transfer(AnswerReader):
    """`head` is that of the request that is sent. It is not the client's if a refusal page or a kept form is
    sent. `limits` are those of the way that it takes."""

    __slots__ = (
        "_client",
        "_connection",
        "_continue_timer",
        "_deadline",
        "_gate",
        "_head",
        "_is_endless",
        "_is_over",
        "_keeps_alive",
        "_limits",
        "_outgoing",
        "_owner",
        "_pool",
        "_ready",
        "_request_is_complete",
        "_sends_chunks",
        "_ticket",
        "_trailers",
        "_waiting_pieces",
        "marking",
        "only_status",
        "sent",
        "sent_at",
        "status",
        "tunnel",
    )

    def __init__(
        self,
        *,
        owner: TransferOwner,
        client: ClientSide,
        gate: Gate,
        pool: UpstreamPool,
        limits: EdgeLimits,
        head: RequestHead,
        outgoing: bytes,
        ticket: str | None,
    ) -> None:
        self._owner = owner
        self._client = client
        self._gate = gate
        self._pool = pool
        self._limits = limits
        self._head = head
        self._outgoing = outgoing
        self._ticket = ticket
        self._connection: UpstreamConnection | None = None
        self._waiting_pieces: list[bytes] | None = []
        """What has arrived of the body before there was a connection; None once there is one."""
        self._request_is_complete = not head.has_body
        self._trailers = b""
        self._keeps_alive = False
        self._sends_chunks = False
        self._continue_timer: asyncio.TimerHandle | None = None
        self._ready: list[bytes] = []
        """Bytes for the client that arrived in this turn of the loop."""
        self._deadline = 0.0
        self._is_endless = False
        self._is_over = False
        self.tunnel: Tunnel | None = None
        self.marking: Marking | None = None
        """Marks the portal's cookies that belong to one person; None if it has none."""
        self.only_status = 0
        """If it is not 0, an answer with another status is none. A front proxy that asks would take a 200 for
        leave to let its client pass."""
        self.status = 0
        self.sent = 0
        self.sent_at = 0.0

    def start(self) -> None:
        connection = None
        if self._client.authenticated_upstream is not None:
            connection = self._client.authenticated_upstream.take(self._pool, self._ticket)
        if connection is None:
            connection = self._pool.take_idle(self._gate.time())
        if connection is not None:
            self._connected(connection)
        else:
            self._gate.start(self._connect(), self._gave_up)

    async def _connect(self) -> None:
        try:
            connection = await self._pool.connect()
        except UpstreamUnreachable as unreachable:
            is_timeout = unreachable.is_timeout
            if not self._is_over:
                reason = Reason.PORTAL_TIMEOUT if is_timeout else Reason.PORTAL_UNREACHABLE
                self._fail(504 if is_timeout else 502, reason)
            return
        if self._is_over:
            self._pool.give_back(connection, self._gate.time())
        else:
            self._connected(connection)

    def _gave_up(self) -> None:
        if not self._is_over:
            self._fail(502, Reason.UNEXPECTED)

    def _connected(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self.sent_at = self._gate.time()
        if self._head.authenticates_connection:
            connection.is_authenticated = True
        connection.begin(self, self._outgoing, is_head_request=self._head.method == "HEAD")
        pieces, self._waiting_pieces = self._waiting_pieces, None
        if pieces:
            # This must come before the pieces are sent: a portal that cannot take them all pauses the client
            # again.
            self._client.resume()
            for piece in pieces:
                self._send(piece)
        if self._request_is_complete:
            self._send_end()
        elif self._head.expects_continue:
            self._continue_timer = asyncio.get_running_loop().call_later(_CONTINUE_AFTER, self._continue)

    def _continue(self) -> None:
        # The portal ignores `Expect: 100-continue`, as servers of HTTP/1.0 do. RFC 9110 §10.1.1: an
        # intermediary may answer in its place.
        self._continue_timer = None
        if not self.status and not self._is_over:
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # From the client.

    def request_body(self, piece: bytes) -> None:
        if self._waiting_pieces is not None:
            self._waiting_pieces.append(piece)
            self._client.pause()
        else:
            self._send(piece)

    def request_ended(self, trailers: bytes) -> None:
        """The request is complete; `trailers` are finished lines."""
        if not self._request_is_complete:
            self._request_is_complete = True
            self._trailers = trailers
            if self._connection is not None:
                self._send_end()

    def _send(self, piece: bytes) -> None:
        if self._connection is not None:
            self._connection.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self._head.is_chunked else piece)

    def _send_end(self) -> None:
        if self._connection is not None:
            if self._head.is_chunked:
                self._connection.write(b"0\r\n%s\r\n" % self._trailers)
            if not self.status:
                self._deadline = self._gate.time() + self._limits.first_byte_timeout

    def client_may_flow(self, *, flows: bool) -> None:
        self._deadline = self._gate.time() + self._limits.body_timeout
        if self._connection is not None:
            if flows:
                self._connection.resume()
            else:
                self._connection.pause()

    def stop(self) -> None:
        """Ends the transfer without a report to the owner. The portal sees a closed connection."""
        self._is_over = True
        self._waiting_pieces = None
        self._stop_continue_timer()
        if self.tunnel is not None:
            self.tunnel.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def check(self, now: float) -> None:
        """Called about once a second. The transfer fails if a portal that has the request, or takes no more
        of it, says nothing for too long; also if an answer makes no progress for too long, on either side."""
        if (
            (
                (self._deadline and now > self._deadline)
                or (
                    self._limits.whole_timeout
                    and now > self.sent_at + self._limits.whole_timeout
                    and not self._is_endless
                )
            )
            and not self._is_over
            and self._connection is not None
            and self.status != 101
        ):
            self._fail(504, Reason.PORTAL_TIMEOUT)
        elif (
            self._connection is not None
            and now - self.sent_at > _LONG_AFTER
            and (self.status or not self._request_is_complete)
        ):
            # The answer or the request's body takes long. If the portal is only silent after the whole
            # request, the exchange stays among the requests.
            self._pool.count_as_stream(self._connection)

    @property
    def is_endless(self) -> bool:
        """Whether the answer has begun and ends only when one side ends it."""
        return self._is_endless

    def wind_down(self) -> None:
        """The gateway is going down, or the session is over: ends an answer that would never end, with its
        last chunk."""
        if self._is_endless and not self._is_over:
            self._keeps_alive = False
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.abandon()
            self.answer_ended([])

    # From the portal.

    def request_may_flow(self, *, flows: bool) -> None:
        if not self.status and not self._request_is_complete:
            self._deadline = 0.0 if flows else self._gate.time() + self._limits.first_byte_timeout
        if flows:
            self._client.resume()
        else:
            self._client.pause()

    def answer_whole(self, plain: PlainAnswer, body: bytes) -> None:
        if self.only_status and plain.status != self.only_status:
            self._fail(502, Reason.UNEXPECTED)
            return
        connection, self._connection = self._connection, None
        self._is_over = True
        self._stop_continue_timer()
        self.status = plain.status
        stays = self._owner.may_stay
        connection_line = headers.connection_line(keeps_alive=stays, is_http_1_0=self._head.is_http_1_0)
        added = self._pool.via.line
        if not plain.has_date:
            added += self._gate.date_line()
        wire = b"%s\r\n%s%sContent-Length: %d\r\n%s\r\n%s" % (
            plain.status_line,
            plain.lines,
            added,
            plain.length,
            connection_line,
            body,
        )
        self.sent += len(wire)
        if self._ready:
            self._client.write_all([*self._ready, wire])
        else:
            self._client.write(wire)
        if connection is not None:
            self._give_back(connection)
        self._owner.transferred(keeps_alive=stays)

    def _give_back(self, connection: UpstreamConnection) -> None:
        if not self._request_is_complete:
            connection.is_reusable = False
        if connection.is_authenticated:
            self._keep(connection)
        else:
            self._pool.give_back(connection, self._gate.time())

    def _keep(self, connection: UpstreamConnection) -> None:
        """Somebody has authenticated on this connection, so it stays with their client connection and
        session."""
        earlier, self._client.authenticated_upstream = self._client.authenticated_upstream, None
        if earlier is not None and not earlier.has(connection):
            earlier.close()
        if self._ticket is None:
            connection.is_reusable = False
        if self._pool.keep_authenticated(connection, self._gate.time()) and self._ticket is not None:
            self._client.authenticated_upstream = AuthenticatedConnection(
                self._pool, connection, self._ticket
            )

    def answer_began(self, head: AnswerHead) -> None:
        if self.only_status and head.status != self.only_status:
            self._fail(502, Reason.UNEXPECTED)
            return
        if head.status == 100 or head.status >= 200:
            self._stop_continue_timer()
        if head.status == 101:
            self._switch(head)
        elif head.status >= 200:
            self._begin_answer(head)
        elif not self._head.is_http_1_0:
            self._write(
                headers.returning(b"HTTP/1.1 %d %s\r\n" % (head.status, head.phrase), head.fields, b"\r\n")
            )

    def _begin_answer(self, head: AnswerHead) -> None:
        self.status = head.status
        self._deadline = self._gate.time() + self._limits.body_timeout
        stays = self._owner.may_stay
        if head.length is not None and head.status != 204:
            framing = b"Content-Length: %d\r\n" % head.length
        elif not head.has_body:
            framing = b""
        elif self._head.is_http_1_0:
            framing, stays = b"", False
        else:
            framing, self._sends_chunks = b"Transfer-Encoding: chunked\r\n", True
        framing += headers.connection_line(keeps_alive=stays, is_http_1_0=self._head.is_http_1_0)
        if not head.has_date:
            framing += self._gate.date_line()
        framing += self._pool.via.line_of_1_0 if head.is_http_1_0 else self._pool.via.line
        self._keeps_alive = stays
        if head.is_endless and head.length is None:
            self._is_endless = True
            if self._connection is not None:
                self._pool.count_as_stream(self._connection)
        status_line = b"HTTP/1.1 %d %s\r\n" % (head.status, head.phrase)
        is_own = self._pool is self._gate.pages
        if head.lines is not None:
            self._write(b"%s%s%s\r\n" % (status_line, head.lines, framing))
        else:
            if self.marking is not None:
                framing += self.marking.lines(head.fields)
            self._write(
                headers.returning(status_line, head.fields, framing + b"\r\n", may_set_own_cookies=is_own)
            )

    def _switch(self, head: AnswerHead) -> None:
        connection = self._connection
        if not self._head.upgrade or connection is None:
            self._fail(502, Reason.PORTAL_ANSWER_INVALID)
            return
        self.status = 101
        ending = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        if self.marking is not None:
            ending = self.marking.lines(head.fields) + ending
        self._write(headers.returning(b"HTTP/1.1 101 %s\r\n" % head.phrase, head.fields, ending))
        self.answer_paused()
        self._pool.count_as_stream(connection)
        self._owner.switched(connection)

    def answer_body(self, piece: bytes) -> None:
        self._deadline = self._gate.time() + self._limits.body_timeout
        self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if self._sends_chunks else piece)

    def answer_ended(self, trailers: Fields) -> None:
        connection, self._connection = self._connection, None
        self._is_over = True
        if connection is not None:
            self._give_back(connection)
        if self._sends_chunks:
            self._write(b"0\r\n%s\r\n" % (headers.trailers(trailers) or b""))
        self.answer_paused()
        self._owner.transferred(keeps_alive=self._keeps_alive)

    def answer_failed(self, cause: str, *, is_broken_http: bool) -> None:
        del cause
        connection, self._connection = self._connection, None
        if self._is_over:
            return
        was_reused = connection is not None and connection.served > 1
        if (
            was_reused
            and not self.status
            and not is_broken_http
            and self._head.method in _REPEATABLE
            and not self._head.has_body
        ):
            # The portal closed an idle connection at the moment we used it. RFC 9110 §9.2.2: only idempotent
            # requests may be sent again by themselves.
            self._gate.start(self._connect(), self._gave_up)
        else:
            self._fail(502, Reason.PORTAL_ANSWER_INVALID if is_broken_http else Reason.PORTAL_UNREACHABLE)

    def tunnel_bytes(self, piece: bytes) -> None:
        passed = piece if self.tunnel is None else self.tunnel.from_portal(piece)
        if passed:
            self._write(passed)
            self.answer_paused()

    def tunnel_ended(self) -> None:
        self._connection = None
        if not self._is_over:
            self.stop()
            self._owner.transferred(keeps_alive=False)

    def _fail(self, status: int, reason: Reason) -> None:
        has_begun = self.status > 0
        self.answer_paused()
        self.stop()
        if has_begun:
            self._owner.broken()
        else:
            self._owner.not_transferred(status, reason)

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        self._ready.append(data)

    def answer_paused(self) -> None:
        """Writes what has been collected to the client. So head and body of a small answer take one system
        call instead of two."""
        ready = self._ready
        if ready:
            self._ready = []
            self._client.write_all(ready)

    def _stop_continue_timer(self) -> None:
        if self._continue_timer is not None:
            self._continue_timer.cancel()
            self._continue_timer = None
