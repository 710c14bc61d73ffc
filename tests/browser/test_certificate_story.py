"""Signing in with a certificate in Chromium: the chooser, the certificate, a second proof, the portal's page;
and what is said when it is the wrong certificate."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.support.steps import signs_in_with_a_certificate

pytestmark = pytest.mark.asyncio(loop_scope="session")
BY_CERTIFICATE = "main form button[name=method][value=acnlb]"


async def test_the_address_alone_leads_to_the_portals(certificate_visitor, sandbox):
    person = await certificate_visitor(None, locale="en-GB")
    await person.page.goto(f"https://localhost:{8444 + sandbox.offset}/")
    assert await heading(person) == "Begin at the portal"
    assert await person.barriers() == []
    await person.page.locator(f"main:visible a[href='{sandbox.portal('bws')}/']").click()
    await person.page.wait_for_url(re.compile(re.escape(f"{sandbox.portal('bws')}/.authproxy/login")))
    person.complaints.clear()  # that a page was answered 400 the console tells


async def heading(person):
    return await person.page.locator("h1:visible").inner_text()


PEOPLE = {
    "sl-SI": ("ana.novak", "+38640123456", "Ana Novak"),
    "en-GB": ("cvetka.zupan", "+38640123458", "Cvetka Zupan"),
}


@pytest.mark.parametrize("locale", PEOPLE)
async def test_from_a_deep_link_with_a_certificate_and_a_code_by_text_message(
    certificate_visitor, sandbox, locale
):
    """A certificate is one proof; the other is asked for once in a session."""
    name, number, called = PEOPLE[locale]
    person = await certificate_visitor(name, locale=locale)
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?a=1"
    await signs_in_with_a_certificate(person, place)
    await person.does("SMS")
    await person.stands_at("Enter the code from the text message")
    assert number[-3:] in await page.locator("main").inner_text()
    assert number not in await page.content()
    assert await page.locator("#code").get_attribute("autocomplete") == "one-time-code"
    code = await person.newest_code(number)
    await person.sends(("Code", f"{code[:3]} {code[3:]}"))
    await page.wait_for_url(place)

    await page.goto(f"{sandbox.portal('acq')}/transakcije")
    await expect(page.locator("header .user")).to_contain_text(called)
    await page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    await person.stands_at("Your session")
    proofs = page.locator("dl").nth(1).locator("dd")
    await expect(proofs.filter(has_text=person.say("SMS"))).to_have_count(1)
    await expect(proofs.filter(has_text=person.say("ACNLB certificate"))).to_have_count(
        2
    )  # the sign-in, and the proof that it was


REFUSED = {
    "erik.kos": ("Vaš certifikat je preklican", "Your certificate has been revoked"),
    "franc.golob": ("Vaš certifikat je potekel", "Your certificate has expired"),
    "gregor.zagar": ("Vaš certifikat ni vpisan v register", "Your certificate is not registered"),
    "seal": ("Ta certifikat pripada organizaciji", "This certificate belongs to an organisation"),
    None: ("Brskalnik ni predložil certifikata", "Your browser has presented no certificate"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_says_one_thing_to_do_and_leads_back(certificate_visitor, sandbox, name):
    person = await certificate_visitor(
        name, locale="sl-SI", viewport={"width": 320, "height": 800}, color_scheme="dark"
    )
    page = person.page
    await page.goto(f"{sandbox.portal('b2b')}/transakcije")
    await person.presses(BY_CERTIFICATE)
    await page.get_by_role("heading", name=REFUSED[name][0]).wait_for()
    assert await person.barriers() == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.get_by_role("link", name="English").click()
    assert await heading(person) == REFUSED[name][1]

    await page.locator("main:visible a.button").first.click()
    await page.wait_for_url(re.compile(re.escape(f"{sandbox.portal('b2b')}/.authproxy/login?")))
    assert "transakcije" in page.url
    person.complaints.clear()  # that a page was answered 403 the console tells


BY_DIGITAL_CERTIFICATE = "button[name=mode][value=certlogin]"


async def to_confirmation_window(person, place):
    page = person.page
    await page.goto(place)
    await person.presses("main form button[name=method][value=rekono]")
    await page.fill("[name=username]", person.email)
    await page.fill("[name=password]", "Sandbox-2026!")
    await page.keyboard.press("Enter")
    await page.locator(BY_DIGITAL_CERTIFICATE).wait_for()


async def test_a_digital_certificate_confirms_a_sign_in_at_the_provider(certificate_visitor, sandbox):
    """The provider's policy for forms lets the browser through all of the way, to TLS and back and on to the
    portal."""
    person, place = await certificate_visitor("ana.novak", locale="sl-SI"), f"{sandbox.portal('acq')}/"
    await to_confirmation_window(person, place)
    await person.presses(BY_DIGITAL_CERTIFICATE)
    await person.consents()
    await person.page.wait_for_url(place)


async def test_a_certificate_that_is_refused_at_the_provider_leads_back_to_its_window(
    certificate_visitor, sandbox
):
    person = await certificate_visitor(
        "erik.kos",
        email="cvetka.zupan@example.si",
        locale="sl-SI",
        viewport={"width": 320, "height": 800},
        color_scheme="dark",
    )
    page = person.page
    await to_confirmation_window(person, f"{sandbox.portal('acq')}/")
    await person.presses(BY_DIGITAL_CERTIFICATE)
    await page.get_by_text("Predloženo potrdilo je preklicano.").wait_for()
    assert await person.barriers() == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.get_by_role("button", name="English").click()
    await page.get_by_text("The certificate has been revoked.").wait_for()
    assert await page.locator(BY_DIGITAL_CERTIFICATE).is_visible()
