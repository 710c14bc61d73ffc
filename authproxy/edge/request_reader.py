"""Reads requests with llhttp: collects heads, bounds them, and says which bytes are no request.

What must be refused is noted and not raised: the parser cannot be stopped in the middle of what it was given.
"""

from __future__ import annotations

from typing import Final

import httptools

from authproxy.access.decision import Reason
from authproxy.edge import headers, request_head
from authproxy.edge.request_head import Fields, HeadRefused, RequestHead
from authproxy.edge.site import Limits

_CALLBACKS: Final = (b"/.authproxy/callback/rekono?", b"/.authproxy/callback/acnlb?")


class RequestReader:
    """The reading half of a client connection, which adds what happens when a head, a piece of a body or a request is complete."""

    __slots__ = (
        "_fields", "_has_message", "_head_size", "_largest_head", "_limits", "_most_fields", "_parser", "_refusal", "_target", "_was_heard",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._largest_head = limits.head_size + limits.target_size
        self._most_fields = limits.header_count
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: Fields = []
        self._head_size = 0
        self._has_message = False
        """Whether a request has begun to arrive and is not complete."""
        self._was_heard = False
        self._refusal: HeadRefused | None = None

    def _parse(self, data: bytes) -> bytes | None:
        """Parses. Where a head with Upgrade ended the parsing, returns what stands behind it; otherwise None."""
        size_before = self._head_size
        self._was_heard = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            raise  # a fault of ours: the loop reports it and cuts the connection
        except httptools.HttpParserInvalidMethodError:
            self._refusal = self._refusal or HeadRefused(405, Reason.METHOD_UNSUPPORTED, "method is not known")
        except httptools.HttpParserError:
            self._refusal = self._refusal or HeadRefused(400, Reason.REQUEST_UNREADABLE, "request is not HTTP")
        else:
            if self._has_message and self._head_size == size_before and not self._was_heard:
                # A field or chunk extension that never ends is seen by no callback: what arrived without completing one counts too.
                self._count_head(len(data))
        return None

    def _finished_head(self) -> RequestHead | None:
        """The head that is complete now; None if it must be refused."""
        parser = self._parser
        try:
            head = request_head.parse(parser.get_method(), self._target, parser.get_http_version(), self._fields)
        except HeadRefused as refused:
            self._refusal = refused
            return None
        if head.upgrade:
            upgrades = parser.should_upgrade()
            if upgrades and head.has_body:
                # llhttp takes what follows for the new protocol, or, declined, for the next request; a portal would read the body.
                self._refusal = HeadRefused(400, Reason.REQUEST_UNREADABLE, "upgrade request with a body")
                return None
            if not (upgrades and head.offers_websocket):
                # Only WebSocket is tunnelled; any other offer (h2c, TLS) is declined by not hearing it (RFC 9110 §7.8).
                head.upgrade = b""
        head.keeps_alive = parser.should_keep_alive() or bool(head.upgrade)
        self._fields = []
        self._head_size = 0
        return head

    def _finished_trailers(self) -> bytes | None:
        """The trailers of the request that is complete now, as lines; None if they must be refused."""
        self._was_heard = True
        fields, self._fields = self._fields, []
        lines = headers.trailers(fields) if fields else b""
        if lines is None:
            self._refusal = HeadRefused(400, Reason.REQUEST_UNREADABLE, "a field that must not come after a body")
        else:
            self._has_message = False
            self._head_size = 0
        return lines

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._largest_head or len(self._fields) > self._most_fields:
            self._refusal = self._refusal or HeadRefused(431, Reason.HEAD_TOO_LARGE, "head is too large")

    # httptools

    def on_message_begin(self) -> None:
        self._was_heard = True
        self._target = b""
        self._fields = []
        self._has_message = True
        self._head_size = 0

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) <= self._limits.target_size:
            return
        # Whoever comes back from a sign-in with a longer one is told on a page what to do: the pages judge it, within the whole head.
        if len(self._target) > self._largest_head or not self._target.startswith(_CALLBACKS):
            self._refusal = self._refusal or HeadRefused(414, Reason.TARGET_TOO_LONG, "target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._largest_head or len(self._fields) > self._most_fields:
            self._count_head(0)
