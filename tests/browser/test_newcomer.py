"""Somebody who has no account: from a portal by way of registration and dashboard to the page that they
wanted, and a lost password."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.support.languages import walked_in

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHOOSER = "main form button[name=method][value=rekono]"
PASSWORD = "konj baterija sponka"
WORDS = {
    "sl": {
        "create": "Ustvari račun",
        "next": "Naprej",
        "retry": "Preverite vnos",
        "saved": "Podatki so shranjeni",
        "missing": "Davčna številka",
        "taken": "Te davčne številke ni mogoče vpisati",
        "reset": "Geslo je spremenjeno",
    },
    "en": {
        "create": "Create account",
        "next": "Next",
        "retry": "Check what you typed",
        "saved": "The data are stored",
        "missing": "Tax number",
        "taken": "This tax number cannot be entered",
        "reset": "The password is changed",
    },
}


async def last_code(sandbox, to):
    async with (
        ClientSession(timeout=ClientTimeout(10)) as session,
        session.get(f"{sandbox.local(8083)}/api/messages?to={quote(to)}") as answer,
    ):
        return re.search(r"(?<!\d)\d{6}(?!\d)", (await answer.json())[0]["text"])[0]


async def types_code(person, sandbox, to):
    """The code that was sent, pasted with a blank in the middle."""
    assert await person.barriers() == []
    code = await last_code(sandbox, to)
    await person.page.fill("#code", f"{code[:3]} {code[3:]}")
    await person.page.keyboard.press("Enter")


async def registers(person, sandbox, email, phone, words):
    """From the login window to what follows the finish; returns the PUK code."""
    page = person.page
    await page.get_by_role("link", name=words["create"]).click()
    await page.locator("#email").wait_for()
    assert await person.barriers() == []
    await page.get_by_role("main").get_by_role("button").click()
    await page.get_by_role("heading", name=words["retry"]).wait_for()
    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert await person.barriers() == []
    await page.fill("#email", email)
    await page.fill("#password", PASSWORD)
    await page.fill("#phone", phone)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/register/email"))
    await types_code(person, sandbox, email)
    await page.wait_for_url(re.compile("/register/sms"))
    await types_code(person, sandbox, f"+386{phone.replace(' ', '')[1:]}")
    await page.wait_for_url(re.compile("/register/finish"))
    assert await person.barriers() == []
    puk = await page.locator(".puk").inner_text()
    await page.check("#saved")
    await page.get_by_role("main").get_by_role("button").click()
    return puk


@walked_in("sl-SI")
async def test_from_a_portal_to_an_account_to_its_data_to_the_portal(visitor, sandbox, locale):
    language = locale[:2]
    words, email, phone = (
        WORDS[language],
        f"eva.{language}@example.si",
        {"sl": "041 111 222", "en": "041 333 444"}[language],
    )
    tax_number = {"sl": "99990059", "en": "99990067"}[language]
    person = await visitor(locale=locale)
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?a=1"
    await page.goto(place)
    await person.presses(CHOOSER)
    await page.locator("[name=username]").wait_for()
    assert await person.barriers() == []
    await registers(person, sandbox, email, phone, words)
    await page.wait_for_url(re.compile("confirm_access"))
    assert await person.barriers() == []
    await page.locator("button[name=user_oauth_approval][value=true]").click()
    await page.wait_for_url(re.compile("/login/refused"))

    dashboard = await page.locator(f"main a[href^='{sandbox.local(8081)}']").first.get_attribute("href")
    await page.goto(dashboard)  # the link itself opens a window of its own
    await page.get_by_role("button", name=words["next"]).wait_for()
    assert await person.barriers() == []
    await page.get_by_role("button", name=words["next"]).click()
    await page.locator("#code").wait_for()
    await types_code(person, sandbox, email)
    await page.locator("#given_name").wait_for()
    assert await person.barriers() == []
    typed = {
        "given_name": "Éva Đurđa",
        "family_name": "Čuk-Žerjav",
        "tax_number": "99990008",
        "birthdate": "1. 2. 1991",
        "street_address": "Čopova ulica 1",
        "postal_code": "1000",
        "locality": "Ljubljana",
    }
    for field, value in typed.items():
        await page.fill(f"#{field}", value)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name=words["taken"]).wait_for()
    assert await person.barriers() == []
    await page.go_back()
    await page.fill("#tax_number", f"SI {tax_number}")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/account/confirm"))
    assert tax_number in await page.locator("main").inner_text()
    assert await person.barriers() == []
    await page.get_by_role("main").get_by_role("button").click()
    await page.get_by_role("status").wait_for()
    assert words["saved"] in await page.get_by_role("status").inner_text()
    assert await person.barriers() == []

    await page.goto(place)
    await person.presses(CHOOSER)
    await page.wait_for_url(place)
    assert "Čuk-Žerjav" in await page.locator("body").inner_text()
    # Chromium itself tells the console of every page that answers 403 or 409.
    assert [
        complaint for complaint in person.complaints if "403" not in complaint and "409" not in complaint
    ] == []
    person.complaints.clear()


@walked_in("en-GB")
async def test_a_lost_password_is_replaced_with_the_puk_code(visitor, sandbox, locale):
    language = locale[:2]
    words, email, phone = (
        WORDS[language],
        f"jan.{language}@example.si",
        {"sl": "041 555 666", "en": "041 777 888"}[language],
    )
    person = await visitor(locale=locale)
    page = person.page
    await page.goto(f"{sandbox.local(8081)}/")
    assert await person.barriers() == []
    puk = await registers(person, sandbox, email, phone, words)
    await page.wait_for_url(re.compile("/account$"))
    await page.locator("a[href$='/endsession']").click()
    await page.locator("button[name=approve]").click()

    await page.goto(f"{sandbox.local(8081)}/IdP-RM-Front/chooselogin/rekono.htm")
    await page.locator("a[href*='/reset/start.htm']").click()
    await page.locator("#puk").wait_for()
    assert await person.barriers() == []
    await page.get_by_role("main").get_by_role("button").click()
    await page.get_by_role("heading", name=words["retry"]).wait_for()
    assert await person.barriers() == []
    await page.fill("#email", email.upper())
    await page.fill("#puk", puk)
    await page.fill("#password", "another " + PASSWORD)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name=words["reset"]).wait_for()
    assert await page.locator(".puk").inner_text() != puk
    assert await person.barriers() == []
    await page.check("#saved")
    await page.get_by_role("main").get_by_role("button").click()
    await page.fill("[name=username]", email)
    await page.fill("[name=password]", "another " + PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator("button[value=smslogin]").wait_for()


async def test_an_account_is_made_by_the_keyboard_alone_and_without_javascript(visitor, sandbox):
    person = await visitor(locale="sl-SI", java_script_enabled=False)
    page, email, keyboard = person.page, "tipka@example.si", person.page.keyboard

    async def goes_to(selector):
        for _ in range(40):
            await keyboard.press("Tab")
            if await page.locator(f"{selector}:focus").count():
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    await page.goto(f"{sandbox.local(8081)}/")
    await goes_to("a[href*='/register/start.htm']")
    await keyboard.press("Enter")
    for field, typed in (("#email", email), ("#password", PASSWORD), ("#phone", "+386 70 123 456")):
        await goes_to(field)
        await keyboard.type(typed)
    await keyboard.press("Enter")
    for step, to in (("email", email), ("sms", "+38670123456")):
        await page.wait_for_url(re.compile(f"/register/{step}"))
        await goes_to("#code")
        await keyboard.type(await last_code(sandbox, to))
        await keyboard.press("Enter")
    await page.wait_for_url(re.compile("/register/finish"))
    await goes_to("#saved")
    await keyboard.press("Space")
    await keyboard.press("Enter")
    await page.wait_for_url(re.compile("/account$"))
    await goes_to("form[action$='/account/begin'] button")
    await keyboard.press("Enter")
    await goes_to("#code")
