"""Confirming a sign-in on the phone: the provider's OnePass service and its confirmation window, spoken to
over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from authproxy.sandbox import one_time_code
from authproxy.sandbox.accounts import PASSWORD
from tests.support.http_client import Browser
from tests.support.onepass_fixture import (
    ANA,
    BOR,
    CVETKA,
    DAVID,
    REDIRECT_URI,
    arrived,
    pressed,
    running_onepass,
    title,
)

WAITING, CONSENT = "Potrditev na telefonu", "Dovoljenje za posredovanje podatkov"


@pytest.fixture
async def house():
    async with running_onepass() as house:
        yield house


@pytest.fixture
def visitor():
    return Browser()


def service(house, email):
    """URL and token of the phone that an account has from the start."""
    one = house.installation(email)
    return f"{house.provider.url}/onepass/devices/{one.device_id}", one.device_token


def wrong(push):
    return next(choice for choice in push["choices"] if choice != push["number"])


# The confirmation window


@pytest.mark.parametrize(
    ("email", "offered"),
    [
        (ANA, {"smslogin", "otplogin", "pushlogin"}),
        (BOR, {"smslogin", "otplogin"}),
        (CVETKA, {"otplogin", "pushlogin"}),
        (DAVID, {"smslogin"}),
    ],
)
async def test_a_notification_is_offered_from_level_20_to_those_who_have_the_app(
    house, visitor, email, offered
):
    page = await house.confirmation_window(visitor, email)
    assert {
        value for form in page.forms for name, value in form.buttons if value.endswith("login")
    } == offered


async def test_a_notification_that_is_approved_leads_on_to_the_relying_party(house, visitor):
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    assert f'<p class="match">{push["number"]}</p>' in page.text
    assert (push["for"], push["place"], push["email"]) == (
        "Bankart Varni Spletni Prehod",
        "Chrome, Linux, 127.0.0.1",
        ANA,
    )
    assert (await house.answers(push)).status == 204
    page = await pressed(visitor, page, "mode=confirmed", mode="confirmed")
    assert title(page) == CONSENT
    page = await pressed(visitor, page, "request", user_oauth_approval="true")
    assert page.location.startswith(f"{REDIRECT_URI}?code=")


async def test_whoever_says_too_early_that_it_is_approved_waits_on(house, visitor):
    page = await house.asked_to_confirm(visitor)
    page = await pressed(visitor, page, "mode=confirmed", mode="confirmed")
    assert "Prijava še ni potrjena" in page.text
    [push] = await house.pushes(ANA)
    assert f'<p class="match">{push["number"]}</p>' in page.text
    await house.answers(push)
    assert title(await pressed(visitor, page, "mode=confirmed", mode="confirmed")) == CONSENT


@pytest.mark.parametrize(
    ("answer", "heading"),
    [
        ("refuse", "Prijava je bila zavrnjena"),
        ("wrong number", "Izbrana je bila napačna številka"),
        ("none", "Obvestilo je poteklo"),
    ],
)
async def test_what_was_not_approved_signs_nobody_in_and_can_be_asked_again(house, visitor, answer, heading):
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    if answer == "refuse":
        assert (await house.answers(push, "refuse")).status == 204
    elif answer == "wrong number":
        assert (await house.answers(push, number=wrong(push))).status == 400
    else:
        house.clock.advance(minutes=2)
    page = await pressed(visitor, page, "mode=confirmed", mode="confirmed")
    assert f"<h1>{heading}</h1>" in page.text
    assert 'class="match"' not in page.text
    page = await pressed(visitor, page, "mode=resend", mode="resend")
    [another] = await house.pushes(ANA)
    await house.answers(another)
    assert title(await pressed(visitor, page, "mode=confirmed", mode="confirmed")) == CONSENT


async def test_another_way_stays_open_and_ends_the_notification_when_it_is_gone(house, visitor):
    page = await house.asked_to_confirm(visitor)
    page = await pressed(visitor, page, "mode=options", mode="options")
    page = await pressed(visitor, page, "mode=otplogin", mode="otplogin")
    code = (await house.asks("GET", f"{house.phone.url}/api/codes?email={ANA}")).json["code"]
    assert title(await pressed(visitor, page, "code", code=code)) == CONSENT
    assert await house.pushes(ANA) == []


async def test_coming_back_to_the_notification_finds_the_one_that_waits(house, visitor):
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    page = await pressed(visitor, page, "mode=options", mode="options")
    page = await pressed(visitor, page, "mode=pushlogin", mode="pushlogin")
    assert f'<p class="match">{push["number"]}</p>' in page.text
    assert [one["id"] for one in await house.pushes(ANA)] == [push["id"]]


async def test_the_language_can_be_changed_while_it_waits(house, visitor):
    page = await house.asked_to_confirm(visitor)
    page = await pressed(visitor, page, "mode=", mode="")
    assert title(page) == "Confirm on the phone"
    assert "Prijava še ni" not in page.text
    assert "not confirmed yet" not in page.text
    assert len(await house.pushes(ANA)) == 1


async def test_one_approval_signs_in_once_however_often_the_form_is_sent(house, visitor):
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    await house.answers(push)
    form = next(form for form in page.forms if ("mode", "confirmed") in form.buttons)
    answers = await asyncio.gather(*(visitor.submit(page, form, {"mode": "confirmed"}) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [302, 403, 403, 403, 403]


async def test_an_approval_is_worth_nothing_in_another_browser(house, visitor):
    page = await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    await house.answers(push)
    stranger = Browser()
    await stranger.navigate(house.provider.url)
    stolen = await pressed(stranger, page, "mode=confirmed", mode="confirmed")
    assert stolen.status == 403
    assert title(await pressed(visitor, page, "mode=confirmed", mode="confirmed")) == CONSENT


async def test_a_second_sign_in_takes_the_phone_and_the_first_learns_it(house, visitor):
    first = await house.asked_to_confirm(visitor)
    other = Browser()
    second = await house.asked_to_confirm(other)
    [push] = await house.pushes(ANA)
    await house.answers(push)
    assert (
        "Začela se je druga prijava"
        in (await pressed(visitor, first, "mode=confirmed", mode="confirmed")).text
    )
    assert title(await pressed(other, second, "mode=confirmed", mode="confirmed")) == CONSENT


async def test_the_fourth_notification_within_ten_minutes_is_not_sent(house, visitor):
    page = await house.asked_to_confirm(visitor)
    for _ in range(2):
        await house.answers((await house.pushes(ANA))[0], "refuse")
        page = await pressed(visitor, page, "mode=confirmed", mode="confirmed")
        page = await pressed(visitor, page, "mode=resend", mode="resend")
    await house.answers((await house.pushes(ANA))[0], "refuse")
    page = await pressed(visitor, page, "mode=confirmed", mode="confirmed")
    page = await pressed(visitor, page, "mode=resend", mode="resend")
    assert "<h1>Preveč obvestil</h1>" in page.text
    assert "čez 10 min" in page.text
    assert await house.pushes(ANA) == []
    assert "mode=options" in {f"{name}={value}" for form in page.forms for name, value in form.buttons}


async def with_password_of(visitor, page, email):
    """The form of the login window, sent again in the same attempt for another account."""
    form = page.forms[0]
    return await arrived(visitor, await visitor.submit(page, form, {"username": email, "password": PASSWORD}))


async def test_what_one_account_has_confirmed_signs_in_no_other_account(house, visitor):
    """Somebody with an account of their own and the password of another tries both in one attempt."""
    login_window = await arrived(visitor, await visitor.navigate(house.sign_in_url()))
    page = await with_password_of(visitor, login_window, CVETKA)
    page = await pressed(visitor, page, "mode=pushlogin", mode="pushlogin")
    await house.answers((await house.pushes(CVETKA))[0])
    page = await with_password_of(visitor, login_window, ANA)
    page = await pressed(visitor, page, "mode=pushlogin", mode="pushlogin")
    assert title(page) == WAITING
    assert len(await house.pushes(ANA)) == 1


async def test_a_text_message_to_one_account_signs_in_no_other_account(house, visitor):
    login_window = await arrived(visitor, await visitor.navigate(house.sign_in_url()))
    page = await with_password_of(visitor, login_window, DAVID)
    await pressed(visitor, page, "mode=smslogin", mode="smslogin")
    code = await house.code_sent(DAVID)
    page = await with_password_of(visitor, login_window, ANA)
    page = await pressed(visitor, page, "mode=smslogin", mode="smslogin")
    page = await pressed(visitor, page, "code", code=code)
    assert "Koda ni pravilna" in page.text or code == await house.code_sent(ANA)


async def test_after_five_unanswered_text_messages_in_an_hour_none_is_sent(house, visitor):
    page = await pressed(visitor, await house.confirmation_window(visitor), "mode=smslogin", mode="smslogin")
    for _ in range(5):
        house.clock.advance(minutes=1)
        page = await pressed(visitor, page, "mode=options", mode="resend")
    assert len(await house.messages("+38640123456")) == 5
    assert "čez 55 min" in page.text


async def test_the_script_of_the_waiting_page_learns_when_the_wait_is_over_and_nothing_else(house, visitor):
    page = await house.asked_to_confirm(visitor)
    url, csrf = f"{house.provider.url}/IdP-RM-Front/chooselogin/push.htm", page.forms[0].fields["_csrf"]
    assert (await visitor.post(url, {"_csrf": csrf})).json == {"state": "pending"}
    await house.answers((await house.pushes(ANA))[0])
    assert (await visitor.post(url, {"_csrf": csrf})).json == {"state": "approved"}
    assert (await Browser().post(url, {"_csrf": csrf})).status == 403
    assert title(await pressed(visitor, page, "mode=confirmed", mode="confirmed")) == CONSENT


# The service


async def test_an_account_is_shown_to_its_phone_without_whole_numbers(house):
    url, token = service(house, ANA)
    answer = await house.asks("GET", url, token=token)
    assert answer.json == {
        "email": ANA,
        "name": "Ana Novak",
        "level": 20,
        "phone_ends": "456",
        "tax_number_ends": "008",
    }
    url, token = service(house, BOR)
    assert (await house.asks("GET", url, token=token)).json["tax_number_ends"] is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_phone_without_its_own_token_is_nobody(house, method):
    url, token = service(house, ANA)
    _, of_another = service(house, BOR)
    for asked, shown in [(url, None), (url, of_another), (url, "x"), (f"{url}x", token)]:
        answer = await house.asks(method, asked, token=shown)
        assert (answer.status, answer.header("www-authenticate")) == (401, 'Bearer error="invalid_token"')
        assert answer.json == {"error": "Unauthorized"}
    assert (await house.asks("GET", url, token=token)).status == 200


async def test_an_answer_that_is_none_is_refused_and_changes_nothing(house, visitor):
    await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    url, token = service(house, ANA)
    for body in (
        {},
        {"action": "maybe"},
        {"action": "approve"},
        {"action": "approve", "number": 42},
        {"action": "approve", "number": "1" * 500},
        [],
    ):
        assert (await house.asks("POST", f"{url}/pushes/{push['id']}", body, token=token)).status == 400
    assert len(await house.pushes(ANA)) == 1


async def test_answers_to_what_is_over_or_of_another_account_change_nothing(house, visitor):
    await house.asked_to_confirm(visitor)
    [push] = await house.pushes(ANA)
    approve = {"action": "approve", "number": push["number"]}
    other_url, other_token = service(house, BOR)
    assert (
        await house.asks("POST", f"{other_url}/pushes/{push['id']}", approve, token=other_token)
    ).json == {"error": "unknown"}
    url, token = service(house, ANA)
    assert (
        await house.asks("POST", f"{url}/pushes/{push['id']}", {"action": "refuse"}, token=token)
    ).status == 204
    late = await house.asks("POST", f"{url}/pushes/{push['id']}", approve, token=token)
    assert (late.status, late.json) == (409, {"error": "over"})


async def test_beginning_an_activation_tells_nothing_about_accounts(house):
    answers = [
        await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": email})
        for email in (DAVID, "nobody@example.si", DAVID)
    ]
    assert [(answer.status, answer.json) for answer in answers] == [(202, {})] * 3
    assert len(await house.messages("")) == 1


async def test_an_activation_is_sent_again_after_a_minute_and_five_times_an_hour(house):
    for _ in range(10):
        await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": DAVID})
        house.clock.advance(seconds=61)
    assert len(await house.messages("+38640123459")) == 5


async def activate(house, email, code):
    return await house.asks("POST", f"{house.provider.url}/onepass/devices", {"email": email, "code": code})


async def test_an_activation_gives_a_phone_its_own_token_and_secret(house):
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": DAVID.upper()})
    code = await house.code_sent(DAVID)
    answer = await activate(house, f" {DAVID} ", f"{code[:3]} {code[3:]}")
    given = answer.json
    assert (answer.status, given["digits"], given["period"], given["replaced"]) == (201, 6, 30, False)
    assert given["account"]["email"] == DAVID
    assert house.accounts.find(DAVID).totp_secret == given["totp_secret"]
    assert (
        await house.asks(
            "GET", f"{house.provider.url}/onepass/devices/{given['device_id']}", token=given["device_token"]
        )
    ).status == 200
    assert (await activate(house, DAVID, code)).status == 400


async def test_a_new_phone_takes_the_place_of_the_old_one(house):
    url, token = service(house, ANA)
    before = house.accounts.find(ANA).totp_secret
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": ANA})
    answer = await activate(house, ANA, await house.code_sent(ANA))
    assert (answer.status, answer.json["replaced"]) == (201, True)
    assert answer.json["totp_secret"] != before
    assert (await house.asks("GET", url, token=token)).status == 401


async def test_a_code_of_the_old_phone_signs_nobody_in(house, visitor):
    shown = (await house.asks("GET", f"{house.phone.url}/api/codes?email={ANA}")).json["code"]
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": ANA})
    await activate(house, ANA, await house.code_sent(ANA))
    page = await pressed(visitor, await house.confirmation_window(visitor), "mode=otplogin", mode="otplogin")
    assert "Koda ni pravilna" in (await pressed(visitor, page, "code", code=shown)).text


async def test_a_new_phone_need_not_wait_for_the_next_code_because_the_old_one_was_just_used(house, visitor):
    async def signs_in(browser, code):
        page = await pressed(
            browser, await house.confirmation_window(browser), "mode=otplogin", mode="otplogin"
        )
        return title(await pressed(browser, page, "code", code=code))

    assert (
        await signs_in(
            visitor, (await house.asks("GET", f"{house.phone.url}/api/codes?email={ANA}")).json["code"]
        )
        == CONSENT
    )
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": ANA})
    secret = (await activate(house, ANA, await house.code_sent(ANA))).json["totp_secret"]
    assert await signs_in(Browser(), one_time_code.code(secret, one_time_code.step(house.clock()))) == CONSENT


async def test_wrong_and_late_codes_get_one_answer_and_five_of_them_a_wait(house):
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": DAVID})
    code = await house.code_sent(DAVID)
    house.clock.advance(minutes=5)
    for typed in (code, "abc", "", "\ud800", "123"):
        answer = await activate(house, DAVID, typed)
        assert (answer.status, answer.json) == (400, {"error": "wrong_code"})
    waiting = await activate(house, DAVID, code)
    assert (waiting.status, waiting.json, waiting.header("retry-after")) == (
        429,
        {"error": "wait", "minutes": 15},
        "900",
    )


async def test_the_fifth_wrong_code_ends_the_right_one(house):
    await house.asks("POST", f"{house.provider.url}/onepass/devices/start", {"email": DAVID})
    code = await house.code_sent(DAVID)
    for _ in range(5):
        await activate(house, DAVID, "wrong")
    house.clock.advance(seconds=1)
    assert (await activate(house, DAVID, code)).status == 429
    assert house.accounts.find(DAVID).totp_secret is None


async def test_an_account_that_does_not_exist_waits_like_one_that_does(house):
    answers = [(await activate(house, "nobody@example.si", "123456")).status for _ in range(6)]
    assert answers == [400] * 5 + [429]


async def test_a_removed_phone_has_neither_codes_nor_notifications(house, visitor):
    url, token = service(house, ANA)
    page = await house.asked_to_confirm(visitor)
    assert (await house.asks("DELETE", url, token=token)).status == 204
    assert (await house.asks("GET", f"{url}/pushes", token=token)).status == 401
    assert (
        "Začela se je druga prijava"
        in (await pressed(visitor, page, "mode=confirmed", mode="confirmed")).text
    )
    other = Browser()
    offered = await house.confirmation_window(other)
    assert {value for form in offered.forms for name, value in form.buttons if value.endswith("login")} == {
        "smslogin"
    }


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("application/json", b"[]", 400),
        ("application/json", b"{", 400),
        ("application/json", b'{"email": 5}', 400),
    ],
)
async def test_what_cannot_be_read_is_refused_in_json(house, content_type, body, status):
    answer = await house.scripts.request(
        "POST",
        f"{house.provider.url}/onepass/devices/start",
        headers={"Content-Type": content_type},
        body=body,
    )
    assert answer.status == status
    assert set(answer.json) == {"error"}


async def test_phones_and_their_secrets_survive_a_restart_of_the_provider(tmp_path, visitor):
    async with running_onepass(tmp_path) as house:
        await house.provider.stop()
        await house.provider.start()
        url, token = service(house, ANA)
        assert (await house.asks("DELETE", url, token=token)).status == 204
        await house.provider.stop()
        assert token not in (tmp_path / "provider.json").read_text()
        await house.provider.start()
        assert (await house.asks("GET", url, token=token)).status == 401
        url, token = service(house, CVETKA)
        assert (await house.asks("GET", url, token=token)).status == 200
