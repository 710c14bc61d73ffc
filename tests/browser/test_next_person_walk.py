"""Two people at one browser, one after the other, at a portal that knows its people by its cookie alone."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHOOSER = "main form button[name=method][value=rekono]"
SIGN_OUT = "main form[action*='/.authproxy/logout'] button"
FRAMES = (
    '<!doctype html><title>Okviri</title><frameset cols="50%,*"><frame name="menu" src="/izhod"></frameset>'
)
USER, PASSWORD = "referent", "Kartice-2026!"


async def comes_in(person, mode, place):
    """Through the gateway, and through the portal's own form if it asks."""
    page = person.page
    await page.goto(place)
    await person.presses(CHOOSER)
    await person.proves_who_they_are(mode)
    await page.wait_for_url(re.compile(re.escape(place.rpartition("/")[0])))


async def passes_the_portals_form(person, place):
    page = person.page
    await page.locator("[name=uporabnik]").fill(USER)
    await page.locator("[name=geslo]").fill(PASSWORD)
    await page.locator("main form button").click()
    await page.wait_for_url(place)


async def greeted_as(person):
    return await person.page.locator("header .user > span").inner_text()


async def test_the_next_person_signs_in_to_the_portal_anew_and_is_greeted_by_their_own_name(visitor, sandbox):
    ana, place = await visitor(locale="sl-SI"), f"{sandbox.portal('ecmsweb')}/kartice"
    page = ana.page
    await comes_in(ana, "smslogin", place)
    await passes_the_portals_form(ana, place)
    assert await greeted_as(ana) == "Ana Novak"
    # A second tab is inside too, and the portal's scripts read its cookies as it has set them.
    tab = await page.context.new_page()
    await tab.goto(f"{sandbox.portal('ecmsweb')}/vloge")
    assert await tab.locator("header .user > span").inner_text() == "Ana Novak"
    assert "authproxy" not in await tab.evaluate("document.cookie")
    await tab.close()

    # The portal's own link leads to the gateway's page, also out of a frame; nothing has ended before she says so.
    frames = f"{sandbox.portal('ecmsweb')}/okviri"
    await page.route(frames, lambda route: route.fulfill(content_type="text/html", body=FRAMES))
    await page.goto(frames)
    await page.frame_locator("frame[name=menu]").locator("a[target=_top]:visible").click()
    await page.wait_for_url(re.compile("/logout$"))
    await page.goto(place)
    await page.locator("footer a[href='/izhod']").click()
    assert page.url == f"{sandbox.portal('ecmsweb')}/.authproxy/logout"
    assert await ana.barriers() == []
    await ana.presses(SIGN_OUT)
    await page.wait_for_url(re.compile("/endsession"))
    await page.locator("button[name=approve]").click()
    await page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))
    left = {cookie["name"] for cookie in await page.context.cookies(place)}
    assert not {name for name in left if name == "JSESSIONID" or "mark" in name}

    ana.email = "cvetka.zupan@example.si"
    await comes_in(ana, "otplogin", place)
    await page.locator("[name=uporabnik]").wait_for()
    await passes_the_portals_form(ana, place)
    assert await greeted_as(ana) == "Cvetka Zupan"


async def test_after_an_end_that_nobody_has_asked_for_the_cookie_that_is_left_opens_nothing(visitor, sandbox):
    person, place = await visitor(locale="sl-SI"), f"{sandbox.portal('bankomati')}/bankomati"
    page = person.page
    await comes_in(person, "smslogin", place)
    await page.locator("[name=uporabnik]").fill("nadzor")
    await page.locator("[name=geslo]").fill("Bankomat-2026!")
    await page.locator("main form button").click()
    await page.wait_for_url(place)
    kept = [each for each in await page.context.cookies(place) if each["name"] == "JSESSIONID"]
    assert kept

    # As if her session had run out: the ticket and the provider's session are gone, the portal's cookie is not.
    await page.context.clear_cookies(name="__Host-authproxy")
    await page.context.clear_cookies(domain="localhost")
    person.email = "david.horvat@example.si"
    await comes_in(person, "smslogin", place)
    await page.locator("[name=uporabnik]").wait_for()
    now = {each["value"] for each in await page.context.cookies(place) if each["name"] == "JSESSIONID"}
    assert kept[0]["value"] not in now
