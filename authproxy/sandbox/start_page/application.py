"""The start page: every address of the sandbox and whether it answers at this moment. Portals come first,
because a visitor begins there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web

from authproxy.sandbox.accounts import Accounts
from authproxy.sandbox.web_pages.pages import SandboxPages

Kind = Literal[
    "portal",
    "provider",
    "provider_certificates",
    "phone",
    "outbox",
    "mail",
    "management",
    "certificate_authority",
    "certificate_sign_in",
    "portal_itself",
]
_ANSWERS_WITHIN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAddress:
    """One address on the page. `label` is a portal's name; for the other kinds the page has a name and a
    description in the reader's language."""

    kind: Kind
    url: str
    label: str = ""
    purpose: tuple[str, str] | None = None
    """The purpose of a portal, in Slovene and in English."""
    users: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """User names and passwords of a portal with a sign-in of its own."""
    ways: tuple[tuple[str, tuple[str, str]], ...] = ()
    """What a portal does as old portals do it: address, and name in Slovene and in English."""


def application(
    *, addresses: Iterable[ListedAddress], accounts: Accounts, password: str, store: tuple[str, str]
) -> web.Application:
    """A page with the addresses in the given order, but portals first. `store` says where sessions are kept,
    in Slovene and in English."""
    pages = SandboxPages("authproxy.sandbox.start_page")
    listed = sorted(addresses, key=lambda address: address.kind != "portal")

    async def page(request: web.Request) -> web.Response:
        answering = await asyncio.gather(*(_answers(address.url) for address in listed))
        return pages.render(
            request,
            "start.html",
            addresses=list(zip(listed, answering, strict=True)),
            accounts=accounts.seeded,
            password=password,
            store=store,
        )

    app = web.Application()
    app.router.add_get("/", page)
    pages.install(app, style="/style.css")
    return app


async def _answers(url: str) -> bool:
    """Whether something listens at the address. The whole sandbox is on this machine, whatever name browsers
    use."""
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN):
            _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
