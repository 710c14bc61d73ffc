"""The sandbox's provider with its outbox on free ports, a clock that stands still, and a person who walks
through its forms."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from aiohttp import web

from authproxy.sandbox import one_time_code
from authproxy.sandbox.accounts import PASSWORD, Accounts, people
from authproxy.sandbox.identity_provider.application import application as provider_application
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.outbox.application import application as outbox_application
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.clock import Clock
from tests.support.http_client import Answer, Browser

REDIRECT_URI = "http://rp.example.si/callback"
AFTER_LOGOUT = "http://rp.example.si/bye"
CLIENT = Client(
    client_id="rp",
    client_secret="rp-secret",
    redirect_uris=(REDIRECT_URI,),
    post_logout_redirect_uris=(AFTER_LOGOUT,),
    name="Tuja aplikacija",
    may_introspect=True,
)
SCOPE = "openid profile email phone address http://idp.rekono.si/openid/taxnumber"
LONG_PASSWORD = "konj baterija sponka"
PHONE_URL = "http://phone.example.si"


MORNING = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)


@dataclass
class Rekono:
    issuer: str
    outbox: str
    accounts: Accounts
    clock: Clock
    application: web.Application
    outbox_stops: Callable[[], Awaitable[None]]

    @property
    def origin(self) -> str:
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.issuer))

    @property
    def dashboard(self) -> str:
        return f"{self.origin}/IdP-RM-Front/chooselogin/rekono.htm"

    def authorize_url(self, **changed: str) -> str:
        asked = {
            "response_type": "code",
            "client_id": CLIENT.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "s1",
            "nonce": "n1",
        }
        return f"{self.issuer}authorize?{urlencode(asked | changed)}"

    async def messages(self, to: str) -> list[dict]:
        return (await Browser().request("GET", f"{self.outbox}/api/messages?to={quote(to)}")).json

    async def last_code(self, to: str) -> str:
        found = re.search(r"(?<!\d)\d{6}(?!\d)", (await self.messages(to))[0]["text"])
        assert found, "the last message has no code"
        return found[0]

    async def userinfo(self, location: str) -> dict:
        """What the relying party learns from the code in the redirect."""
        form = {
            "grant_type": "authorization_code",
            "code": answer_in(location)["code"],
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.client_secret,
        }
        tokens = (await Browser().post(f"{self.issuer}token", form)).json
        return (
            await Browser().request(
                "GET", f"{self.issuer}userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
            )
        ).json


def answer_in(location: str) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(urlsplit(location).query, keep_blank_values=True).items()
    }


@contextlib.asynccontextmanager
async def running_rekono(
    *,
    clock: Clock | None = None,
    accounts: Accounts | None = None,
    state_file: Path | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> AsyncIterator[Rekono]:
    clock = clock or Clock(MORNING)
    listener, outbox_listener = bound(), bound()
    issuer = f"http://localhost:{port_of(listener)}/openid-connect-server-webapp/"
    outbox = f"http://localhost:{port_of(outbox_listener)}"
    accounts = accounts if accounts is not None else people(secrets.token_bytes)
    async with contextlib.AsyncExitStack() as stack:
        for each in (listener, outbox_listener):
            stack.enter_context(each)
        made = provider_application(
            issuer=issuer,
            clients=(CLIENT,),
            accounts=accounts,
            outbox_url=outbox,
            clock=clock,
            state_file=state_file,
            random_bytes=random_bytes,
            phone_url=PHONE_URL,
        )
        outbox_runs = await stack.enter_async_context(contextlib.AsyncExitStack())
        await outbox_runs.enter_async_context(serving(outbox_application(clock=clock), outbox_listener))
        await stack.enter_async_context(serving(made, listener))
        yield Rekono(
            issuer=issuer,
            outbox=outbox,
            accounts=accounts,
            clock=clock,
            application=made,
            outbox_stops=outbox_runs.aclose,
        )


class Guest:
    """A person with a browser, who follows redirects within the provider and stops where they lead out of
    it."""

    def __init__(self, rekono: Rekono, *, language: str = "sl") -> None:
        self.rekono = rekono
        self.browser = Browser(language=language)

    async def get(self, url: str) -> Answer:
        return await self._end(await self.browser.navigate(url))

    async def sends(
        self, page: Answer, having: str = "_csrf", *, button: tuple[str, str] | None = None, **typed: str
    ) -> Answer:
        """Fills in the first form that has such a field, or the one that has the button, and sends it."""
        fits = (
            form
            for form in page.forms
            if (button in form.buttons if button else having in form.inputs or having in form.fields)
        )
        form = next(fits, None)
        assert form is not None, f"no form for {button or having} in: {title(page)}"
        return await self._end(
            await self.browser.submit(page, form, typed | (dict([button]) if button else {}))
        )

    async def sends_twice(self, page: Answer, having: str = "_csrf", **typed: str) -> list[Answer]:
        return list(
            await asyncio.gather(self.sends(page, having, **typed), self.sends(page, having, **typed))
        )

    async def _end(self, answer: Answer) -> Answer:
        while answer.is_redirect and answer.location.startswith(self.rekono.origin):
            answer = await self.browser.follow(answer)
        return answer

    async def signs_in(self, email: str, *, url: str | None = None, password: str = PASSWORD) -> Answer:
        """The page after the confirmation by a OnePass code or, where there is no OnePass, by SMS."""
        page = await self.get(url or self.rekono.dashboard)
        page = await self.sends(page, "username", username=email, password=password)
        account = self.rekono.accounts.find(email)
        assert account is not None
        if account.totp_secret is not None:
            page = await self.sends(page, button=("mode", "otplogin"))
            self.rekono.clock.advance(seconds=60)  # a code of OnePass is good once
            return await self.sends(
                page,
                "code",
                code=one_time_code.code(account.totp_secret, one_time_code.step(self.rekono.clock())),
            )
        page = await self.sends(page, button=("mode", "smslogin"))
        return await self.sends(page, "code", code=await self.rekono.last_code(account.phone))

    async def registers(
        self,
        page: Answer,
        *,
        email: str = "eva.cuk@example.si",
        phone: str = "041 234 567",
        password: str = LONG_PASSWORD,
    ) -> Answer:
        """From the form to what follows the PUK code."""
        page = await self.sends(page, "email", email=email, phone=phone, password=password)
        page = await self.sends(page, "code", code=await self.rekono.last_code(email))
        page = await self.sends(page, "code", code=await self.rekono.last_code("+38641234567"))
        assert puk_on(page)
        return await self.sends(page, "saved", saved="yes")


def title(page: Answer) -> str:
    found = re.search(r"<title>(.*?)</title>", page.text, re.DOTALL)
    return unescape(found[1]).partition(" – ")[0] if found else ""


def puk_on(page: Answer) -> str:
    found = re.search(r"\d{4} \d{4} \d{4}", page.text)
    return found[0] if found else ""
