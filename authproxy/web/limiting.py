"""Limits how often one address may call a handler. A request that comes too soon is refused before its body
is read, with the seconds to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from authproxy.access import request_senders
from authproxy.access.decision import Reason
from authproxy.telemetry.metrics import Metrics
from authproxy.web.rates import Kind, Rates
from authproxy.web.refusals import Refused
from authproxy.web.request_keys import CONTEXT


class Limiting:
    def __init__(self, *, rates: Rates, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._rates = rates
        # A page of another site can make browsers send any number of requests. They have a limit of their
        # own: otherwise one such page, open in an office, could keep everybody there from signing in.
        self._of_other_pages = replace(rates)
        self._metrics = metrics
        self._clock = clock

    def limit_all(self, kind: Kind, handler: Handler) -> Handler:
        """The handler, with a limit on all requests."""

        async def limited(request: web.Request) -> web.StreamResponse:
            client, now = request[CONTEXT].counted_client, self._clock()
            rates = self._of_other_pages if _is_another_pages(request) else self._rates
            self._refuse_too_many(rates, kind, client, now)
            rates.count(kind, client, now)
            return await handler(request)

        return limited

    def limit_refused(self, kind: Kind, handler: Handler) -> Handler:
        """The handler, with a limit on the requests that it refuses. Others are not counted."""

        async def limited(request: web.Request) -> web.StreamResponse:
            client = request[CONTEXT].counted_client
            self._refuse_too_many(self._rates, kind, client, self._clock())
            answer = await handler(request)
            if 400 <= answer.status < 500:
                self._rates.count(kind, client, self._clock())
            return answer

        return limited

    def _refuse_too_many(self, rates: Rates, kind: Kind, client: str, now: datetime) -> None:
        wait = rates.wait(kind, client, now)
        if wait is not None:
            self._metrics.requests_limited[(kind,)] += 1
            raise Refused(Reason.TOO_MANY_REQUESTS, wait=wait)


def _is_another_pages(request: web.Request) -> bool:
    """Whether the browser says that a page of another site has caused the request: by a form, an image, a
    script or a frame (W3C Fetch Metadata)."""
    if request.method == hdrs.METH_POST:
        return request_senders.comes_from(request.raw_headers, request[CONTEXT].portal.origin) is False
    headers = request.headers
    return (
        headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or headers.get("Sec-Fetch-Dest", "document") != "document"
    )
