"""Reads from a request which browser is there, where it wants to go (`rt`), which held request waits for it
(`held`), and for a step-up which route demands the proof (`for`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aiohttp import hdrs, web

from authproxy.access.held_request import is_name
from authproxy.flows.visit import Visit
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields
from authproxy.web.refusals import HELD, RETURN_TO
from authproxy.web.request_keys import CONTEXT

_LONGEST_ROUTE = 512


def visit_of(
    request: web.Request, fields: Mapping[str, str], *, now: datetime, browser: str | None = None
) -> Visit:
    """`fields` are those of a form, or the query of a page. Text that cannot be the name of a route or of a
    held request counts as none. `browser` is the flow cookie that the answer will set, if the request has
    none."""
    context, sent_cookies = request[CONTEXT], cookie_fields(request)
    route, held = fields.get("for", ""), fields.get("held", "")
    return_to = request[RETURN_TO] = context.portal.return_to(fields.get("rt"))
    if is_name(held):
        request[HELD] = held
    return Visit(
        portal_id=context.portal.portal_id,
        ticket_text=cookies.ticket_in(sent_cookies).value,
        browser=browser or cookies.flow_in(sent_cookies).value,
        user_agent=request.headers.get(hdrs.USER_AGENT, ""),
        address=context.client,
        is_counted_by_address=not context.client_is_nobody,
        locale=context.locale,
        now=now,
        return_to=return_to,
        route=route if 0 < len(route) <= _LONGEST_ROUTE and route.isprintable() else None,
        held=held if is_name(held) else None,
    )


def visit_query(visit: Visit) -> dict[str, str]:
    """The query from which `visit_of` reads the same visit: for links and forms of our pages."""
    query = {"rt": visit.return_to, "for": visit.route, "held": visit.held}
    return {name: value for name, value in query.items() if value is not None}
