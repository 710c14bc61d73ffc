"""PURE: the head of a request, with the fields that matter to the edge apart; a head that two readers could
frame in two ways is refused.

llhttp has checked the grammar: no obs-fold, no single LF or CR, no space before the colon, no control
characters, no Content-Length together with Transfer-Encoding. What llhttp accepts and another server could
read differently is refused here (RFC 9112 §3.2, §6, §11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.own_cookies import ticket_in

Fields = list[tuple[bytes, bytes]]

# NTLM, SPNEGO by its names (RFC 4559 §4), and further schemes of Windows servers. A challenge may list
# several schemes. A name inside a quoted string is taken for a scheme, too, which does no harm here.
_OF_CONNECTIONS: Final = re.compile(
    rb"(?:^|[,\s])(?:ntlm|negotiate|nego2|kerberos|credssp|pku2u)(?:$|[,\s])", re.IGNORECASE
)


class HeadRefused(ValueError):  # noqa: N818
    """The head cannot be read in one way only, or not at all. `status` is 4xx or 5xx. The message never
    repeats what was sent."""

    def __init__(self, status: int, reason: Reason, cause: str) -> None:
        super().__init__(cause)
        self.status = status
        self.reason = reason


class SharedFields:
    """What heads with the same fields share (`known_heads.py`), and what was found out about it. None of the
    fields is ever changed."""

    __slots__ = (
        "connection",
        "cookies",
        "fields",
        "filter",
        "host",
        "index",
        "is_relayed",
        "lines",
        "ticket",
    )

    def __init__(self, head: RequestHead) -> None:
        self.fields = head.fields
        self.index = head.index()
        self.host = head.host
        self.cookies = head.cookies
        self.connection = head.connection
        self.is_relayed = head.is_relayed
        self.ticket = ticket_in(head.cookies)
        self.filter: object | None = None
        """Whose `lines` these are: what of the fields reaches a portal."""
        self.lines = b""


class RequestHead:
    """A request head. `host` and `cookies` are raw; `fields` are all fields as they came."""

    __slots__ = (
        "_fields_as_shared",
        "_index",
        "_shared",
        "authenticates_connection",
        "connection",
        "content_length",
        "cookies",
        "expects_continue",
        "fields",
        "host",
        "is_chunked",
        "is_http_1_0",
        "is_relayed",
        "keeps_alive",
        "method",
        "target",
        "upgrade",
    )

    def __init__(
        self,
        method: str,
        target: str,
        is_http_1_0: bool,  # noqa: FBT001
        fields: Fields,
        *,
        host: bytes = b"",
        upgrade: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.is_http_1_0 = is_http_1_0
        self.fields = fields
        self.host = host
        self.cookies = b""
        self.content_length: int | None = None
        self.is_chunked = False
        self.expects_continue = False
        self.upgrade = upgrade
        self.connection = b""
        self.authenticates_connection = False
        """Whether it authenticates the connection on which it is sent (NTLM, Negotiate)."""
        self.is_relayed = False
        """Whether it has a field about intermediaries (Via, Max-Forwards)."""
        self.keeps_alive = True
        self._index: dict[bytes, list[bytes]] | None = None
        self._shared: SharedFields | None = None
        self._fields_as_shared = fields

    def share(self, shared: SharedFields) -> None:
        """Takes everything but method and target from fields that are known."""
        self._shared = shared
        self._index = shared.index
        self.host = shared.host
        self.cookies = shared.cookies
        self.connection = shared.connection
        self.is_relayed = shared.is_relayed

    def add(self, name: bytes, value: bytes) -> None:
        """Adds a field that is not shared, and never reaches a portal."""
        self.fields = self._fields_as_shared = [*self.fields, (name, value)]
        self._index = {**self.index(), name.lower(): [value]}

    @property
    def shared(self) -> SharedFields | None:
        """What is known of the fields and cookies; None if they are not shared, or were changed since."""
        shared = self._shared
        if shared is None or self.fields is not self._fields_as_shared or self.cookies is not shared.cookies:
            return None
        return shared

    @property
    def ticket(self) -> str | None:
        """The value of the session cookie, as `ticket_in` finds it."""
        shared = self.shared
        return ticket_in(self.cookies) if shared is None else shared.ticket

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.content_length)

    @property
    def offers_websocket(self) -> bool:
        """RFC 6455 §4.1: whether this can be an opening handshake."""
        return self.upgrade.lower() == b"websocket" and self.method == "GET" and not self.is_http_1_0

    def get(self, name: bytes) -> bytes | None:
        """The value of a field (lower-case name); None if absent. Raises HeadRefused if there are two."""
        values = self.all(name)
        if len(values) > 1:
            raise HeadRefused(400, Reason.REQUEST_UNREADABLE, f"{name.decode()} stands twice")
        return values[0] if values else None

    def all(self, name: bytes) -> Sequence[bytes]:
        """Every value of a field (lower-case name) in order."""
        return self.index().get(name, ())

    def index(self) -> dict[bytes, list[bytes]]:
        """Every field's values by lower-case name."""
        index = self._index
        if index is None:
            index = self._index = {}
            for field, value in self.fields:
                name = _lower.get(field)
                if name is None:
                    name = _lowered(field)
                values = index.get(name)
                if values is None:
                    index[name] = [value]
                else:
                    values.append(value)
        return index


