"""The outbox's HTTP side: endpoints for programs that send, a list for people, JSON for scripts. It also
starts the mail server, if it has a socket."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Literal

from aiohttp import web

from authproxy.sandbox.faults import NotAFault
from authproxy.sandbox.outbox.faults import DeliveryFaults, delivery_fault
from authproxy.sandbox.outbox.letter import ReceivedLetter
from authproxy.sandbox.outbox.messages import Message, Messages, NotAMessage, read, recipient_asked_for
from authproxy.sandbox.outbox.post_office import PostOffice, open_post_office
from authproxy.sandbox.outbox.sms_gateway import SANDBOX_CREDENTIALS, OutboxSmsGateway, SmsCredentials
from authproxy.sandbox.web_pages.pages import SandboxPages, is_of_another_site, json_object

_INTERFACE = {
    "GET /api/messages?to=ADDRESS": "messages, newest first; without `to` all of them",
    "DELETE /api/messages": "forgets every message",
    "POST /api/sms": {"to": "+38640123456", "text": "…", "from": "…"},
    "POST /api/mail": {"to": "ana@example.si", "subject": "…", "text": "…", "from": "…"},
    "POST /sms/send": {"sender": "Bankart", "recipient": "+38640123456", "text": "…"},
    "GET /sms/status/ID": "accepted or delivered",
    "GET /api/break": "what of /sms/send and of the mail server is broken on purpose",
    "POST /api/break": {
        "service": "sms | mail",
        "how": "error | busy | slow | reject | lose",
        "to": "only this recipient",
        "seconds": 30,
    },
    "DELETE /api/break": "everything works again",
}


def application(
    *,
    clock: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    smtp: socket.socket | None = None,
    sms: SmsCredentials = SANDBOX_CREDENTIALS,
) -> web.Application:
    """A new, empty outbox. `smtp` is a bound socket for its mail server; without it there is no mail server.
    `sms` are the credentials for `/sms/send`."""
    outbox = _Outbox(clock, random_bytes, sms, smtp)
    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/", outbox.page)
    app.router.add_get("/messages/{id}", outbox.message)
    app.router.add_post("/clear", outbox.cleared)
    app.router.add_get("/api/", outbox.interface)
    app.router.add_get("/api/messages", outbox.listed)
    app.router.add_delete("/api/messages", outbox.forgotten)
    app.router.add_post("/api/sms", outbox.sms)
    app.router.add_post("/api/mail", outbox.mail)
    app.router.add_get("/api/break", outbox.broken)
    app.router.add_post("/api/break", outbox.breaks)
    app.router.add_delete("/api/break", outbox.mended)
    outbox.gateway.route(app.router)
    outbox.pages.install(app, style="/style.css")
    if smtp is not None:
        app.cleanup_ctx.append(outbox.mail_server(smtp))
    return app


class _Outbox:
    def __init__(
        self,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        sms: SmsCredentials,
        smtp: socket.socket | None,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._sms = sms
        self._smtp_port = smtp.getsockname()[1] if smtp is not None else None
        self._messages = Messages()
        self._faults = DeliveryFaults()
        self.gateway = OutboxSmsGateway(
            self._messages, self._faults, sms, clock=clock, random_bytes=random_bytes
        )
        self.pages = SandboxPages(
            "authproxy.sandbox.outbox", connect=True, script="/script.js", json_below=("/api/", "/sms/")
        )

    def mail_server(self, listener: socket.socket) -> Callable[[web.Application], AsyncIterator[None]]:
        async def running(_: web.Application) -> AsyncIterator[None]:
            async with open_post_office(PostOffice(self._deliver, self._faults), listener):
                yield

        return running

    def _deliver(self, sender: str, recipient: str, letter: ReceivedLetter) -> None:
        self._messages.add(
            Message(
                id=self._random_bytes(8).hex(),
                kind="mail",
                to=recipient,
                sender=sender,
                subject=letter.subject,
                text=letter.text,
                at=self._clock(),
                attachments=letter.attachments,
            )
        )

    async def page(self, request: web.Request) -> web.Response:
        recipient = recipient_asked_for(request.query.get("to"))
        return self.pages.render(
            request,
            "list.html",
            messages=self._messages.to(recipient),
            recipient=recipient,
            is_cleared="cleared" in request.query,
            faults=list(self._faults),
            sms=self._sms,
            smtp_port=self._smtp_port,
        )

    async def message(self, request: web.Request) -> web.Response:
        message = self._messages.find(request.match_info["id"])
        if message is None:
            raise web.HTTPNotFound
        return self.pages.render(request, "message.html", message=message)

    async def cleared(self, request: web.Request) -> web.Response:
        if is_of_another_site(request):
            raise web.HTTPForbidden
        self._messages.clear()
        raise web.HTTPSeeOther("/?cleared")

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
            message = read(
                kind, await json_object(request), identifier=self._random_bytes(8).hex(), now=self._clock()
            )
        except NotAMessage as wrong:
            return web.json_response({"error": "invalid", "member": str(wrong)}, status=400)
        self._messages.add(message)
        return web.json_response({"id": message.id}, status=202)

    async def broken(self, _: web.Request) -> web.Response:
        return web.json_response([fault.as_json() for fault in self._faults])

    async def breaks(self, request: web.Request) -> web.Response:
        try:
            self._faults.add(delivery_fault(await json_object(request)))
        except NotAFault as wrong:
            return web.json_response({"error": "invalid", "member": str(wrong)}, status=400)
        return await self.broken(request)

    async def mended(self, _: web.Request) -> web.Response:
        self._faults.mend()
        return web.Response(status=204)
