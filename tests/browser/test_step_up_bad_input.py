"""What people do at a fresh proof that nobody has planned, in Chromium: each ends where they wanted to go or
on a page that helps."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.support.browser import Visitor
from tests.support.newcomers import settled
from tests.support.steps import fills_in_an_enquiry, proves_by_sms, signs_in_with_the_mouse, tolerates

pytestmark = pytest.mark.asyncio(loop_scope="session")
SMS = "main form button[name=method][value=sms]"


async def at_the_choice(person, sandbox, someone):
    """With a form that waits."""
    await signs_in_with_the_mouse(person, someone, f"{sandbox.portal('bips')}/poizvedba")
    await fills_in_an_enquiry(person, "IP260033", "")
    await person.stands_at("Confirm your identity")


async def is_told_how_long_to_wait(page):
    await expect(page.locator("main:visible")).to_contain_text(
        re.compile(r"Znova lahko poskusite čez 1[45] minut\.")
    )


async def test_five_wrong_codes_end_on_a_page_that_says_how_long_to_wait(visitor, sandbox):
    """Before the last tries it is said what comes; the block is that of the person, in every window, and the
    session goes on."""
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page = person.page
    await at_the_choice(person, sandbox, someone)
    choice = page.url
    await person.does("SMS")
    await person.stands_at("Enter the code from the text message")
    right = await person.newest_code(someone.sent_to)
    wrong = "000000" if right != "000000" else "111111"
    for tries_left in (4, 3, 2, 1):
        await person.types("Code", wrong)
        await page.keyboard.press("Enter")
        alert = page.get_by_role("alert")
        await expect(alert).to_be_focused()
        await expect(alert).to_contain_text("Koda ni bila sprejeta")
        assert ("poskus" in await alert.inner_text()) == (tries_left <= 2)
        await person.stands_at("Enter the code from the text message")
        await person.does("Vnesite kodo znova")
        assert await page.locator("#code").get_attribute("aria-invalid") == "true"
    await person.sends(("Code", wrong))
    await person.stands_at("The code was not accepted")
    await is_told_how_long_to_wait(page)
    assert await page.locator(SMS).count() == 0
    await page.goto(choice)
    await person.stands_at("Too many wrong codes")
    await is_told_how_long_to_wait(page)
    assert await page.locator(SMS).count() == 0
    await page.goto(f"{sandbox.portal('bips')}/kliring")
    await expect(page.locator("header .user")).to_contain_text(someone.family_name)
    tolerates(person, 403, 429)


async def test_a_button_that_is_pressed_twice_sends_one_message_and_an_answer_given_twice_proves_once(
    visitor, sandbox
):
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    page = person.page
    await at_the_choice(person, sandbox, someone)
    before = len(await person.messages(someone.sent_to))
    await page.locator(SMS).dblclick()
    await person.stands_at("Enter the code from the text message")
    assert len(await person.messages(someone.sent_to)) == before + 1
    await person.types("Code", await person.newest_code(someone.sent_to))
    await page.get_by_role("button", name="Potrdi").dblclick()
    await person.stands_at("Check the data before you send them")
    await page.goto(f"{sandbox.portal('bips')}/.authproxy/session")
    await expect(page.locator("dl").nth(1)).to_contain_text("SMS")


async def test_two_tabs_with_a_form_each_are_led_on_by_one_proof(visitor, sandbox):
    """The second message within a minute is not sent; but when the first tab has its proof, so has the
    other."""
    someone, person = await settled(sandbox), await visitor(locale="sl-SI")
    await at_the_choice(person, sandbox, someone)
    other = Visitor(await person.page.context.new_page(), sandbox, someone.email, looked_at=person._looked_at)
    await other.page.goto(f"{sandbox.portal('bips')}/poizvedba")
    await fills_in_an_enquiry(other, "IP260034", "drugi zavihek")
    await other.stands_at("Confirm your identity")
    await proves_by_sms(person, someone.sent_to, typed="  {0} – {1} ")
    await person.stands_at("Check the data before you send them")
    await other.does("SMS")
    await other.stands_at("Too many messages")
    await other.does("Try another way")
    await other.stands_at("Check the data before you send them")
    assert "drugi zavihek" in await other.page.locator("main").inner_text()
    await other.does("Send")
    await expect(other.page.get_by_role("status")).to_contain_text("Poizvedba je poslana.")
    await person.does("Send")
    await expect(person.page.get_by_role("status")).to_contain_text("Poizvedba je poslana.")
    await expect(person.page.locator("main")).to_contain_text("IP260033")
    tolerates(other, 429)
    assert (other.complaints, other.strangers) == ([], [])
