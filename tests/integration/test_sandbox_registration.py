"""Creating an account at the sandbox's provider, from each of its doors, with everything that people and
strangers do to such forms."""

from __future__ import annotations

import re
import secrets

import pytest

from authproxy.sandbox.identity_provider.provider import PROVIDER
from tests.support.rekono import (
    LONG_PASSWORD,
    PHONE_URL,
    REDIRECT_URI,
    Guest,
    answer_in,
    puk_on,
    running_rekono,
    title,
)

EVA, PHONE = "eva.cuk@example.si", "+38641234567"
TYPED = {"email": EVA, "phone": "041 234 567", "password": LONG_PASSWORD}
CREATE = "/IdP-RM-Front/register/start.htm"


@pytest.fixture
async def rekono():
    async with running_rekono() as running:
        yield running


@pytest.fixture
def eva(rekono):
    return Guest(rekono)


async def form_of(guest, url=None):
    """The registration form, by the link in the login window."""
    page = await guest.get(url or guest.rekono.authorize_url())
    return await guest.get(next(link for link in page.links if CREATE in link))


async def at_the_mail_code(guest):
    return await guest.sends(await form_of(guest), "email", **TYPED)


async def at_the_text_message(guest):
    return await guest.sends(await at_the_mail_code(guest), "code", code=await guest.rekono.last_code(EVA))


async def at_the_puk(guest):
    return await guest.sends(
        await at_the_text_message(guest), "code", code=await guest.rekono.last_code(PHONE)
    )


async def test_a_registration_in_the_middle_of_a_sign_in_ends_at_the_relying_party_signed_in(rekono, eva):
    page = await eva.registers(await form_of(eva))
    assert title(page) == "Dovoljenje za posredovanje podatkov"
    back = await eva.sends(page, button=("user_oauth_approval", "true"))
    assert back.location.startswith(REDIRECT_URI)
    assert answer_in(back.location)["state"] == "s1"
    claims = await rekono.userinfo(back.location)
    assert re.fullmatch(r"\d{5}\.[A-Z]{8}", claims.pop("sub"))
    assert claims == {
        "loa": 10,
        "preferred_username": EVA,
        "locale": "sl",
        "email": EVA,
        "email_verified": True,
        "phone_number": PHONE,
        "phone_number_verified": True,
    }


async def test_a_registration_from_the_front_page_ends_on_the_dashboard(rekono, eva):
    page = await eva.registers(await form_of(eva, f"{rekono.origin}/"))
    assert title(page) == "Nadzorna plošča"
    assert "ni vpisano" in page.text


async def test_a_registration_from_the_phone_ends_with_the_way_back_to_it(rekono, eva):
    page = await eva.registers(await eva.get(f"{rekono.origin}{CREATE}?from=phone"))
    assert title(page) == "Račun je ustvarjen"
    assert "Vrnite se na telefon" in page.text
    assert f"{PHONE_URL}/accounts/new" in page.links
    assert rekono.accounts.find(EVA) is not None


async def test_a_new_account_signs_in_with_its_password_and_a_text_message(rekono, eva):
    await eva.registers(await form_of(eva))
    again = Guest(rekono)
    assert title(await again.signs_in(EVA.upper(), password=LONG_PASSWORD)) == "Nadzorna plošča"


async def test_neither_password_nor_puk_is_kept_as_it_is(rekono, eva):
    page = await at_the_puk(eva)
    puk = puk_on(page)
    await eva.sends(page, "saved", saved="yes")
    account = rekono.accounts.find(EVA)
    assert account.password_hash.startswith("scrypt$")
    assert account.puk_hash.startswith("scrypt$")
    for kept in (account.password_hash, account.puk_hash):
        assert LONG_PASSWORD not in kept
        assert puk.replace(" ", "") not in kept


