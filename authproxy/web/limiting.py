"""Handlers that one address may ask for only so often. What comes too fast is refused before its body is read, with the seconds to wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.access.decision import Reason
from authproxy.telemetry.metrics import Metrics
from authproxy.web.pages import CONTEXT
from authproxy.web.rates import Kind, Rates
from authproxy.web.refusals import Refused


class Limiting:
    def __init__(self, *, rates: Rates, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._rates = rates
        self._metrics = metrics
        self._clock = clock

    def every(self, kind: Kind, handler: Handler) -> Handler:
        """The handler, for so many requests a minute."""

        async def limited(request: web.Request) -> web.StreamResponse:
            client, now = request[CONTEXT].client, self._clock()
            self._refuse_too_many(kind, client, now)
            self._rates.count(kind, client, now)
            return await handler(request)

        return limited

    def refused(self, kind: Kind, handler: Handler) -> Handler:
        """The same, counting only requests that the handler refuses: whoever is believed may send any number."""

        async def limited(request: web.Request) -> web.StreamResponse:
            client = request[CONTEXT].client
            self._refuse_too_many(kind, client, self._clock())
            answer = await handler(request)
            if 400 <= answer.status < 500:
                self._rates.count(kind, client, self._clock())
            return answer

        return limited

    def _refuse_too_many(self, kind: Kind, client: str, now: datetime) -> None:
        wait = self._rates.wait(kind, client, now)
        if wait is not None:
            self._metrics.requests_limited[(kind,)] += 1
            raise Refused(Reason.TOO_MANY_REQUESTS, wait=wait)
