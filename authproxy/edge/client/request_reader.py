"""Reads requests with llhttp: bytes go in, and heads, pieces of bodies and ends of requests come out in
order.

A reader knows no connection. What must be refused is noted in `refusal` and not raised, because the parser
cannot be stopped in the middle of a read. Parts that stood before it are still handed out.
"""

from __future__ import annotations

from typing import Final

import httptools

from authproxy.access.decision import Reason
from authproxy.access.target import with_encoded_query
from authproxy.edge.client.rtsp import RtspDetector
from authproxy.edge.rules import headers, known_heads, request_head
from authproxy.edge.rules.known_heads import KnownHeads, ReadHead
from authproxy.edge.rules.request_head import Fields, HeadRefused, RequestHead
from authproxy.edge.site import EdgeLimits

_CALLBACKS: Final = (b"/.authproxy/callback/rekono?", b"/.authproxy/callback/acnlb?")
_TAB: Final = 0x09
_SPACE: Final = 0x20
_AROUND: Final = len(b"  HTTP/1.1\r\n\r\n")
"""Bytes of a head beside method, target and fields."""
_NO_PARSER: Final = httptools.HttpRequestParser(None)
"""What a closed reader has instead of one."""


class RequestEnd:
    """The end of a request. `trailers` are finished lines."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: bytes) -> None:
        self.trailers = trailers


RequestPart = RequestHead | bytes | RequestEnd
"""A head, a piece of the body, or the end."""
_END_WITHOUT_TRAILERS: Final = RequestEnd(b"")


class RequestReader:
    __slots__ = (
        "_declined_upgrade",
        "_fields",
        "_goes_on",
        "_head_size",
        "_is_repeating_head",
        "_known",
        "_largest_head",
        "_largest_target",
        "_most_fields",
        "_parser",
        "_parts",
        "_rtsp",
        "_uncounted_size",
        "_unknown",
        "_was_called_back",
        "is_in_request",
        "refusal",
        "target",
    )

    def __init__(self, limits: EdgeLimits, known: KnownHeads) -> None:
        self._known = known
        self._unknown: ReadHead | None = None
        """What the next `feed` reads, if that may be known the next time."""
        self._goes_on = True
        """Whether the parser expects another message."""
        self._largest_head = limits.head_size
        self._largest_target = limits.target_size
        self._most_fields = limits.header_count
        self._parser = httptools.HttpRequestParser(self)
        self._rtsp = RtspDetector()
        self._fields: Fields = []
        self._head_size = 0
        self._uncounted_size = 0
        """Bytes of a field or chunk extension that is not complete."""
        self._was_called_back = False
        """Whether this read has completed anything."""
        self._declined_upgrade: RequestHead | None = None
        """A head with a body, behind which llhttp stops because an upgrade was offered."""
        self._is_repeating_head = False
        self._parts: list[RequestPart] = []
        self.target = b""
        """The raw target of the latest request, as far as it has arrived."""
        self.is_in_request = False
        """Whether a request has begun to arrive and is not complete. From the first byte of a read on: an
        empty line in front of a request is a part of it."""
        self.refusal: HeadRefused | None = None
        """Why the rest of the connection cannot be read. Once it is set, `feed` must not be called again."""

    def known_head(self, data: bytes, *, is_from_proxy: bool) -> RequestHead | None:
        """To be called once for what the socket has brought, before everything else, if no request is being
        answered. The head of a whole request without a body whose fields are known; None if `data` must be
        fed. The parser does not see what is known, and stays at the beginning of a message: 45 % of the
        instructions of a subrequest (callgrind)."""
        if self.is_in_request or not self._goes_on or self.refusal is not None:
            return None
        found = known_heads.read(data, is_from_proxy=is_from_proxy)
        if found is None or len(data) > self._largest_head or len(found.target) > self._largest_target:
            return None
        head = self._known.find(found)
        if head is None:
            self._unknown = found
        else:
            self.target = found.target
        return head

    def read_begins(self, data: bytes) -> None:
        """To be called once for what the socket has brought, before `feed`."""
        if not self.is_in_request:
            self.is_in_request = True
            self._rtsp.request_begins(data)

    def feed(self, data: bytes) -> bytes:
        """Reads `data`; the parts are to be taken then. Returns what stands behind a head with an
        upgrade, which has not been read yet; otherwise nothing."""
        unknown, self._unknown = self._unknown, None
        rtsp = self._rtsp
        rtsp.read_begins(data)
        self._was_called_back = False
        size_before = self._head_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rtsp.read_ends(unfinished=None)  # a tunnel may last for hours
            self._read_on()
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            raise  # a fault of ours: the loop reports it and cuts the connection
        except httptools.HttpParserInvalidURLError:
            line = None if self._parts else self._with_encoded_query(data)
            if line is not None:
                return self.feed(line)
            self._refuse(400, Reason.REQUEST_UNREADABLE, "target contains raw non-ASCII bytes, or controls")
        except httptools.HttpParserInvalidMethodError:
            self._refuse(405, Reason.METHOD_UNSUPPORTED, "method is not known")
        except httptools.HttpParserError:
            self._refuse(400, Reason.REQUEST_UNREADABLE, "request is not HTTP")
        else:
            if self.is_in_request:
                if self._was_called_back or self._head_size != size_before:
                    self._uncounted_size = 0
                else:
                    # No callback reports a field or chunk extension that never ends. So bytes that complete
                    # nothing count too.
                    self._uncounted_size += len(data)
                    self._check_head_size()
            if unknown is not None:
                self._learn(unknown)
        rtsp.read_ends(unfinished=self.target if self._head_size else None)
        return b""

    def _learn(self, unknown: ReadHead) -> None:
        """Remembers what was read, if it was one whole request."""
        if len(self._parts) == 2 and self._goes_on:
            head = self._parts[0]
            if isinstance(head, RequestHead) and self._parts[1] is _END_WITHOUT_TRAILERS:
                self._known.learn(unknown, head)

    def take_parts(self) -> list[RequestPart]:
        """What the last `feed` has read, in order. Nothing of it stays here: an idle connection keeps no
        head."""
        parts, self._parts = self._parts, []
        return parts

    def close(self) -> None:
        """Parser and reader know each other. Afterwards they do not, and are freed without the collector."""
        self._parser = _NO_PARSER

    def _read_on(self) -> None:
        """Prepares for what stands behind an upgrade.

        llhttp stops behind every head that offers one, also when the offer is declined and the body is part
        of the request (RFC 9110 §7.8). A new parser is then given a head with the framing that goes to the
        portal and nothing else, and reads the body."""
        head, self._declined_upgrade = self._declined_upgrade, None
        parser = self._parser = httptools.HttpRequestParser(self)
        if head is None:
            return
        framing = (
            b"Transfer-Encoding: chunked"
            if head.is_chunked
            else b"Content-Length: %d" % (head.content_length or 0)
        )
        end = b"" if head.keeps_alive else b"Connection: close\r\n"
        target = self.target
        self._is_repeating_head = True
        parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n%s\r\n" % (framing, end))
        self._is_repeating_head = False
        self.target = target
        self._fields = []
        self._head_size = 0

    def _with_encoded_query(self, data: bytes) -> bytes | None:
        """The request line that llhttp cannot read, from its beginning, and what stands behind it in this
        read, to be read by a new parser; None if encoding the query does not help. What stands in this read
        in front of the line, a pipelined request, is not looked for: old browsers pipeline nothing."""
        if not (self._was_called_back or self.target):
            return None  # what has arrived of the method in earlier reads is not known
        begun = b"%s %s" % (self._parser.get_method(), self.target) if self.target else b""
        # RFC 9112 §2.2: empty lines in front of a request line are ignored.
        line, line_end, rest = (data if begun else data.lstrip(b"\r\n")).partition(b"\n")
        encoded = with_encoded_query(begun + line)
        if encoded == begun + line:
            return None
        self._parser = httptools.HttpRequestParser(self)
        encoded += line_end + rest
        self._rtsp.request_begins(encoded)
        return encoded

    def _refuse(self, status: int, reason: Reason, cause: str) -> None:
        if self.refusal is None:
            self.refusal = HeadRefused(status, reason, cause)

    def _check_head_size(self) -> None:
        if (
            self._head_size + self._uncounted_size > self._largest_head
            or len(self._fields) > self._most_fields
        ):
            self._refuse(431, Reason.HEAD_TOO_LARGE, "head is too large")

    # httptools

    def on_message_begin(self) -> None:
        self._was_called_back = True
        self._goes_on = False
        self.target = b""
        self._fields = []
        self.is_in_request = True
        self._head_size = _AROUND
        self._uncounted_size = 0

    def on_url(self, piece: bytes) -> None:
        self.target += piece
        self._head_size += len(piece)
        if len(self.target) <= self._largest_target:
            return
        # A provider may send people back with a longer one. They are told on a page what to do, so the pages
        # judge it, within the limit of the whole head.
        if len(self.target) > self._largest_head or not self.target.startswith(_CALLBACKS):
            self._refuse(414, Reason.TARGET_TOO_LONG, "target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        # RFC 9110 §5.5: blanks behind a value are no part of it. llhttp leaves them there, and frames without
        # them.
        if value and (value[-1] == _SPACE or value[-1] == _TAB):
            value = value.rstrip(b" \t")
        self._fields.append((name, value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._largest_head or len(self._fields) > self._most_fields:
            self._check_head_size()

    def on_headers_complete(self) -> None:
        if self.refusal is not None or self._is_repeating_head:
            return
        head = self._complete_head()
        if head is not None:
            self._fields = []
            self._head_size = self._uncounted_size = 0
            self._parts.append(head)

    def _complete_head(self) -> RequestHead | None:
        """The head that is complete now; None if it is refused."""
        parser = self._parser
        try:
            head = request_head.parse(
                parser.get_method(), self.target, parser.get_http_version(), self._fields
            )
        except HeadRefused as refused:
            self.refusal = refused
            return None
        if self._head_size + len(head.method) > self._largest_head:
            self._refuse(431, Reason.HEAD_TOO_LARGE, "head is too large")
            return None
        if self._rtsp.is_rtsp(head.method, self.target):
            self._refuse(505, Reason.REQUEST_UNREADABLE, "protocol is not HTTP")
            return None
        head.keeps_alive = self._goes_on = parser.should_keep_alive()
        if not head.upgrade:
            return head
        if not (parser.should_upgrade() and head.offers_websocket):
            # RFC 9110 §7.8: a server may ignore an offer. Only that of a WebSocket is kept, no other one
            # (h2c, TLS).
            head.upgrade = b""
            if parser.should_upgrade() and head.has_body:
                self._declined_upgrade = head
            return head
        if head.has_body:
            # Whether it is a body or belongs to the new protocol depends on the answer, which nobody knows
            # yet.
            self._refuse(400, Reason.REQUEST_UNREADABLE, "WebSocket handshake with a body")
            return None
        head.keeps_alive = True
        return head

    def on_body(self, piece: bytes) -> None:
        self._was_called_back = True
        if self.refusal is None:
            self._parts.append(piece)

    def on_message_complete(self) -> None:
        if self.refusal is not None or self._declined_upgrade is not None:
            return
        self._was_called_back = True
        self._rtsp.request_ends()
        fields, self._fields = self._fields, []
        lines = headers.trailers(fields) if fields else b""
        if lines is None:
            self._refuse(400, Reason.REQUEST_UNREADABLE, "a field that must not come after a body")
            return
        self.is_in_request = False
        self._head_size = self._uncounted_size = 0
        self._parts.append(RequestEnd(lines) if lines else _END_WITHOUT_TRAILERS)
