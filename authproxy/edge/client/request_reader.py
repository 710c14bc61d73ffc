"""Reads requests with llhttp: collects heads, bounds them, and says which bytes are no request.

What must be refused is noted and not raised: the parser cannot be stopped in the middle of what it was given.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, cast

import httptools

from authproxy.access.decision import Reason
from authproxy.edge.rules import headers, request_head
from authproxy.edge.rules.request_head import Fields, HeadRefused, RequestHead
from authproxy.edge.site import Limits

_CALLBACKS: Final = (b"/.authproxy/callback/rekono?", b"/.authproxy/callback/acnlb?")
_TAB: Final = 0x09
_SPACE: Final = 0x20
_H: Final = 0x48
_AROUND: Final = len(b"  HTTP/1.1\r\n\r\n")
"""Bytes of a head beside method, target and fields."""
_RTSP: Final = re.compile(rb" +RTSP/")
_REMEMBERED: Final = 64
"""Bytes of an unfinished request line that are kept until more arrives."""


class _Connection(Protocol):
    """The whole of a client connection, as llhttp calls it."""

    def on_message_begin(self) -> None: ...
    def on_url(self, piece: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, piece: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class _Resumed:
    """Stands between a new parser and a reader that has had the head already: keeps the repeated head to
    itself, passes on the rest."""

    __slots__ = ("_is_repeating", "_reader")

    def __init__(self, reader: _Connection) -> None:
        self._reader = reader
        self._is_repeating = True

    def on_message_begin(self) -> None:
        if not self._is_repeating:
            self._reader.on_message_begin()

    def on_url(self, piece: bytes) -> None:
        if not self._is_repeating:
            self._reader.on_url(piece)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_repeating:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_repeating:
            self._is_repeating = False
        else:
            self._reader.on_headers_complete()

    def on_body(self, piece: bytes) -> None:
        self._reader.on_body(piece)

    def on_message_complete(self) -> None:
        self._reader.on_message_complete()


class RequestReader:
    """The reading half of a client connection, which adds what happens when a head, a piece of a body or a
    request is complete."""

    __slots__ = (
        "_before",
        "_fields",
        "_has_message",
        "_head_size",
        "_interrupted",
        "_largest_head",
        "_limits",
        "_line",
        "_most_fields",
        "_near",
        "_parser",
        "_read",
        "_refusal",
        "_target",
        "_unheard_size",
        "_was_heard",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._largest_head = limits.head_size
        self._most_fields = limits.header_count
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: Fields = []
        self._head_size = 0
        self._unheard_size = 0
        """Bytes of a field or chunk extension that is not complete."""
        self._line = b""
        """The read that began with the request line; empty if something stood before it."""
        self._before = b""
        """The end of what was read before `_read`, as far as it belongs to an unfinished head."""
        self._read = b""
        self._near: bytes | None = None
        """What was read around here, if there is a protocol in it that is not HTTP; None if nobody has looked
        yet."""
        self._interrupted: RequestHead | None = None
        """A head whose body llhttp does not read, because an upgrade was offered with it."""
        self._has_message = False
        """Whether a request has begun to arrive and is not complete."""
        self._was_heard = False
        self._refusal: HeadRefused | None = None

    def _parse(self, data: bytes) -> bytes | None:
        """Parses. Where a head with Upgrade ended the parsing, returns what stands behind it; otherwise
        None."""
        size_before = self._head_size
        self._was_heard = False
        self._read = data
        self._near = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            interrupted, self._interrupted = self._interrupted, None
            self._read = b""  # a tunnel may last for hours
            self._parser = (
                httptools.HttpRequestParser(self) if interrupted is None else self._resumed(interrupted)
            )
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            raise  # a fault of ours: the loop reports it and cuts the connection
        except httptools.HttpParserInvalidMethodError:
            self._refusal = self._refusal or HeadRefused(
                405, Reason.METHOD_UNSUPPORTED, "method is not known"
            )
        except httptools.HttpParserError:
            self._refusal = self._refusal or HeadRefused(
                400, Reason.REQUEST_UNREADABLE, "request is not HTTP"
            )
        else:
            if self._has_message:
                self._before = (
                    data[-_REMEMBERED:] if len(data) >= _REMEMBERED else (self._before + data)[-_REMEMBERED:]
                )
                if self._was_heard or self._head_size != size_before:
                    self._unheard_size = 0
                else:
                    # A field or chunk extension that never ends is seen by no callback: what arrived without
                    # completing one counts too.
                    self._unheard_size += len(data)
                    self._check_head()
        self._read = b""
        return None

    def _resumed(self, head: RequestHead) -> httptools.HttpRequestParser:
        """A parser that stands behind this head. llhttp stops there for an upgrade, also for one that is
        declined; the body is part of the request then (RFC 9110 §7.8). It gets the framing that goes to the
        portal, and nothing else of the head."""
        parser = httptools.HttpRequestParser(_Resumed(cast("_Connection", self)))
        framing = (
            b"Transfer-Encoding: chunked"
            if head.is_chunked
            else b"Content-Length: %d" % (head.content_length or 0)
        )
        parser.feed_data(
            b"POST / HTTP/1.1\r\n%s\r\n%s\r\n"
            % (framing, b"" if head.keeps_alive else b"Connection: close\r\n")
        )
        return parser

    def _finished_head(self) -> RequestHead | None:
        """The head that is complete now; None if it must be refused."""
        parser = self._parser
        try:
            head = request_head.parse(
                parser.get_method(), self._target, parser.get_http_version(), self._fields
            )
        except HeadRefused as refused:
            self._refusal = refused
            return None
        if self._head_size + len(head.method) > self._largest_head:
            self._refusal = HeadRefused(431, Reason.HEAD_TOO_LARGE, "head is too large")
            return None
        if self._is_rtsp(head):
            self._refusal = HeadRefused(505, Reason.REQUEST_UNREADABLE, "protocol is not HTTP")
            return None
        head.keeps_alive = parser.should_keep_alive()
        if head.upgrade:
            upgrades = parser.should_upgrade()
            if not (upgrades and head.offers_websocket):
                # Only WebSocket is tunnelled; any other offer (h2c, TLS) is declined by not hearing it (RFC
                # 9110 §7.8).
                head.upgrade = b""
                if upgrades and head.has_body:
                    self._interrupted = head
            elif head.has_body:
                # Whether it is a body or belongs to the new protocol depends on the answer, which nobody
                # knows yet.
                self._refusal = HeadRefused(400, Reason.REQUEST_UNREADABLE, "WebSocket handshake with a body")
                return None
            else:
                head.keeps_alive = True
        self._fields = []
        self._head_size = self._unheard_size = 0
        return head

    def _is_rtsp(self, head: RequestHead) -> bool:
        """Whether the request line ends in `RTSP/1.x`, which llhttp takes for GET, POST and OPTIONS and does
        not tell from HTTP.

        A line at the beginning of a read is judged by one byte. Of others (pipelined, or in pieces) the bytes
        around are searched."""
        line, self._line = self._line, b""
        at = len(head.method) + len(self._target) + 2
        if at < len(line) and line[at] == _H:
            return False
        near = self._near
        if near is None:
            seen = self._before + self._read
            near = self._near = _RTSP.sub(b" RTSP/", seen) if seen.find(b" RTSP/") >= 0 else b""
        return bool(near) and near.find(self._target[-_REMEMBERED // 2 :] + b" RTSP/") >= 0

    def _finished_trailers(self) -> bytes | None:
        """The trailers of the request that is complete now, as lines; None if they must be refused."""
        self._was_heard = True
        self._line = b""
        fields, self._fields = self._fields, []
        lines = headers.trailers(fields) if fields else b""
        if lines is None:
            self._refusal = HeadRefused(
                400, Reason.REQUEST_UNREADABLE, "a field that must not come after a body"
            )
        else:
            self._has_message = False
            self._head_size = self._unheard_size = 0
            self._before = b""
        return lines

    def _check_head(self) -> None:
        if self._head_size + self._unheard_size > self._largest_head or len(self._fields) > self._most_fields:
            self._refusal = self._refusal or HeadRefused(431, Reason.HEAD_TOO_LARGE, "head is too large")

    # httptools

    def on_message_begin(self) -> None:
        self._was_heard = True
        self._target = b""
        self._fields = []
        self._has_message = True
        self._head_size = _AROUND
        self._unheard_size = 0

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        self._head_size += len(piece)
        if len(self._target) <= self._limits.target_size:
            return
        # Whoever comes back from a sign-in with a longer one is told on a page what to do: the pages judge
        # it, within the whole head.
        if len(self._target) > self._largest_head or not self._target.startswith(_CALLBACKS):
            self._refusal = self._refusal or HeadRefused(414, Reason.TARGET_TOO_LONG, "target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves blanks behind a value, which are no part of it (RFC 9110 §5.5); it frames without
        # them.
        if value and (value[-1] == _SPACE or value[-1] == _TAB):
            value = value.rstrip(b" \t")
        self._fields.append((name, value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._largest_head or len(self._fields) > self._most_fields:
            self._check_head()
