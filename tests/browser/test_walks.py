"""Every flow of the source documents by the keyboard alone, in one of the two languages each. At each step
the name of what has the focus is what a screen reader would say, and every kind of page is asked about
barriers when it is first reached."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from authproxy.sandbox.portals.catalogue import PORTAL_IDS, portal
from tests.support.browser import PASSWORD, Visitor
from tests.support.languages import walked_in
from tests.support.newcomers import newcomer, settled
from tests.support.steps import (
    allows,
    answers_by_sms,
    chooses_rekono,
    chooses_the_number,
    gives_the_password,
    opens_the_notification,
    says,
    signs_in,
    tells,
    tolerates,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opens_in_a_window_of_its_own(person, link):
    async with person.page.context.expect_page() as opened:
        await person.does(link)
    beside = Visitor(
        await opened.value,
        person._sandbox,
        person.email,
        language=person.language,
        looked_at=person._looked_at,
    )
    beside.complaints, beside.strangers = person.complaints, person.strangers
    return beside


async def creates_an_account(person, someone):
    """From the form to the last page, where the PUK code is; the finish is pressed."""
    await person.stands_at("Create a Rekono account")
    await person.sends(
        ("E-mail address", someone.email),
        ("Password for the Rekono account", someone.password),
        ("Your active mobile number", someone.phone),
    )
    await person.stands_at("Confirm the e-mail address")
    await person.sends(("Confirmation code", await person.newest_code(someone.email)))
    await person.stands_at("Confirm the mobile number")
    await person.sends(("One-time password", await person.newest_code(someone.sent_to)))
    await person.stands_at("Finish the registration")
    await person.does("I have saved the PUK code.", key="Space")
    await person.page.keyboard.press("Enter")


@walked_in("sl-SI")
async def test_from_no_account_at_all_to_the_page_that_was_asked_for_first(visitor, sandbox, locale):
    person, someone = await visitor(locale=locale), newcomer()
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?stran=2"
    await page.goto(place)
    await person.stands_at("Choose how to sign in")
    beside = await opens_in_a_window_of_its_own(person, "Create account…")
    await creates_an_account(beside, someone)
    await beside.stands_at("Dashboard")
    await beside.page.close()
    await person.does("Sign in with a Rekono account")
    await allows(person)
    await person.stands_at("Your Rekono account has no tax number, name, date of birth or address")

    beside = await opens_in_a_window_of_its_own(person, "Complete the data at Rekono…")
    await beside.stands_at("Dashboard")
    await beside.does("Next")
    await beside.stands_at("Enter the PIN code")
    await beside.sends(("PIN code", await beside.newest_code(someone.email)))
    await beside.stands_at("Enter your personal data")
    await beside.sends(
        ("Given name", someone.given_name),
        ("Family name", someone.family_name),
        ("Tax number", someone.tax_number),
        ("Date of birth", "1. 2. 1991"),
        ("Street and number", "Čopova ulica 1"),
        ("Postal code", "1000"),
        ("Town", "Ljubljana"),
    )
    await beside.stands_at("Are the data right?")
    await beside.does("Confirm and store")
    await beside.stands_at("Dashboard")
    await expect(beside.page.get_by_role("status")).to_be_visible()
    await beside.page.close()

    await person.does("Try again")
    await gives_the_password(person, someone)
    await answers_by_sms(person, someone, key="Space")
    await page.wait_for_url(place)
    await expect(page.locator("header .user")).to_contain_text(f"{someone.given_name} {someone.family_name}")
    tolerates(person, 403)


@walked_in("en-GB")
async def test_with_a_one_time_code_from_the_phone_and_out_again(visitor, sandbox, locale):
    someone, phone, person = (
        await settled(sandbox),
        await visitor(locale=locale),
        await visitor(locale=locale),
    )
    await phone.page.goto(f"{sandbox.local(8082)}/accounts/new")
    await adds_the_account(phone, someone)
    place = f"{sandbox.portal('b2b')}/transakcije?kraj=Celje"
    await chooses_rekono(person, place)
    await gives_the_password(person, someone)
    await person.does("One-time password…")
    await person.stands_at("Enter the one-time password")
    await phone.does(f"{someone.given_name} {someone.family_name} {someone.email}")
    await phone.stands_at(f"{someone.given_name} {someone.family_name}")
    await person.sends(("One-time password", await phone.page.locator(".code").inner_text()))
    await allows(person)
    await person.page.wait_for_url(place)

    await person.does("Sign out")
    await person.stands_at("Sign out?")
    await person.does("Sign out")
    await person.stands_at("Do you want to sign out of your Rekono account as well?")
    await person.does("Sign out")
    await person.stands_at("You are signed out")
    await person.page.goto(place)
    await person.stands_at("Choose how to sign in")


async def adds_the_account(phone, someone):
    """From the form of the phone to its list of accounts, without a PIN: the phone is everybody's here."""
    await phone.stands_at("Add an account")
    await phone.sends(("E-mail address of the Rekono account", someone.email))
    await phone.stands_at("Enter the code from the text message")
    await phone.sends(("Code", await phone.newest_code(someone.sent_to)))
    await phone.stands_at("Set a PIN")
    await phone.does("Accounts")
    await phone.stands_at("Accounts")


