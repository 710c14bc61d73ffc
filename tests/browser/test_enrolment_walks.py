"""What somebody adds to their account and takes away again on the page about their session, by the keyboard
alone; and what a script tells them of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from playwright.async_api import expect

from tests.support.languages import walked_in
from tests.support.newcomers import settled
from tests.support.steps import (
    PHONE,
    chooses_the_number,
    fills_in_an_enquiry,
    opens_the_notification,
    proves_by_sms,
    says,
    signs_in_with_the_mouse,
    tells,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOLD = {"sl": "dodan telefon za potisna obvestila", "en": "phone for notifications was added"}
"""At once; of the changes that follow within minutes one message tells later."""


@pytest.mark.rehearsal
@walked_in("sl-SI")
async def test_an_application_a_phone_and_a_list_are_added_used_and_removed(visitor, sandbox, locale):
    someone, person, phone = (
        await settled(sandbox),
        await visitor(locale=locale),
        await visitor(locale=locale),
    )
    page, session = person.page, f"{sandbox.portal('bips')}/.authproxy/session"
    await signs_in_with_the_mouse(person, someone, f"{sandbox.portal('bips')}/poizvedba")
    await page.goto(session)
    # The first one takes a proof that is asked for here, though this person has just signed in.
    await person.does("Add push notifications in OnePass")
    await expect(page.locator("main")).to_contain_text(person.say("This will be your first way to confirm."))
    await proves_by_sms(person, someone.sent_to)
    await adds_a_phone(person, phone, sandbox, someone)
    # The next one takes one of their own, and nothing that a thief of the account has.
    await person.does("Add an application for one-time passwords")
    await person.stands_at("Confirm your identity")
    assert await page.locator("main form button").all_inner_texts() == [person.say("Push notification")]
    await person.does("Push notification")
    await person.stands_at("Confirm on your phone")
    await opens_the_notification(phone, sandbox, of="BIPS portal", heading="Is it you who is doing this?")
    await chooses_the_number(phone, await page.locator(".number").inner_text())
    await phone.does("Approve")
    secret = await adds_an_application(person)
    await adds_a_list(person)
    assert await person.faults() == []
    assert await page.locator(".cards li b").all_inner_texts() == [
        f"{person.say('Push notification')}: Žigov",
        f"{person.say('One-time password')}: Moj telefon",
        person.say("Recovery codes"),
    ]

    other = await visitor(locale=locale)
    await signs_in_with_the_mouse(other, someone, f"{sandbox.portal('bips')}/poizvedba")
    await fills_in_an_enquiry(other, "IP260021", "")
    await other.stands_at("Confirm your identity")
    # A phone that answers is not enough at the low level of trust, and the page says so.
    assert await other.page.locator("main form button").all_inner_texts() == [
        other.say("One-time password"),
        other.say("SMS"),
    ]
    await expect(other.page.locator("main .about").last).to_contain_text(other.say("Push notification"))
    await other.does("One-time password")
    await other.stands_at("Enter the code from the application")
    await expect(other.page.locator("main")).to_contain_text("Moj telefon")
    await other.sends(("Code", next_code(secret)))
    await other.stands_at("Check the data before you send them")

    await page.goto(session)
    await removes(person, "One-time password")
    assert await page.locator("[aria-labelledby=methods] .cards li").count() == 2
    texts = [message["text"] for message in await person.messages(someone.sent_to)]
    assert any(TOLD[person.language] in text for text in texts)
    assert not any(secret in text for text in texts)


def next_code(secret):
    """Of the step that comes: that of now may be spent, and clocks may be a step apart."""
    return pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30))


async def adds_an_application(person):
    """The key is typed from the page as it stands there, in groups; the first code that is tried is wrong."""
    page = person.page
    await person.stands_at("Your session")
    await person.types("Name of the phone", "Moj telefon")
    await person.does("Add an application for one-time passwords")
    await person.stands_at("Adding an application for one-time passwords")
    secret = "".join(await page.locator(".groups:visible span").all_inner_texts())
    await person.sends(("Code that the application shows now", "000 000"))
    await expect(page.get_by_role("alert").locator("visible=true")).to_be_focused()
    await person.stands_at("Adding an application for one-time passwords")
    assert "".join(await page.locator(".groups:visible span").all_inner_texts()) == secret
    await person.sends(("Code that the application shows now", pyotp.TOTP(secret).now()))
    await person.stands_at("Your session")
    await tells(person, "The way to confirm has been added.")
    return secret


async def adds_a_phone(person, phone, sandbox, someone):
    """Asked too early whether the phone has come, the page says that it has not."""
    await person.stands_at("Your session")
    await person.does("Add push notifications in OnePass")
    await person.stands_at("Adding push notifications in OnePass")
    code = await person.page.locator(".number:visible").inner_text()
    await person.does("I have entered the code")
    await tells(person, "The phone has not been added yet. Enter the code there first.")
    await phone.page.goto(f"{sandbox.local(PHONE)}/")
    await phone.stands_at("Accounts")
    await phone.does("Enter an activation code")
    await phone.stands_at("Link the phone")
    await phone.sends(("Activation code", code.lower()))
    await phone.stands_at("Do you want to link this phone?")
    await expect(phone.page.locator("dl")).to_contain_text(someone.email)
    await phone.types("Name of the phone", "Žigov")
    await phone.does("Link")
    await says(phone, "The phone is linked. Go back to the browser.")
    await person.does("I have entered the code")
    await person.stands_at("Your session")
    await tells(person, "The way to confirm has been added.")


async def adds_a_list(person):
    await person.does("Make new recovery codes")
    await person.stands_at("Your recovery codes")
    assert await person.page.locator(".codes:visible li").count() == 10
    await person.does("I have the codes")
    await person.stands_at("Your session")


async def removes(person, method):
    await person.stands_at("Your session")
    await person.does(f"{person.say('Remove')} {person.say(method)}…")
    await person.stands_at("Remove this way to confirm?")
    await person.does("Remove")
    await tells(person, "The way to confirm has been removed.")
