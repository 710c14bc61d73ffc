"""What a script that has got into a portal's page gets of ours, in Chromium, at the same origin and with the
person's own session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.support.page_checks import signed_in
from tests.support.pages import SESSION, TICKET, PagesFixture, front, running_pages
from tests.support.step_up_script import RECOVERY_CODES, SECRET

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]

PORTAL = "<!doctype html><title>portal</title><p>portal</p>"
WORKER = """
addEventListener("install", () => skipWaiting());
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => event.respondWith(fetch(event.request)));
"""


@dataclass
class Portal:
    house: PagesFixture
    origin: str
    seen: list[str] = field(default_factory=list)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def portal() -> AsyncIterator[Portal]:
    def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/worker.js":
            return web.Response(text=WORKER, content_type="text/javascript")
        # As isolated as a portal can be: it and our pages then share a browsing context group.
        headers = {"Cross-Origin-Opener-Policy": "same-origin"} if request.path == "/isolated" else {}
        return web.Response(text=PORTAL, content_type="text/html", headers=headers)

    async with running_pages() as house, front(house, portal=answer) as port:
        yield Portal(house, f"http://acq.localhost:{port}")


async def page_of(chromium: Browser, portal: Portal, path: str = "/") -> Page:
    portal.house.flows.open_sessions = {TICKET: SESSION}
    context = await chromium.new_context(locale="en")
    await signed_in(context, int(portal.origin.rpartition(":")[2]))
    page = await context.new_page()
    await page.goto(portal.origin + path)
    return page


FORM = """([place, method]) => {
    const form = Object.assign(document.createElement("form"), {method: "post", action: "/.authproxy/session/methods", target: place});
    form.append(Object.assign(document.createElement("input"), {name: "method", value: method}));
    document.body.append(form);
    form.submit();
}"""


@pytest.mark.parametrize("method", ["recovery", "totp"])
async def test_fetch_gets_neither_codes_nor_secrets(chromium: Browser, portal: Portal, method: str) -> None:
    page = await page_of(chromium, portal)
    status, text = await page.evaluate(
        """async method => {
            const answer = await fetch("/.authproxy/session/methods", {method: "POST", body: new URLSearchParams({method})});
            return [answer.status, await answer.text()];
        }""",
        method,
    )
    assert (status, "foreign_origin" in text, RECOVERY_CODES[0] in text, SECRET in text) == (
        403,
        True,
        False,
        False,
    )
    await page.context.close()


async def test_a_frame_is_shown_nothing(chromium: Browser, portal: Portal) -> None:
    page = await page_of(chromium, portal)
    await page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), {name: 'f'}))")
    async with page.expect_response("**/session/methods") as answered:
        await page.evaluate(FORM, ["f", "recovery"])
    assert (await answered.value).status == 403
    assert (
        await page.evaluate(
            "(() => { try { return frames.f.document.body.innerText } catch { return '' } })()"
        )
        == ""
    )
    await page.context.close()


@pytest.mark.parametrize("path", ["/", "/isolated"])
async def test_a_window_shows_codes_to_its_person_and_not_to_the_page_that_has_opened_it(
    chromium: Browser, portal: Portal, path: str
) -> None:
    page = await page_of(chromium, portal, path)
    async with page.expect_popup() as opened:
        await page.evaluate("window.other = window.open('about:blank', 'w')")
    popup = await opened.value
    async with popup.expect_navigation(url="**/session/methods"):
        await page.evaluate(FORM, ["w", "recovery"])
    assert RECOVERY_CODES[0] in await popup.locator("main").first.inner_text()
    assert (
        await page.evaluate(
            "(() => { try { return other.document.body.innerText } catch { return 'cut off' } })()"
        )
        == "cut off"
    )
    await page.context.close()


async def test_a_worker_of_the_portal_may_pass_pages_on_and_gets_no_secret(
    chromium: Browser, portal: Portal
) -> None:
    page = await page_of(chromium, portal)
    await page.evaluate(
        "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)"
    )
    for path in ("session", "step-up?rt=/orders"):
        answer = await page.goto(f"{portal.origin}/.authproxy/{path}")
        assert answer is not None
        assert (answer.status, answer.from_service_worker) == (200, True)
    await page.goto(portal.origin)
    async with page.expect_navigation(url="**/session/methods") as gone:
        await page.evaluate(FORM, ["_self", "recovery"])
    refused = await gone.value
    assert refused is not None
    assert (refused.status, refused.from_service_worker) == (403, True)
    assert await page.locator("h1:visible").inner_text() == "This request came from another page"
    await page.context.close()
