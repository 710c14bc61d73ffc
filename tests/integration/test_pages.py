"""Every page in a real browser: nothing that axe finds, nothing wider than the window, nothing that the
policy blocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from playwright.async_api import Browser

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.attempts import SignInRefused
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.web.refusals import PAGES
from tests.support.page_checks import everything_but_our_own, faults_of, signed_in
from tests.support.pages import NOW, OTHER_TICKET, SESSION, TICKET, front, running_pages

REASON_OF_EACH_PAGE = {name: reason for reason, (name, _status) in PAGES.items()}
OWN_PAGES = {
    "login": "login?rt=/orders/2026/11&",
    "login after a time-out": "login?",
    "session": "session?said=extended&",
    "logout": "logout?",
    "logout everywhere": "logout?everywhere=yes&",
    "signed_out": "logout?",
}
SIGNED_IN = {"session", "logout", "logout everywhere"}

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(("width", "language", "scheme"), [(320, "sl", "dark"), (1280, "en", "light")])
async def test_every_page_is_accessible_fits_its_window_and_breaks_no_policy(
    chromium, width, language, scheme
):
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language
        )
        page = await context.new_page()
        complaints = everything_but_our_own(page, port)
        for name, path in OWN_PAGES.items():
            if name in SIGNED_IN or "time-out" in name:
                await signed_in(context, port, TICKET if name in SIGNED_IN else OTHER_TICKET)
            await page.goto(f"http://acq.localhost:{port}/.authproxy/{path}lang={language}")
            assert await faults_of(page) == [], name
            await context.clear_cookies()
        for name, reason in REASON_OF_EACH_PAGE.items():
            house.flows.outcome = SignInRefused(reason, "/orders", missing=("birthdate", "address"))
            await page.goto(f"http://acq.localhost:{port}/.authproxy/callback/rekono?lang={language}")
            assert await faults_of(page) == [], name
        assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_refusal_is_read_in_the_other_language_without_asking_again(chromium, scheme):
    async with running_pages() as house, front(house) as port:
        house.flows.outcome = SignInRefused(Reason.TAX_NUMBER_MISSING, "/orders")
        page = await (await chromium.new_context(locale="sl", color_scheme=scheme)).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/callback/rekono?code=c&state=s")
        slovene = await page.locator("h1:visible").inner_text()
        await page.get_by_role("link", name="English").focus()
        await page.keyboard.press("Enter")

        assert await page.locator("h1:visible").all_inner_texts() == ["Your Rekono account has no tax number"]
        assert slovene == "V računu Rekono manjka davčna številka"
        assert await page.evaluate("document.activeElement.lang") == "en"
        assert await faults_of(page) == []
        assert len(house.flows.completed) == 1
        await page.get_by_role("link", name="Slovenščina").click()
        assert await page.locator("h1:visible").all_inner_texts() == [slovene]


async def test_text_twice_as_large_on_a_narrow_screen_still_fits(chromium):
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(viewport={"width": 640, "height": 800}, locale="sl")
        await signed_in(context, port)
        page = await context.new_page()
        for path in ("session", "logout"):
            await page.goto(f"http://acq.localhost:{port}/.authproxy/{path}")
            # As browsers do for people who ask for larger letters; by the object model, which no policy for
            # styles is about.
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert await faults_of(page) == [], path


async def test_the_end_of_a_session_is_announced_and_one_key_puts_it_off(chromium):
    async with running_pages() as house, front(house) as port:
        house.flows.last_active_at = NOW - timedelta(minutes=13, seconds=30)
        context = await chromium.new_context(locale="sl")
        await signed_in(context, port)
        page = await context.new_page()
        complaints = everything_but_our_own(page, port)
        await page.goto(f"http://acq.localhost:{port}/.authproxy/session")
        dialog = page.get_by_role("alertdialog", name="Seja bo kmalu potekla")
        await dialog.wait_for()

        assert "Seja bo potekla čez" in await dialog.locator("#heard").inner_text()
        assert (
            await page.evaluate("document.activeElement.shadowRoot.activeElement.innerText")
            == "Podaljšaj sejo"
        )
        assert await faults_of(page) == []
        await page.keyboard.press("Enter")
        await dialog.wait_for(state="hidden")
        assert house.flows.last_active_at == NOW
        assert complaints == []


@pytest.mark.parametrize("language", ["sl", "en"])
async def test_a_session_at_its_absolute_end_says_that_it_cannot_be_put_off(chromium, language):
    async with running_pages() as house, front(house) as port:
        house.flows.open_sessions[TICKET] = replace(SESSION, expires_at=NOW + timedelta(seconds=70))
        context = await chromium.new_context(
            locale=language, color_scheme="dark", viewport={"width": 320, "height": 700}
        )
        await signed_in(context, port)
        page = await context.new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/logout")
        dialog = page.get_by_role("alertdialog")
        await dialog.wait_for()

        assert await dialog.get_by_role("button").all_inner_texts() == [
            "Zapri" if language == "sl" else "Close"
        ]
        assert await faults_of(page) == []
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="hidden")


async def test_a_portals_page_may_include_the_script_and_is_told_when_the_session_is_over(chromium):
    """Under a policy as strict as ours, in a document of the portal's, in its language."""
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(locale="sl")
        await signed_in(context, port)
        page = await context.new_page()
        complaints = everything_but_our_own(page, port)
        portal = (
            "<!doctype html><html lang=en-GB><title>Orders</title><h1>Orders</h1><script "
            "src=/.authproxy/static/session.js defer></script>"
        )
        policy = {
            "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
            "Content-Type": "text/html",
        }
        await page.route("**/orders?open=1", lambda route: route.fulfill(body=portal, headers=policy))
        async with page.expect_response("**/.authproxy/session"):
            await page.goto(f"http://acq.localhost:{port}/orders?open=1")
        assert await page.get_by_role("alertdialog").count() == 0

        house.flows.open_sessions.clear()
        async with page.expect_response("**/.authproxy/session"):
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        dialog = page.get_by_role("alertdialog", name="Your session has ended")
        await dialog.wait_for()
        way_in = await dialog.get_by_role("link", name="Sign in again").get_attribute("href")
        assert way_in == "/.authproxy/login?lang=en&rt=%2Forders%3Fopen%3D1"
        assert complaints == []


