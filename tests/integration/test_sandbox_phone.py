"""The OnePass phone: its pages without a script, its PIN, its interface for scripts, and what it does while
the provider is away."""

from __future__ import annotations

import re

import pytest

from authproxy.sandbox import one_time_code
from authproxy.sandbox.phone.application import application as phone_application
from authproxy.sandbox.phone.memory import BrokenPhoneStateError
from tests.support.http_client import Browser
from tests.support.onepass_fixture import ANA, BOR, CVETKA, DAVID, pressed, running_onepass, title

PIN = "2580"


@pytest.fixture
async def house():
    async with running_onepass() as house:
        yield house


@pytest.fixture
def person():
    return Browser()


async def opened(house, person, path="/"):
    answer = await person.navigate(f"{house.phone.url}{path}")
    while answer.is_redirect:
        answer = await person.follow(answer)
    return answer


async def adds(house, person, email):
    """The page after the code from the text message."""
    page = await pressed(person, await opened(house, person, "/accounts/new"), "email", email=email)
    return await pressed(person, page, "code", code=await house.code_sent(email))


async def sets_pin(house, person, pin=PIN):
    return await pressed(person, await opened(house, person, "/pin"), "again", pin=pin, again=pin)


def said(page):
    return re.findall(r'class="(?:said|problem)"[^>]*>\s*(?:<p>)?(.*?)\s*(?:<|$)', page.text)


async def code_of(house, email):
    return await house.asks("GET", f"{house.phone.url}/api/codes?email={email}")


# Accounts


async def test_a_new_phone_is_activated_by_a_text_message_and_then_locked_by_a_pin(person):
    async with running_onepass(installed=False) as house:
        page = await opened(house, person)
        assert title(page) == "Dobrodošli"
        assert f"{house.provider.url}/IdP-RM-Front/register/start.htm?from=phone" in page.links
        page = await adds(house, person, DAVID)
        assert title(page) == "PIN"
        assert said(page) == ["Račun je dodan. Zdaj zaklenite aplikacijo s PIN-om."]
        page = await pressed(person, page, "again", pin=PIN, again=PIN)
        assert title(page) == "Računi"
        assert "david.horvat@example.si" in page.text
        secret = house.accounts.find(DAVID).totp_secret
        assert (await code_of(house, DAVID)).json["code"] == one_time_code.code(
            secret, one_time_code.step(house.clock())
        )


async def test_a_code_that_was_activated_on_the_phone_signs_in(house, person):
    await adds(house, person, DAVID)
    visitor = Browser()
    page = await pressed(
        visitor, await house.confirmation_window(visitor, DAVID), "mode=otplogin", mode="otplogin"
    )
    page = await pressed(visitor, page, "code", code=(await code_of(house, DAVID)).json["code"])
    assert title(page) == "Dovoljenje za posredovanje podatkov"


async def test_several_accounts_live_on_one_phone_each_with_its_own_code(house, person):
    page = await opened(house, person)
    codes = set()
    for email in (ANA, BOR, CVETKA):
        device = house.installation(email).device_id
        assert f"{house.phone.url}/accounts/{device}" in page.links
        shown = await opened(house, person, f"/accounts/{device}")
        code = (await code_of(house, email)).json["code"]
        assert f"{code[:3]} {code[3:]}" in shown.text
        assert house.installation(email).totp_secret not in shown.text
        codes.add(code)
    assert len(codes) == 3


async def test_the_code_says_how_long_it_is_good(house, person):
    shown = await opened(house, person, f"/accounts/{house.installation(ANA).device_id}")
    assert "<span>18</span> s." in shown.text
    house.clock.advance(seconds=17)
    assert (await code_of(house, ANA)).json["seconds_left"] == 1


async def test_adding_an_account_again_says_that_it_has_moved_and_keeps_one_entry(house, person):
    await sets_pin(house, person)
    page = await adds(house, person, ANA)
    assert said(page) == ["Račun je dodan. Na prejšnjem telefonu ne deluje več."]
    assert page.text.count(ANA) == 1


async def test_an_account_that_another_phone_has_taken_is_named(house, person):
    house.clock.advance(minutes=1)
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": ANA})
    await house.asks(
        "POST", f"{house.provider.url}/onepass/devices", {"email": ANA, "code": await house.code_sent(ANA)}
    )
    page = await opened(house, person)
    assert "račun ima zdaj drug telefon" in page.text
    overview = await opened(house, person, f"/accounts/{house.installation(ANA).device_id}/overview")
    assert "ima zdaj drug telefon" in overview.text
    assert (await house.asks("GET", f"{house.phone.url}/api/pushes?email={ANA}")).json == {
        "error": "not_enrolled"
    }


