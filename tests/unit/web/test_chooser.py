"""The chooser: which ways it offers, what it says of where one is going and of what has just ended."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support.pages import ACQ, LINKS, OTHER_TICKET, PAGE, running_pages
from tests.support.step_up_script import HELD

SLOVENE = {**PAGE, "Accept-Language": "sl"}


async def chooser(house, query="", **more):
    async with house.asked("GET", f"/.authproxy/login{query}", **more) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_a_portal_without_rekono_shows_no_button_that_leads_nowhere(house):
    text = await chooser(house, headers={**PAGE, "X-Authproxy-Portal": "b2b"})

    assert "<button" not in text
    assert "Create account" not in text
    assert "No way of signing in is open" in text


async def test_a_way_that_does_not_exist_yet_is_not_offered(house):
    house.portals["acq"] = replace(ACQ, sign_in=("acnlb", "rekono"))

    text = await chooser(house)

    assert 'value="rekono"' in text
    assert 'value="acnlb"' not in text


async def test_without_an_address_of_its_own_registration_begins_as_a_sign_in_and_says_what_to_choose_there(
    house,
):
    text = await chooser(house, headers=SLOVENE)

    assert text.count('name="method" value="rekono"') == 2
    assert "»Ustvari račun« izberite tudi v prijavnem oknu Rekono." in text


async def test_registration_with_an_address_of_its_own_is_one_click_away_and_leaves_the_chooser_open():
    links = replace(LINKS, register_url="https://idp.example.si/register?a=1&b=2")
    async with running_pages(links=links) as house:
        text = await chooser(house, headers=SLOVENE)

    assert text.count('name="method" value="rekono"') == 1
    [link] = re.findall(r"<a [^>]*idp.example.si/register[^>]*>", text)
    assert (
        'href="https://idp.example.si/register?a=1&amp;b=2" target="_blank" rel="noopener noreferrer"' in link
    )
    assert "Ko ustvarite račun, se vrnite na to stran in se prijavite." in text


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/izpis/2026/11?konto=1", "/izpis/2026/11"),
        ("/%C4%8Dlanki", "/%C4%8Dlanki"),
        ("/a%3Cb", "/a%3Cb"),
        ("/" + "x" * 100, "/" + "x" * 59 + "…"),
    ],
)
async def test_the_chooser_says_where_one_is_going(house, place, shown):
    text = await chooser(house, f"?rt={place.replace('%', '%25')}")

    assert f'<b>Merchant portal</b> <span class="path">{shown}</span>' in text
    assert "konto" not in text.partition('class="path"')[2].partition("</p>")[0]


@pytest.mark.parametrize("query", ["", "?rt=/", "?rt=//evil.test/login"])
async def test_the_front_page_needs_no_path(house, query):
    text = await chooser(house, query)

    assert 'class="path"' not in text
    assert "evil" not in text


async def test_whoever_was_signed_in_is_told_that_the_session_has_ended(house):
    text = await chooser(house, "?rt=/a", cookies=f"__Host-authproxy={OTHER_TICKET}", headers=SLOVENE)

    assert '<p class="status" role="status">Seja je potekla. Prosimo, prijavite se znova.</p>' in text


async def test_after_a_sign_out_the_chooser_says_so_and_not_that_time_ran_out(house):
    text = await chooser(house, "?after=sign-out", cookies=f"__Host-authproxy={OTHER_TICKET}")

    assert '<p class="status" role="status">You are signed out.</p>' in text


async def test_whoever_comes_for_the_first_time_is_told_nothing(house):
    assert 'role="status"' not in await chooser(house)


async def test_of_an_entry_that_could_not_be_kept_the_person_is_told_before_they_sign_in(house):
    text = await chooser(
        house, "?rt=/vnos&lost=0123abcd", cookies=f"__Host-authproxy={OTHER_TICKET}", headers=SLOVENE
    )

    assert "Vaš vnos ni bil poslan." in text
    assert "vrnili na stran, s katere ste ga poslali" in text
    assert "<code>not_sent-0123abcd</code>" in text
    assert 'name="held"' not in text
    assert 'href="/.authproxy/login?lang=en&amp;rt=/vnos&amp;lost=0123abcd"' in text


async def test_an_entry_that_waits_is_announced_and_goes_along_with_the_sign_in(house):
    text = await chooser(house, f"?rt=/vnos&held={HELD}&lost=yes", headers=SLOVENE)

    assert "Vaš vnos še ni bil poslan." in text
    assert "ni bil poslan. " not in text
    assert text.count(f'<input type="hidden" name="held" value="{HELD}">') == text.count("<form ")
    assert f'href="/.authproxy/login?lang=en&amp;rt=/vnos&amp;held={HELD}"' in text


@pytest.mark.parametrize(
    "query", ["?held=short", "?lost=", "?lost=%3Cb%3E", "?lost=" + "a" * 65, f"?held={HELD}x"]
)
async def test_what_names_no_entry_announces_none(house, query):
    text = await chooser(house, query)

    assert 'role="status"' not in text
    assert 'name="held"' not in text
