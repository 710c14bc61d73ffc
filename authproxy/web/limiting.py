"""Handlers that one address may ask for only so often. What comes too fast is refused before its body is
read, with the seconds to wait."""

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
        # A page of another site makes browsers send as many requests as it likes. They have room of their
        # own, because otherwise one such page, open in an office, would keep all of the office from signing
        # in.
        self._of_other_pages = replace(rates)
        self._metrics = metrics
        self._clock = clock

    def every(self, kind: Kind, handler: Handler) -> Handler:
        """The handler, for so many requests a minute."""

        async def limited(request: web.Request) -> web.StreamResponse:
            client, now = request[CONTEXT].counted_client, self._clock()
            rates = self._of_other_pages if _is_another_pages(request) else self._rates
            self._refuse_too_many(rates, kind, client, now)
            rates.count(kind, client, now)
            return await handler(request)

        return limited

    def refused(self, kind: Kind, handler: Handler) -> Handler:
        """The same, counting only requests that the handler refuses: whoever is believed may send any
        number."""

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
    """Whether a browser says that no step of a person's own has brought this: a form of another site, an
    image, a script, a frame."""
    if request.method == hdrs.METH_POST:
        return request_senders.comes_from(request.raw_headers, request[CONTEXT].portal.origin) is False
    said = request.headers
    return (
        said.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or said.get("Sec-Fetch-Dest", "document") != "document"
    )
