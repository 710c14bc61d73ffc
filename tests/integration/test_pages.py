"""Every page in a real browser: nothing that axe finds, nothing wider than the window, nothing that the policy blocks."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from authproxy.flows.login import SignInRefused
from authproxy.flows.logout import ProviderLogout
from authproxy.web.refusals import PAGES
from tests.support.pages_house import TICKET, front, running_pages

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
REASON_OF_EACH_PAGE = {name: reason for reason, (name, _status) in PAGES.items()}
OWN_PAGES = {"login": "login", "session": "session", "logout": "logout", "signed_out": "logout"}

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


async def signed_in(context: BrowserContext, port: int) -> None:
    await context.add_cookies([
        {"name": "__Host-authproxy", "value": TICKET, "url": f"https://acq.localhost:{port}/", "secure": True, "sameSite": "Lax", "httpOnly": True}
    ])  # fmt: skip


async def faults_of(page: Page) -> list[str]:
    """What axe finds, and what sticks out of the window."""
    found = (await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})).response
    faults = [f"{violation['id']}: {node['target']}" for violation in found["violations"] for node in violation["nodes"]]
    if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        faults.append("wider than the window")
    return faults


@pytest.mark.parametrize(
    ("width", "language", "scheme"), [(320, "sl", "light"), (1280, "en", "light"), (320, "en", "dark"), (1280, "sl", "dark")]
)
async def test_every_page_is_accessible_fits_its_window_and_breaks_no_policy(chromium, width, language, scheme):
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
        for name, path in OWN_PAGES.items():
            if name in {"session", "logout"}:
                await signed_in(context, port)
            await page.goto(f"http://acq.localhost:{port}/.authproxy/{path}?lang={language}")
            assert await faults_of(page) == [], name
            await context.clear_cookies()
        for name, reason in REASON_OF_EACH_PAGE.items():
            house.flows.outcome = SignInRefused(reason, "/orders", missing=("birthdate", "address"))
            await page.goto(f"http://acq.localhost:{port}/.authproxy/callback/rekono?lang={language}")
            assert await faults_of(page) == [], name
        assert complaints == []


async def provider_that_ends_sessions(seen: list[dict[str, str]]) -> tuple[web.AppRunner, int]:
    async def end(request: web.Request) -> web.StreamResponse:
        seen.append({**{name: str(value) for name, value in (await request.post()).items()}, "query": request.query_string})
        return web.Response(status=303, headers={"Location": seen[-1]["post_logout_redirect_uri"]})

    application = web.Application()
    application.router.add_post("/endsession", end)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, site._server.sockets[0].getsockname()[1]


async def sign_out(chromium: Browser, port: int, *, with_script: bool) -> str:
    context = await chromium.new_context(java_script_enabled=with_script, locale="en")
    await signed_in(context, port)
    page = await context.new_page()
    await page.goto(f"http://acq.localhost:{port}/.authproxy/logout")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    if not with_script:
        await page.get_by_role("button", name="Sign out of Rekono").click()
    await page.get_by_text("You have no session at").wait_for(timeout=10_000)
    assert not await context.cookies(f"https://acq.localhost:{port}/")
    return page.url


@pytest.mark.parametrize("with_script", [True, False])
async def test_signing_out_goes_by_way_of_the_provider_and_comes_back(chromium, with_script):
    seen: list[dict[str, str]] = []
    provider, provider_port = await provider_that_ends_sessions(seen)
    try:
        async with running_pages() as house, front(house) as port:
            house.flows.provider_logout = ProviderLogout(
                endpoint=f"http://localhost:{provider_port}/endsession", id_token_hint="eyJ0.e30.", state="s",
                post_logout_redirect_uri=f"http://acq.localhost:{port}/.authproxy/logout",
            )  # fmt: skip
            landed = await sign_out(chromium, port, with_script=with_script)
    finally:
        await provider.cleanup()

    assert landed == f"http://acq.localhost:{port}/.authproxy/logout"
    assert house.flows.open_sessions == {}
    assert [(form["id_token_hint"], form["state"], form["query"]) for form in seen] == [("eyJ0.e30.", "s", "")]


async def test_the_way_in_is_the_first_thing_that_a_keyboard_reaches(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/login")
        await page.keyboard.press("Tab")

        assert await page.evaluate("document.activeElement.innerText") == "Prijava z računom Rekono"
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


async def test_the_other_language_is_one_click_away_and_keeps_the_way_back(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/login?rt=/a%3Fb%3D1")
        await page.get_by_role("link", name="English").click()

        assert await page.locator("h1").inner_text() == "Choose how to sign in"
        assert await page.locator("input[name=rt]").first.input_value() == "/a?b=1"
        assert await page.locator("form").first.get_attribute("action") == "/.authproxy/login?lang=en"
