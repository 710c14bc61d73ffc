"""Fresh proofs by the keyboard alone, in one of the two languages each: by every method, from the page that
asks for one to the page that was wanted, and with a form that waits in between."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from playwright.async_api import expect

from tests.support.browser import PASSWORD
from tests.support.languages import walked_in
from tests.support.newcomers import newcomer, settled
from tests.support.steps import (
    allows,
    chooses_the_number,
    code_on_the_phone,
    fills_in_an_enquiry,
    gives_the_password,
    opens_the_notification,
    proves_by_sms,
    says,
    signs_in_with_a_certificate,
    signs_in_with_the_mouse,
    tells,
    tolerates,
    weighed,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
BUDGET = 30 * 1024
# Everybody who has a certificate has a phone that answers for the gateway; one for each language, so that
# nobody is asked too often.
ENROLLED = {"sl-SI": ("ana.novak", "Ana Novak"), "en-GB": ("cvetka.zupan", "Cvetka Zupan")}


async def weight(person):
    """What the page and all that belongs to it weigh; asked for once more, which changes nothing."""
    async with weighed(person.page) as arrived:
        await person.page.reload()
    return sum(arrived)


async def is_thanked(person):
    """The portal's last page, with the number under which it keeps what was sent."""
    await expect(person.page.get_by_role("status")).to_contain_text(person.say("The enquiry has been sent."))
    await expect(person.page.get_by_role("status").locator("code")).to_have_text(re.compile(r"^POI-\d+"))


