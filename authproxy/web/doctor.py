"""What `authproxy doctor` asks the gateway, with an operator's consent. Everybody else is told that there is
no such page."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from aiohttp import hdrs, web

from authproxy.access import consent
from authproxy.access.consent import Consents
from authproxy.telemetry.logging import logger
from authproxy.web.request_keys import CONTEXT

Diagnosis = Callable[[str], Awaitable[Mapping[str, object]]]
"""What the gateway says about itself, for the portal with that id. It holds no secret."""


class DoctorPage:
    """The answer is JSON: `said`, a text that is JSON itself, and `proof`, by which the doctor knows that the
    gateway of the consent has said it."""

    def __init__(self, *, consents: Consents, diagnosis: Diagnosis, clock: Callable[[], datetime]) -> None:
        self._consents = consents
        self._diagnosis = diagnosis
        self._clock = clock

    async def show(self, request: web.Request) -> web.StreamResponse:
        values = [
            value.encode("utf-8", "surrogateescape")
            for value in request.headers.getall(hdrs.AUTHORIZATION, [])
        ]
        order = self._consents.order_in(values, self._clock())
        context = request[CONTEXT]
        is_for_this_portal = order is not None and context.portal.origin.endswith(f"://{order.host}")
        if order is None or order.purpose != "look" or not is_for_this_portal:
            raise web.HTTPNotFound
        logger("web").info("doctor.answered", portal=context.portal.portal_id, client=context.client)
        said = json.dumps(
            {
                "time": self._clock().timestamp(),
                "request": {
                    "client": context.client,
                    "names_no_client": context.client_is_nobody,
                    "portal": context.portal.portal_id,
                    "host": request.host,
                    "arrived": request.headers.get("X-Authproxy-Arrived", "").split(","),
                },
                **await self._diagnosis(context.portal.portal_id),
            }
        )
        proof = consent.answer_proof(order.secret, order.nonce, said)
        return web.json_response({"said": said, "proof": proof}, headers={"Cache-Control": "no-store"})
