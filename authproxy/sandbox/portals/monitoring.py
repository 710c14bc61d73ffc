"""A monitoring screen of a control room: the portal writes to it every second, and nobody touches it.

It listens to an event stream or to a WebSocket, whichever its portal has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from aiohttp import web

from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.own_sign_in import Page

SCREEN, EVENTS, SOCKET = "/nadzor", "/nadzor/tok", "/nadzor/ws"
_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS = 1, 60_000


class Monitoring:
    def __init__(self, portal: Description, page: Page) -> None:
        self._portal = portal
        self._page = page

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get(SCREEN, self.screen)
        if self._portal.monitor == "events":
            router.add_get(EVENTS, self.events)
        else:
            router.add_get(SOCKET, self.socket)

    async def screen(self, request: web.Request) -> web.Response:
        return self._page(request, "monitor.html", over=self._portal.monitor)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One event every second, or every `?premor_ms=`, without end."""
        measured = _measured(_pause(request))
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        async for number, line in measured:
            await response.write(f"id: {number}\ndata: {line}\n\n".encode())
        return response

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """The same as messages of a WebSocket. What the screen says is not read."""
        measured = _measured(_pause(request))
        socket = web.WebSocketResponse(max_msg_size=1024)
        await socket.prepare(request)

        async def writes() -> None:
            async for _, line in measured:
                await socket.send_str(line)

        writing = asyncio.ensure_future(writes())
        try:
            async for _ in socket:
                pass
        finally:
            writing.cancel()
        return socket


async def _measured(pause: float) -> AsyncIterator[tuple[int, str]]:
    number = 0
    while True:
        number += 1
        yield number, json.dumps({"stevilka": number, "v_vrsti": number * 37 % 50})
        await asyncio.sleep(pause)


def _pause(request: web.Request) -> float:
    """In seconds."""
    text = request.query.get("premor_ms", "1000")
    if not (text.isascii() and text.isdigit() and _SHORTEST_PAUSE_MS <= int(text[:9]) <= _LONGEST_PAUSE_MS):
        raise web.HTTPBadRequest
    return int(text) / 1000
