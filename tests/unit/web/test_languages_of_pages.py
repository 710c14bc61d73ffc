"""The other language of a page: a link where asking again is harmless, otherwise in the page itself."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.attempts import SignInRefused
from tests.support.pages import ACQ, PAGE, TICKET

TICKET_COOKIE = f"__Host-authproxy={TICKET}"
REFUSED = {
    **PAGE,
    "Accept-Language": "sl",
    "X-Authproxy-Reason": "level_too_low",
    "X-Authproxy-Status": "403",
}


def parts(text):
    """The version that is shown and the one that is not, each from its own element on."""
    shown, hidden = re.split(r'<div class="version"', text)[1:]
    return shown, hidden


@pytest.mark.parametrize("path", ["login?rt=/a", "session", "logout"])
async def test_a_page_that_can_be_asked_for_again_links_to_itself_in_the_other_language(house, path):
    cookies = None if path.startswith("login") else TICKET_COOKIE
    async with house.asked("GET", f"/.authproxy/{path}", cookies=cookies) as answer:
        text = await answer.text()
    other = re.search('<a href="([^"]*)" lang="sl"', text)[1].replace("&amp;", "&")
    async with house.asked("GET", other, cookies=cookies) as answer:
        slovene = await answer.text()

    assert '<html lang="en">' in text
    assert '<html lang="sl">' in slovene
    assert text.count('class="version"') == 1
    assert "rt=/a" in other or "?rt" not in path


async def test_a_refusal_holds_both_languages_because_its_address_is_the_portals(house):
    async with house.asked("GET", "/refusal", headers=REFUSED) as answer:
        shown, hidden = parts(await answer.text())

        assert "Set-Cookie" not in answer.headers
    assert shown.startswith(' id="sl" lang="sl" tabindex="-1">')
    assert hidden.startswith(' id="en" lang="en" tabindex="-1" hidden>')
    assert "<main hidden>" in hidden
    for version, own in ((shown, "sl"), (hidden, "en")):
        assert 'href="#sl"' in version
        assert 'href="#en"' in version
        assert f'lang="{own}" aria-current="true"' in version
    assert "Portal za trgovce" in shown
    assert "Merchant portal" in hidden


async def test_what_follows_a_refusal_goes_on_in_the_language_in_which_it_was_read(house):
    house.flows.outcome = SignInRefused(Reason.CONSENT_REFUSED, "/orders")
    async with house.asked("GET", "/.authproxy/callback/rekono?state=a") as answer:
        shown, hidden = parts(await answer.text())

    assert 'href="/.authproxy/login?rt=/orders"' in shown
    assert 'href="/.authproxy/login?rt=/orders&amp;lang=sl"' in hidden


async def test_no_identifier_stands_twice_on_a_page_in_both_languages(house):
    async with house.asked("GET", "/refusal", headers=REFUSED) as answer:
        identifiers = re.findall(r'\sid="([^"]+)"', await answer.text())

    assert len(identifiers) >= 4
    assert len(identifiers) == len(set(identifiers))


async def test_every_page_says_whom_to_ask(house):
    house.portals["acq"] = replace(ACQ, telephone="+386 (1) 234-56-78", help_url="https://pomoc.example.si/")
    for path, cookies in (("login", None), ("session", TICKET_COOKIE), ("logout", None), ("nothing", None)):
        async with house.asked("GET", f"/.authproxy/{path}", cookies=cookies) as answer:
            text = await answer.text()

        assert '<a href="mailto:podpora@example.si">podpora@example.si</a>' in text, path
        assert '<a href="tel:+38612345678">+386 (1) 234-56-78</a>' in text, path
        assert 'href="https://pomoc.example.si/"' in text, path


async def test_a_portal_without_a_telephone_and_help_of_its_own_has_everybodys(house):
    house.portals["acq"] = replace(ACQ, contact=None)
    async with house.asked("GET", "/.authproxy/login") as answer:
        text = await answer.text()

    assert "tel:" not in text
    assert "mailto:" not in text
    assert "Need help?" not in text
    assert 'href="https://www.example.si/help"' in text