async def test_the_phone_opens_with_the_notification_that_waits_and_its_menu_leads_to_the_codes(
    house, person
):
    await sets_pin(house, person)
    await house.asked_to_confirm(Browser())
    [push] = await house.pushes(ANA)
    place = f"{house.phone.url}/accounts/{house.installation(ANA).device_id}/pushes/{push['id']}"
    opened_with = await opened(house, person)
    assert (opened_with.url, title(opened_with)) == (place, "Potrdite prijavo")
    assert f"{house.phone.url}/accounts" in opened_with.links
    accounts = await opened(house, person, "/accounts")
    assert (title(accounts), place in accounts.links) == ("Računi", True)
    answered = await pressed(person, opened_with, "action=refuse", action="refuse")
    assert title(answered) == "Računi"
    assert title(await opened(house, person)) == "Računi"


async def test_of_several_notifications_the_phone_opens_with_the_list(house, person):
    await house.asked_to_confirm(Browser())
    await house.asked_to_confirm(Browser(), CVETKA)
    page = await opened(house, person)
    assert (title(page), page.text.count('class="card push"')) == ("Računi", 2)


@pytest.mark.parametrize("email", ["", "no-address", "a@" + "x" * 400])
async def test_an_address_that_is_none_is_asked_for_again(house, person, email):
    page = await pressed(person, await opened(house, person, "/accounts/new"), "email", email=email)
    assert "Elektronski naslov ni popoln" in page.text
    assert await house.messages("") == []


async def test_the_phone_says_the_same_about_accounts_that_do_not_exist(house, person):
    pages = [
        await pressed(person, await opened(house, person, "/accounts/new"), "email", email=email)
        for email in (DAVID, "nobody@example.si")
    ]
    assert pages[0].text.replace(DAVID, "") == pages[1].text.replace("nobody@example.si", "")


async def test_a_wrong_code_can_be_corrected_and_five_of_them_wait(house, person):
    page = await pressed(person, await opened(house, person, "/accounts/new"), "email", email=DAVID)
    right = await house.code_sent(DAVID)
    for _ in range(5):
        page = await pressed(person, page, "code", code="abc")
        assert "Koda ni pravilna ali pa je potekla" in page.text
    page = await pressed(person, page, "code", code=right)
    assert "čez 15 min" in page.text


async def test_another_message_can_be_asked_for_and_only_the_last_code_is_good(house, person):
    page = await pressed(person, await opened(house, person, "/accounts/new"), "email", email=DAVID)
    first = await house.code_sent(DAVID)
    house.clock.advance(minutes=1)
    page = await pressed(person, page, "again=true", again="true")
    second = await house.code_sent(DAVID)
    if first != second:
        assert "Koda ni pravilna" in (await pressed(person, page, "code", code=first)).text
    assert title(await pressed(person, page, "code", code=second)) == "PIN"


async def test_the_activation_message_is_in_the_language_of_the_phone(house):
    english = Browser(language="en-GB")
    await pressed(english, await opened(house, english, "/accounts/new"), "email", email=DAVID)
    assert "the code that adds your account" in (await house.messages("+38640123459"))[0]["text"]


async def test_a_removed_account_is_gone_here_and_at_the_provider(house, person):
    page = await opened(house, person, f"/accounts/{house.installation(ANA).device_id}/remove")
    removed = await pressed(person, page, "_csrf")
    assert said(removed) == ["Račun je odstranjen s tega telefona."]
    assert ANA not in removed.text
    assert house.accounts.find(ANA).totp_secret is None
    assert (await code_of(house, ANA)).status == 404
    again = await pressed(person, page, "_csrf")
    assert again.status == 200


async def test_the_overview_shows_what_the_provider_holds_without_whole_numbers(house, person):
    page = await opened(house, person, f"/accounts/{house.installation(ANA).device_id}/overview")
    for shown in ("Ana Novak", "srednja (20)", "456", "008"):
        assert shown in page.text
    assert "99990008" not in page.text
    assert "40123456" not in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/nothing",
        "/accounts/nothing/overview",
        "/accounts/nothing/remove",
        "/accounts/nothing/pushes/x",
    ],
)
async def test_an_account_that_is_not_on_the_phone_is_a_page_that_leads_back(house, person, path):
    page = await opened(house, person, path)
    assert page.status == 404
    assert f"{house.phone.url}/" in page.links


