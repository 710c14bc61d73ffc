"""The outbox as a commercial SMS gateway: a sender shows a key, gets an identifier for each message, and can
ask for its delivery later."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from aiohttp import web

from authproxy.sandbox.outbox.faults import DeliveryFaults
from authproxy.sandbox.outbox.messages import CAPACITY, Message, Messages, is_telephone
from authproxy.sandbox.outbox.segments import segments
from authproxy.sandbox.web_pages.http_basic import credentials
from authproxy.sandbox.web_pages.pages import json_object

_LONGEST_SENDER = 15
_MOST_SEGMENTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsCredentials:
    """A sender's credentials: a key in `X-API-Key`, or user and password by HTTP Basic."""

    api_key: str = field(repr=False)
    user: str
    password: str = field(repr=False)

    def fit(self, request: web.Request) -> bool:
        shown = request.headers.get("X-API-Key")
        if shown is not None:
            return _same(shown, self.api_key)
        user, password = credentials(request.headers.get("Authorization")) or ("", "")
        return _same(user, self.user) & _same(password, self.password)


# Public: the outbox's page shows them, and only the sandbox accepts them.
SANDBOX_CREDENTIALS = SmsCredentials(api_key="peskovnik-sms-2026", user="prehod", password="Sandbox-2026!")  # noqa: S106


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    recipient: str
    status: Literal["accepted", "delivered"]
    at: datetime


class OutboxSmsGateway:
    """Delivers into `messages`. Remembers the delivery of as many messages as the outbox keeps."""

    def __init__(
        self,
        messages: Messages,
        faults: DeliveryFaults,
        credentials: SmsCredentials,
        *,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._messages = messages
        self._faults = faults
        self._credentials = credentials
        self._clock = clock
        self._random_bytes = random_bytes
        self._deliveries: OrderedDict[str, _Delivery] = OrderedDict()

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_post("/sms/send", self.send)
        router.add_get("/sms/status/{id}", self.status)

    async def send(self, request: web.Request) -> web.Response:
        """202 with `message_id`; 400, 401, 415, 422 (recipient refused), 429 and 500 with `error`."""
        if not self._credentials.fit(request):
            return _refused(401, "unauthorized")
        body = await _body(request)
        fault = _wrong(body)
        if fault is not None:
            return _refused(400, fault)
        sender, recipient, text = body["sender"], body["recipient"], body["text"]
        how = await self._faults.met("sms", recipient)
        match how:
            case "error":
                return _refused(500, "internal_error")
            case "busy":
                return _refused(429, "too_many_requests")
            case "reject":
                return _refused(422, "recipient_rejected")
            case _:
                return self._accepted(sender, recipient, text, is_lost=how == "lose")

    def _accepted(self, sender: str, recipient: str, text: str, *, is_lost: bool) -> web.Response:
        identifier, now = self._random_bytes(8).hex(), self._clock()
        if not is_lost:
            self._messages.add(
                Message(id=identifier, kind="sms", to=recipient, sender=sender, subject="", text=text, at=now)
            )
        self._deliveries[identifier] = _Delivery(
            recipient=recipient, status="accepted" if is_lost else "delivered", at=now
        )
        if len(self._deliveries) > CAPACITY:
            self._deliveries.popitem(last=False)
        return web.json_response(
            {"message_id": identifier, "status": "accepted", "segments": segments(text)}, status=202
        )

    async def status(self, request: web.Request) -> web.Response:
        if not self._credentials.fit(request):
            return _refused(401, "unauthorized")
        identifier = request.match_info["id"]
        delivery = self._deliveries.get(identifier)
        if delivery is None:
            return _refused(404, "unknown_message")
        return web.json_response(
            {
                "message_id": identifier,
                "recipient": delivery.recipient,
                "status": delivery.status,
                "at": delivery.at.isoformat(),
            }
        )


def _same(shown: str, expected: str) -> bool:
    return hmac.compare_digest(shown.encode(errors="replace"), expected.encode())


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    return await json_object(request)


def _wrong(body: dict[str, Any]) -> str | None:
    """The error of a message; None if there is none."""
    sender, recipient, text = body.get("sender"), body.get("recipient"), body.get("text")
    if not isinstance(sender, str) or not 1 <= len(sender) <= _LONGEST_SENDER or not sender.isprintable():
        return "invalid_sender"
    if not isinstance(recipient, str) or not is_telephone(recipient):
        return "invalid_recipient"
    if not isinstance(text, str) or not text:
        return "invalid_text"
    return "text_too_long" if segments(text) > _MOST_SEGMENTS else None


_SAID_WITH = {401: {"WWW-Authenticate": 'Basic realm="sms", charset="UTF-8"'}, 429: {"Retry-After": "30"}}


def _refused(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status, headers=_SAID_WITH.get(status))