async def test_refusing_consent_after_registration_goes_back_without_a_code_and_keeps_the_account(
    rekono, eva
):
    page = await eva.registers(await form_of(eva))
    back = await eva.sends(page, button=("user_oauth_approval", "false"))
    assert answer_in(back.location)["error"] == "access_denied"
    assert rekono.accounts.find(EVA) is not None


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"email": ""}, "To polje je obvezno"),
        ({"email": "eva"}, "Naslov ni popoln"),
        ({"email": "e" * 288 + "@example.si"}, "največ 254 znakov"),
        ({"password": "kratko geslo"[:11]}, "Geslo je prekratko"),
        ({"password": EVA}, "biti enako elektronskemu naslovu"),
        ({"password": "ž" * 300}, "največ 200 znakov"),
        ({"phone": "abc"}, "To ni telefonska številka"),
        ({"phone": "01 234 56 78"}, "To ni slovenska mobilna številka"),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_nothing_is_lost_but_the_password(
    rekono, eva, changed, word
):
    typed = TYPED | changed
    page = await eva.sends(await form_of(eva), "email", **typed)
    assert title(page) == "Napaka: Ustvari račun"
    [field] = changed
    assert f'href="#{field}"' in page.text
    assert word in page.text
    assert typed["email"] in page.text
    assert f'value="{typed["phone"]}"' in page.text
    assert typed["password"] not in page.text or typed["password"] == EVA
    assert await rekono.messages(EVA) == []


async def test_an_address_that_has_an_account_sees_the_same_pages_and_its_owner_is_told_by_mail(rekono, eva):
    form = await form_of(eva)
    page = await eva.sends(form, "email", **TYPED | {"email": "Ana.Novak@example.si"})
    free = await at_the_mail_code(Guest(rekono))

    def shown(answer, email):
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", answer.text).replace(email, "")

    assert shown(page, "Ana.Novak@example.si") == shown(free, EVA)
    [mail] = await rekono.messages("ana.novak@example.si")
    assert "račun že imate" in mail["subject"]
    assert not re.search(r"\d{6}", mail["text"])
    wrong = await eva.sends(page, "code", code="123456")
    assert "poskusov: 4." in wrong.text


async def test_no_code_is_right_for_an_address_that_has_an_account():
    # Eight bytes are what a code is made of: here every code that is made is 000000.
    async with running_rekono(
        random_bytes=lambda size: bytes(size) if size == 8 else secrets.token_bytes(size)
    ) as rekono:
        guest = Guest(rekono)
        page = await guest.sends(await form_of(guest), "email", **TYPED)
        assert title(await guest.sends(page, "code", code="000000")) == "Potrdite mobilno številko"
        page = await guest.sends(await form_of(guest), "email", **TYPED | {"email": "ana.novak@example.si"})
        assert "Koda ni pravilna" in (await guest.sends(page, "code", code="000000")).text


async def test_a_code_is_good_for_its_minutes_only_and_another_can_be_had(rekono, eva):
    page = await at_the_mail_code(eva)
    old = await rekono.last_code(EVA)
    rekono.clock.advance(minutes=10)
    page = await eva.sends(page, "code", code=old)
    assert "Koda je potekla" in page.text
    page = await eva.sends(page, button=("do", "again"))
    assert "Poslali smo novo kodo" in page.text
    page = await eva.sends(page, "code", code=await rekono.last_code(EVA))
    assert title(page) == "Potrdite mobilno številko"
    old = await rekono.last_code(PHONE)
    rekono.clock.advance(minutes=5)
    assert "Koda je potekla" in (await eva.sends(page, "code", code=old)).text


async def test_codes_may_be_pasted_with_blanks(rekono, eva):
    page = await at_the_mail_code(eva)
    code = await rekono.last_code(EVA)
    page = await eva.sends(page, "code", code=f" {code[:3]} \N{NO-BREAK SPACE}{code[3:]} ")
    assert title(page) == "Potrdite mobilno številko"


