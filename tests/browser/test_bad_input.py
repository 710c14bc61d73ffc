"""What people do that nobody has planned, in Chromium: each ends where they wanted to go or on a page that
helps, never as somebody else."""

from __future__ import annotations

import asyncio
import json
import re
import shutil

import pytest
from aiohttp import ClientSession, ClientTimeout
from playwright.async_api import async_playwright, expect

from tests.support.browser import Visitor
from tests.support.languages import walked_in
from tests.support.newcomers import settled

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHOOSER = "main form button[name=method][value=rekono]"
ALLOW = "button[name=user_oauth_approval][value=true]"


async def at_the_means(person, someone, place):
    await person.page.goto(place)
    await person.presses(CHOOSER)
    await person.page.fill("[name=username]", someone.email)
    await person.page.fill("[name=password]", someone.password)
    await person.page.keyboard.press("Enter")
    await person.page.locator("button[value=smslogin]").wait_for()


async def at_the_consent(person, someone, place):
    await at_the_means(person, someone, place)
    await person.presses("button[value=smslogin]")
    await person.page.locator("#code").wait_for()
    await person.page.fill("#code", await person.newest_code(someone.sent_to))
    await person.page.keyboard.press("Enter")
    await person.page.locator(ALLOW).wait_for()


async def signs_in(person, someone, place):
    await at_the_consent(person, someone, place)
    await person.presses(ALLOW)
    await person.page.wait_for_url(place)


def tolerates(person, *statuses):
    """Chromium itself tells the console of every page that answers so."""
    person.complaints[:] = [
        complaint
        for complaint in person.complaints
        if not any(f"status of {status}" in complaint for status in statuses)
    ]


@pytest.mark.parametrize(
    ("given_name", "family_name"),
    [("Łukasz Þór", "O’Ğüneş-Čšž"), ("Ђорђе", "李 Ξανθόπουλος")],
)
async def test_a_name_in_any_letters_is_greeted_whole(visitor, sandbox, given_name, family_name):
    someone, person = (
        await settled(sandbox, given_name=given_name, family_name=family_name),
        await visitor(locale="sl-SI"),
    )
    await signs_in(person, someone, f"{sandbox.portal('acq')}/")
    await expect(person.page.locator("h1")).to_have_text(f"Pozdravljeni, {given_name} {family_name}")
    await person.page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await expect(person.page.locator("dl").first).to_contain_text(f"{given_name} {family_name}")


@walked_in("sl-SI")
async def test_an_email_address_of_three_hundred_characters_is_answered_with_a_sentence(
    visitor, sandbox, locale
):
    person, long = await visitor(locale=locale), f"{'č' * 150}@{'d' * 60}.{'e' * 60}.example.si"
    long = long.replace("@", "x" * (300 - len(long)) + "@")
    page = person.page
    await page.goto(f"{sandbox.local(8081)}/IdP-RM-Front/register/start.htm")
    await page.fill("#email", long)
    await page.fill("#password", "konj baterija sponka")
    await page.fill("#phone", "040 123 456")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name=person.say("Check what you typed")).wait_for()
    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    await expect(page.locator("#email-problem")).to_have_text(
        person.say("This is too long: at most 254 characters are allowed.")
    )
    assert await person.faults() == []

    await page.goto(f"{sandbox.local(8081)}/IdP-RM-Front/chooselogin/rekono.htm")
    await page.fill("[name=username]", f"{'a' * 288}@example.si")
    await page.fill("[name=password]", "konj baterija sponka")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name=person.say("Signing in did not work")).wait_for()
    assert await person.faults() == []
    tolerates(person, 400, 422)


@pytest.mark.parametrize("typed", [" {0}\u00a0{1} ", "{0}-{1}"])
async def test_a_code_that_was_pasted_with_what_stood_around_it_is_taken(visitor, sandbox, typed):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    await at_the_means(person, someone, f"{sandbox.portal('acq')}/")
    await person.presses("button[value=smslogin]")
    await person.page.locator("#code").wait_for()
    code = await person.newest_code(someone.sent_to)
    await person.page.locator("#code").focus()
    await person.page.keyboard.insert_text(typed.format(code[:3], code[3:]))
    await person.page.keyboard.press("Enter")
    await person.page.locator(ALLOW).wait_for()


async def test_every_button_on_the_way_pressed_twice_signs_in_once(visitor, sandbox):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11"
    await page.goto(place)
    await page.locator(CHOOSER).first.dblclick()
    await page.fill("[name=username]", someone.email)
    await page.fill("[name=password]", someone.password)
    await page.locator("main form button").first.dblclick()
    await page.locator("button[value=smslogin]").dblclick()
    await page.locator("#code").wait_for()
    await page.fill("#code", await person.newest_code(someone.sent_to))
    await page.keyboard.press("Enter")
    await page.locator(ALLOW).dblclick()
    await page.wait_for_url(place)
    await page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await expect(page.get_by_text("Drugje niste prijavljeni.")).to_be_visible()
    await expect(page.locator("dl").first).to_contain_text(someone.email)


async def test_back_at_the_chooser_after_signing_in_means_back_at_the_page_that_was_asked_for(
    visitor, sandbox
):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11"
    await signs_in(person, someone, place)
    await page.goto(f"{sandbox.portal('acq')}/vnos")
    # The first entry is the empty page that every tab begins with.
    await page.evaluate("history.go(2 - history.length)")
    await page.wait_for_url(place)
    await expect(page.locator("header .user")).to_contain_text(someone.family_name)


