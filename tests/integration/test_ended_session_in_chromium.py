"""What a person with a portal of frames and long forms lives through when the session ends, in Chromium, from
the click to the portal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Frame, Page, Route, expect

from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.gateway import ANA, PASSWORD, House, open_house
from tests.support.nginx_house import behind_nginx
from tests.support.page_checks import faults_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("chromium-headless-shell", "redis-server"),
    pytest.mark.asyncio(loop_scope="session"),
]

TYPED = "plačilo <b>november</b>"
_PAGE = '<!doctype html><html lang="sl"><title>{title}</title>{body}</html>'
PAGES = {
    "/frames": '<frameset cols="30%,*"><frame name="menu" src="/menu"><frame name="main" src="/main"></frameset>',
    "/menu": '<a href="/orders" target="main">naročila</a> <a href="/large" target="main">prenos</a>',
    "/main": "<h1>main</h1>",
    "/orders": "<h1>orders</h1>",
    "/embedded": (
        '<h1>embedded</h1><iframe title="i" src="/orders?i"></iframe>'
        '<object title="o" data="/orders?o" width="400" height="300"></object>'
        '<embed title="e" src="/orders?e" width="400" height="300">'
    ),
    "/form": (
        '<form method="post" action="/save"><label>opis <textarea name="opis"></textarea></label>'
        "<button>Shrani</button></form>"
    ),
    "/denied": "<h1>denied</h1>",
}


@dataclass
class OldPortal:
    saved: list[str] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            self.saved.append((await request.post())["opis"])
            return web.Response(
                text=_PAGE.format(title="saved", body="<h1>saved</h1>"), content_type="text/html"
            )
        body = PAGES.get(request.path, "<h1>portal</h1>")
        return web.Response(text=_PAGE.format(title=request.path, body=body), content_type="text/html")


@dataclass
class Place:
    house: House
    portal: OldPortal
    chromium: Browser

    def url(self, path: str) -> str:
        return self.house.acq + path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened() -> AsyncIterator[tuple[House, OldPortal]]:
    portal, listener = OldPortal(), bound()
    acq = {
        "idle": "5m",
        "upstream": f"http://127.0.0.1:{port_of(listener)}",
        "routes": [{"path": "/denied", "level": 30}],
    }
    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{tail:.*}", portal.answer)
    async with contextlib.AsyncExitStack() as resources:
        redis = resources.enter_context(RedisServer())
        await resources.enter_async_context(serving(application, listener))
        house = await resources.enter_async_context(open_house(redis.socket_url, acq=acq))
        yield house, portal


@pytest_asyncio.fixture(loop_scope="session")
async def place(opened: tuple[House, OldPortal], chromium: Browser) -> Place:
    house, portal = opened
    portal.saved.clear()
    return Place(house, portal, chromium)


async def visitor(place: Place, *, width: int = 1280, has_script: bool = True) -> Page:
    context = await place.chromium.new_context(
        locale="sl", viewport={"width": width, "height": 800}, java_script_enabled=has_script
    )
    return await context.new_page()


async def signs_in(place: Place, page: Page, *, at: str) -> None:
    """From the chooser to `at`, through whatever the provider asks."""
    await expect(page.get_by_role("heading", level=1)).to_have_text("Izberite način prijave")
    for _ in range(10):
        async with page.expect_navigation():
            await answers(place, page)
        if page.url.startswith(place.house.acq):
            break
    assert page.url.partition("?")[0] == place.url(at)


async def answers(place: Place, page: Page) -> None:
    """What the page asks for."""
    if page.url.startswith(place.house.acq):
        await page.locator("button[name=method][value=rekono]").first.click()
    elif await page.locator("[name=password]").count():
        await page.fill("[name=username]", ANA)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
    elif await page.locator("#code").count():
        await page.fill("#code", await code_of_provider(place.house))
        await page.keyboard.press("Enter")
    elif await page.locator("button[value=smslogin]").count():
        await page.locator("button[value=smslogin]").click()
    else:
        await page.locator("button[name=user_oauth_approval][value=true]").click()


async def code_of_provider(house: House) -> str:
    sent = await house._asks("outbox", "GET", f"/api/messages?to=%2B{house._account(ANA).phone[1:]}")
    return re.findall(r"\b\d{6}\b", sent.json[0]["text"])[0]


async def opens(place: Place, page: Page, path: str) -> None:
    """The page, by way of the sign-in."""
    await page.goto(place.url(path))
    await signs_in(place, page, at=path)


def frame(page: Page, name: str) -> Frame:
    found = page.frame(name)
    assert found is not None
    return found


async def test_what_was_typed_for_too_long_is_sent_after_the_sign_in(place: Place) -> None:
    page = await visitor(place)
    await opens(place, page, "/form")
    await page.fill("textarea", TYPED)
    place.house.advance(minutes=6)
    await page.get_by_text("Shrani").click()
    await expect(page.get_by_role("status")).to_contain_text("Vaš vnos še ni bil poslan.")
    assert (await faults_of(page), place.portal.saved) == ([], [])
    await signs_in(place, page, at="/.authproxy/step-up/send")
    await expect(page.locator("main")).to_contain_text(TYPED)
    assert (await faults_of(page), place.portal.saved) == ([], [])
    await page.get_by_role("button", name="Pošlji", exact=True).click()
    await expect(page.locator("h1")).to_have_text("saved")
    assert (page.url, place.portal.saved) == (place.url("/save"), [TYPED])


async def test_what_is_too_large_is_said_to_be_lost_before_the_sign_in_which_leads_back_to_the_form(
    place: Place,
) -> None:
    page = await visitor(place, width=320)
    await opens(place, page, "/form")
    await page.locator("textarea").evaluate("field => { field.value = 'x'.repeat(300000); }")
    place.house.advance(minutes=6)
    await page.get_by_text("Shrani").click()
    await expect(page.get_by_role("status")).to_contain_text("Vaš vnos ni bil poslan.")
    assert await faults_of(page) == []
    await signs_in(place, page, at="/form")
    assert place.portal.saved == []


async def test_in_a_frameset_a_click_after_the_end_leads_out_and_back_to_the_frameset(place: Place) -> None:
    page = await visitor(place)
    await opens(place, page, "/frames")
    place.house.advance(minutes=6)
    await frame(page, "menu").get_by_text("naročila").click()
    main = frame(page, "main")
    link = main.get_by_role("link", name="Nadaljuj v celem oknu")
    await expect(main.get_by_role("heading", level=1)).to_have_text("Prosimo, prijavite se")
    await link.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Izberite način prijave")
    await signs_in(place, page, at="/frames")
    await expect(frame(page, "main").get_by_role("heading")).to_have_text("main")


async def test_without_a_script_the_way_back_is_the_page_that_has_asked_for_the_frame(place: Place) -> None:
    page = await visitor(place, has_script=False)
    await opens(place, page, "/embedded")
    place.house.advance(minutes=6)
    await page.locator("iframe").evaluate("one => { one.src = '/orders?again'; }")
    link = page.frame_locator("iframe").get_by_role("link", name="Nadaljuj v celem oknu")
    assert await link.get_attribute("href") == place.url("/.authproxy/login?rt=/embedded")


@pytest.mark.parametrize("element", ["iframe", "object", "embed"])
async def test_every_kind_of_frame_shows_the_way_out(place: Place, element: str) -> None:
    page = await visitor(place)
    await page.route(
        place.url("/public"),
        lambda route: route.fulfill(
            body=_PAGE.format(title="x", body=PAGES["/embedded"]), content_type="text/html"
        ),
    )
    await page.goto(place.url("/public"))
    [inside] = [one for one in page.frames if one.url.endswith(f"?{element[0]}")]
    await expect(inside.get_by_role("heading", level=1)).to_have_text("Prosimo, prijavite se")
    await inside.get_by_role("link", name="Nadaljuj v celem oknu").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Izberite način prijave")


async def test_what_is_denied_in_a_frame_says_why_and_opens_whole(place: Place) -> None:
    page = await visitor(place)
    await opens(place, page, "/embedded")
    await page.locator("iframe").evaluate("one => { one.src = '/denied'; }")
    inside = page.frame_locator("iframe")
    await expect(inside.get_by_role("heading", level=1)).to_have_text("Vaša stopnja zaupanja ne zadošča")
    await inside.get_by_role("link", name="Nadaljuj v celem oknu").click()
    await page.wait_for_url(place.url("/denied"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vaša stopnja zaupanja ne zadošča")
    assert await page.locator("form:visible").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
async def test_the_page_of_a_frame_has_no_barriers_and_fits(place: Place, width: int, scheme: str) -> None:
    context = await place.chromium.new_context(
        locale="sl", viewport={"width": width, "height": 400}, color_scheme=scheme
    )
    page = await context.new_page()
    await page.route(
        place.url("/public"),
        lambda route: route.fulfill(
            body=_PAGE.format(title="x", body='<iframe title="i" src="/orders" width="100%" height="700">'),
            content_type="text/html",
        ),
    )
    await page.goto(place.url("/public"))
    [inside] = page.frames[1:]
    await expect(inside.get_by_role("link", name="Nadaljuj v celem oknu")).to_be_visible()
    assert await faults_of(inside) == []


async def test_another_site_can_frame_nothing_of_it(place: Place) -> None:
    page = await visitor(place)
    other = "http://evil.localhost/"
    body = _PAGE.format(title="evil", body=f'<iframe title="i" src="{place.url("/orders")}"></iframe>')
    await page.route(other, lambda route: route.fulfill(body=body, content_type="text/html"))
    await page.goto(other)
    [inside] = page.frames[1:]
    assert inside.url == "chrome-error://chromewebdata/"


@pytest.mark.needs("nginx")
async def test_behind_nginx_the_way_out_of_a_frame_leads_back_to_the_frameset_too(chromium: Browser) -> None:
    with RedisServer() as redis:
        async with behind_nginx(redis.socket_url) as front:
            page = await (await chromium.new_context(locale="sl")).new_page()
            for path in ("/frames", "/menu", "/main"):
                body = _PAGE.format(title=path, body=PAGES[path])
                await page.route(front.url + path, _answering(body))
            await page.goto(f"{front.url}/frames")
            await frame(page, "menu").get_by_text("naročila").click()
            link = frame(page, "main").get_by_role("link", name="Nadaljuj v celem oknu")
            await expect(link).to_have_attribute("href", f"{front.url}/.authproxy/login?rt=%2Fframes")
            await link.click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Izberite način prijave")
            await expect(page.locator("main .path")).to_have_text("/frames")


def _answering(body: str) -> Callable[[Route], Awaitable[None]]:
    return lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8")
