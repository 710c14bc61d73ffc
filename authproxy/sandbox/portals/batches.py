"""What programs of banks use without a person: they hand in batches of requests, and ask how far they are."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aiohttp import web

from authproxy.sandbox.portals.assertion import CLAIMS
from authproxy.sandbox.web_pages.pages import json_object

PATH = "/api/paketi"
_MOST_BATCHES = 1000


class Batches:
    """Batches in memory. Each belongs to the one for whom the gateway vouched when it came."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._last = 70500

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get(PATH, self.own)
        router.add_post(PATH, self.hand_in)

    async def own(self, request: web.Request) -> web.Response:
        return web.json_response(
            [batch for batch in self._kept.values() if batch["oddal"] == request[CLAIMS]["sub"]]
        )

    async def hand_in(self, request: web.Request) -> web.Response:
        """201 with the number of the batch. The body is `{"zahtevki": […]}`."""
        asked = (await json_object(request)).get("zahtevki")
        if not isinstance(asked, list) or not asked:
            raise web.HTTPBadRequest
        self._last += 1
        number = f"PK-{self._last}"
        self._kept[number] = {"paket": number, "zahtevkov": len(asked), "oddal": request[CLAIMS]["sub"]}
        while len(self._kept) > _MOST_BATCHES:
            self._kept.popitem(last=False)
        return web.json_response(self._kept[number], status=201)
