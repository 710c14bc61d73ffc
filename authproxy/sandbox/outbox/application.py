"""The outbox's HTTP side: an SMS gateway and a mail endpoint for programs, a list for people, JSON for scripts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from aiohttp import web

from authproxy.sandbox.furniture.pages import Pages, json_object
from authproxy.sandbox.outbox.messages import Messages, NotAMessage, read, recipient_asked_for

_INTERFACE = {
    "GET /api/messages?to=ADDRESS": "messages, newest first; without `to` all of them",
    "DELETE /api/messages": "forgets every message",
    "POST /api/sms": {"to": "+38640123456", "text": "…", "from": "…"},
    "POST /api/mail": {"to": "ana@example.si", "subject": "…", "text": "…", "from": "…"},
}


def application(*, clock: Callable[[], datetime], fresh: Callable[[int], bytes] = secrets.token_bytes) -> web.Application:
    """An outbox of its own, empty."""
    outbox = _Outbox(clock, fresh)
    made = web.Application(client_max_size=64 * 1024)
    made.router.add_get("/", outbox.page)
    made.router.add_get("/api/", outbox.interface)
    made.router.add_get("/api/messages", outbox.listed)
    made.router.add_delete("/api/messages", outbox.forgotten)
    made.router.add_post("/api/sms", outbox.sms)
    made.router.add_post("/api/mail", outbox.mail)
    outbox.pages.furnish(made, style="/style.css")
    return made


class _Outbox:
    def __init__(self, clock: Callable[[], datetime], fresh: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._fresh = fresh
        self._messages = Messages()
        self.pages = Pages("authproxy.sandbox.outbox")

    async def page(self, request: web.Request) -> web.Response:
        recipient = recipient_asked_for(request.query.get("to"))
        return self.pages.render(request, "outbox.html", messages=self._messages.to(recipient), recipient=recipient)

    async def interface(self, _: web.Request) -> web.Response:
        return web.json_response(_INTERFACE)

    async def listed(self, request: web.Request) -> web.Response:
        recipient = recipient_asked_for(request.query.get("to"))
        return web.json_response([message.as_json() for message in self._messages.to(recipient)])

    async def forgotten(self, _: web.Request) -> web.Response:
        self._messages.clear()
        return web.Response(status=204)

    async def sms(self, request: web.Request) -> web.Response:
        return await self._accept("sms", request)

    async def mail(self, request: web.Request) -> web.Response:
        return await self._accept("mail", request)

    async def _accept(self, kind: Literal["sms", "mail"], request: web.Request) -> web.Response:
        try:
            message = read(kind, await json_object(request), identifier=self._fresh(8).hex(), now=self._clock())
        except NotAMessage as fault:
            return web.json_response({"error": "invalid", "member": str(fault)}, status=400)
        self._messages.add(message)
        return web.json_response({"id": message.id}, status=202)
