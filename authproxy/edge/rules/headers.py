"""PURE: which header fields are passed on, in both directions.

To the portal: hop-by-hop fields (RFC 9110 §7.6.1) and all identity and forwarding headers of the client are
removed. Then ours are added, once. To the client: hop-by-hop fields and cookies with our names are removed.

A name is judged by its folded form (`access/header_names.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from authproxy.access.header_names import folded, folded_beginning
from authproxy.edge.rules import identity_names
from authproxy.edge.rules.request_head import LONGEST_REMEMBERED, Fields, RequestHead

OWN_COOKIE_PREFIX: Final = b"__Host-authproxy"
_TICKET_COOKIE: Final = b"__Host-authproxy="
# Numbers, because CPython raises and drops an exception for every `bytes in bytes` before it searches (1,500
# instructions).
_SEMICOLON: Final = 0x3B
_COMMA: Final = 0x2C

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)

_IDENTITY_PREFIXES: Final[tuple[bytes, ...]] = tuple(prefix.encode() for prefix in identity_names.FAMILIES)
_PRIVATE_TO_WEBSPHERE: Final = b"$ws"
_IDENTITY_NAMES: Final = frozenset(name.encode() for name in identity_names.NAMES)
# The gateway writes these itself.
_REPLACED: Final = frozenset({b"host", b"cookie", b"content-length", b"expect"})

_ENDLESS: Final = re.compile(rb"\s*(?:text/event-stream|multipart/x-mixed-replace)\s*(?:;|$)", re.IGNORECASE)
_endless_types: Final[dict[bytes, bool]] = {}
_SEAM: Final = re.compile(rb",(?=\s*" + re.escape(OWN_COOKIE_PREFIX) + rb")")
# RFC 9110 §6.5.1: fields for framing, routing, authentication or content must not be sent after the body. The
# same holds for identity.
_NOT_IN_TRAILERS: Final = (
    _HOP_BY_HOP
    | _REPLACED
    | {b"authorization", b"content-encoding", b"content-type", b"content-range", b"set-cookie", b"trailer"}
)


def is_endless(content_type: bytes) -> bool:
    """Whether content of that type goes on until one side ends it. Remembers types; portals use a few
    dozen."""
    is_known_endless = _endless_types.get(content_type)
    if is_known_endless is None:
        is_known_endless = _ENDLESS.match(content_type) is not None
        if len(_endless_types) < 1024:
            _endless_types[content_type] = is_known_endless
    return is_known_endless


def is_identity(name: bytes) -> bool:
    """Whether a client must not send a field of this name, because some product reads identity, origin or
    method of a request from it."""
    form = folded(name)
    return (
        form in _IDENTITY_NAMES
        or form.startswith(_IDENTITY_PREFIXES)
        or name[:3].lower() == _PRIVATE_TO_WEBSPHERE
    )


class RequestFilter:
    """Decides by name which of a client's fields reach one portal. `own_names` are those that the gateway
    writes itself, or that the portal must not get; one with `*` at its end stands for all that begin so.

    Remembers up to 4,096 short spellings: browsers use a few dozen, and an attacker who invents names must
    not fill the memory."""

    def __init__(self, own_names: Iterable[str] = ()) -> None:
        names = [name.encode() for name in own_names]
        self._own = frozenset(folded(name) for name in names if not name.endswith(b"*"))
        self._own_beginnings = tuple(folded_beginning(name[:-1]) for name in names if name.endswith(b"*"))
        self._known: dict[bytes, bool] = {}

    def passes(self, name: bytes) -> bool:
        passes = self._known.get(name)
        if passes is None:
            # Hop-by-hop names are folded, too: a WSGI portal reads `Content_Length` as CONTENT_LENGTH and
            # frames by it.
            form = folded(name)
            passes = (
                form not in _HOP_BY_HOP
                and form not in _REPLACED
                and form not in self._own
                and not form.startswith(self._own_beginnings)
                and not is_identity(name)
            )
            if len(name) <= LONGEST_REMEMBERED and len(self._known) < 4096:
                self._known[name] = passes
        return passes

    def trailers(self, lines: bytes) -> bytes:
        """The client's trailer lines without those that do not reach the portal: a server may take a field
        after the body for one before it."""
        return b"".join(
            line for line in lines.splitlines(keepends=True) if self.passes(line.partition(b":")[0])
        )

    def outgoing(
        self,
        head: RequestHead,
        *,
        origin_form: str,
        host: bytes,
        added: bytes,
        keeps_own_cookies: bool = False,
    ) -> bytes:
        """The head for the portal. `added` are finished lines (identity, forwarding, request id), each ended
        by CRLF."""
        shared = head.shared
        if shared is None or keeps_own_cookies:
            passed = self._passed(head, head.fields, keeps_own_cookies=keeps_own_cookies)
        else:
            if shared.filter is not self:
                shared.lines = self._passed(head, shared.fields)
                shared.filter = self
            passed = shared.lines
        return b"%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s" % (
            head.method.encode(),
            origin_form.encode(),
            host,
            passed,
            added,
            _framing(head),
        )

    def _passed(self, head: RequestHead, fields: Fields, *, keeps_own_cookies: bool = False) -> bytes:
        """Those of the client's lines that go to the portal, the cookies included."""
        named = _named_in(head.connection) if head.connection else ()
        known = self._known
        lines: list[bytes] = []
        for field in fields:
            name = field[0]
            passes = known.get(name)
            if passes is None:
                passes = self.passes(name)
            if passes and not (named and name.lower() in named):
                lines.append(b"%s: %s\r\n" % field)
        if head.cookies:
            cookies = head.cookies if keeps_own_cookies else without_own_cookies(head.cookies)
            if cookies:
                lines.append(b"Cookie: %s\r\n" % cookies)
        return b"".join(lines)


