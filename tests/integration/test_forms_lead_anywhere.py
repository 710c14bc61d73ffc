"""Every form of ours leads where it should in Chromium, through any number of origins. Its `form-action` is
about every redirect after a form, and where it forbids one the click does nothing and says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser

from authproxy.access.decision import Reason
from authproxy.flows.held.requests import HeldRequestPreview
from authproxy.flows.sign_in.attempts import SignInRefused
from tests.support.page_checks import signed_in
from tests.support.pages import PROVIDER_LOGOUT, SESSION, TICKET, PagesFixture, front, running_pages
from tests.support.step_up_script import CODE, HELD

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]

REKONO = "button[name=method][value=rekono]"
CLICKS = {
    "the chooser": ("login?rt=/orders", REKONO),
    "a new sign-in after a refusal": (
        "callback/rekono?code=c&state=s",
        "main:visible input[name=anew] ~ button",
    ),
    "the choice of a fresh proof": ("step-up?rt=/orders&for=payments", REKONO),
    "a code that was right": ("step-up?c=challenge-0&rt=/orders", "main form:has(#code) button:not(.quiet)"),
    "a phone that has answered": ("step-up?c=challenge-1&rt=/orders", "form[data-waiting] button"),
    "a form that was kept": (f"step-up/send?held={HELD}&rt=/orders", f"form:has(input[value={HELD}]) button"),
    "a kept form that is not sent": (f"step-up/send?held={HELD}&rt=/orders", "form[action*=discard] button"),
    "the sign-out": ("logout", "main form[action*=logout] button"),
}
SIGNED_OUT = {"the chooser", "a new sign-in after a refusal"}


@contextlib.asynccontextmanager
async def origins() -> AsyncIterator[tuple[str, str]]:
    """A provider whose every place redirects to a broker at a third origin, and where one arrives there."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.host.startswith("idp."):
            return web.Response(status=302, headers={"Location": f"http://broker.localhost:{port}/arrived"})
        return web.Response(text="<!doctype html><title>arrived</title>", content_type="text/html")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.Server)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://idp.localhost:{port}", f"http://broker.localhost:{port}/arrived"
    finally:
        await runner.cleanup()


@dataclass
class Place:
    house: PagesFixture
    port: int
    provider: str
    arrived: str

    def url(self, path: str) -> str:
        return f"http://acq.localhost:{self.port}/.authproxy/{path}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place() -> AsyncIterator[Place]:
    def portal(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{provider}/portal"})

    async with (
        origins() as (provider, arrived),
        running_pages() as house,
        front(house, portal=portal) as port,
    ):
        yield Place(house, port, provider, arrived)


@pytest.mark.parametrize("click", CLICKS)
async def test_a_click_arrives_at_a_third_origin_from(chromium: Browser, place: Place, click: str) -> None:
    path, selector = CLICKS[click]
    house = place.house
    house.flows.provider, house.flows.open_sessions = place.provider, {TICKET: SESSION}
    house.flows.outcome = SignInRefused(Reason.TAX_NUMBER_MISSING, "/orders")
    house.flows.provider_logout = replace(PROVIDER_LOGOUT, endpoint=f"{place.provider}/endsession")
    house.step_ups.provider, house.step_ups.asked, house.step_ups.phone = place.provider, [], "waits"
    house.held.kept[HELD] = HeldRequestPreview(
        method="POST",
        target="/orders",
        content_type="application/x-www-form-urlencoded",
        size=3,
        fields=(("a", "1"),),
        files=(),
        is_whole=True,
    )
    context = await chromium.new_context(locale="en")
    page = await context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if "violates" in message.text else None
    )
    if click not in SIGNED_OUT:
        await signed_in(context, place.port)
    for method in ("sms", "push") if "c=challenge" in path else ():
        await page.goto(place.url("step-up?rt=/orders"))
        await page.locator(f"button[value={method}]").click()
        await page.wait_for_url(re.compile("c=challenge"))
    await page.goto(place.url(path))
    if "challenge-0" in path:
        await page.fill("#code", CODE)
    house.step_ups.phone = "approved"
    await page.locator(selector).first.click()
    await page.wait_for_url(place.arrived, timeout=5000)
    assert complaints == []
    await context.close()