async def test_after_five_wrong_codes_the_right_one_waits_in_this_registration_and_in_another(rekono, eva):
    page = await at_the_mail_code(eva)
    right = await rekono.last_code(EVA)
    for left in (4, 3, 2, 1):
        page = await eva.sends(page, "code", code="wrong")
        assert f"poskusov: {left}." in page.text
    page = await eva.sends(page, "code", code="wrong")
    assert "čez 15 min" in page.text
    assert "čez 15 min" in (await eva.sends(page, "code", code=right)).text
    other = Guest(rekono)
    page = await at_the_mail_code(other)
    assert "čez 15 min" in (await other.sends(page, "code", code=await rekono.last_code(EVA))).text


async def test_another_message_goes_out_after_a_minute_and_at_most_five_times_an_hour(rekono, eva):
    page = await at_the_mail_code(eva)
    page = await eva.sends(page, button=("do", "again"))
    assert "Nova koda še ni na voljo" in page.text
    assert len(await rekono.messages(EVA)) == 1
    for _ in range(4):
        rekono.clock.advance(seconds=60)
        page = await eva.sends(page, button=("do", "again"))
        assert "Poslali smo novo kodo" in page.text
    rekono.clock.advance(seconds=60)
    page = await eva.sends(page, button=("do", "again"))
    assert "Preveč sporočil" in page.text
    assert "čez 55 min" in page.text
    assert len(await rekono.messages(EVA)) == 5
    page = await at_the_mail_code(Guest(rekono))
    assert "Preveč sporočil" in page.text
    assert len(await rekono.messages(EVA)) == 5


async def test_one_place_gets_a_hundred_messages_an_hour_sent_whoever_they_are_for(rekono, eva):
    for _ in range(100):
        rekono.application[PROVIDER].messages_from.count("127.0.0.1")
    assert "Preveč sporočil" in (await at_the_mail_code(eva)).text
    assert await rekono.messages(EVA) == []


async def test_a_mail_service_that_is_down_is_said_and_nothing_is_lost(rekono, eva):
    form = await form_of(eva)
    await rekono.outbox_stops()
    page = await eva.sends(form, "email", **TYPED)
    assert "Sporočila ni bilo mogoče poslati" in page.text
    assert ("do", "again") in {button for form in page.forms for button in form.buttons}


async def test_what_was_mistyped_can_be_corrected_and_a_proven_address_stays_proven(rekono, eva):
    page = await at_the_text_message(eva)
    page = await eva.sends(page, button=("do", "change"))
    assert title(page) == "Ustvari račun"
    assert f'value="{EVA}"' in page.text
    page = await eva.sends(page, "email", **TYPED | {"phone": "+43 660 1234567"})
    assert title(page) == "Potrdite mobilno številko"
    assert "+436601234567" in page.text
    page = await eva.sends(page, button=("do", "change"))
    page = await eva.sends(page, "email", **TYPED | {"email": "eva@example.com"})
    assert title(page) == "Potrdite elektronski naslov"


async def test_the_account_is_there_only_once_the_puk_code_is_saved(rekono, eva):
    page = await at_the_puk(eva)
    assert rekono.accounts.find(EVA) is None
    again = await eva.sends(page, "saved")
    assert "Najprej shranite kodo PUK" in again.text
    assert puk_on(again) == puk_on(page)
    assert rekono.accounts.find(EVA) is None
    await eva.sends(again, "saved", saved="yes")
    assert rekono.accounts.find(EVA) is not None
    assert puk_on(await eva.get(page.url)) == ""


async def test_a_form_that_is_sent_twice_ends_as_one_that_is_sent_once(rekono, eva):
    pages = await eva.sends_twice(await form_of(eva), "email", **TYPED)
    assert {title(page) for page in pages} == {"Potrdite elektronski naslov"}
    assert len(await rekono.messages(EVA)) == 1
    pages = await eva.sends_twice(pages[0], "code", code=await rekono.last_code(EVA))
    assert {title(page) for page in pages} == {"Potrdite mobilno številko"}
    pages = await eva.sends_twice(pages[0], "code", code=await rekono.last_code(PHONE))
    assert len({puk_on(page) for page in pages}) == 1
    pages = await eva.sends_twice(pages[0], "saved", saved="yes")
    assert "Dovoljenje za posredovanje podatkov" in {title(page) for page in pages}
    assert len([account for account in rekono.accounts if account.email == EVA]) == 1


