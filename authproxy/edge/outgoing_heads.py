"""Heads of the requests that the edge sends: a client's request to a portal, one to our own pages, and the
question for the page of a refusal.
"""

from __future__ import annotations

from typing import Final

from authproxy.access.target import RequestTarget
from authproxy.edge.request_record import RequestRecord
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.rules.refusals import PageWanted
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import Gate, Site, Way

_PAGES_FILTER: Final = RequestFilter()
_WANTED_BY_REFUSAL_PAGES: Final = frozenset(
    {b"accept", b"accept-language", b"user-agent", b"sec-fetch-mode", b"sec-fetch-dest"}
)


def for_portal(
    gate: Gate,
    site: Site,
    way: Way,
    record: RequestRecord,
    target: RequestTarget,
    identity: bytes,
    head: RequestHead,
) -> bytes:
    """`identity` are the finished lines of identity headers; `head` is the client's, or that of a kept
    form."""
    via = way.pool.via
    added = b"%s%sX-Forwarded-For: %s\r\nX-Request-Id: %s\r\ntraceparent: %s\r\n%s" % (
        identity,
        site.forwarded,
        record.client.encode(),
        record.request_id.encode(),
        gate.identifiers.trace_parent().encode(),
        via.line_of_1_0 if head.is_http_1_0 else via.line,
    )
    host = way.host or target.host.encode()
    return site.filter.outgoing(head, origin_form=target.origin_form, host=host, added=added)


def for_pages(
    gate: Gate, record: RequestRecord, head: RequestHead, origin_form: str, question: bytes = b""
) -> bytes:
    """Our own pages are reached as a portal is, with the cookies that portals never see."""
    added = b"%sX-Authproxy-Client: %s\r\nX-Request-Id: %s\r\n" % (
        question,
        record.client.encode(),
        record.request_id.encode(),
    )
    if record.client_is_nobody:
        gate.warn_of_silent_proxy(record.client)
        added += b"X-Authproxy-Client-Is-Nobody: yes\r\n"
    if record.site is not None:
        added += b"X-Authproxy-Portal: %s\r\n" % record.site.portal.portal_id.encode()
    return _PAGES_FILTER.outgoing(
        head, origin_form=origin_form, host=head.host or b"-", added=added, keeps_own_cookies=True
    )


def for_refusal_page(gate: Gate, record: RequestRecord, page: PageWanted) -> tuple[RequestHead, bytes]:
    """The question for the page that shows a refusal, as a head and as bytes."""
    head = record.head
    fields = [field for field in head.fields if field[0].lower() in _WANTED_BY_REFUSAL_PAGES]
    if record.asked_by is not None:
        # In an `object` the pages show a refusal with 200, because it shows nothing else. A front proxy would
        # take that for leave to let its client pass.
        fields = [(name, b"iframe" if value.lower() == b"object" else value) for name, value in fields]
    method = "HEAD" if head.method == "HEAD" else "GET"
    asked = RequestHead(method, "/refusal", head.is_http_1_0, fields, host=head.host)
    question = b"X-Authproxy-Status: %d\r\nX-Authproxy-Reason: %s\r\n%s" % (
        page.status,
        page.reason.encode(),
        page.particulars,
    )
    return asked, for_pages(gate, record, asked, "/refusal", question)