async def test_a_page_that_was_never_signed_in_hears_nothing_of_sessions(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        portal = (
            "<!doctype html><html lang=sl><title>Novice</title><h1>Novice</h1><script "
            "src=/.authproxy/static/session.js defer></script>"
        )
        await page.route("**/novice", lambda route: route.fulfill(body=portal, content_type="text/html"))
        async with page.expect_response("**/.authproxy/session") as answer:
            await page.goto(f"http://acq.localhost:{port}/novice")

        assert (await answer.value).status == 401
        assert await page.get_by_role("alertdialog").count() == 0


async def test_the_session_page_is_worked_by_the_keyboard_alone(chromium):
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(locale="sl")
        await signed_in(context, port)
        page = await context.new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/session")
        reached = []
        for _ in range(14):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.innerText"))
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert reached == [
            "Podaljšaj sejo",
            "Odjava",
            "",
            "Dodaj aplikacijo za enkratna gesla",
            "Dodaj potisna obvestila OnePass",
            "Ustvari nove rezervne kode",
            "Končaj",
            "Končaj vse druge seje",
            "Odjava povsod",
            "Na portal",
            "podpora@example.si",
            "Vprašanja in odgovori o storitvi Rekono",
            "Slovenščina",
            "English",
        ]


async def test_every_other_session_has_an_end_button_of_its_own_name(chromium):
    async with running_pages() as house, front(house) as port:
        context = await chromium.new_context(locale="en", java_script_enabled=False)
        await signed_in(context, port)
        page = await context.new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/session")
        await page.get_by_role("button", name="End B2B, Firefox, Windows").click()

        assert await page.get_by_role("status").inner_text() == "The other session has ended."
        assert house.flows.elsewhere == []


async def provider_that_ends_sessions(seen: list[dict[str, str]]) -> tuple[web.AppRunner, int]:
    async def end(request: web.Request) -> web.StreamResponse:
        told = await request.post() if request.method == "POST" else request.query
        seen.append({name: str(value) for name, value in told.items()} | {"by": request.method.lower()})
        return web.Response(status=303, headers={"Location": seen[-1]["post_logout_redirect_uri"]})

    application = web.Application()
    application.router.add_post("/endsession", end)
    application.router.add_get("/endsession", end)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, site._server.sockets[0].getsockname()[1]


async def sign_out(chromium: Browser, port: int, *, with_script: bool, presses: bool) -> str:
    context = await chromium.new_context(java_script_enabled=with_script, locale="en")
    await signed_in(context, port)
    page = await context.new_page()
    await page.goto(f"http://acq.localhost:{port}/.authproxy/logout")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    if presses:
        await page.get_by_role("button", name="Sign out of Rekono").click()
    await page.get_by_text("If you have signed out of Rekono as well").wait_for(timeout=10_000)
    assert [cookie["name"] for cookie in await context.cookies(f"https://acq.localhost:{port}/")] == [
        "__Host-authproxy-left"
    ]
    return page.url


@pytest.mark.parametrize(("by", "with_script"), [("post", True), ("post", False), ("get", False)])
async def test_signing_out_goes_by_way_of_the_provider_and_comes_back(chromium, by, with_script):
    seen: list[dict[str, str]] = []
    provider, provider_port = await provider_that_ends_sessions(seen)
    try:
        async with running_pages() as house, front(house) as port:
            back = f"http://acq.localhost:{port}/.authproxy/logout"
            house.flows.provider_logout = EndSessionRequest(
                by=by,
                endpoint=f"http://localhost:{provider_port}/endsession",
                fields={"id_token_hint": "eyJ0.e30.", "state": "s", "post_logout_redirect_uri": back},
            )
            landed = await sign_out(
                chromium, port, with_script=with_script, presses=by == "post" and not with_script
            )
    finally:
        await provider.cleanup()

    assert landed == f"http://acq.localhost:{port}/.authproxy/logout"
    assert house.flows.open_sessions == {}
    assert [(told["id_token_hint"], told["state"], told["by"]) for told in seen] == [("eyJ0.e30.", "s", by)]


async def test_the_way_in_is_the_first_thing_that_a_keyboard_reaches(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/login")
        await page.keyboard.press("Tab")

        assert await page.evaluate("document.activeElement.innerText") == "Prijava z računom Rekono"
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


async def test_on_paper_the_ways_to_sign_in_are_lines_of_text(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/login")
        await page.emulate_media(media="print")
        ways = page.locator("main button:visible")

        assert await ways.all_inner_texts() == ["Prijava z računom Rekono", "Ustvari račun"]
        looks = (
            "nodes => nodes.map(node => [getComputedStyle(node).borderTopWidth, "
            "getComputedStyle(node).backgroundColor])"
        )
        assert await ways.evaluate_all(looks) == [["0px", "rgba(0, 0, 0, 0)"]] * 2


async def test_on_paper_there_is_neither_the_dialog_nor_what_can_only_be_pressed(chromium):
    async with running_pages() as house, front(house) as port:
        house.flows.last_active_at = NOW - timedelta(minutes=13, seconds=30)
        context = await chromium.new_context(locale="sl")
        await signed_in(context, port)
        page = await context.new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/session")
        dialog = page.get_by_role("alertdialog")
        await dialog.wait_for()
        await page.emulate_media(media="print")
        await dialog.wait_for(state="hidden")

        await page.emulate_media(media="screen")
        await page.keyboard.press("Escape")
        await page.click("button[value=recovery]")
        await page.locator("ul.codes").first.wait_for()
        await page.emulate_media(media="print")
        assert await page.locator("main li:visible").count() == 10
        assert await page.locator("main .button:visible").count() == 0


async def test_the_other_language_is_one_click_away_and_keeps_the_way_back(chromium):
    async with running_pages() as house, front(house) as port:
        page = await (await chromium.new_context(locale="sl")).new_page()
        await page.goto(f"http://acq.localhost:{port}/.authproxy/login?rt=/a%3Fb%3D1")
        await page.get_by_role("link", name="English").click()

        assert await page.locator("h1").inner_text() == "Choose how to sign in"
        assert await page.locator("input[name=rt]").first.input_value() == "/a?b=1"
        assert await page.locator("form").first.get_attribute("action") == "/.authproxy/login?lang=en"