async def test_going_back_and_reloading_lead_to_where_the_registration_stands(rekono, eva):
    form = await form_of(eva)
    page = await at_the_mail_code(eva)
    mine = await eva.sends(form, "email", **TYPED | {"email": "eva2@example.si"})
    assert title(await eva.get(form.url)) == "Potrdite elektronski naslov"
    assert title(await eva.sends(form, "email", **TYPED)) == "Potrdite elektronski naslov"
    assert (await eva.get(mine.url)).status == 200
    page = await eva.sends(page, "code", code=await rekono.last_code(EVA))
    assert title(await eva.get(page.url)) == "Potrdite mobilno številko"


async def test_of_two_tabs_with_one_address_the_first_makes_the_account_and_the_second_says_so(rekono, eva):
    first, other = await at_the_puk(eva), Guest(rekono)
    second = await at_the_puk(other)
    await eva.sends(first, "saved", saved="yes")
    subject = rekono.accounts.find(EVA).subject
    page = await other.sends(second, "saved", saved="yes")
    assert (page.status, title(page)) == (409, "Račun že obstaja")
    assert rekono.accounts.find(EVA).subject == subject


async def test_several_accounts_may_share_a_telephone(rekono, eva):
    await eva.registers(await form_of(eva))
    other = Guest(rekono)
    await other.registers(await form_of(other), email="jan.cuk@example.si")
    assert rekono.accounts.find("jan.cuk@example.si").phone == rekono.accounts.find(EVA).phone == PHONE


async def test_a_registration_of_one_browser_is_worth_nothing_in_another(rekono, eva):
    page = await at_the_puk(eva)
    stranger = Guest(rekono)
    await stranger.get(rekono.authorize_url())
    assert puk_on(await stranger.get(page.url)) == ""
    taken = await stranger.sends(page, "saved", saved="yes")
    assert (taken.status, title(taken)) == (403, "Registracija je potekla")
    assert rekono.accounts.find(EVA) is None


async def test_a_form_without_the_value_of_its_page_goes_nowhere(rekono, eva):
    page = await eva.sends(await form_of(eva), "email", _csrf="guessed", **TYPED)
    assert (page.status, title(page)) == (403, "Registracija je potekla")


async def test_without_cookies_the_page_says_so(rekono, eva):
    eva.browser.cookies.loses = lambda _: True
    page = await form_of(eva)
    assert page.status == 403
    assert "ne sprejema piškotkov" in page.text


async def test_a_registration_that_takes_half_an_hour_is_over(rekono, eva):
    page = await at_the_mail_code(eva)
    rekono.clock.advance(minutes=30)
    page = await eva.sends(page, "code", code=await rekono.last_code(EVA))
    assert title(page) == "Registracija je potekla"


async def test_when_the_application_has_given_up_waiting_the_account_is_made_and_the_way_on_is_said(
    rekono, eva
):
    form = await form_of(eva)
    rekono.clock.advance(minutes=25)
    page = await eva.sends(form, "email", **TYPED)
    page = await eva.sends(page, "code", code=await rekono.last_code(EVA))
    page = await eva.sends(page, "code", code=await rekono.last_code(PHONE))
    rekono.clock.advance(minutes=6)
    page = await eva.sends(page, "saved", saved="yes")
    assert title(page) == "Račun je ustvarjen"
    assert "se vrnite vanjo in se prijavite" in page.text


async def test_every_step_speaks_english_too(rekono):
    eva = Guest(rekono, language="en")
    page = await form_of(eva)
    assert title(page) == "Create account"
    page = await eva.sends(page, "email", **TYPED)
    assert title(page) == "Confirm the e-mail address"
    assert "Your confirmation code is" in (await rekono.messages(EVA))[0]["text"]
    page = await eva.get(next(link for link in page.links if "lang=sl" in link))
    assert title(page) == "Potrdite elektronski naslov"
