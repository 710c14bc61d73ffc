"""The sandbox's provider, outbox and phone on free ports, with a clock that stands still until it is
moved."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from authproxy.sandbox.accounts import PASSWORD, Accounts, people
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.installation import Installation, Link, installed_beforehand, linked_beforehand
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.clock import Clock
from tests.support.http_client import Answer, Browser

REDIRECT_URI = "http://acq.localhost:8080/.authproxy/callback/rekono"
CLIENT = Client(
    client_id="gateway", client_secret="s", redirect_uris=(REDIRECT_URI,), name="Bankart Varni Spletni Prehod"
)
ANA, BOR, CVETKA, DAVID = (
    f"{name}@example.si" for name in ("ana.novak", "bor.kranjc", "cvetka.zupan", "david.horvat")
)


MORNING = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)


class Part:
    """One application, which can be stopped, and started anew from what is on the disk."""

    def __init__(self) -> None:
        self.made: Callable[[], web.Application]
        self._listener: socket.socket | None = bound()
        self._port = port_of(self._listener)
        self._running = contextlib.AsyncExitStack()
        self.url = f"http://localhost:{self._port}"

    async def start(self) -> None:
        listener, self._listener = self._listener or bound(self._port), None
        await self._running.enter_async_context(serving(self.made(), listener))

    async def stop(self) -> None:
        await self._running.aclose()


@dataclass(kw_only=True)
class OnePassFixture:
    clock: Clock
    accounts: Accounts
    installed: tuple[Installation, ...]
    linked: tuple[Link, ...]
    provider: Part
    outbox: Part
    phone: Part
    scripts: Browser = field(default_factory=Browser)

    async def asks(self, method: str, url: str, body: Any = None, *, token: str | None = None) -> Answer:
        """One JSON request."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token is not None else {}
        )
        return await self.scripts.request(
            method, url, headers=headers, body=json.dumps(body).encode() if body is not None else b""
        )

    async def messages(self, to: str) -> list[dict[str, str]]:
        return (await self.asks("GET", f"{self.outbox.url}/api/messages?to={to}")).json

    async def code_sent(self, email: str) -> str:
        account = self.accounts.find(email)
        assert account is not None
        return re.search(r"\d{6}", (await self.messages(account.phone))[0]["text"])[0]

    async def pushes(self, email: str) -> list[dict[str, Any]]:
        return (await self.asks("GET", f"{self.phone.url}/api/pushes?email={email}")).json

    async def answers(
        self, push: dict[str, Any], action: str = "approve", number: str | None = None
    ) -> Answer:
        body = {"action": action, "number": push["number"] if number is None else number}
        return await self.asks("POST", f"{self.phone.url}/api/pushes/{push['id']}", body)

    def installation(self, email: str) -> Installation:
        return next(one for one in self.installed if one.email == email)

    def link(self, email: str) -> Link:
        """The phone that answers the gateway for somebody from the start."""
        return next(one for one in self.linked if one.account == email)

    def sign_in_url(self) -> str:
        asked = {
            "response_type": "code",
            "client_id": "gateway",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid",
            "state": "s1",
        }
        return f"{self.provider.url}/openid-connect-server-webapp/authorize?{urlencode(asked)}"

    async def confirmation_window(self, browser: Browser, email: str = ANA) -> Answer:
        """After the password."""
        page = await arrived(browser, await browser.navigate(self.sign_in_url()))
        return await pressed(browser, page, "username", username=email, password=PASSWORD)

    async def asked_to_confirm(self, browser: Browser, email: str = ANA) -> Answer:
        """The page that waits for the phone."""
        return await pressed(
            browser, await self.confirmation_window(browser, email), "mode=pushlogin", mode="pushlogin"
        )


async def pressed(browser: Browser, page: Answer, having: str, **filled: str) -> Answer:
    """Sends the first form that has this field, or this `name=value` button, and follows the redirects within
    the sandbox."""

    def names(form: Any) -> set[str]:
        return {*form.fields, *form.inputs, *(f"{name}={value}" for name, value in form.buttons)}

    form = next(form for form in page.forms if having in names(form))
    return await arrived(browser, await browser.submit(page, form, filled))


async def arrived(browser: Browser, answer: Answer) -> Answer:
    while answer.is_redirect and not answer.location.startswith(REDIRECT_URI):
        answer = await browser.follow(answer)
    return answer


def title(page: Answer) -> str:
    return re.search(r"<title>(.*?) –", page.text)[1]


@contextlib.asynccontextmanager
async def running_onepass(
    folder: Path | None = None, *, installed: bool = True, linked: bool = False
) -> AsyncIterator[OnePassFixture]:
    """With `folder` provider and phone keep their state there. `installed`: the phone has the seeded people
    from the start; `linked`: it answers the gateway for some of them."""
    clock, provider, messages, device = Clock(MORNING), Part(), Part(), Part()
    accounts = people(secrets.token_bytes)
    before = installed_beforehand(accounts, secrets.token_bytes) if installed else ()
    links = linked_beforehand(accounts, secrets.token_bytes) if linked else ()

    def state_file(name: str) -> Path | None:
        return folder / name if folder is not None else None

    provider.made = lambda: identity_provider.application(
        issuer=f"{provider.url}/openid-connect-server-webapp/",
        clients=(CLIENT,),
        accounts=accounts,
        outbox_url=messages.url,
        clock=clock,
        installed=before,
        linked=links,
        state_file=state_file("provider.json"),
    )
    messages.made = lambda: outbox.application(clock=clock)
    device.made = lambda: phone.application(
        provider_url=provider.url,
        clock=clock,
        installed=before,
        linked=links,
        state_file=state_file("phone.json"),
    )
    async with contextlib.AsyncExitStack() as resources:
        for part in (provider, messages, device):
            resources.push_async_callback(part.stop)
            await part.start()
        yield OnePassFixture(
            clock=clock,
            accounts=accounts,
            installed=before,
            linked=links,
            provider=provider,
            outbox=messages,
            phone=device,
        )
