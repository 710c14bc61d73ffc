"""The start page's one decision is its order: portals first, because that is where a visitor begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from authproxy.sandbox.accounts import Accounts
from authproxy.sandbox.furniture.pages import Pages

Kind = Literal["portal", "provider", "phone", "outbox", "management", "certificate_authority", "certificate_sign_in", "portal_itself"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something that runs. `label` is a proper name (of a portal); what the kind is for, the page says in the reader's language."""

    kind: Kind
    url: str
    label: str = ""


def application(*, places: Iterable[Place], accounts: Accounts, password: str, store: str) -> web.Application:
    """A page of the places in the order given, portals first; `store` says in a few words where sessions are kept."""
    pages = Pages("authproxy.sandbox.start_page")
    listed = sorted(places, key=lambda place: place.kind != "portal")

    async def page(request: web.Request) -> web.Response:
        return pages.render(request, "start.html", places=listed, accounts=list(accounts), password=password, store=store)

    made = web.Application()
    made.router.add_get("/", page)
    pages.furnish(made, style="/style.css")
    return made
