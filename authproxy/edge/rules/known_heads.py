"""PURE: the fields of requests, by the octets in which they have come before.

A browser sends the same fields with each picture and script of a page, and a front proxy asks the same
question about them but for two lines. llhttp calls back for every field. One look-up finds them all.
Counted as bench/instructions.py does, over pages of thirty parts of five kinds as Chrome sends them, each
page with another Referer (2026-11-30): a request takes 133,000 instructions instead of 276,000 as a front
proxy's question, and 153,000 instead of 301,000 on its way to a portal.

Only what llhttp has accepted is remembered, as a whole message without a body. A read may differ from it in
the request line, in the URL that a front proxy asks about, and in its request id, if what differs has a form
that llhttp accepts wherever it stands.
"""

from __future__ import annotations

import re
from typing import Final

from authproxy.edge.rules.request_head import RequestHead, SharedFields

_TARGET: Final = re.compile(rb'/[!"$-~]*')
"""In origin-form, of visible characters, and without a fragment."""
_VISIBLE: Final = re.compile(rb"[!-~]+")
_END_OF_LINE: Final = b" HTTP/1.1"
_END: Final = b"\r\n\r\n"
_QUESTION: Final = b"GET /.authproxy/auth/"
_URL: Final = b"X-Original-URL"
_URI: Final = b"X-Forwarded-Uri"
_REQUEST_ID: Final = b"X-Request-Id"
_BEFORE_URL: Final = b"\r\n%s: " % _URL
_BEFORE_URI: Final = b"\r\n%s: " % _URI
_BEFORE_REQUEST_ID: Final = b"\r\n%s: " % _REQUEST_ID
# As Envoy and HAProxy write all names.
_BEFORE_SMALL_URI: Final = _BEFORE_URI.lower()
_BEFORE_SMALL_REQUEST_ID: Final = _BEFORE_REQUEST_ID.lower()
_URL_NAME: Final = _URL.lower()
_URI_NAME: Final = _URI.lower()
_REQUEST_ID_NAME: Final = _REQUEST_ID.lower()
_PROOF_NAME: Final = b"x-authproxy-question"

_LONGEST: Final = 8 * 1024
"""Bytes of the longest head that is remembered."""
_MOST_OCTETS: Final = 512 * 1024
"""Of the fields of a generation. In memory they are about five times as much."""
_OTHER_OCTETS: Final = 512
_GENERATION: Final = 10.0
"""Seconds. What nobody has sent for two generations is forgotten."""


class ReadHead:
    """A read that may be a whole head: what differs from request to request, and the rest, which begins with
    the end of the request line."""

    __slots__ = (
        "id_name",
        "is_question",
        "method",
        "request_id",
        "rest",
        "target",
        "url",
        "url_key",
        "url_name",
    )

    def __init__(self, method: str, target: bytes) -> None:
        self.method = method
        self.target = target
        self.rest = b""
        self.url = b""
        """What a front proxy asks about, in the field `url_name`, in lower case `url_key`."""
        self.url_name = _URL
        self.url_key = _URL_NAME
        self.request_id = b""
        self.id_name = _REQUEST_ID
        self.is_question = False
        """Whether a front proxy asks. Envoy then says that there is no body (`Content-Length: 0`)."""


def read(data: bytes, *, is_from_proxy: bool) -> ReadHead | None:
    """None if what `data` begins with must be read by llhttp."""
    if len(data) > _LONGEST:
        return None
    end = data.find(b"\r\n")
    # A compiled slice must not begin behind its end.
    if end < len(_END_OF_LINE) or data[end - 9 : end] != _END_OF_LINE:
        return None
    if data.startswith(b"GET /"):
        found = ReadHead("GET", data[4 : end - 9])
    elif data.startswith(b"HEAD /"):
        found = ReadHead("HEAD", data[5 : end - 9])
    else:
        return None
    if _TARGET.fullmatch(found.target) is None:
        return None
    found.rest = data[end:]
    if is_from_proxy:
        if data.startswith(_QUESTION):
            found.is_question = True
            found.url = _cut(found, _BEFORE_URL)
        found.request_id = _cut(found, _BEFORE_REQUEST_ID)
        if found.is_question and not found.url:
            _cut_of_others(found)
    return found