# Notifications


async def waiting(house, person):
    """The page of the one notification that waits, with which the phone opens."""
    page = await opened(house, person)
    assert "/pushes/" in page.url
    return page


async def test_a_notification_says_who_what_when_and_from_where(house, person):
    await house.asked_to_confirm(Browser(user_agent="Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"))
    house.clock.advance(seconds=14)
    page = await waiting(house, person)
    for shown in (
        "Bankart Varni Spletni Prehod",
        ANA,
        "pred 14 sekundami",
        "10:00:12 UTC",
        "Firefox, Windows, 127.0.0.1",
    ):
        assert shown in page.text
    [push] = await house.pushes(ANA)
    assert re.findall(r'type="radio"[^>]* value="(\d+)"', page.text) == push["choices"]
    assert "checked" not in page.text


async def test_the_right_number_approves_on_the_phone_and_lets_the_browser_on(house, person):
    visitor = Browser()
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    answered = await pressed(
        person, await waiting(house, person), "action=approve", action="approve", number=push["number"]
    )
    assert said(answered) == ["Prijava je potrjena. Vrnite se v brskalnik."]
    assert (
        title(await pressed(visitor, page, "mode=confirmed", mode="confirmed"))
        == "Dovoljenje za posredovanje podatkov"
    )


async def test_approving_takes_a_number(house, person):
    await house.asked_to_confirm(Browser())
    page = await pressed(person, await waiting(house, person), "action=approve", action="approve")
    assert "Za potrditev morate izbrati številko" in page.text
    assert len(await house.pushes(ANA)) == 1


@pytest.mark.parametrize(
    ("action", "sentence"),
    [("refuse", "Prijava je zavrnjena."), ("approve", "Številka ni bila prava, zato prijava ni potrjena.")],
)
async def test_refusing_and_a_wrong_number_end_it(house, person, action, sentence):
    visitor = Browser()
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    wrong = next(choice for choice in push["choices"] if choice != push["number"])
    answered = await pressed(
        person, await waiting(house, person), "action=approve", action=action, number=wrong
    )
    assert said(answered)[0].startswith(sentence)
    assert await house.pushes(ANA) == []
    assert (await pressed(visitor, page, "mode=confirmed", mode="confirmed")).status == 200


async def test_an_answer_that_comes_twice_or_too_late_is_said_to_be_over(house, person):
    await house.asked_to_confirm(Browser())
    page = await waiting(house, person)
    await pressed(person, page, "action=refuse", action="refuse")
    for answered in (
        await pressed(person, page, "action=refuse", action="refuse"),
        await opened(house, person, page.url.removeprefix(house.phone.url)),
    ):
        assert said(answered) == ["Na to obvestilo ni več mogoče odgovoriti."]


async def test_two_accounts_can_be_asked_at_the_same_time(house, person):
    await house.asked_to_confirm(Browser(), ANA)
    await house.asked_to_confirm(Browser(), CVETKA)
    page = await opened(house, person)
    assert len({link for link in page.links if "/pushes/" in link}) == 2
    [push] = await house.pushes(CVETKA)
    assert (await house.answers(push)).status == 204
    assert len(await house.pushes(ANA)) == 1


# The PIN


async def test_a_phone_with_a_pin_shows_nothing_without_it(house, person):
    await sets_pin(house, person)
    device = house.installation(ANA).device_id
    stranger = Browser()
    for path in (
        "/",
        "/incoming",
        "/settings",
        "/pin",
        "/accounts/new",
        f"/accounts/{device}",
        f"/accounts/{device}/overview",
        "/nothing",
    ):
        answer = await stranger.navigate(f"{house.phone.url}{path}")
        assert (answer.status, answer.header("location"), answer.body) == (303, "/unlock", b"")
    csrf = (await opened(house, stranger)).forms[0].fields["_csrf"]
    for path in ("/pin", "/lock", f"/accounts/{device}/remove", "/accounts"):
        assert (
            await stranger.post(f"{house.phone.url}{path}", {"_csrf": csrf, "pin": "1357", "again": "1357"})
        ).header("location") == "/unlock"
    assert title(await pressed(stranger, await opened(house, stranger), "pin", pin=PIN)) == "Računi"


