"""The dashboard of the sandbox's provider: personal data and tax number after a PIN by mail, and permissions
that are taken back."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.http_client import Browser
from tests.support.rekono import CLIENT, REDIRECT_URI, Guest, answer_in, running_rekono, title

BOR, ANA = "bor.kranjc@example.si", "ana.novak@example.si"
DATA = {
    "given_name": "Bor",
    "family_name": "Kranjc",
    "tax_number": "SI 9999 0032",
    "birthdate": "15. 6. 1985",
    "street_address": "Testna ulica 2",
    "postal_code": "2000",
    "locality": "Maribor",
    "country": "SI",
}


@pytest.fixture
async def rekono():
    async with running_rekono() as running:
        yield running


@pytest.fixture
def bor(rekono):
    return Guest(rekono)


async def at_the_pin(guest, email=BOR):
    page = await guest.signs_in(email)
    assert title(page) == "Nadzorna plošča"
    form = next(form for form in page.forms if form.action.endswith("/account/begin"))
    return await guest._end(await guest.browser.submit(page, form))


async def at_the_form(guest):
    return await guest.sends(await at_the_pin(guest), "code", code=await guest.rekono.last_code(BOR))


async def with_data(guest, **changed):
    return await guest.sends(await at_the_form(guest), "tax_number", **DATA | changed)


async def test_somebody_without_a_tax_number_enters_it_and_stays_at_level_ten(rekono, bor):
    page = await with_data(bor)
    assert title(page) == "Potrdite podatke"
    for shown in ("Bor", "Kranjc", "99990032", "15. 6. 1985", "Testna ulica 2", "2000 Maribor", "Slovenija"):
        assert shown in page.text
    assert rekono.accounts.find(BOR).tax_number is None
    page = await bor.sends(page)
    assert "Podatki so shranjeni" in page.text
    account = rekono.accounts.find(BOR)
    assert (account.tax_number, account.birthdate, account.level) == ("99990032", "1985-06-15", 10)


async def test_a_relying_party_sees_the_new_data_at_the_next_sign_in(rekono, bor):
    await bor.sends(await with_data(bor, given_name="Živa Đurđa", family_name="Łukić-Čšž"))
    page = await bor.get(rekono.authorize_url())
    back = await bor.sends(page, button=("user_oauth_approval", "true"))
    claims = await rekono.userinfo(back.location)
    assert (claims["name"], claims["taxnumber"], claims["loa"]) == ("Živa Đurđa Łukić-Čšž", "99990032", 10)
    assert claims["address"]["formatted"] == "Testna ulica 2\n2000 Maribor"


async def test_the_dashboard_shows_what_is_stored_and_masks_the_numbers(rekono, bor):
    page = await bor.signs_in(ANA)
    for shown in ("Ana Novak", ANA, "1. 1. 1990", "Testna ulica 1", "srednja (20)"):
        assert shown in page.text
    for hidden in ("99990008", "40123456"):
        assert hidden not in page.text


@pytest.mark.parametrize("email", [ANA, "cvetka.zupan@example.si"])
async def test_data_that_were_checked_with_a_document_cannot_be_changed(rekono, bor, email):
    page = await bor.signs_in(email)
    assert all("/account/begin" not in form.action for form in page.forms)
    csrf = next(iter(page.forms), None)
    assert csrf is None
    dashboard = await bor.get(f"{rekono.issuer}account/data")
    assert title(dashboard) == "Nadzorna plošča"
    assert await rekono.messages(email) == []


async def test_a_tax_number_of_another_account_is_refused_without_naming_it(rekono, bor):
    page = await with_data(bor, tax_number="99990008")
    assert (page.status, title(page)) == (409, "Te davčne številke ni mogoče vpisati")
    assert not {"Ana", "Novak", ANA, "99990008"} & set(re.split(r"[\s<>.,]+", page.text))
    assert rekono.accounts.find(BOR).tax_number is None
    again = await bor.get(next(link for link in page.links if link.endswith("/account/data")))
    assert 'value="Testna ulica 2"' in again.text
    page = await bor.sends(again, "tax_number", **DATA)
    assert title(page) == "Potrdite podatke"


async def test_of_two_people_with_one_tax_number_the_first_to_confirm_has_it(rekono, bor):
    page = await with_data(bor)
    ana = rekono.accounts.find(ANA)
    rekono.accounts.put(
        type(ana)(**{name: getattr(ana, name) for name in ana.__slots__} | {"tax_number": "99990032"})
    )
    page = await bor.sends(page)
    assert (page.status, title(page)) == (409, "Te davčne številke ni mogoče vpisati")
    assert rekono.accounts.find(BOR).tax_number is None


async def test_trying_the_numbers_of_others_ends_after_five(rekono, bor):
    page = await at_the_form(bor)
    for _ in range(5):
        taken = await bor.sends(page, "tax_number", **DATA | {"tax_number": "99990008"})
    assert "čez 15 min" in taken.text
    free = await bor.sends(page, "tax_number", **DATA)
    assert "čez 15 min" in free.text


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"given_name": ""}, "To polje je obvezno"),
        ({"given_name": "A" * 300}, "največ 100 znakov"),
        ({"family_name": "Kranjc\x00"}, "znake, ki jih ni mogoče shraniti"),
        ({"family_name": "<b>1</b>"}, "Vpišite ime s črkami"),
        ({"tax_number": "9999003"}, "osem števk"),
        ({"tax_number": "99990033"}, "ni pravilna"),
        ({"birthdate": "31. 2. 1985"}, "Takega datuma ni"),
        ({"birthdate": "15. 6. 2085"}, "v preteklosti"),
        ({"street_address": " "}, "To polje je obvezno"),
        ({"postal_code": "20000"}, "štiri števke"),
        ({"locality": "M" * 300}, "največ 100 znakov"),
        ({"country": "ZZ"}, "Izberite državo"),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_everything_typed_stays(rekono, bor, changed, word):
    page = await with_data(bor, **changed)
    [field] = changed
    assert title(page) == "Napaka: Osebni podatki"
    assert f'href="#{field}"' in page.text
    assert word in page.text
    assert page.text.count('aria-invalid="true"') == 1
    assert all(
        f'value="{value}"' in page.text for name, value in DATA.items() if name not in {field, "country"}
    )


async def test_without_the_pin_there_is_no_form(rekono, bor):
    page = await at_the_pin(bor)
    assert title(await bor.get(f"{rekono.issuer}account/data")) == "Nadzorna plošča"
    page = await bor.sends(page, "code", code="wrong")
    assert "poskusov: 4." in page.text
    straight = await bor.browser.post(f"{rekono.issuer}account/data", DATA | page.forms[0].fields)
    assert straight.location.endswith("/account/pin")
    straight = await bor.browser.post(f"{rekono.issuer}account/confirm", page.forms[0].fields)
    assert straight.location.endswith("/account/pin")
    assert rekono.accounts.find(BOR).tax_number is None


async def test_the_pin_is_good_for_ten_minutes(rekono, bor):
    page = await at_the_pin(bor)
    old = await rekono.last_code(BOR)
    rekono.clock.advance(minutes=10)
    page = await bor.sends(page, "code", code=old)
    assert "Koda je potekla" in page.text
    page = await bor.sends(page, button=("do", "again"))
    assert title(await bor.sends(page, "code", code=await rekono.last_code(BOR))) == "Osebni podatki"


async def test_after_five_wrong_pins_the_right_one_waits(rekono, bor):
    page = await at_the_pin(bor)
    right = await rekono.last_code(BOR)
    for _ in range(5):
        page = await bor.sends(page, "code", code="000 000" if right != "000000" else "000 001")
    assert "čez 15 min" in (await bor.sends(page, "code", code=right)).text


async def test_pressing_next_in_two_tabs_sends_one_pin_and_later_none(rekono, bor):
    page = await bor.signs_in(BOR)
    form = next(form for form in page.forms if form.action.endswith("/account/begin"))
    await asyncio.gather(bor.browser.submit(page, form), bor.browser.submit(page, form))
    assert len(await rekono.messages(BOR)) == 1
    await bor.sends(await bor.get(f"{rekono.issuer}account/pin"), "code", code=await rekono.last_code(BOR))
    next_page = await bor._end(await bor.browser.submit(page, form))
    assert title(next_page) == "Osebni podatki"
    assert len(await rekono.messages(BOR)) == 1


async def test_confirming_twice_or_reloading_stores_once_and_shows_the_dashboard(rekono, bor):
    page = await with_data(bor)
    pages = await bor.sends_twice(page)
    assert [title(each) for each in pages] == ["Nadzorna plošča"] * 2
    assert title(await bor.sends(page)) == "Nadzorna plošča"
    assert title(await bor.get(page.url)) == "Nadzorna plošča"
    assert rekono.accounts.find(BOR).tax_number == "99990032"


async def test_data_can_be_corrected_before_they_are_stored(rekono, bor):
    page = await with_data(bor, locality="Mribor")
    page = await bor.get(next(link for link in page.links if link.endswith("/account/data")))
    assert 'value="Mribor"' in page.text
    page = await bor.sends(page, "tax_number", **DATA)
    await bor.sends(page)
    assert rekono.accounts.find(BOR).address.locality == "Maribor"


async def test_a_form_of_another_page_or_of_a_session_that_is_over_changes_nothing(rekono, bor):
    page = await with_data(bor)
    forged = await bor.browser.post(f"{rekono.issuer}account/confirm", {"_csrf": "guessed"})
    assert (forged.status, title(forged)) == (403, "Stran je potekla")
    bor.browser.cookies = Browser().cookies
    page = await bor.sends(page)
    assert title(page) == "Prijava"
    assert rekono.accounts.find(BOR).tax_number is None


async def test_a_permission_that_is_taken_back_ends_access_and_is_asked_for_again(rekono, bor):
    page = await bor.signs_in(BOR, url=rekono.authorize_url())
    back = await bor.sends(page, button=("user_oauth_approval", "true"))
    form = {
        "grant_type": "authorization_code",
        "code": answer_in(back.location)["code"],
        "redirect_uri": REDIRECT_URI,
        "client_id": CLIENT.client_id,
        "client_secret": CLIENT.client_secret,
    }
    tokens = (await Browser().post(f"{rekono.issuer}token", form)).json
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await Browser().request("GET", f"{rekono.issuer}userinfo", headers=bearer)).status == 200
    page = await bor.get(rekono.dashboard)
    assert CLIENT.name in page.text
    assert "davčna številka" in page.text
    page = await bor.sends(page, "client_id")
    assert "Dovoljenje je preklicano" in page.text
    assert CLIENT.name not in page.text
    assert (await Browser().request("GET", f"{rekono.issuer}userinfo", headers=bearer)).status == 401
    assert title(await bor.get(rekono.authorize_url())) == "Dovoljenje za posredovanje podatkov"


async def test_opening_the_dashboard_while_signed_in_asks_for_no_password(rekono, bor):
    await bor.signs_in(BOR)
    assert title(await bor.get(rekono.dashboard)) == "Nadzorna plošča"
    assert title(await Guest(rekono).get(rekono.dashboard)) == "Prijava"