def _cut_of_others(found: ReadHead) -> None:
    """What differs in the questions of proxies other than nginx."""
    found.url = _cut(found, _BEFORE_URI)
    found.url_name, found.url_key = _URI, _URI_NAME
    if not found.url:
        found.url = _cut(found, _BEFORE_SMALL_URI)
        found.url_name = _URI_NAME
    if not found.request_id:
        found.request_id = _cut(found, _BEFORE_SMALL_REQUEST_ID)
        found.id_name = _REQUEST_ID_NAME


def _cut(found: ReadHead, before: bytes) -> bytes:
    """Takes a line out of the rest, and returns its value. Does nothing where there is no such line between
    others, or its value might be read in another way."""
    rest = found.rest
    at = rest.find(before)
    if at < 0:
        return b""
    value_at = at + len(before)
    end = rest.find(b"\r\n", value_at)
    # Behind the empty line it would be no field any more.
    if end + len(_END) > len(rest) or _VISIBLE.fullmatch(rest, value_at, end) is None:
        return b""
    found.rest = rest[:at] + rest[end:]
    return rest[value_at:end]


class KnownHeads:
    """What is remembered is bounded in number, octets and time: it has people's tickets in it."""

    __slots__ = ("_earlier", "_known", "_octets", "_until")

    def __init__(self) -> None:
        self._known: dict[bytes, SharedFields] = {}
        self._earlier: dict[bytes, SharedFields] = {}
        """The generation before."""
        self._octets = 0
        self._until = 0.0

    def find(self, found: ReadHead) -> RequestHead | None:
        """The head, if its fields are known."""
        shared = self._known.get(found.rest)
        if shared is None:
            shared = self._earlier.get(found.rest)
            if shared is None:
                return None
            self._keep(found.rest, shared)
        # The rest was learned where nothing was taken out of it. Such a name stands twice now.
        if (found.url and found.url_key in shared.index) or (
            found.request_id and _REQUEST_ID_NAME in shared.index
        ):
            return None
        head = RequestHead(
            found.method, found.target.decode("ascii"), is_http_1_0=False, fields=shared.fields
        )
        head.share(shared)
        if found.url:
            head.add(found.url_name, found.url)
        if found.request_id:
            head.add(found.id_name, found.request_id)
        return head

    def learn(self, found: ReadHead, head: RequestHead) -> None:
        """Remembers the fields of a head that llhttp has read. It must have been the whole message, and the
        connection must go on behind it."""
        if (
            found.rest.find(_END) != len(found.rest) - len(_END)
            or not (head.content_length is None or (head.content_length == 0 and found.is_question))
            or head.is_chunked
            or head.upgrade
            or head.is_http_1_0
            or head.expects_continue
            or head.authenticates_connection
        ):
            return
        index = head.index()
        # Such a line is another one each time.
        if _PROOF_NAME in index:
            return
        # A second line of such a name is among the rest, and would be overlooked.
        if (found.url and len(index[found.url_key]) > 1) or (
            found.request_id and len(index[_REQUEST_ID_NAME]) > 1
        ):
            return
        shared = SharedFields(head)
        if found.url or found.request_id:
            cut = [
                name
                for name, value in ((found.url_name, found.url), (found.id_name, found.request_id))
                if value
            ]
            shared.fields = [field for field in head.fields if field[0] not in cut]
            shared.index = dict(index)
            for name in cut:
                del shared.index[name.lower()]
        else:
            head.share(shared)
        self._keep(found.rest, shared)

    def _keep(self, rest: bytes, shared: SharedFields) -> None:
        self._octets += len(rest) + _OTHER_OCTETS
        if self._octets > _MOST_OCTETS:
            self._begin_generation()
            self._octets = len(rest) + _OTHER_OCTETS
        self._known[rest] = shared

    def forget_old(self, now: float) -> None:
        """Called about once a second with the gate's time."""
        if now >= self._until:
            self._until = now + _GENERATION
            self._begin_generation()

    def _begin_generation(self) -> None:
        self._earlier, self._known = self._known, {}
        self._octets = 0