@walked_in("sl-SI")
async def test_a_form_waits_for_the_proof_is_shown_and_is_sent_once(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    page, place = person.page, f"{sandbox.portal('bips')}/poizvedba"
    await signs_in_with_the_mouse(person, someone, place)
    await person.stands_at("Enquiry about a payment")
    await fills_in_an_enquiry(person, "IP260042", 'Žiro & "račun" <b>ni</b> prispel')
    await person.stands_at("Confirm your identity")
    assert await page.get_by_role("status").count() == 1
    assert await weight(person) < BUDGET
    await person.does("SMS")
    await person.stands_at("Enter the code from the text message")
    assert await weight(person) < BUDGET
    code = await person.newest_code(someone.sent_to)
    await person.sends(("Code", f"{code[:3]} {code[3:]}"))

    await person.stands_at("Check the data before you send them")
    assert await weight(person) < BUDGET
    shown = await page.locator("dd").all_inner_texts()
    assert {"BIPS portal", "/poizvedba", "IP260042", 'Žiro & "račun" <b>ni</b> prispel'} <= set(shown)
    await person.does("Send")
    await is_thanked(person)
    await expect(page.locator("main")).to_contain_text('Žiro & "račun" <b>ni</b> prispel')

    await page.go_back()
    await person.stands_at("The data that you wanted to send are no longer kept")
    tolerates(person, 410)


@walked_in("en-GB")
async def test_a_form_that_is_not_to_be_sent_after_all_is_forgotten_and_the_next_one_goes_through(
    visitor, sandbox, locale
):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    page, place = person.page, f"{sandbox.portal('bips')}/poizvedba"
    await signs_in_with_the_mouse(person, someone, place)
    await fills_in_an_enquiry(person, "IP260011", "pomota")
    await proves_by_sms(person, someone.sent_to, typed="{0}-{1}")
    await person.stands_at("Check the data before you send them")
    waiting = page.url
    await person.does("Do not send")
    await person.stands_at("Enquiry about a payment")
    await page.goto(waiting)
    await person.stands_at("The data that you wanted to send are no longer kept")
    await page.goto(place)
    await fills_in_an_enquiry(person, "IP260012", "zares")
    await is_thanked(person)
    await expect(page.locator("main")).to_contain_text("IP260012")
    tolerates(person, 410)


@pytest.mark.rehearsal
@walked_in("sl-SI")
async def test_by_the_one_time_code_of_the_phone_and_later_by_a_recovery_code(
    certificate_visitor, visitor, sandbox, locale
):
    name, called = ENROLLED[locale]
    person, phone = (
        await certificate_visitor(name, locale=locale),
        await visitor(f"{name}@example.si", locale=locale),
    )
    page, place = person.page, f"{sandbox.portal('b2b')}/transakcije?kraj=Celje"
    await signs_in_with_a_certificate(person, place)
    await person.does("One-time password")
    await person.stands_at("Enter the code from the application")
    await person.sends(("Code", await code_on_the_phone(phone, sandbox, called)))
    await page.wait_for_url(place)

    await page.goto(f"{sandbox.portal('b2b')}/.authproxy/session")
    await person.stands_at("Your session")
    await person.does("Make new recovery codes")
    await person.stands_at("Your recovery codes")
    codes = await page.locator(".codes li").all_inner_texts()
    assert len(set(codes)) == 10
    await person.does("I have the codes")
    await person.stands_at("Your session")

    place = f"{sandbox.portal('acq')}/"
    await signs_in_with_a_certificate(person, place)
    await person.does("Recovery code")
    await person.stands_at("Enter a recovery code")
    assert await weight(person) < BUDGET
    await person.sends(("Code", codes[3].upper().replace("-", " ")))
    await page.wait_for_url(place)


@walked_in("en-GB")
async def test_by_a_notification_that_is_refused_first_and_then_approved(
    certificate_visitor, visitor, sandbox, locale
):
    name, _ = ENROLLED[locale]
    person, phone = (
        await certificate_visitor(name, locale=locale),
        await visitor(f"{name}@example.si", locale=locale),
    )
    place = f"{sandbox.portal('bws')}/vnos"
    await signs_in_with_a_certificate(person, place)
    await person.does("Push notification")
    await person.stands_at("Confirm on your phone")
    assert await weight(person) < BUDGET
    await opens_the_notification(phone, sandbox, of="BWS portal", heading="Is it you who is doing this?")
    await expect(phone.page.locator("dl")).to_contain_text("/vnos")
    await phone.does("Refuse")
    await says(phone, "Refused…")

    await person.stands_at("The confirmation was refused on the phone")
    await person.does("Begin again")
    await person.stands_at("Confirm your identity")
    await person.does("Push notification")
    await person.stands_at("Confirm on your phone")
    await opens_the_notification(phone, sandbox, of="BWS portal", heading="Is it you who is doing this?")
    await chooses_the_number(phone, await person.page.locator(".number").inner_text())
    await phone.does("Approve")
    await says(phone, "Approved. Go back to the browser.")
    await person.page.wait_for_url(place)
    tolerates(person, 403)


@walked_in("sl-SI")
async def test_a_payment_order_is_confirmed_by_itself_and_the_phone_shows_amount_and_payee(
    visitor, sandbox, locale
):
    ana = SimpleNamespace(email="ana.novak@example.si", password=PASSWORD, sent_to="+38640123456")
    person, phone = await visitor(locale=locale), await visitor(locale=locale)
    page, place = person.page, f"{sandbox.portal('bips')}/placilo"
    await signs_in_with_the_mouse(person, ana, place)
    await person.types("Payee", "Žaga <b>Novak</b>")
    await person.types("Amount (EUR)", "1.250,00")
    await person.does("Send the order")
    await person.stands_at("Confirm your identity")
    seen = {"amount", "1.250,00", "payee", "Žaga <b>Novak</b>"}
    assert set(await page.locator("dl").locator("dt, dd").all_inner_texts()) == seen
    assert await weight(person) < BUDGET
    await person.does("Push notification")
    await person.stands_at("Confirm on your phone")
    assert set(await page.locator("dl").locator("dt, dd").all_inner_texts()) == seen
    await opens_the_notification(phone, sandbox, of="BIPS portal", heading="Is it you who is doing this?")
    assert seen < set(await phone.page.locator("dl").locator("dt, dd").all_inner_texts())
    await chooses_the_number(phone, await page.locator(".number").inner_text())
    await phone.does("Approve")
    await says(phone, "Approved. Go back to the browser.")

    await person.stands_at("Check the data before you send them")
    await person.does("Send")
    await expect(page.get_by_role("status").locator("code")).to_have_text(re.compile(r"^PLA-\d+"))
    # The next order needs a proof of its own.
    await page.goto(place)
    await person.types("Payee", "Žaga")
    await person.types("Amount (EUR)", "1")
    await person.does("Send the order")
    await person.stands_at("Confirm your identity")


async def test_by_a_notification_in_a_browser_without_javascript(certificate_visitor, visitor, sandbox):
    """The page comes anew by itself until the phone has answered; then one button leads on."""
    person, phone = (
        await certificate_visitor("ana.novak", locale="sl-SI", java_script_enabled=False),
        await visitor(locale="sl-SI"),
    )
    page, place = person.page, f"{sandbox.portal('bips')}/takojsnja"
    await page.goto(place)
    await page.get_by_role("button", name="Prijava s certifikatom ACNLB").press("Enter")
    await page.get_by_role("button", name="Potisno obvestilo").press("Enter")
    await expect(page.locator("h1")).to_have_text("Potrdite na telefonu")
    await opens_the_notification(phone, sandbox, of="BIPS portal", heading="Is it you who is doing this?")
    await chooses_the_number(phone, await page.locator(".number").inner_text())
    await phone.does("Approve")
    await says(phone, "Approved. Go back to the browser.")
    await tells(person, "Your phone has answered.")
    await page.get_by_role("button", name="Nadaljuj").press("Enter")
    await page.wait_for_url(place)


@walked_in("en-GB")
async def test_with_a_certificate_in_a_session_of_a_rekono_account(
    certificate_visitor, visitor, sandbox, locale
):
    """At the high level of trust: a text message is not enough there, and a certificate is."""
    person, phone = (
        await certificate_visitor("cvetka.zupan", locale=locale),
        await visitor("cvetka.zupan@example.si", locale=locale),
    )
    page, place = person.page, f"{sandbox.portal('bips')}/poizvedba"
    await page.goto(place)
    await person.does("Sign in with a Rekono account")
    await gives_the_password(person, newcomer(email=person.email, password=PASSWORD))
    await person.does("One-time password…")
    await person.stands_at("Enter the one-time password")
    await person.sends(("One-time password", await code_on_the_phone(phone, sandbox, "Cvetka Zupan")))
    await page.wait_for_url(lambda url: "confirm_access" in url or url == place)
    if "confirm_access" in page.url:
        await allows(person)
    await person.stands_at("Enquiry about a payment")
    await fills_in_an_enquiry(person, "IP260007", "")
    await person.stands_at("Confirm your identity")
    assert await page.get_by_role("button", name=person.say("SMS")).count() == 0
    await person.does("Digital certificate of ACNLB")
    await person.stands_at("Check the data before you send them")
    await person.does("Send")
    await is_thanked(person)
