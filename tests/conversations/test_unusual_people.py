"""People and hands as they are: names beyond ASCII, long addresses, double clicks, the back button."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from authproxy.sandbox.accounts import PASSWORD_HASH, Address, ProviderAccount
from tests.support.gateway import TICKET
from tests.support.http_client import Browser

PLACE = "/izpis/2026/11"


def account(**changes):
    usual = {
        "subject": "90400.NEKDO",
        "email": "nekdo@example.si",
        "given_name": "Nekdo",
        "family_name": "Drug",
        "birthdate": "1980-01-01",
        "phone": "+38640999999",
        "level": 20,
        "tax_number": "99990032",
        "address": Address(street_address="Pot 1", locality="Koper", postal_code="6000"),
    }
    return ProviderAccount(password_hash=PASSWORD_HASH, **usual | changes)


async def received(person, portal):
    answer = await person.browser.request("GET", f"{portal}/api/received", headers={"Accept": "text/html"})
    found = {name.lower(): value for name, value in answer.json["headers"]}
    return found, answer.json["assertion"]["claims"]


@pytest.mark.parametrize(
    ("given_name", "family_name"),
    [
        ("Žiga", "Čuš"),
        ("Đorđe", "Ćirić-Łukasz"),
        ("Zoë", "O’Brien"),
        ("明", "李"),
        ("محمد", "علي"),
        ("Ana", "Novak %0d%0aX-Auth-Level: 30"),
        ("😀", "<b>Novak</b>"),
    ],
    ids=["Slovene", "Serbian and Polish", "an apostrophe", "Chinese", "Arabic", "escapes", "signs"],
)
async def test_a_name_reaches_the_portal_whole_and_in_ascii(houses, given_name, family_name):
    somebody = account(given_name=given_name, family_name=family_name)
    async with houses(more_people=[somebody]) as house:
        person = house.person(somebody.email)
        assert (await person.signs_in(house.acq + PLACE)).url == house.acq + PLACE
        found, claims = await received(person, house.acq)
        assert found["x-auth-name"].isascii()
        assert unquote(found["x-auth-name"]) == claims["name"] == f"{given_name} {family_name}"
        assert found["x-auth-level"] == "20"
        page = await person.opens(f"{house.acq}/.authproxy/session")
        assert "<b>Novak" not in page.text


@pytest.mark.parametrize(("length", "passed"), [(254, True), (300, True), (301, False)])
async def test_an_email_address_is_passed_on_whole_or_not_at_all(houses, length, passed):
    somebody = account(email="a" * (length - len("@example.si")) + "@example.si")
    async with houses(more_people=[somebody]) as house:
        person = house.person(somebody.email)
        page = await person.signs_in(house.acq + PLACE)
        assert (page.status, page.url) == (200, house.acq + PLACE)
        found, _ = await received(person, house.acq)
        assert found["x-auth-email"] == (somebody.email if passed else "-")


async def test_where_an_email_address_is_demanded_one_that_is_too_long_is_missing(houses):
    somebody = account(email="a" * 400 + "@example.si")
    async with houses(acq={"required_claims": ["tax_number", "email"]}, more_people=[somebody]) as house:
        person = house.person(somebody.email)
        page = await person.signs_in(house.acq + PLACE)
        assert (page.status, person.ticket(house.acq)) == (403, None)
        assert "manjka elektronski naslov" in page.text
        assert somebody.email not in page.text


async def test_a_button_that_is_pressed_twice_signs_in_once(house, ana):
    chooser = await ana.browser.follow(await ana.opens(house.acq + PLACE))
    first = await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"})
    second = await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"})
    assert first.location != second.location
    assert (await ana.walk(second)).url == house.acq + PLACE
    ticket = ana.ticket(house.acq)
    assert len(await list_sessions(house.settings)) == 1

    assert (await ana.walk(first)).url == house.acq + PLACE
    assert len(await list_sessions(house.settings)) == 1
    assert (
        await Browser().request("GET", f"{house.acq}/api/jaz", headers={"Cookie": f"{TICKET}={ticket}"})
    ).status == 401


async def test_the_back_button_after_a_sign_in_leads_forward_again(house, ana):
    await ana.signs_in(house.acq + PLACE)
    ticket = ana.ticket(house.acq)
    visited = [
        answer.url
        for answer in ana.browser.history
        if answer.method == "GET" and answer.url.startswith(f"{house.acq}/.authproxy/")
    ]
    assert ["login" in url or "callback" in url for url in visited] == [True, True]
    for url in reversed(visited):
        answer = await ana.browser.navigate(url)
        assert (answer.status, answer.location, answer.all("set-cookie")) == (303, house.acq + PLACE, [])
    assert ana.ticket(house.acq) == ticket


async def test_the_back_button_to_a_form_that_was_sent_begins_a_new_sign_in_and_ends_no_other(house, ana):
    chooser = await ana.browser.follow(await ana.opens(house.acq + PLACE))
    await ana.walk(await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"}))
    again = await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"})
    assert again.is_redirect
    assert (await ana.opens(house.acq + PLACE)).status == 200
    assert (await ana.walk(again)).url == house.acq + PLACE
    assert len(await list_sessions(house.settings)) == 1


async def test_a_strangers_answer_is_not_taken_for_ones_own(house, ana):
    """Somebody sends a link with their own code: whoever follows it must not end up in their account."""
    mallory = house.person("david.horvat@example.si")
    planted = await mallory.goes_to_callback(house.acq + PLACE)
    begun = await ana.goes_to_callback(house.acq + PLACE)
    answer = await ana.browser.navigate(planted, site="cross-site")
    assert (answer.status, ana.ticket(house.acq)) == (400, None)
    assert "attempt_of_another_browser" in answer.text
    assert PLACE not in answer.text
    assert (await ana.walk(await ana.browser.navigate(begun))).url == house.acq + PLACE
    assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).json["email"] == ana.email