@walked_in("sl-SI")
async def test_by_a_notification_that_is_refused_first_and_then_approved(visitor, sandbox, locale):
    email = {"sl-SI": "ana.novak@example.si", "en-GB": "cvetka.zupan@example.si"}[locale]
    person, phone = await visitor(email, locale=locale), await visitor(email, locale=locale)
    place = f"{sandbox.portal('acq')}/izpis/2026/11"
    await chooses_rekono(person, place)
    await gives_the_password(person, newcomer(email=email, password=PASSWORD))
    await person.does("Push notification…")
    await person.stands_at("Confirm the sign-in on the phone")
    await opens_the_notification(
        phone, sandbox, of="Bankart Varni Spletni Prehod", heading="Is it you who is signing in?"
    )
    await phone.does("Refuse")
    await says(phone, "The sign-in is refused…")

    await person.stands_at("The sign-in was refused")
    await person.does("Send a new notification")
    await person.stands_at("Confirm the sign-in on the phone")
    await opens_the_notification(
        phone, sandbox, of="Bankart Varni Spletni Prehod", heading="Is it you who is signing in?"
    )
    await chooses_the_number(phone, await person.page.locator(".match").inner_text())
    await phone.does("Approve")
    await says(phone, "The sign-in is approved. Go back to the browser.")

    await person.page.wait_for_url(lambda url: "confirm_access" in url or url == place)
    if "confirm_access" in person.page.url:
        await allows(person)
    await person.page.wait_for_url(place)


