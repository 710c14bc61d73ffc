"""The story of the product in Chromium: a deep link, the chooser, the provider, the portal's page, one's own
session, and out again."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHOOSER = "main form button[name=method][value=rekono]"
SIGN_OUT = "main form[action*='/.authproxy/logout'] button"
HEADINGS = {
    "sl": ("Izberite način prijave", "Vaša seja", "Odjavljeni ste"),
    "en": ("Choose how to sign in", "Your session", "You are signed out"),
}


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(whole_chromium):
    """These few are walked in the browser that people have."""
    return whole_chromium


async def heading(visitor):
    return await visitor.page.locator("h1:visible").inner_text()


@pytest.mark.parametrize(
    ("language", "locale", "email", "name", "mode"),
    [
        ("sl", "sl-SI", "ana.novak@example.si", "Ana Novak", "smslogin"),
        ("en", "en-GB", "cvetka.zupan@example.si", "Cvetka Zupan", "otplogin"),
    ],
)
async def test_from_a_deep_link_in_and_out_again(visitor, sandbox, language, locale, email, name, mode):
    person = await visitor(email, locale=locale)
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?a=1"
    await page.goto(place)
    assert (await heading(person), await page.locator("html").get_attribute("lang")) == (
        HEADINGS[language][0],
        language,
    )
    assert await person.barriers() == []
    await person.presses(CHOOSER)
    await person.proves_who_they_are(mode)
    await page.wait_for_url(place)

    await page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    assert await heading(person) == HEADINGS[language][1]
    assert name in await page.locator("main").inner_text()
    assert await person.barriers() == []

    await person.presses(SIGN_OUT)
    await page.wait_for_url(re.compile("/endsession"))
    await page.locator("button[name=approve]").click()
    await page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))
    assert await heading(person) == HEADINGS[language][2]
    assert await person.barriers() == []
    await page.goto(place)
    assert await heading(person) == HEADINGS[language][0]


async def test_without_javascript(visitor, sandbox):
    person = await visitor("david.horvat@example.si", java_script_enabled=False, locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('b2b')}/transakcije?kraj=Celje"
    await page.goto(place)
    await person.presses(CHOOSER)
    await person.proves_who_they_are("smslogin")
    await page.wait_for_url(place)
    await page.goto(f"{sandbox.portal('b2b')}/.authproxy/logout")
    await person.presses(SIGN_OUT)
    await page.wait_for_url(re.compile("/endsession"))
    await page.locator("button[name=approve]").click()
    await page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))


async def test_by_the_keyboard_alone(visitor, sandbox):
    person = await visitor(locale="sl-SI")
    page = person.page
    keyboard = page.keyboard
    await page.goto(f"{sandbox.portal('acq')}/")
    await person.tabs_to(CHOOSER)
    await keyboard.press("Enter")
    await page.locator("[name=username]").wait_for()
    await person.tabs_to("[name=username]")
    await keyboard.type(person.email)
    await person.tabs_to("[name=password]")
    await keyboard.type("Sandbox-2026!")
    await keyboard.press("Enter")
    await page.locator("button[value=smslogin]").wait_for()
    await person.tabs_to("button[value=smslogin]")
    await keyboard.press("Space")
    await page.locator("[autocomplete=one-time-code]").wait_for()
    await person.tabs_to("[autocomplete=one-time-code]")
    await keyboard.type(await person.code("smslogin"))
    await keyboard.press("Enter")
    await person.consents()
    await page.wait_for_url(f"{sandbox.portal('acq')}/")
    await page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await person.tabs_to(SIGN_OUT)
    await keyboard.press("Enter")
    await page.wait_for_url(re.compile("/endsession"))
    await person.tabs_to("button[name=approve]")
    await keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))


async def test_somebody_without_a_tax_number_is_told_what_to_do(visitor, sandbox):
    person = await visitor("bor.kranjc@example.si", locale="sl-SI")
    await person.page.goto(f"{sandbox.portal('acq')}/izpis/2026/11")
    await person.presses(CHOOSER)
    await person.proves_who_they_are("otplogin")
    await person.page.wait_for_url(re.compile("/login/refused"))
    assert "davčna številka" in await heading(person)
    assert not re.search("code=|state=", person.page.url)
    await person.page.reload()
    assert "davčna številka" in await heading(person)
    assert await person.page.locator(f"main:visible a[href^='{sandbox.local(8081)}']").count() == 1
    assert await person.barriers() == []
    # Chromium itself tells the console of every page that answers 403.
    assert [complaint for complaint in person.complaints if "403" not in complaint] == []
    person.complaints.clear()


async def test_the_language_can_be_changed_and_stays_on_the_way(visitor, sandbox):
    person = await visitor(locale="sl-SI")
    await person.page.goto(f"{sandbox.portal('acq')}/izpis/2026/11")
    await person.page.locator("a[hreflang=en]").click()
    assert await heading(person) == HEADINGS["en"][0]
    assert await person.barriers() == []
    await person.presses(CHOOSER)
    await person.page.locator("[name=username]").wait_for()
