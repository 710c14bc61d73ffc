"""Runs the sandbox's provider, phone and outbox in one process. Arguments: their three ports, and a JSON list
of clients; then, for a certificate authority too, its port and its folder."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from authproxy.bootstrap.clock import utc_now
from authproxy.sandbox.accounts import people
from authproxy.sandbox.certificate_authority import application as certificate_authority
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.installation import installed_beforehand
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.serving import bound, serving


async def serve(
    provider_port: int,
    phone_port: int,
    outbox_port: int,
    clients: list[dict[str, str]],
    authority: tuple[int, Path] | None,
) -> None:
    accounts = people(secrets.token_bytes)
    installed = installed_beforehand(accounts, secrets.token_bytes)
    known = tuple(
        Client(
            client_id=each["id"],
            client_secret=each["secret"],
            redirect_uris=tuple(each["redirect_uris"]),
            name=each["id"],
        )
        for each in clients
    )
    provider = identity_provider.application(
        issuer=f"http://localhost:{provider_port}/openid-connect-server-webapp/",
        clients=known,
        accounts=accounts,
        outbox_url=f"http://localhost:{outbox_port}",
        clock=utc_now,
        installed=installed,
    )
    phones = phone.application(
        provider_url=f"http://localhost:{provider_port}", installed=installed, clock=utc_now
    )
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as resources:
        await resources.enter_async_context(serving(outbox.application(clock=utc_now), bound(outbox_port)))
        if authority is not None:
            port, folder = authority
            made = certificate_authority.application(
                base_url=f"http://localhost:{port}", clock=utc_now, state_dir=folder
            )
            await resources.enter_async_context(serving(made, bound(port)))
        await resources.enter_async_context(serving(phones, bound(phone_port)))
        await resources.enter_async_context(serving(provider, bound(provider_port)))
        await stopped.wait()


ports, (clients, *place) = [int(text) for text in sys.argv[1:4]], sys.argv[4:]
authority = (int(place[0]), Path(place[1])) if place else None
asyncio.run(serve(*ports, json.loads(clients), authority))