@walked_in("en-GB")
async def test_whoever_refuses_consent_is_told_so_and_gets_in_by_consenting(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    place = f"{sandbox.portal('acq')}/izpis/2026/11"
    await chooses_rekono(person, place)
    await gives_the_password(person, someone)
    await answers_by_sms(person, someone)
    await person.stands_at("Do you allow access to your data?")
    await person.does("Refuse")
    await person.stands_at("You have not allowed access")
    await person.does("Try again")
    await person.stands_at("Choose how to sign in")
    await person.does("Sign in with a Rekono account")
    await allows(person)
    await person.page.wait_for_url(place)
    tolerates(person, 403)


@walked_in("sl-SI")
async def test_an_account_that_is_begun_on_the_phone_ends_on_the_phone(visitor, sandbox, locale):
    someone, phone = newcomer(), await visitor(locale=locale)
    await phone.page.goto(f"{sandbox.local(8082)}/")
    await phone.stands_at("Accounts")
    await phone.does("Add an account")
    await phone.stands_at("Add an account")
    await phone.does("Create an account")
    await creates_an_account(phone, someone)
    await phone.stands_at("The Rekono account is created")
    await phone.does("Back to OnePass")
    await adds_the_account(phone, someone)
    await expect(phone.page.locator(".card", has_text=someone.email)).to_be_visible()


@walked_in("en-GB")
async def test_a_forgotten_password_on_the_way_to_a_portal_does_not_lose_the_way(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    page, place = person.page, f"{sandbox.portal('bips')}/?od=geslo"
    await chooses_rekono(person, place)
    await person.stands_at("Sign in to your Rekono account")
    await person.does("Forgot password?")
    await person.stands_at("Forgot the password?")
    changed = newcomer(email=someone.email, phone=someone.phone, password="popolnoma drugo geslo")
    await person.sends(
        ("E-mail address", someone.email), ("PUK code", someone.puk), ("New password", changed.password)
    )
    await person.stands_at("The password is changed")
    assert await page.locator(".puk").inner_text() != someone.puk
    await person.does("I have saved the PUK code.", key="Space")
    await page.keyboard.press("Enter")
    await gives_the_password(person, changed)
    await answers_by_sms(person, changed)
    await allows(person)
    await page.wait_for_url(place)


@walked_in("sl-SI")
async def test_own_sessions_are_looked_at_and_ended_one_or_all(visitor, sandbox, locale):
    someone = await settled(sandbox)
    here, there = await visitor(locale=locale), await visitor(locale=locale)
    await signs_in(here, someone, f"{sandbox.portal('acq')}/")
    for other in ("b2b", "bips"):
        await chooses_rekono(here, f"{sandbox.portal(other)}/")
        await here.page.wait_for_url(f"{sandbox.portal(other)}/")
    await here.page.goto(f"{sandbox.portal('acq')}/")
    await here.does("Session")
    await here.stands_at("Your session")
    await expect(here.page.get_by_text(here.say("You have 2 other sessions."))).to_be_visible()
    await here.does("Extend the session")
    await tells(here, "The session has been extended.")
    await here.does("End…")
    await tells(here, "The other session has ended.")
    await expect(here.page.get_by_text(here.say("You have 1 other session."))).to_be_visible()
    await here.does("End all other sessions")
    await tells(here, "Your other sessions have ended.")
    await expect(here.page.get_by_text(here.say("You are signed in nowhere else."))).to_be_visible()

    await chooses_rekono(there, f"{sandbox.portal('bws')}/")
    await gives_the_password(there, someone)
    await answers_by_sms(there, someone)
    await there.page.wait_for_url(f"{sandbox.portal('bws')}/")
    await here.page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await here.stands_at("Your session")
    await here.does("Sign out everywhere")
    await here.stands_at("Sign out everywhere?")
    await here.does("Sign out everywhere")
    await here.stands_at("Do you want to sign out of your Rekono account as well?")
    await there.page.goto(f"{sandbox.portal('bws')}/vnos")
    await there.stands_at("Choose how to sign in")


@walked_in("en-GB")
async def test_six_portals_with_one_sign_in_and_two_that_ask_again(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    places = {
        portal_id: f"{sandbox.portal(portal_id)}{portal(portal_id).tables[0].path}"
        for portal_id in PORTAL_IDS
    }
    first, *others = PORTAL_IDS
    await signs_in(person, someone, places[first])
    for portal_id in others:
        await chooses_rekono(person, places[portal_id])
        described = portal(portal_id)
        if described.own_sign_in:
            await person.stands_at("Sign in to the application")
            user = described.own_sign_in.users[0]
            await person.sends(("User name", user.name), ("Password", user.password))
        await person.page.wait_for_url(re.compile(re.escape(places[portal_id])))
        await expect(person.page.locator("h1")).to_have_text(
            described.tables[0].title.sl if person.language == "sl" else described.tables[0].title.en
        )
        await expect(person.page.locator("header .user")).to_contain_text(someone.family_name)
    assert len({portal(portal_id).tables[0].title.sl for portal_id in PORTAL_IDS}) == len(PORTAL_IDS)