async def test_five_wrong_pins_wait_five_minutes_even_for_the_right_one(house, person):
    await sets_pin(house, person)
    finder = Browser()
    page = await opened(house, finder)
    for left in (4, 3, 2, 1):
        page = await pressed(finder, page, "pin", pin="1357")
        assert f"poskusov: {left}." in page.text
    page = await pressed(finder, page, "pin", pin="1357")
    assert "čez 5 min" in page.text
    assert title(await pressed(finder, page, "pin", pin=PIN)).startswith("Napaka")
    house.clock.advance(minutes=5)
    assert title(await pressed(finder, page, "pin", pin=PIN)) == "Računi"


async def test_a_phone_that_nobody_uses_locks_itself_and_a_script_does_not_count_as_use(house, person):
    await sets_pin(house, person)
    for _ in range(3):
        house.clock.advance(minutes=9)
        assert title(await opened(house, person)) == "Računi"
    house.clock.advance(minutes=9)
    assert (
        await person.navigate(f"{house.phone.url}/incoming", headers={"X-Asked-By": "script"})
    ).status == 200
    house.clock.advance(minutes=1)
    assert title(await opened(house, person)) == "Odklenite"


async def test_locking_now_locks_every_browser(house, person):
    await sets_pin(house, person)
    other = Browser()
    await pressed(other, await opened(house, other), "pin", pin=PIN)
    page = await opened(house, person, "/settings")
    lock = next(form for form in page.forms if form.action.endswith("/lock"))
    await person.submit(page, lock)
    assert title(await opened(house, person)) == title(await opened(house, other)) == "Odklenite"


@pytest.mark.parametrize(
    ("pin", "again", "sentence"),
    [
        ("258", "258", "4 do 6 števk"),
        ("abcd", "abcd", "4 do 6 števk"),
        ("1111", "1111", "prehitro ugane"),
        ("2580", "2581", "se razlikuje"),
    ],
)
async def test_a_pin_that_does_not_do_is_explained(house, person, pin, again, sentence):
    page = await pressed(person, await opened(house, person, "/pin"), "again", pin=pin, again=again)
    assert sentence in page.text
    assert title(await opened(house, Browser())) == "Računi"


async def test_changing_the_pin_takes_the_one_before(house, person):
    await sets_pin(house, person)
    page = await opened(house, person, "/pin")
    assert (
        "Sedanji PIN ni pravilen"
        in (await pressed(person, page, "again", current="9999", pin="1357", again="1357")).text
    )
    assert said(await pressed(person, page, "again", current=PIN, pin="1357", again="1357")) == [
        "PIN je nastavljen."
    ]
    other = Browser()
    assert title(await pressed(other, await opened(house, other), "pin", pin=PIN)).startswith("Napaka")
    assert title(await pressed(other, await opened(house, other), "pin", pin="1357")) == "Računi"


async def test_whoever_has_forgotten_the_pin_begins_with_an_empty_phone(house, person):
    await sets_pin(house, person)
    owner = Browser()
    page = await pressed(owner, await opened(house, owner, "/reset"), "_csrf")
    assert (title(page), said(page)) == ("Dobrodošli", ["Telefon je prazen."])
    assert (await code_of(house, ANA)).status == 404
    assert house.accounts.find(ANA).totp_secret is None


async def test_a_form_that_the_phone_has_not_shown_changes_nothing(house):
    foreign = Browser()
    device = house.installation(ANA).device_id
    for path in (
        "/pin",
        "/reset",
        "/lock",
        "/accounts",
        "/accounts/new",
        f"/accounts/{device}/remove",
        f"/accounts/{device}/pushes/x",
    ):
        for csrf in ("guessed", "\udcff"):
            body = {"pin": "1357", "again": "1357", "_csrf": csrf.encode("utf-8", "surrogateescape")}
            answer = await foreign.post(f"{house.phone.url}{path}", body)
            assert (answer.status, answer.header("location")) == (303, "/?said=form_old")
    page = await opened(house, foreign)
    assert title(page) == "Računi"
    assert ANA in page.text


async def test_only_sentences_of_its_own_are_said(house, person):
    page = await opened(house, person, "/?said=%3Cb%3EPay%20here%3C/b%3E")
    assert "Pay here" not in page.text


# For scripts, and while the provider is away


