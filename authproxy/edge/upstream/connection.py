"""One connection to a portal: sends a request, reads the answer with llhttp, and reports what arrives to the
transfer that uses it.

Framing follows RFC 9112 §6.3. An answer that ends before its length or last chunk is never reported as
complete. An answer that two readers could frame in two ways is reported as broken.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol, cast

import httptools

from authproxy.edge.rules import headers
from authproxy.edge.rules.public_addresses import PublicAddresses
from authproxy.edge.rules.request_head import Fields, authenticates_connection
from authproxy.edge.upstream import plain_answer
from authproxy.edge.upstream.plain_answer import PlainAnswer
from authproxy.edge.upstream.sloppy_head import SloppyHead

_LARGEST_HEAD: Final = 256 * 1024
"""Bytes that a portal may send before the body of a final answer, and in trailers. A broken portal must not
fill our memory."""
_VERSIONS: Final = frozenset({"1.1", "1.0"})
_NOWHERE: Final = -1
_IDLE_TIMEOUT: Final = re.compile(rb"HTTP/1\.[01] 408 ")
"""Some servers send this on an idle connection before they close it. It is unasked, but no attack."""
_PHRASE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CHALLENGES: Final = frozenset({b"www-authenticate", b"proxy-authenticate"})
_NO_PARSER: Final = httptools.HttpResponseParser(None)
"""What a closed connection has instead of one."""


class AnswerReader(Protocol):
    """What a connection reports to the transfer that uses it, in this order. `answer_failed` may come at any
    time and is the last report."""

    __slots__ = ()

    def answer_whole(self, plain: PlainAnswer, body: bytes) -> None:
        """A plain answer came in one piece. Nothing else is reported then."""
        ...

    def answer_began(self, head: AnswerHead) -> None: ...
    def answer_body(self, piece: bytes) -> None: ...
    def answer_ended(self, trailers: Fields) -> None: ...
    def answer_paused(self) -> None:
        """Nothing more comes in this turn of the loop."""
        ...

    def answer_failed(self, cause: str, *, is_broken_http: bool) -> None: ...
    def tunnel_bytes(self, piece: bytes) -> None: ...
    def tunnel_ended(self) -> None: ...
    def request_may_flow(self, *, flows: bool) -> None: ...


class AnswerHead:
    """Status, fields and framing of an answer. `length` is None if chunks or the end of the connection tell
    the end."""

    __slots__ = (
        "fields",
        "has_body",
        "has_date",
        "is_chunked",
        "is_endless",
        "is_http_1_0",
        "length",
        "lines",
        "phrase",
        "status",
    )

    def __init__(self, status: int, phrase: bytes, fields: Fields) -> None:
        self.status = status
        self.phrase = phrase
        self.fields = fields
        self.lines: bytes | None = None
        """The fields as lines for the client; None if they were parsed into `fields`."""
        self.length: int | None = None
        self.is_chunked = False
        self.is_endless = False
        """Whether it goes on until one side ends it (an event stream)."""
        self.has_body = True
        self.has_date = False
        self.is_http_1_0 = False


class UpstreamConnection(asyncio.Protocol):
    """Belongs to one transfer at a time. Between two it is idle in the pool; anything that arrives there
    closes it."""

    __slots__ = (
        "_answer",
        "_before_answer",
        "_defect",
        "_fields",
        "_is_head_request",
        "_is_paused",
        "_is_tunnel",
        "_left",
        "_parser",
        "_phrase",
        "_pool",
        "_reader",
        "_size_behind_chunk_header",
        "_sloppy",
        "_tolerated",
        "_transport",
        "idle_since",
        "is_authenticated",
        "is_open",
        "is_reusable",
        "is_stream",
        "served",
    )

    def __init__(self, pool: ConnectionOwner) -> None:
        self._pool = pool
        self._reader: AnswerReader | None = None
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made before anything else
        self._tolerated = pool.tolerated
        self._sloppy: SloppyHead | None = None
        """Mends the head that is awaited, for a portal whose faults are tolerated."""
        self._parser = self._new_parser()
        self._fields: Fields = []
        self._phrase = b""
        self._answer: AnswerHead | None = None
        self._left = 0
        self._is_head_request = False
        self._is_tunnel = False
        self._is_paused = False
        self._before_answer = 0
        self._size_behind_chunk_header = _NOWHERE
        """About how many bytes have arrived behind the size of a chunk before any byte of the chunk. The last
        chunk has no bytes, so there these are the trailers. -1 elsewhere."""
        self._defect: str | None = None
        """What is wrong with the answer. It is noted during the parsing, which cannot be stopped."""
        self.is_open = False
        self.is_reusable = pool.reuses
        self.is_stream = False
        """Whether it counts among the pool's streams."""
        self.is_authenticated = False
        """Whether somebody has authenticated on it, so that nobody else may use it any more."""
        self.idle_since = 0.0
        self.served = 0

    # What the transfer asks.

    def begin(self, reader: AnswerReader, head: bytes, *, is_head_request: bool) -> None:
        """Sends a request head; the answer goes to `reader`."""
        self._reader = reader
        self._is_head_request = is_head_request
        self._defect = None
        self._answer = None
        self._before_answer = 0
        self._size_behind_chunk_header = _NOWHERE
        if self._tolerated is not None:
            self._sloppy = SloppyHead(self._tolerated)
        self.served += 1
        self._transport.write(head)

    def write(self, piece: bytes) -> None:
        self._transport.write(piece)

    def pause(self) -> None:
        if self.is_open:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.is_open and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def end(self) -> None:
        """Ends a tunnel, after what was written has been sent."""
        reader, self._reader = self._reader, None
        self.is_reusable = False
        self._transport.close()
        if reader is not None:
            reader.tunnel_ended()

    def abandon(self) -> None:
        """Ends the use before the answer is complete. The connection is cut and serves nobody else."""
        self._reader = None
        self.is_reusable = False
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        # The parser knows this connection. Without this reference both are freed now, not when the garbage
        # collector runs.
        self._parser = _NO_PARSER
        reader, self._reader = self._reader, None
        self._pool.lost(self)
        if reader is None:
            return
        if self._is_tunnel:
            reader.tunnel_ended()
        elif self._answer is not None and self._ends_with_connection(self._answer) and exc is None:
            reader.answer_ended([])
        else:
            reader.answer_failed(
                "the portal closed the connection before its answer was complete", is_broken_http=False
            )

    def eof_received(self) -> bool:
        # The transport closes now and reports that a turn later. In between the pool must not hand this
        # connection out.
        self.is_reusable = False
        return False

    def pause_writing(self) -> None:
        if self._reader is not None:
            self._reader.request_may_flow(flows=False)

    def resume_writing(self) -> None:
        if self._reader is not None:
            self._reader.request_may_flow(flows=True)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            # Response queue poisoning: an answer without a request is an attack on the next request.
            if not _IDLE_TIMEOUT.match(data):
                self._unasked_bytes()
            self.is_reusable = False
            self._transport.abort()
        elif self._is_tunnel:
            reader.tunnel_bytes(data)
        elif self._left > len(data):
            # In the middle of a body of known length there is nothing to parse.
            self._left -= len(data)
            reader.answer_body(data)
            reader.answer_paused()
        else:
            if self._sloppy is not None:
                data = self._mended(self._sloppy, data)
                if not data:
                    return
            plain = (
                None
                if self._left or self._before_answer or self._is_head_request
                else plain_answer.read(data)
            )
            if plain is not None:
                self._pass(plain, data, reader)
            else:
                self._parse(data)
            if self._reader is not None:
                self._reader.answer_paused()

    def _mended(self, sloppy: SloppyHead, data: bytes) -> bytes:
        """What can be read now. A portal with such faults may have further ones, so the connection serves
        nobody else afterwards: what this answer was read as must not matter to the next one."""
        data = sloppy.mended(data)
        if sloppy.is_over:
            self._sloppy = None
        elif sloppy.waiting > _LARGEST_HEAD:
            self._fail("the head of the portal's answer is too large")
            return b""
        if sloppy.has_mended:
            self.is_reusable = False
        return data

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        if self._pads_chunk_sizes:
            # Blanks between a size and the end of its line, or its extension. No other leniency of llhttp is
            # safe: they also let pass what can be read in two ways.
            parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        return parser

    @property
    def _pads_chunk_sizes(self) -> bool:
        return self._tolerated is not None and "padded_chunk_sizes" in self._tolerated

    def _pass(self, plain: PlainAnswer, data: bytes, reader: AnswerReader) -> None:
        """Reports a plain answer. The parser has not seen it and is ready for the next one."""
        if plain.has_address and self._pool.addresses is not None:
            plain.lines = self._pool.addresses.in_lines(plain.lines)
        if len(data) - plain.body_at == plain.length:
            self._reader = None
            self.resume()
            reader.answer_whole(plain, data[plain.body_at :])
            return
        head = AnswerHead(plain.status, plain.phrase, [])
        head.lines = plain.lines
        head.length = plain.length
        head.has_date = plain.has_date
        self._answer = head
        reader.answer_began(head)
        body = data[plain.body_at :]
        self._left = plain.length - len(body)
        if self._reader is None:
            return
        if body:
            reader.answer_body(body)
        if not self._left:
            self._end([])

    def _parse(self, data: bytes) -> None:
        if self._left:
            self._finish_counted(data)
            return
        if self._answer is None:
            self._before_answer += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            self.abandon()
            raise
        except httptools.HttpParserError:
            if self._size_behind_chunk_header != _NOWHERE and self._defect is None:
                self._end_without_trailers()
            else:
                self._fail("the portal's answer is not HTTP")
        else:
            if self._defect is not None:
                self._fail(self._defect)
            elif self._reader is not None and self._answer is None and self._before_answer > _LARGEST_HEAD:
                self._fail("the head of the portal's answer is too large")
            elif self._size_behind_chunk_header != _NOWHERE:
                self._size_behind_chunk_header += len(data)
                if self._size_behind_chunk_header > _LARGEST_HEAD:
                    self._end_without_trailers()

    def _end_without_trailers(self) -> None:
        """RFC 9112 §7.1: the answer is complete with its last chunk. What follows cannot be read, so the
        connection is not used again."""
        self.is_reusable = False
        self._end([])

    def _finish_counted(self, data: bytes) -> None:
        piece, rest = data[: self._left], data[self._left :]
        self._left = 0
        if rest:
            self._unasked_bytes()
        # The old parser is still in the middle of this body.
        self._parser = self._new_parser()
        if self._reader is not None:
            self._reader.answer_body(piece)
            self._end([])

    def _unasked_bytes(self) -> None:
        """Bytes that belong to no answer have arrived. The portal may send such bytes again, perhaps while
        somebody else waits for an answer."""
        self.is_reusable = False
        if not self._transport.is_closing():
            self._pool.spoke_unasked()

    def _switch(self, first: bytes) -> None:
        self._is_tunnel = True
        self.is_reusable = False
        if first and self._reader is not None:
            self._reader.tunnel_bytes(first)

    def _fail(self, cause: str) -> None:
        reader, self._reader = self._reader, None
        self.is_reusable = False
        self._transport.abort()
        if reader is not None:
            reader.answer_failed(cause, is_broken_http=True)

    def _end(self, trailers: Fields) -> None:
        reader, self._reader = self._reader, None
        self._answer = None
        self._size_behind_chunk_header = _NOWHERE
        # The client may have stopped the reading at the last piece. For the next transfer, reading must be
        # on.
        self.resume()
        if reader is not None:
            reader.answer_ended(trailers)

    @staticmethod
    def _ends_with_connection(answer: AnswerHead) -> bool:
        return answer.has_body and not answer.is_chunked and answer.length is None

    # httptools

    def on_message_begin(self) -> None:
        if self._reader is None:
            # These bytes begin an answer without a request. They would be taken for the beginning of the next
            # answer.
            self._unasked_bytes()
        self._fields = []
        self._phrase = b""

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        reader = self._reader
        if reader is None or self._answer is not None:
            self.is_reusable = False
            return
        status = self._parser.get_status_code()
        addresses = self._pool.addresses
        fields = self._fields if addresses is None else addresses.in_fields(self._fields)
        head = AnswerHead(status, self._phrase, fields)
        self._fields = []
        version = self._parser.get_http_version()
        head.is_http_1_0 = version == "1.0"
        if version not in _VERSIONS:
            self._defect = "the portal's answer is of another version of HTTP"
            return
        if (
            status < 100
            or not _PHRASE.fullmatch(self._phrase)
            or (status == 101 and not self._parser.should_upgrade())
        ):
            self._defect = "the portal's status line is malformed, or switches to no protocol"
            return
        if status >= 200:
            self._frame(head)
            if self._defect is not None:
                return
            self._answer = head
            if not head.has_body and self._may_have_body(head):
                self.is_reusable = False
        reader.answer_began(head)
        if self._is_head_request and status >= 200:
            # RFC 9112 §6.3: an answer to HEAD has no body. llhttp would wait for the one that its head
            # announces.
            self._parser = self._new_parser()
            self._end([])

    @staticmethod
    def _may_have_body(answer: AnswerHead) -> bool:
        """Whether the portal may send a body behind an answer that must not have one (to HEAD, 204, 304). It
        would be read as the answer to the next request, which may be somebody else's. It may come at any
        time, so only the head is judged and no pause proves anything."""
        if answer.is_chunked or answer.length:
            return True
        return answer.length is None and answer.status not in {204, 304}

    def _frame(self, head: AnswerHead) -> None:
        for name, value in head.fields:
            length_of_name = len(name)
            if length_of_name == 14 and name.lower() == b"content-length":
                digits = value.strip(b" \t")
                head.length = int(digits) if digits.isdigit() else None
            elif length_of_name == 17 and name.lower() == b"transfer-encoding":
                head.is_chunked = True
                if self._pads_chunk_sizes:
                    self.is_reusable = False  # as in `_mended`: llhttp does not say whether it was needed
                # RFC 9110 §5.5: blanks behind a value are no part of it. A tab stays, because llhttp does not
                # recognise `chunked` before one.
                if value.rstrip(b" ").lower() != b"chunked":
                    self._defect = "the portal's answer has a transfer coding other than chunked"
            elif length_of_name == 4 and name.lower() == b"date":
                head.has_date = True
            elif length_of_name == 12 and name.lower() == b"content-type":
                head.is_endless = headers.is_endless(value)
            elif (
                16 <= length_of_name <= 18 and name.lower() in _CHALLENGES and authenticates_connection(value)
            ):
                self.is_authenticated = True
        if self._is_head_request or head.status in (204, 304):
            head.has_body = False
        if not self._parser.should_keep_alive():
            self.is_reusable = False

    def on_chunk_header(self) -> None:
        self._size_behind_chunk_header = 0

    def on_body(self, piece: bytes) -> None:
        self._size_behind_chunk_header = _NOWHERE
        reader, answer = self._reader, self._answer
        if reader is None or answer is None:
            self.is_reusable = False
            return
        if answer.length is not None and len(piece) < answer.length:
            # The rest is only counted.
            self._left = answer.length - len(piece)
        reader.answer_body(piece)

    def on_message_complete(self) -> None:
        if self._answer is not None:
            self._end(self._fields)


class ConnectionOwner(Protocol):
    """What a connection uses of its pool, which creates it and so stands above it."""

    @property
    def reuses(self) -> bool:
        """Whether a connection may serve more than one request."""
        ...

    @property
    def addresses(self) -> PublicAddresses | None:
        """What the portal calls itself and browsers do not; None if there is no such thing."""
        ...

    @property
    def tolerated(self) -> frozenset[str] | None:
        """Faults of answers that are mended; None if none are."""
        ...

    def lost(self, connection: UpstreamConnection) -> None: ...
    def spoke_unasked(self) -> None: ...