async def test_back_at_the_consent_after_signing_in_says_that_it_is_done_and_ends_no_session(
    visitor, sandbox
):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11"
    await signs_in(person, someone, place)
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("Povezava ne velja več")
    assert await page.get_by_role("main").get_by_role("link").count() == 1
    await page.goto(place)
    await expect(page.locator("header .user")).to_contain_text(someone.family_name)
    tolerates(person, 400, 403)


async def test_two_tabs_begun_at_once_come_each_to_its_own_page(visitor, sandbox):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    first, second = person.page, Visitor(await person.page.context.new_page(), sandbox, someone.email)
    one, other = f"{sandbox.portal('acq')}/izpis/2026/11", f"{sandbox.portal('acq')}/transakcije?kraj=Celje"
    for page, place in ((first, one), (second.page, other)):
        await page.goto(place)
        await page.locator(CHOOSER).first.click()
        await page.locator("[name=username]").wait_for()
    for page in (second.page, first):
        await page.fill("[name=username]", someone.email)
        await page.fill("[name=password]", someone.password)
        await page.keyboard.press("Enter")
        await page.locator("button[value=smslogin]").click()
        await page.locator("#code").wait_for()
        await page.fill("#code", await person.newest_code(someone.sent_to))
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda url: "confirm_access" in url or url in {one, other})
        if "confirm_access" in page.url:
            await page.locator(ALLOW).click()
        await page.wait_for_url(other if page is second.page else one)
    await first.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await expect(first.locator("dl").first).to_contain_text(someone.email)
    await expect(first.get_by_text("Drugje niste prijavljeni.")).to_be_visible()
    assert (second.complaints, second.strangers) == ([], [])


@walked_in("en-GB")
async def test_a_callback_that_a_stranger_sends_signs_nobody_in_and_offers_a_beginning(
    visitor, sandbox, locale
):
    someone, stranger, person = (
        await settled(sandbox),
        await visitor(locale=locale),
        await visitor(locale=locale),
    )
    await at_the_consent(stranger, someone, f"{sandbox.portal('acq')}/izpis/2026/11")
    planted = await callback_kept_back(stranger)

    await person.page.goto(planted)
    await expect(person.page.locator("h1:visible")).to_have_text(person.say("Your browser keeps no cookies"))
    await person.page.goto(f"{sandbox.portal('acq')}/.authproxy/login")
    await person.page.goto(planted)
    await expect(person.page.locator("h1:visible")).to_have_text(
        person.say("This sign-in was begun in another browser")
    )
    assert await person.faults() == []
    await person.page.locator("main:visible").get_by_role("link", name=person.say("Continue")).click()
    await person.stands_at("Choose how to sign in")
    assert "/izpis" not in await person.page.locator("main").inner_text()
    await person.page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await person.stands_at("Choose how to sign in")
    tolerates(person, 400)


async def callback_kept_back(stranger):
    """Consents, and has the address that leads back to the gateway instead of going there."""
    devtools = await stranger.page.context.new_cdp_session(stranger.page)
    kept = asyncio.get_running_loop().create_future()
    devtools.on("Fetch.requestPaused", lambda paused: kept.done() or kept.set_result(paused))
    await devtools.send("Fetch.enable", {"patterns": [{"urlPattern": "*/callback/rekono?*"}]})
    await stranger.page.locator(ALLOW).click(no_wait_after=True)
    async with asyncio.timeout(30):
        paused = await kept
    await devtools.send("Fetch.fulfillRequest", {"requestId": paused["requestId"], "responseCode": 204})
    return paused["request"]["url"]


@walked_in("sl-SI")
async def test_a_browser_without_cookies_is_told_about_cookies(sandbox, tmp_path, locale):
    """With the setting of Chromium that blocks all of them."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps({"profile": {"default_content_setting_values": {"cookies": 2}}}))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            str(tmp_path),
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run"],
            locale=locale,
        )
        person = Visitor(context.pages[0], sandbox, "", language=locale[:2])
        await person.page.goto(f"{sandbox.portal('acq')}/izpis/2026/11")
        await person.stands_at("Choose how to sign in")
        await person.presses(CHOOSER)
        await person.stands_at("Your browser keeps no cookies")
        assert await context.cookies() == []
        assert await person.page.locator("main:visible a[href*='izpis']").count() == 1
        await context.close()
        assert person.strangers == []


async def test_a_provider_that_fails_in_the_middle_leaves_a_way_back_to_the_same_page(visitor, sandbox):
    """The token endpoint answers with a page of some server between; the next try finds it well."""
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11"
    await at_the_consent(person, someone, place)
    async with ClientSession(timeout=ClientTimeout(10)) as scripts:
        quirks = f"{sandbox.local(8081)}/api/quirks"
        try:
            async with scripts.post(
                quirks, json={"client_id": "bankart-varni-spletni-prehod", "quirk": "token_500_html"}
            ) as answer:
                assert answer.status == 200
            await person.presses(ALLOW)
            await page.wait_for_url(re.compile("/login/refused"))
            assert await person.faults() == []
        finally:
            await scripts.delete(quirks)
    await page.locator("main:visible a.button").first.click()
    await person.presses(CHOOSER)
    await page.wait_for_url(place)
    await expect(page.locator("header .user")).to_contain_text(someone.family_name)
    tolerates(person, 502, 503)