async def test_the_interface_for_scripts_needs_no_pin_and_describes_itself(house, person):
    await sets_pin(house, person)
    assert set((await house.asks("GET", f"{house.phone.url}/api/")).json) == {
        "GET /api/codes?email=ADDRESS",
        "GET /api/pushes?email=ADDRESS",
        "POST /api/pushes/{id}",
        "POST /api/links",
    }
    assert (await code_of(house, ANA.upper())).json["email"] == ANA
    assert await house.pushes(ANA) == []


@pytest.mark.parametrize("place", ["codes", "pushes"])
@pytest.mark.parametrize("query", ["?email=nobody@example.si", f"?email={DAVID}", ""])
async def test_scripts_are_told_who_is_not_on_the_phone(house, place, query):
    answer = await house.asks("GET", f"{house.phone.url}/api/{place}{query}")
    assert (answer.status, answer.json) == (404, {"error": "not_enrolled"})


async def test_scripts_are_told_what_became_of_their_answer(house):
    await house.asked_to_confirm(Browser())
    [push] = await house.pushes(ANA)
    assert (await house.asks("POST", f"{house.phone.url}/api/pushes/nothing", {"action": "refuse"})).json == {
        "error": "unknown"
    }
    assert (
        await house.asks("POST", f"{house.phone.url}/api/pushes/{push['id']}", {"action": "maybe"})
    ).status == 400
    answer = await house.asks(
        "POST",
        f"{house.phone.url}/api/pushes/{push['id']}",
        {"action": "approve", "number": int(push["number"])},
    )
    assert answer.status == 204
    late = await house.answers(push, "refuse")
    assert (late.status, late.json) == (409, {"error": "over"})


async def test_a_form_of_a_foreign_page_cannot_use_the_interface(house):
    await house.asked_to_confirm(Browser())
    [push] = await house.pushes(ANA)
    answer = await Browser().post(
        f"{house.phone.url}/api/pushes/{push['id']}", {"action": "approve", "number": push["number"]}
    )
    assert answer.status == 415
    assert len(await house.pushes(ANA)) == 1


async def test_while_the_provider_is_away_codes_work_and_everything_else_says_so(house, person):
    page = await opened(house, person, "/accounts/new")
    await house.asked_to_confirm(Browser())
    push_page = await waiting(house, person)
    [push] = await house.pushes(ANA)
    await house.provider.stop()
    device = house.installation(ANA).device_id
    assert (await code_of(house, ANA)).status == 200
    assert "Velja še" in (await opened(house, person, f"/accounts/{device}")).text
    assert "Rekono ni dosegljiv" in (await opened(house, person)).text
    assert "Rekono ni dosegljiv" in (await opened(house, person, f"/accounts/{device}/overview")).text
    assert "Rekono ni dosegljiv" in (await pressed(person, page, "email", email=DAVID)).text
    answered = await pressed(person, push_page, "action=refuse", action="refuse")
    assert said(answered)[0] == "Rekono ni dosegljiv. Poskusite znova."
    assert (await house.answers(push)).status == 503
    assert (await house.asks("GET", f"{house.phone.url}/api/pushes?email={ANA}")).json == {
        "error": "provider_unreachable"
    }
    removal = await opened(house, person, f"/accounts/{device}/remove")
    assert said(await pressed(person, removal, "_csrf"))[0] == "Račun je odstranjen s tega telefona."


async def test_the_phone_keeps_accounts_pin_and_wrong_tries_over_a_restart(tmp_path, person):
    async with running_onepass(tmp_path) as house:
        await adds(house, person, DAVID)
        await sets_pin(house, person)
        finder = Browser()
        await pressed(finder, await opened(house, finder), "pin", pin="1357")
        before = (await code_of(house, DAVID)).json["code"]
        await house.phone.stop()
        await house.phone.start()
        assert (await code_of(house, DAVID)).json["code"] == before
        page = await opened(house, person)
        assert title(page) == "Odklenite"
        assert "poskusov: 3." in (await pressed(person, page, "pin", pin="1357")).text
        assert title(await pressed(person, page, "pin", pin=PIN)) == "Računi"


async def test_a_damaged_state_file_is_an_error_and_stays_as_it_is(house, tmp_path):
    (tmp_path / "phone.json").write_text("{")
    with pytest.raises(BrokenPhoneStateError):
        phone_application(
            provider_url=house.provider.url, clock=house.clock, state_file=tmp_path / "phone.json"
        )
    assert (tmp_path / "phone.json").read_text() == "{"