def _framing(head: RequestHead) -> bytes:
    if head.is_chunked:
        framing = b"Transfer-Encoding: chunked\r\n\r\n"
    elif head.content_length is not None:
        framing = b"Content-Length: %d\r\n\r\n" % head.content_length
    else:
        framing = b"\r\n"
    if head.upgrade:
        return b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + framing
    return b"Expect: 100-continue\r\n" + framing if head.expects_continue else framing


def without_own_cookies(cookies: bytes) -> bytes:
    """A Cookie value without the gateway's cookies, otherwise byte for byte as it was."""
    if cookies.startswith(_TICKET_COOKIE) and _SEMICOLON not in cookies and _COMMA not in cookies:
        return b""
    if OWN_COOKIE_PREFIX not in cookies:
        return cookies
    # A comma may be part of another cookie's value. Or a proxy has joined two Cookie fields there. Our
    # cookies contain none.
    separated = _SEAM.sub(b";", cookies) if b"," in cookies else cookies
    others: list[bytes] = []
    for pair in separated.split(b";"):
        if not pair.strip().startswith(OWN_COOKIE_PREFIX):
            others.append(pair)
        elif b"," in pair:
            others.append(pair.partition(b",")[2])
    # A pair that still contains our name is not from a browser: the name is quoted, or inside another cookie.
    return b";".join(pair for pair in others if OWN_COOKIE_PREFIX not in pair).strip()


def _named_in(connection: bytes) -> frozenset[bytes]:
    """The fields that a Connection value names. `close`, `keep-alive` and `upgrade` are options, not
    fields."""
    return frozenset(token.strip().lower() for token in connection.split(b",")) - {
        b"close",
        b"keep-alive",
        b"upgrade",
        b"",
    }


_IS_REMOVED: Final = 0
_PASSES: Final = 1
_NAMES_OTHERS: Final = 2
_SETS_COOKIE: Final = 3
_USUAL_OPTIONS: Final = frozenset({b"keep-alive", b"Keep-Alive", b"close"})
_returning: Final[dict[bytes, int]] = {}


def returning(
    status_line: bytes, fields: Fields, framing: bytes, *, may_set_own_cookies: bool = False
) -> bytes:
    """The head for the client: the portal's fields without hop-by-hop ones, and the framing of the client's
    connection.

    Only our own pages may set our cookies. A cookie that is set without a name (`Set-Cookie:
    =__Host-authproxy=x`) counts as ours, because browsers send it as if it had our name."""
    lines = [status_line]
    named: frozenset[bytes] = frozenset()
    for field in fields:
        name = field[0]
        passes = _returning.get(name)
        if passes is None:
            passes = _returns(name)
        if passes == _PASSES:
            lines.append(b"%s: %s\r\n" % field)
        elif passes == _NAMES_OTHERS:
            if field[1] not in _USUAL_OPTIONS:
                named |= _named_in(field[1])
        elif passes == _SETS_COOKIE and (
            may_set_own_cookies or not field[1].lstrip(b" \t=").startswith(OWN_COOKIE_PREFIX)
        ):
            lines.append(b"%s: %s\r\n" % field)
    if named:
        lines = [status_line] + [line for line in lines[1:] if line.partition(b":")[0].lower() not in named]
    lines.append(framing)
    return b"".join(lines)


def _returns(name: bytes) -> int:
    lower = name.lower()
    if lower == b"connection":
        passes = _NAMES_OTHERS
    elif lower == b"set-cookie":
        passes = _SETS_COOKIE
    else:
        passes = _IS_REMOVED if lower in _HOP_BY_HOP or lower == b"content-length" else _PASSES
    if len(name) <= LONGEST_REMEMBERED and len(_returning) < 4096:
        _returning[name] = passes
    return passes


def connection_line(*, keeps_alive: bool, is_http_1_0: bool) -> bytes:
    """RFC 9112 §9.3: HTTP/1.1 keeps a connection unless the answer says `close`; HTTP/1.0 closes it unless
    the answer says `keep-alive`."""
    if not keeps_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if is_http_1_0 else b""


def trailers(fields: Fields) -> bytes | None:
    """Trailer fields as lines; None if one of them must not be sent after a body."""
    if any(folded(name) in _NOT_IN_TRAILERS or is_identity(name) for name, _ in fields):
        return None
    return b"".join(b"%s: %s\r\n" % field for field in fields)
