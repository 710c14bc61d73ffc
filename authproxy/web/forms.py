"""Reads the forms of our own pages. A form must come from one of our pages, be small, and have one meaning
only; every other form is refused."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from authproxy.access.decision import Reason
from authproxy.telemetry.audit import Audit, Event
from authproxy.web.cookies import flow_in, ticket_in
from authproxy.web.refusals import Refused
from authproxy.web.request_context import comes_from_us
from authproxy.web.request_keys import CONTEXT

_MOST_FIELDS = 20


def cookie_fields(request: web.Request) -> tuple[str, ...]:
    """The raw values of the request's Cookie fields. aiohttp's own parser accepts fields that `cookies` must
    not accept."""
    return tuple(request.headers.getall(hdrs.COOKIE, ()))


async def submitted(request: web.Request, audit: Audit) -> Mapping[str, str]:
    """The fields of a form that one of our pages has sent. Raises Refused."""
    cookies = cookie_fields(request)
    holds_our_cookie = flow_in(cookies).value is not None or ticket_in(cookies).value is not None
    if not comes_from_us(
        request.raw_headers, origin=request[CONTEXT].portal.origin, holds_our_cookie=holds_our_cookie
    ):
        audit.record(Event.REQUEST_REFUSED, reason=Reason.FOREIGN_ORIGIN)
        raise Refused(Reason.FOREIGN_ORIGIN)
    return await fields_of(request)


async def fields_of(request: web.Request) -> Mapping[str, str]:
    """The fields of a form, whoever has sent it. Raises Refused for another content type, and for a form that
    names a field twice."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(Reason.REQUEST_UNREADABLE, status=415)
    try:
        pairs = parse_qsl(
            (await request.read()).decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Refused(Reason.REQUEST_UNREADABLE) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(Reason.REQUEST_UNREADABLE)
    return fields
