"""The story of the product in Chromium: a deep link, the chooser, the provider, the portal's page, one's own session, and out again."""

from __future__ import annotations

import re

import pytest

CHOOSER = "main form button[name=method][value=rekono]"
SIGN_OUT = "main form[action*='/.authproxy/logout'] button"
TO_PROVIDER = "main form[data-continue] button"
HEADINGS = {"sl": ("Izberite način prijave", "Vaša seja", "Odjavljeni ste"), "en": ("Choose how to sign in", "Your session", "You are signed out")}


def heading(visitor):
    return visitor.page.locator("h1").inner_text()


@pytest.mark.parametrize(
    ("language", "locale", "email", "name", "mode"),
    [("sl", "sl-SI", "ana.novak@example.si", "Ana Novak", "smslogin"), ("en", "en-GB", "cvetka.zupan@example.si", "Cvetka Zupan", "otplogin")],
)  # fmt: skip
def test_from_a_deep_link_in_and_out_again(visitor, sandbox, language, locale, email, name, mode):
    person = visitor(email, locale=locale)
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?a=1"
    page.goto(place)
    assert (heading(person), page.locator("html").get_attribute("lang")) == (HEADINGS[language][0], language)
    assert person.barriers() == []
    person.presses(CHOOSER)
    person.proves_who_they_are(mode)
    page.wait_for_url(place)

    page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    assert heading(person) == HEADINGS[language][1]
    assert name in page.locator("main").inner_text()
    assert person.barriers() == []

    person.presses(SIGN_OUT)
    page.wait_for_url(re.compile("/endsession"))
    page.locator("button[name=approve]").click()
    page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))
    assert heading(person) == HEADINGS[language][2]
    assert person.barriers() == []
    page.goto(place)
    assert heading(person) == HEADINGS[language][0]


def test_without_javascript(visitor, sandbox):
    person = visitor("david.horvat@example.si", java_script_enabled=False, locale="sl-SI")
    page, place = person.page, f"{sandbox.portal('b2b')}/transakcije?kraj=Celje"
    page.goto(place)
    person.presses(CHOOSER)
    person.proves_who_they_are("smslogin")
    page.wait_for_url(place)
    page.goto(f"{sandbox.portal('b2b')}/.authproxy/logout")
    person.presses(SIGN_OUT)
    assert heading(person) == HEADINGS["sl"][2]
    person.presses(TO_PROVIDER)
    page.wait_for_url(re.compile("/endsession"))
    page.locator("button[name=approve]").click()
    page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))


def test_by_the_keyboard_alone(visitor, sandbox):
    person = visitor(locale="sl-SI")
    page = person.page
    keyboard = page.keyboard
    page.goto(f"{sandbox.portal('acq')}/")
    person.tabs_to(CHOOSER)
    keyboard.press("Enter")
    page.locator("[name=username]").wait_for()
    person.tabs_to("[name=username]")
    keyboard.type(person.email)
    person.tabs_to("[name=password]")
    keyboard.type("Sandbox-2026!")
    keyboard.press("Enter")
    page.locator("button[value=smslogin]").wait_for()
    person.tabs_to("button[value=smslogin]")
    keyboard.press("Space")
    page.locator("[autocomplete=one-time-code]").wait_for()
    person.tabs_to("[autocomplete=one-time-code]")
    keyboard.type(person.code("smslogin"))
    keyboard.press("Enter")
    person.consents()
    page.wait_for_url(f"{sandbox.portal('acq')}/")
    page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    person.tabs_to(SIGN_OUT)
    keyboard.press("Enter")
    page.wait_for_url(re.compile("/endsession"))
    person.tabs_to("button[name=approve]")
    keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/\.authproxy/logout\?state="))


def test_somebody_without_a_tax_number_is_told_what_to_do(visitor, sandbox):
    person = visitor("bor.kranjc@example.si", locale="sl-SI")
    person.page.goto(f"{sandbox.portal('acq')}/izpis/2026/11")
    person.presses(CHOOSER)
    person.proves_who_they_are("otplogin")
    person.page.wait_for_url(re.compile("/callback/rekono"))
    assert "davčna številka" in heading(person)
    assert person.page.locator(f"main a[href^='{sandbox.local(8081)}']").count() == 1
    assert person.barriers() == []
    # Chromium itself tells the console of every page that answers 403.
    assert [complaint for complaint in person.complaints if "403" not in complaint] == []
    person.complaints.clear()


def test_the_language_can_be_changed_and_stays_on_the_way(visitor, sandbox):
    person = visitor(locale="sl-SI")
    person.page.goto(f"{sandbox.portal('acq')}/izpis/2026/11")
    person.page.locator("a[hreflang=en]").click()
    assert heading(person) == HEADINGS["en"][0]
    assert person.barriers() == []
    person.presses(CHOOSER)
    person.page.locator("[name=username]").wait_for()
