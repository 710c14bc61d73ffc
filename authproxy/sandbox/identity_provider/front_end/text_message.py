"""Sends one text message through an HTTP SMS gateway."""

from __future__ import annotations

import asyncio

from aiohttp import ClientError, ClientSession

_SECONDS = 5


async def sent(session: ClientSession, url: str, *, to: str, text: str) -> bool:
    """True if the gateway has accepted the message within 5 seconds."""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            session.post(
                url, json={"to": to, "text": text, "from": "Rekono"}, allow_redirects=False
            ) as response,
        ):
            return response.status == 202
    except (ClientError, TimeoutError):
        return False