def authenticates_connection(value: bytes) -> bool:
    """Whether credentials or a challenge with this value authenticate a connection, and so every later
    request on it."""
    return _OF_CONNECTIONS.search(value) is not None


def parse(method: bytes, target: bytes, version: str, fields: Fields) -> RequestHead:
    """The head, if it can be framed in one way only. Raises HeadRefused otherwise."""
    if version not in {"1.1", "1.0"}:
        raise HeadRefused(505, Reason.REQUEST_UNREADABLE, "HTTP version is neither 1.1 nor 1.0")
    try:
        head = RequestHead(method.decode("ascii"), target.decode("ascii"), version == "1.0", fields)
    except UnicodeDecodeError:
        raise HeadRefused(400, Reason.REQUEST_UNREADABLE, "target contains raw non-ASCII bytes") from None
    hosts = 0
    for name, value in fields:
        read = _readers[name] if name in _readers else _reader(name)
        if read is not None:
            hosts += read(head, value)
    if hosts != 1 and not (hosts == 0 and head.is_http_1_0):
        raise HeadRefused(400, Reason.REQUEST_UNREADABLE, "not exactly one Host")
    return head


def _host(head: RequestHead, value: bytes) -> int:
    head.host = value
    return 1


def _cookie(head: RequestHead, value: bytes) -> int:
    # RFC 9113 §8.2.3: HTTP/2 may split Cookie into several fields, which are joined with "; ".
    head.cookies = head.cookies + b"; " + value if head.cookies else value
    return 0


def _content_length(head: RequestHead, value: bytes) -> int:
    if head.content_length is not None or head.is_chunked or not value.isdigit() or len(value) > 18:
        raise HeadRefused(400, Reason.REQUEST_UNREADABLE, "Content-Length is repeated or no number")
    head.content_length = int(value)
    return 0


def _transfer_encoding(head: RequestHead, value: bytes) -> int:
    if head.is_chunked or head.content_length is not None or head.is_http_1_0 or value.lower() != b"chunked":
        raise HeadRefused(
            400, Reason.REQUEST_UNREADABLE, "Transfer-Encoding is other than one `chunked` of HTTP/1.1"
        )
    head.is_chunked = True
    return 0


def _connection(head: RequestHead, value: bytes) -> int:
    head.connection = head.connection + b"," + value if head.connection else value
    return 0


def _upgrade(head: RequestHead, value: bytes) -> int:
    head.upgrade = head.upgrade + b"," + value if head.upgrade else value
    return 0


def _authorization(head: RequestHead, value: bytes) -> int:
    head.authenticates_connection = head.authenticates_connection or authenticates_connection(value)
    return 0


def _expect(head: RequestHead, value: bytes) -> int:
    if value.lower() != b"100-continue":
        raise HeadRefused(417, Reason.REQUEST_UNREADABLE, "expectation other than 100-continue")
    head.expects_continue = not head.is_http_1_0
    return 0


def _relayed(head: RequestHead, value: bytes) -> int:
    del value
    head.is_relayed = True
    return 0


_BY_LOWER_NAME: Final = {
    b"host": _host,
    b"cookie": _cookie,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"upgrade": _upgrade,
    b"expect": _expect,
    b"authorization": _authorization,
    b"proxy-authorization": _authorization,
    b"via": _relayed,
    b"max-forwards": _relayed,
}
# By spelling, so that a field costs one look-up. Browsers use a few dozen spellings; the tables are bounded
# in number, and their names in length, because an attacker could invent ever new ones.
_MOST_REMEMBERED: Final = 4096
LONGEST_REMEMBERED: Final = 64
"""Bytes of a name."""
_readers: Final[dict[bytes, Callable[[RequestHead, bytes], int] | None]] = {}


_lower: Final[dict[bytes, bytes]] = {}


def _lowered(name: bytes) -> bytes:
    lower = name.lower()
    if len(name) <= LONGEST_REMEMBERED and len(_lower) < _MOST_REMEMBERED:
        _lower[name] = lower
    return lower


def _reader(name: bytes) -> Callable[[RequestHead, bytes], int] | None:
    read = _BY_LOWER_NAME.get(name.lower())
    if len(name) <= LONGEST_REMEMBERED and len(_readers) < _MOST_REMEMBERED:
        _readers[name] = read
    return read
