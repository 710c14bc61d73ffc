"""Sends one e-mail through an HTTP mail gateway."""

from __future__ import annotations

import asyncio

from aiohttp import ClientError, ClientSession

_SECONDS = 5
_SENDER = "rekono@rekono.example"


async def mailed(session: ClientSession, url: str, *, to: str, text: str) -> bool:
    """Sends a message whose first line is its subject. True if the gateway has accepted it within 5
    seconds."""
    subject, _, body = text.strip().partition("\n")
    message = {"to": to, "subject": subject, "text": body.strip(), "from": _SENDER}
    try:
        async with (
            asyncio.timeout(_SECONDS),
            session.post(url, json=message, allow_redirects=False) as response,
        ):
            return response.status == 202
    except (ClientError, TimeoutError):
        return False
