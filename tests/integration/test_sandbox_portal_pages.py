"""The pages of the six demo portals in Chromium: free of barriers in both languages, light and dark, down to
320 pixels."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from aiohttp import web

from authproxy.sandbox.portals.application import application
from authproxy.sandbox.portals.catalogue import PORTAL_IDS, portal
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.browser import Visitor
from tests.support.sandbox import RunningSandbox
from tests.support.vouching_gateway import ISSUER, NOW, VouchingGateway

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]
PAGE_BUDGET = 30 * 1024
LOOKS = ("sl-SI", "light"), ("en-GB", "dark")
IN_TURNS = [
    pytest.param(portal_id, *look, marks=() if (number + turn) % 2 == 0 else pytest.mark.rehearsal)
    for number, portal_id in enumerate(PORTAL_IDS)
    for turn, look in enumerate(LOOKS)
]
"""Each portal has one look in every run, and the other one in the rehearsal."""


@pytest_asyncio.fixture(loop_scope="session")
async def opened(chromium):
    """Opens a portal as if a gateway stood before it: every request has its assertion."""
    gateway, keys = VouchingGateway(), web.Application()
    keys.router.add_get("/jwks", gateway.key_set)
    async with AsyncExitStack() as stack:
        at = bound()
        await stack.enter_async_context(serving(keys, at))
        visitors = []

        async def visit(portal_id, locale, **options):
            listener = bound()
            made = application(
                portal=portal(portal_id),
                jwks_url=f"http://127.0.0.1:{port_of(at)}/jwks",
                issuer=ISSUER,
                clock=lambda: NOW,
            )
            await stack.enter_async_context(serving(made, listener))
            said = {"X-Auth-Assertion": gateway.assertion(aud=portal_id)}
            context = await chromium.new_context(
                locale=locale,
                extra_http_headers=said,
                base_url=f"http://localhost:{port_of(listener)}",
                **options,
            )
            visitors.append(Visitor(await context.new_page(), RunningSandbox(0), ""))
            return visitors[-1]

        yield visit
        for visitor in visitors:
            assert visitor.strangers == []


async def passes_the_second_door(page, portal_id):
    user = portal(portal_id).own_sign_in.users[0]
    await page.fill("#uporabnik", user.name)
    await page.fill("#geslo", user.password)
    await page.keyboard.press("Enter")
    await page.locator("nav").first.wait_for()


@pytest.mark.parametrize(("portal_id", "locale", "scheme"), IN_TURNS)
async def test_every_kind_of_page_is_free_of_barriers_and_fits_a_narrow_screen(
    opened, portal_id, locale, scheme
):
    person = await opened(portal_id, locale, color_scheme=scheme, viewport={"width": 320, "height": 800})
    page, described = person.page, portal(portal_id)
    await page.goto("/")
    if described.own_sign_in:
        assert await person.barriers() == []
        await passes_the_second_door(page, portal_id)
    table = described.tables[0]
    paths = ["/", table.path, f"{table.path}/{table.rows[0][0]}", described.forms[0].path]
    for path in (*paths, "/prejeto", "/vnos", "/piskotek") if locale == "sl-SI" else paths:
        await page.goto(path)
        assert await person.barriers() == [], path
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert await page.locator("html").get_attribute("lang") == locale[:2]
        assert len(await page.content()) < PAGE_BUDGET or path == table.path, path
    assert person.complaints == []


@pytest.mark.parametrize(
    ("portal_id", "locale", "paths"),
    [
        ("bips", "en-GB", ["/okvir/meni", "/porocilo?sekund=0"]),
        ("bws", "sl-SI", ["/isci?q=nanos", "/Skrbnistvo", "/pomoc"]),
    ],
)
async def test_what_is_old_about_a_portal_is_free_of_barriers_as_well(opened, portal_id, locale, paths):
    person = await opened(portal_id, locale, viewport={"width": 320, "height": 800})
    page = person.page
    for path in paths:
        await page.goto(path)
        assert await person.barriers() == [], path
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert await page.locator("html").get_attribute("lang") == locale[:2]
    assert person.complaints == []


async def test_of_a_row_that_is_wider_than_a_phone_one_sees_whose_it_is(opened):
    person = await opened("acq", "sl-SI", viewport={"width": 375, "height": 800})
    page = person.page
    await page.goto(portal("acq").tables[0].path)
    table, names = page.locator(".scroll"), page.locator(".scroll tbody th")
    assert await table.evaluate("node => node.scrollWidth > node.clientWidth")
    await table.evaluate("node => node.scrollTo(node.scrollWidth, 0)")

    assert await names.first.evaluate("node => node.getBoundingClientRect().left >= 0")
    assert "rgba(0, 0, 0, 0)" not in await names.evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node).backgroundColor)"
    )


@pytest.mark.parametrize("portal_id", PORTAL_IDS)
async def test_a_form_that_is_wrong_is_summed_up_and_one_that_is_right_has_a_receipt(opened, portal_id):
    person = await opened(portal_id, "sl-SI")
    page, described = person.page, portal(portal_id)
    await page.goto("/")
    if described.own_sign_in:
        await passes_the_second_door(page, portal_id)
    form = described.forms[0]
    await page.goto(form.path)
    await page.get_by_role("button", name=form.button.sl).click()
    assert await person.barriers() == []
    assert (await page.title()).startswith("Napaka:")
    assert await page.evaluate("document.activeElement.className") == "wrong"
    faults = page.locator(".wrong a")
    assert await faults.count() > 0
    target = (await faults.first.get_attribute("href")).lstrip("#")
    assert await page.locator(f"#{target}").get_attribute("aria-describedby") == f"{target}-napaka"
    for field in form.fields:
        place = page.locator(f"#{field.name}")
        if field.kind == "file":
            await place.set_input_files({"name": "plačila.xml", "mimeType": "text/xml", "buffer": b"<a/>"})
        elif field.kind == "day":
            await place.fill("2026-11-23")
        elif field.kind != "choice":
            await place.fill(
                str(described.table(form.about).rows[0][0])
                if form.about and field is form.fields[0]
                else "čšž"
            )
    await page.get_by_role("button", name=form.button.sl).click()
    await page.wait_for_url(f"**{form.path}/{form.reference}-00001")
    assert form.done.sl in await page.locator("[role=status]").inner_text()
    assert await person.barriers() == []
    assert [complaint for complaint in person.complaints if "422" not in complaint] == []


async def test_a_row_leads_to_the_form_about_it_and_the_language_switch_keeps_the_filter(opened):
    person = await opened("bankomati", "sl-SI")
    page = person.page
    await page.goto("/")
    await passes_the_second_door(page, "bankomati")
    await page.goto("/bankomati?stanje=okvara")
    assert await page.locator("tbody tr").count() == 1
    await page.locator("footer a[hreflang=en]").click()
    assert await page.locator("tbody tr").count() == 1
    assert "out of order" in await page.locator("tbody").inner_text()
    await page.locator("tbody th a").click()
    await page.get_by_role("link", name="Order a visit").nth(1).click()
    assert await page.locator("#naprava").input_value() == "A0125"
