"""Reads off a request who is there and for which place they need a fresh proof: the cookies, the address,
`rt`, `for` and `held`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aiohttp import hdrs, web

from authproxy.access.held_request import is_name
from authproxy.flows.visit import Visit
from authproxy.web import cookies
from authproxy.web.forms import cookie_fields
from authproxy.web.refusals import RETURN_TO
from authproxy.web.request_keys import CONTEXT

_LONGEST_ROUTE = 128


def visit_of(
    request: web.Request, said: Mapping[str, str], *, now: datetime, browser: str | None = None
) -> Visit:
    """`said` is the query of a page or the fields of a form; what cannot be the name of a route or of a
    request is none. `browser` is the flow cookie that the answer will set."""
    context, held = request[CONTEXT], cookie_fields(request)
    route, name = said.get("for", ""), said.get("held", "")
    place = request[RETURN_TO] = context.portal.return_to(said.get("rt"))
    return Visit(
        portal_id=context.portal.portal_id,
        ticket_text=cookies.ticket_in(held).value,
        browser=browser or cookies.flow_in(held).value,
        user_agent=request.headers.get(hdrs.USER_AGENT, ""),
        address=context.client,
        is_counted_by_address=not context.client_is_nobody,
        locale=context.locale,
        now=now,
        return_to=place,
        route=route if 0 < len(route) <= _LONGEST_ROUTE and route.isprintable() else None,
        held=name if is_name(name) else None,
    )


def visit_query(visit: Visit, *, return_to: str | None = None) -> dict[str, str]:
    """What a link or a form of ours says to stay with the same place: the query that `visit_of` reads."""
    known = {
        "rt": visit.return_to if return_to is None else return_to,
        "for": visit.route,
        "held": visit.held,
    }
    return {name: value for name, value in known.items() if value is not None}
