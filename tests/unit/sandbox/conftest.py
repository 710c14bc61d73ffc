"""A provider with its outbox and phone on free ports, a clock that stands still, and a person with a
browser."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp
import pytest

from authproxy.sandbox import accounts as people_of
from authproxy.sandbox import one_time_code
from authproxy.sandbox.identity_provider.application import application as provider_application
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.installation import installed_beforehand
from authproxy.sandbox.outbox.application import application as outbox_application
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.clock import Clock

REDIRECT_URI = "http://acq.localhost:8080/.authproxy/callback/rekono"
AFTER_LOGOUT = "http://acq.localhost:8080/.authproxy/logout"
SCOPE = "openid profile email phone address http://idp.rekono.si/openid/taxnumber"
CLIENT = Client(
    client_id="gateway",
    client_secret="a secret & more",
    redirect_uris=(REDIRECT_URI,),
    post_logout_redirect_uris=(AFTER_LOGOUT,),
    name="Bankart Varni Spletni Prehod",
    may_introspect=True,
)
OTHER_CLIENT = Client(
    client_id="other",
    client_secret="other-secret",
    redirect_uris=("https://other.example.si/cb?from=idp",),
    name="Druga aplikacija",
)


@dataclass(frozen=True)
class Form:
    action: str
    fields: dict[str, str]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given["action"], {}))
        elif tag == "input" and self.found and "name" in given:
            self.found[-1].fields[given["name"]] = given.get("value", "")


@dataclass
class Page:
    status: int
    url: str
    text: str
    location: str | None
    headers: dict[str, str]

    @property
    def title(self) -> str:
        return re.search(r"<title>(.*?)</title>", self.text, re.DOTALL)[1]

    @property
    def answer(self) -> dict[str, str]:
        """Parameters of the redirect to the relying party."""
        assert self.location is not None, self.text
        return {
            name: values[0]
            for name, values in parse_qs(urlsplit(self.location).query, keep_blank_values=True).items()
        }

    def form(self, having: str) -> Form:
        forms = _Forms()
        forms.feed(self.text)
        return next(form for form in forms.found if having in form.fields)


class Browser:
    """Follows redirects only within the provider, keeps cookies, fills in forms."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self.session = session
        self.origin = origin

    async def get(self, url: str) -> Page:
        return await self._follow("GET", url, None)

    async def post(self, url: str, fields: dict[str, str]) -> Page:
        return await self._follow("POST", url, fields)

    async def submit(self, page: Page, having: str, **fields: str) -> Page:
        form = page.form(having)
        return await self.post(urljoin(page.url, form.action), form.fields | fields)

    async def _follow(self, method: str, url: str, fields: dict[str, str] | None) -> Page:
        while True:
            async with self.session.request(method, url, data=fields, allow_redirects=False) as response:
                location = response.headers.get("Location")
                page = Page(
                    response.status,
                    str(response.url),
                    await response.text(),
                    location,
                    dict(response.headers),
                )
            if location is None or not urljoin(url, location).startswith(self.origin):
                return page
            method, url, fields = "GET", urljoin(url, location), None


class Rekono:
    """The provider as its users and relying parties see it."""

    def __init__(self, *, issuer: str, outbox: str, accounts, clock: Clock) -> None:
        self.issuer = issuer
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(issuer))
        self.outbox = outbox
        self.accounts = accounts
        self.clock = clock
        self.http: aiohttp.ClientSession

    def authorize_url(self, **changed: str | None) -> str:
        parameters = {
            "response_type": "code",
            "client_id": "gateway",
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "s1",
            "nonce": "n1",
        } | changed
        return f"{self.issuer}authorize?{urlencode({name: value for name, value in parameters.items() if value is not None})}"

    async def last_sms(self, phone: str) -> str:
        async with self.http.get(f"{self.outbox}/api/messages", params={"to": phone}) as response:
            return re.search(r"\d{6}", (await response.json())[0]["text"])[0]

    def one_time_code(self, email: str) -> str:
        return one_time_code.code(self.accounts.find(email).totp_secret, one_time_code.step(self.clock()))

    async def password_given(
        self, browser: Browser, email: str = "ana.novak@example.si", *, url: str | None = None
    ) -> Page:
        """The confirmation window."""
        page = await browser.get(url or self.authorize_url())
        return await browser.submit(page, "username", username=email, password=people_of.PASSWORD)

    async def confirmed(
        self, browser: Browser, email: str = "ana.novak@example.si", *, url: str | None = None
    ) -> Page:
        """What follows a sign-in by OnePass code: the consent page, or the way back."""
        page = await self.password_given(browser, email, url=url)
        page = await browser.submit(page, "_csrf", mode="otplogin")
        return await browser.submit(page, "code", code=self.one_time_code(email))

    async def signed_in(
        self, browser: Browser, email: str = "ana.novak@example.si", *, url: str | None = None
    ) -> Page:
        """The way back to the relying party, consent given where it is asked for."""
        page = await self.confirmed(browser, email, url=url)
        return page if page.location else await browser.submit(page, "request", user_oauth_approval="true")

    async def redeemed(self, code: str, **changed: str | None) -> tuple[int, dict]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.client_secret,
        } | changed
        async with self.http.post(
            f"{self.issuer}token", data={name: value for name, value in form.items() if value is not None}
        ) as response:
            return response.status, await response.json()


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC))


@pytest.fixture
async def rekono(clock: Clock) -> AsyncIterator[Rekono]:
    listener, outbox_listener = bound(), bound()
    issuer = f"http://localhost:{port_of(listener)}/openid-connect-server-webapp/"
    outbox = f"http://localhost:{port_of(outbox_listener)}"
    accounts = people_of.people(secrets.token_bytes)
    installed = installed_beforehand(accounts, secrets.token_bytes)
    made = provider_application(
        issuer=issuer,
        clients=(CLIENT, OTHER_CLIENT),
        accounts=accounts,
        outbox_url=outbox,
        clock=clock,
        installed=installed,
    )
    seen = Rekono(issuer=issuer, outbox=outbox, accounts=accounts, clock=clock)
    async with contextlib.AsyncExitStack() as stack:
        outbox_runs = await stack.enter_async_context(contextlib.AsyncExitStack())
        await outbox_runs.enter_async_context(serving(outbox_application(clock=clock), outbox_listener))
        seen.outbox_stops = outbox_runs.aclose
        await stack.enter_async_context(serving(made, listener))
        seen.http = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        yield seen


@pytest.fixture
async def visitor(rekono: Rekono) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session, rekono.origin)


@pytest.fixture
async def another_visitor(rekono: Rekono) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session, rekono.origin)
