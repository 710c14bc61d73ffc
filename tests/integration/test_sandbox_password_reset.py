"""A lost password at the sandbox's provider: the PUK code gives a new one, and nobody learns more from a
wrong try than from another."""

from __future__ import annotations

import asyncio
import re

import pytest

from authproxy.sandbox.accounts import PASSWORD, PUK
from tests.support.rekono import LONG_PASSWORD, REDIRECT_URI, Guest, puk_on, running_rekono, title

ANA = "ana.novak@example.si"
TYPED = {"email": ANA, "puk": PUK, "password": LONG_PASSWORD}


@pytest.fixture
async def rekono():
    async with running_rekono() as running:
        yield running


@pytest.fixture
def ana(rekono):
    return Guest(rekono)


async def form_of(guest):
    """By the link in the login window."""
    page = await guest.get(guest.rekono.authorize_url())
    return await guest.get(next(link for link in page.links if "/reset/start.htm" in link))


async def test_the_puk_code_gives_a_new_password_and_a_new_puk_code_and_the_sign_in_goes_on(rekono, ana):
    page = await ana.sends(await form_of(ana), "puk", **TYPED)
    assert title(page) == "Geslo je spremenjeno"
    new_puk = puk_on(page)
    assert new_puk
    page = await ana.sends(page, "saved", saved="yes")
    wrong = await ana.sends(page, "username", username=ANA, password=PASSWORD)
    assert "ni pravilno" in wrong.text
    page = await ana.sends(wrong, "username", username=ANA, password=LONG_PASSWORD)
    assert title(page) == "Potrditev prijave"
    other = Guest(rekono)
    old = await other.sends(await form_of(other), "puk", **TYPED)
    assert "koda PUK ni pravilna" in old.text
    assert puk_on(await other.sends(old, "puk", **TYPED | {"puk": new_puk}))


async def test_the_puk_code_may_be_typed_with_blanks_and_hyphens(ana):
    page = await ana.sends(await form_of(ana), "puk", **TYPED | {"puk": f" {PUK[:4]}-{PUK[4:8]} {PUK[8:]} "})
    assert title(page) == "Geslo je spremenjeno"


async def test_everybody_is_signed_out_and_the_owner_gets_a_mail(rekono, ana):
    thief = Guest(rekono)
    page = await thief.signs_in(ANA, url=rekono.authorize_url())
    back = await thief.sends(page, button=("user_oauth_approval", "true"))
    assert back.location.startswith(REDIRECT_URI)
    await ana.sends(await form_of(ana), "puk", **TYPED)
    assert title(await thief.get(rekono.dashboard)) == "Prijava"
    assert title(await thief.get(rekono.authorize_url())) == "Prijava"
    with pytest.raises(KeyError):  # the code that was on its way gives no tokens
        await rekono.userinfo(back.location)
    [mail] = await rekono.messages(ANA)
    assert "geslo je spremenjeno" in mail["subject"]


async def test_an_attempt_that_was_past_the_old_password_ends_with_it(rekono, ana):
    thief = Guest(rekono)
    page = await thief.get(rekono.authorize_url())
    confirmation = await thief.sends(page, "username", username=ANA, password=PASSWORD)
    await ana.sends(await form_of(ana), "puk", **TYPED)
    assert (await thief.sends(confirmation, button=("mode", "smslogin"))).status == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"puk": "000000000000"},
        {"puk": "1"},
        {"email": "nobody@example.si"},
        {"email": "nobody@example.si", "puk": "x"},
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(rekono, ana, wrong):
    typed = TYPED | wrong

    def shown(page):
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", page.text).replace(typed["email"], "")

    usual = await ana.sends(await form_of(ana), "puk", **TYPED | {"puk": "999999999999"})
    page = await ana.sends(await form_of(ana), "puk", **typed)
    assert shown(page) == shown(usual).replace(ANA, "")
    assert LONG_PASSWORD not in page.text


@pytest.mark.parametrize("email", [ANA, "nobody@example.si"])
async def test_after_five_wrong_tries_even_the_right_code_waits_a_quarter_of_an_hour(rekono, ana, email):
    page = await form_of(ana)
    for _ in range(5):
        page = await ana.sends(page, "puk", **TYPED | {"email": email, "puk": "000000000000"})
    other = Guest(rekono)
    waits = await other.sends(await form_of(other), "puk", **TYPED | {"email": email.upper()})
    assert "čez 15 min" in waits.text
    rekono.clock.advance(minutes=15)
    page = await other.sends(waits, "puk", **TYPED | {"email": email})
    assert bool(puk_on(page)) == (email == ANA)


async def test_guesses_that_come_at_once_are_all_counted(rekono):
    guessers = [Guest(rekono) for _ in range(9)]
    forms = [await form_of(guesser) for guesser in guessers]
    guesses = (
        guesser.sends(form, "puk", **TYPED | {"puk": f"{number:012}"})
        for number, (guesser, form) in enumerate(zip(guessers, forms, strict=True))
    )
    answers = await asyncio.gather(*guesses)
    assert sum("čez 15 min" in answer.text for answer in answers) == 4


async def test_a_form_that_is_sent_twice_changes_the_password_once(rekono, ana):
    pages = await ana.sends_twice(await form_of(ana), "puk", **TYPED)
    assert len({puk_on(page) for page in pages}) == 1
    assert puk_on(pages[0])


async def test_the_new_puk_code_survives_a_reload_until_it_is_saved(rekono, ana):
    page = await ana.sends(await form_of(ana), "puk", **TYPED)
    assert puk_on(await ana.get(page.url)) == puk_on(page)
    assert "Najprej shranite" in (await ana.sends(page, "saved")).text
    assert puk_on(await Guest(rekono).get(page.url)) == ""
    await ana.sends(page, "saved", saved="yes")
    gone = await ana.get(page.url)
    assert (gone.status, puk_on(gone)) == (403, "")


async def test_a_weak_password_is_said_before_the_puk_code_is_looked_at(rekono, ana):
    page = await ana.sends(await form_of(ana), "puk", **TYPED | {"puk": "000000000000", "password": "kratko"})
    assert "Geslo je prekratko" in page.text
    assert "ni pravilna" not in page.text


async def test_the_language_of_the_page_can_be_changed(rekono, ana):
    page = await form_of(ana)
    english = await ana.get(next(link for link in page.links if "lang=en" in link))
    assert title(english) == "Forgotten password"
