"""The pages of a step-up: what they ask of the flow, what the person reads, what the browser gets, and what
the audit trail records."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from authproxy.access.decision import Reason
from authproxy.challenges.challenge import State
from authproxy.challenges.method import Offer
from authproxy.flows.step_up.outcomes import NotProved
from tests.support.log_lines import log_lines
from tests.support.pages import FORM, NOW, PAGE, TICKET
from tests.support.step_up_script import CODE, HELD, NEW_TICKET

COOKIE = f"__Host-authproxy={TICKET}"
SLOVENE = {**PAGE, "Accept-Language": "sl"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "application/json"}
PLACE = "rt=/pay%3Fa%3D1&for=payments"
ORIGIN = "https://acq.example.si"


async def page(house, path: str, *, headers=PAGE, cookies: str | None = COOKIE) -> tuple[int, str]:
    async with house.asked("GET", f"/.authproxy/{path}", headers=headers, cookies=cookies) as answer:
        return answer.status, await answer.text()


async def sent(
    house, body: str, *, headers=FORM, cookies: str | None = COOKIE
) -> tuple[int, str, str, dict[str, str]]:
    """Status, location, text, and the answer's other headers."""
    async with house.asked(
        "POST", "/.authproxy/step-up", headers=headers, cookies=cookies, body=body
    ) as answer:
        return answer.status, answer.headers.get("Location", ""), await answer.text(), dict(answer.headers)


async def begun(house, method: str, *, place: str = PLACE) -> str:
    """The path and query of the challenge's page, behind our prefix."""
    status, location, _text, _headers = await sent(house, f"method={method}&{place}")
    assert (status, location.partition("/.authproxy/")[0]) == (303, ORIGIN)
    return location.partition("/.authproxy/")[2]


def events(house) -> list[tuple[str, str | None, str | None]]:
    return [(line["event"], line["method"], line["reason"]) for line in map(json.loads, house.audit_lines)]


# Choosing.


async def test_the_choice_names_the_path_and_every_method_with_its_destination(house):
    status, text = await page(house, f"step-up?{PLACE}")

    assert status == 200
    assert 'Merchant portal</b> <span class="path">/pay</span>' in text
    assert "a=1" not in text.partition('<span class="path">')[2].partition("</span>")[0]
    assert re.findall(r'name="method" value="(\w+)"', text) == [
        "rekono",
        "push",
        "totp",
        "sms",
        "certificate",
        "recovery",
    ]
    assert "••• 456" in text
    assert "Anin &lt;telefon&gt;" in text
    assert [(visit.return_to, visit.route, visit.held) for visit in house.step_ups.visits] == [
        ("/pay?a=1", "payments", None)
    ]


async def test_looking_at_the_choice_sends_nothing_and_records_nothing(house):
    for _ in range(3):
        await page(house, f"step-up?{PLACE}&method=sms")

    assert house.step_ups.messages == 0
    assert house.audit_lines == []


async def test_a_single_method_still_waits_for_a_click(house):
    house.step_ups.offers = house.step_ups.offers[3:4]
    status, text = await page(house, f"step-up?{PLACE}", headers=SLOVENE)

    assert (status, house.step_ups.messages) == (200, 0)
    assert "Kodo bomo poslali na številko ••• 456." in text


async def test_a_form_that_leads_to_the_provider_may_be_sent_there(house):
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", cookies=COOKIE) as answer:
        assert "form-action" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("query", "kept"), [(PLACE, ""), ("c=challenge-0&rt=/pay%3Fa%3D1", ""), (f"{PLACE}&held={HELD}", HELD)]
)
async def test_nobody_without_a_session_is_asked_for_a_proof_and_a_form_that_waits_goes_on_waiting(
    house, query, kept
):
    async with house.asked("GET", f"/.authproxy/step-up?{query}") as answer:
        assert (answer.status, answer.headers["Location"]) == (
            303,
            f"{ORIGIN}/.authproxy/login?rt=/pay%3Fa%3D1" + (f"&held={kept}" if kept else ""),
        )


async def test_a_demand_that_is_met_leads_straight_on(house):
    house.step_ups.is_met = True
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", cookies=COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"{ORIGIN}/pay?a=1")
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}&held={HELD}", cookies=COOKIE) as answer:
        assert answer.headers["Location"] == f"{ORIGIN}/.authproxy/step-up/send?held={HELD}&rt=/pay%3Fa%3D1"


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "https://evil.example/", "/.authproxy/logout", "\\evil", "/.authproxy/session?x"],
)
async def test_no_proof_leads_to_another_host_or_to_a_trap(house, place):
    house.step_ups.is_met = True
    async with house.asked("GET", f"/.authproxy/step-up?rt={place}", cookies=COOKIE) as answer:
        assert answer.headers["Location"] == f"{ORIGIN}/"


async def test_the_browser_may_return_to_the_session_page(house):
    _status, text = await page(house, "step-up?rt=/.authproxy/session&for=:totp")

    assert "Anyone who could change your ways to confirm could act in your name." in text
    assert house.step_ups.visits[-1].return_to == "/.authproxy/session"


@pytest.mark.parametrize(
    ("query", "route", "held"),
    [
        ("for=" + "x" * 513, None, None),
        ("for=a%0Ab", None, None),
        ("for=", None, None),
        ("for=pla%C4%8Dila", "plačila", None),
        ("held=short", None, None),
        (f"held={'h' * 42}%22", None, None),
        (f"held={HELD}", None, HELD),
    ],
)
async def test_a_text_that_cannot_be_a_name_is_ignored(house, query, route, held):
    await page(house, f"step-up?{query}")
    assert [(visit.route, visit.held) for visit in house.step_ups.visits] == [(route, held)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"{PLACE}&lost=yes", "could not be kept"),
        (f"{PLACE}&held={HELD}", "you can check them once more"),
    ],
)
async def test_the_page_says_what_became_of_the_form(house, query, words):
    _status, text = await page(house, f"step-up?{query}")
    assert words in text
    assert "lang=sl" in text
    assert all(
        piece in text.partition('hreflang="sl"')[0].rpartition("href=")[2]
        for piece in query.partition("&")[2].split("&")
    )


async def test_an_application_without_a_name_is_shown_without_one(house):
    house.step_ups.offers = (Offer(method="totp"),)
    _status, text = await page(house, f"step-up?{PLACE}")
    assert "The application that you have added shows the code.</p>" in text
    assert (
        "Open the application that you have added.</p>" in (await page(house, await begun(house, "totp")))[1]
    )


@pytest.mark.parametrize(
    ("signed_in_with", "words"),
    [
        ("rekono", "<b>Digital certificate of ACNLB</b>, <b>Push notification</b>."),
        ("acnlb", "<b>Push notification</b>."),
    ],
)
async def test_a_method_that_the_level_does_not_allow_is_named_unless_the_person_signed_in_by_it(
    house, signed_in_with, words
):
    house.step_ups.session = replace(house.step_ups.session, method=signed_in_with)
    house.step_ups.withheld = ("certificate", "push")
    _status, text = await page(house, f"step-up?{PLACE}")
    assert f"Not available at your level of trust: {words}</p>" in re.sub(r"\s*\n", "", text)


async def test_people_without_a_method_read_how_to_get_one(house):
    house.step_ups.offers, house.step_ups.lacking, house.step_ups.withheld = (
        (),
        ("totp", "sms", "certificate"),
        ("push",),
    )
    status, text = await page(house, f"step-up?{PLACE}")

    assert status == 403
    assert "step_up_impossible-0123abcd" in text
    assert "enter it at Rekono and sign in again" in text
    assert "not accepted here at your level of trust: Push notification." in text
    assert 'href="/.authproxy/session"' in text


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (timedelta(seconds=1), "čez 1 sekundo"),
        (timedelta(seconds=2), "čez 2 sekundi"),
        (timedelta(seconds=59), "čez 59 sekund"),
        (timedelta(seconds=60), "čez 1 minuto"),
        (timedelta(seconds=61), "čez 2 minuti"),
        (timedelta(minutes=3), "čez 3 minute"),
        (timedelta(minutes=15), "čez 15 minut"),
        (timedelta(hours=2), "čez 2 uri"),
        (timedelta(hours=23, minutes=1), "čez 24 ur"),
        (timedelta(seconds=-5), "čez 1 sekundo"),
    ],
)
async def test_a_block_says_how_long_it_lasts(house, wait, words):
    house.step_ups.blocked_until = NOW + wait
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", headers=SLOVENE, cookies=COOKIE) as answer:
        text = await answer.text()

        assert answer.status == 429
        assert f"Znova lahko poskusite {words}." in text
        assert int(answer.headers["Retry-After"]) >= max(wait.total_seconds(), 1)
        assert "step_up_blocked" in text


async def test_people_whose_codes_are_blocked_can_choose_what_still_works(house):
    house.step_ups.blocked_until, house.step_ups.offers = (
        NOW + timedelta(minutes=15),
        (Offer(method="rekono"), Offer(method="push", destination="Pixel")),
    )
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", headers=PAGE, cookies=COOKIE) as answer:
        text = await answer.text()

        assert answer.status == 429
        assert "You can still confirm your identity another way" in text
        assert re.findall(r'name="method" value="(\w+)"', text) == ["rekono", "push"] * 2  # in both languages
        assert 'name="rt" value="/pay?a=1"' in text
        policy = answer.headers["Content-Security-Policy"]
    house.step_ups.blocked_until = None
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", headers=PAGE, cookies=COOKIE) as answer:
        assert answer.headers["Content-Security-Policy"] == policy
    assert (await begun(house, "push")).startswith("step-up?c=")


async def test_people_whose_codes_are_blocked_and_who_have_nothing_else_are_offered_nothing(house):
    house.step_ups.blocked_until, house.step_ups.offers = NOW + timedelta(minutes=15), ()
    async with house.asked("GET", f"/.authproxy/step-up?{PLACE}", headers=PAGE, cookies=COOKIE) as answer:
        text = await answer.text()

        assert 'name="method"' not in text
        assert "in 15 minutes" in text
        assert "step-up?" not in text  # which leads nowhere but to this page


# Asking.


@pytest.mark.parametrize("method", ["sms", "totp", "push", "recovery"])
async def test_a_click_asks_and_leads_to_the_page_of_the_challenge(house, method):
    location = await begun(house, method)

    assert parse_qs(urlsplit(location).query) == {
        "c": ["challenge-0"],
        "rt": ["/pay?a=1"],
        "for": ["payments"],
    }
    assert events(house) == [("challenge.issued", method, None)]
    assert house.metrics.step_ups[method, "issued"] == 1


async def test_a_second_click_for_which_nothing_was_sent_is_no_second_event(house):
    house.step_ups.waits_already = True
    assert "c=challenge-0" in await begun(house, "sms")
    assert events(house) == []


@pytest.mark.parametrize("method", ["rekono", "certificate"])
async def test_a_method_elsewhere_leads_there_and_sets_the_flow_cookie(house, method):
    status, location, _text, headers = await sent(house, f"method={method}&{PLACE}")

    flow = headers["Set-Cookie"].partition("__Host-authproxy-flow=")[2].partition(";")[0]
    assert (status, location) == (303, f"https://idp.example.si/authorize?state={flow}")
    assert events(house) == [("challenge.issued", method, None)]


async def test_a_browser_with_a_flow_cookie_keeps_it(house):
    _status, location, _text, headers = await sent(
        house, f"method=rekono&{PLACE}", cookies=f"{COOKIE}; __Host-authproxy-flow={'f' * 43}"
    )
    assert location.endswith("f" * 43)
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("body", [f"method=voice&{PLACE}", PLACE, f"method=&{PLACE}"])
async def test_a_method_that_is_not_offered_sends_nothing(house, body):
    status, _location, text, _headers = await sent(house, body)

    assert (status, house.step_ups.messages) == (403, 0)
    assert "step_up_impossible" in text
    assert events(house) == [("challenge.refused", None, "step_up_impossible")]


@pytest.mark.parametrize(
    "headers",
    [
        {**FORM, "Sec-Fetch-Site": "cross-site"},
        {**FORM, "Sec-Fetch-Site": "same-site"},
        {**PAGE, "Origin": "https://evil.example"},
    ],
)
async def test_no_other_page_asks_for_a_proof_or_answers(house, headers):
    location = await begun(house, "sms")
    for body in (f"method=sms&{PLACE}", f"c=challenge-0&code={CODE}", "c=challenge-0&again=yes"):
        status, _location, _text, answered = await sent(house, body, headers=headers)
        assert status == 403
        assert "Set-Cookie" not in answered
    assert "challenge-0" in location
    assert (house.step_ups.messages, house.step_ups.typed) == (1, [])


async def test_a_sender_that_is_down_leads_to_another_method_and_is_logged(house):
    house.step_ups.begin_fails = NotProved(
        reason=Reason.SENDER_UNAVAILABLE, return_to="/pay", method="sms", detail="no gateway answers"
    )
    with log_lines() as log:
        status, _location, text, headers = await sent(house, f"method=sms&{PLACE}")

    assert (status, headers["Retry-After"]) == (503, "5")
    assert 'href="/.authproxy/step-up?rt=/pay&amp;for=payments"' in text
    assert [line["event"] for line in log.lines()] == ["request.unanswerable"]
    assert events(house) == [("challenge.refused", "sms", "sender_unavailable")]


async def test_a_store_that_is_away_ends_nothing(house):
    house.step_ups.down = Reason.STORE_UNAVAILABLE
    with log_lines():
        status, text = await page(house, f"step-up?{PLACE}")
    assert (status, "store_unavailable" in text) == (503, True)


# Answering with a code.


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("sms", "We have sent a code to the number ••• 456."),
        ("totp", "Open the application “Anin &lt;telefon&gt;”."),
        ("recovery", "Each code on your list works once."),
    ],
)
async def test_the_page_of_a_code_says_where_it_was_sent_and_until_when_it_works(house, method, words):
    status, text = await page(house, await begun(house, method))

    assert status == 200
    assert words in text
    assert ">14:10</time>" in text
    assert "5 minutes left" in text
    assert ('inputmode="numeric"' in text) == (method != "recovery")
    assert ('autocomplete="one-time-code"' in text) == (method != "recovery")
    assert ('name="again"' in text) == (method == "sms")
    assert 'class="error"' not in text


async def test_the_right_code_leads_back_with_a_new_ticket(house):
    await begun(house, "sms")
    status, location, _text, headers = await sent(house, f"c=challenge-0&code={CODE}&{PLACE}")

    assert (status, location) == (303, f"{ORIGIN}/pay?a=1")
    assert headers["Set-Cookie"] == f"__Host-authproxy={NEW_TICKET}; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert events(house)[1:] == []  # a proof is recorded where it is made to count, before that
    assert house.metrics.step_ups["sms", "approved"] == 1


@pytest.mark.parametrize("method", ["sms", "push"])
async def test_each_page_of_a_challenge_has_another_name_which_its_form_sends(house, method):
    house.step_ups.phone = "approved"
    location = await begun(house, method)
    names = [re.findall(r'name="page" value="([^"]*)"', (await page(house, location))[1]) for _ in range(2)]
    [first], [second] = names
    assert first != second
    assert all(re.fullmatch(r"[\w-]{22}", name) for name in (first, second))
    await sent(house, f"c=challenge-0&code={CODE}&page={second}&{PLACE}")
    assert house.step_ups.named == [second]


async def test_a_form_that_was_sent_twice_leads_on_twice_and_counts_once(house):
    await begun(house, "sms")
    answers = []
    for house.step_ups.is_repeated in (False, True):
        status, location, _text, headers = await sent(house, f"c=challenge-0&code={CODE}&{PLACE}")
        answers.append((status, location, headers["Set-Cookie"]))
    assert answers[0] == answers[1]
    assert house.metrics.step_ups["sms", "approved"] == 1


async def test_the_right_code_leads_to_the_held_request(house):
    await begun(house, "sms", place=f"{PLACE}&held={HELD}")
    _status, location, _text, headers = await sent(house, f"c=challenge-0&code={CODE}&{PLACE}&held={HELD}")

    assert location == f"{ORIGIN}/.authproxy/step-up/send?held={HELD}&rt=/pay%3Fa%3D1"
    assert NEW_TICKET in headers["Set-Cookie"]


async def test_a_wrong_code_comes_back_to_its_page_which_can_be_loaded_again(house):
    await begun(house, "sms")
    status, location, _text, headers = await sent(house, f"c=challenge-0&code=000000&{PLACE}")
    again = location.partition("/.authproxy/")[2]

    assert (status, "said=code_wrong" in again) == (303, True)
    assert "Set-Cookie" not in headers
    for _ in range(2):
        text = (await page(house, again))[1]
        assert 'role="alert" tabindex="-1" autofocus' in text
        assert 'aria-invalid="true"' in text
        assert "<title>Error: Enter the code" in text
    assert house.step_ups.typed == ["000000"]
    assert events(house)[1:] == [("challenge.refused", "sms", "code_wrong")]
    assert "000000" not in "".join(house.audit_lines) + again


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (1, "Ostane vam še 1 poskus,"),
        (2, "Ostaneta vam še 2 poskusa,"),
        (3, None),
        (5, None),
    ],
)
async def test_the_block_is_announced_before_it_comes(house, left, words):
    location = await begun(house, "totp")
    house.step_ups.tries_left = left
    _status, text = await page(house, f"{location}&said=code_wrong", headers=SLOVENE)

    assert "Koda ni bila sprejeta" in text
    assert ("nato boste morali nekaj časa počakati" in text) == (words is not None)
    assert words is None or words in text


async def test_the_last_wrong_code_ends_the_challenge_and_says_so(house):
    await begun(house, "totp")
    house.step_ups.tries_left = 1
    status, _location, text, _headers = await sent(house, f"c=challenge-0&code=1&{PLACE}")

    assert status == 403
    assert "code_wrong-0123abcd" in text
    assert 'href="/.authproxy/step-up?rt=/pay%3Fa%3D1&amp;for=payments"' in text
    assert events(house)[1:] == [
        ("challenge.refused", "totp", "code_wrong"),
        ("challenge.exhausted", "totp", None),
    ]


async def test_the_wrong_code_that_closes_codes_says_until_when_and_offers_what_works(house):
    await begun(house, "totp")
    house.step_ups.answer_fails = NotProved(
        reason=Reason.CODE_WRONG,
        return_to="/pay?a=1",
        until=NOW + timedelta(minutes=15),
        state=State.EXHAUSTED,
    )
    house.step_ups.offers = (Offer(method="push", destination="Pixel"), Offer(method="rekono"))
    async with house.asked(
        "POST",
        "/.authproxy/step-up",
        headers={**FORM, "Accept-Language": "sl"},
        cookies=COOKIE,
        body=f"c=challenge-0&code=1&{PLACE}",
    ) as answer:
        text = (await answer.text()).partition('lang="en" tabindex')[0]
        assert "form-action" not in answer.headers["Content-Security-Policy"]

    assert "Koda ni bila sprejeta" in text
    assert "Znova lahko poskusite čez 15 minut." in text
    assert re.findall(r'name="method" value="(\w+)"', text) == ["push", "rekono"]
    assert [re.search(f'name="{name}" value="([^"]*)"', text)[1] for name in ("rt", "for")] == [
        "/pay?a=1",
        "payments",
    ]
    assert "Začni znova" not in text  # that leads to the page of the block


@pytest.mark.parametrize("body", ["method=totp", "c=challenge-0&again=yes"])
async def test_asking_for_a_code_while_codes_are_blocked_shows_what_works(house, body):
    await begun(house, "sms")
    blocked = NotProved(
        reason=Reason.STEP_UP_BLOCKED, return_to="/pay?a=1", until=NOW + timedelta(minutes=15)
    )
    house.step_ups.begin_fails = house.step_ups.again_fails = blocked
    house.step_ups.offers = (Offer(method="push", destination="Pixel"),)
    status, _location, text, _headers = await sent(house, f"{body}&{PLACE}")

    assert (status, "in 15 minutes" in text) == (429, True)
    assert re.findall(r'name="method" value="(\w+)"', text) == ["push"] * 2


async def test_an_answer_to_a_challenge_that_was_exhausted_before_does_not_exhaust_it_again(house):
    await begun(house, "totp")
    house.step_ups.answer_fails = NotProved(
        reason=Reason.CHALLENGE_OVER, return_to="/", state=State.EXHAUSTED
    )
    await sent(house, f"c=challenge-0&code=1&{PLACE}")

    assert events(house)[1:] == [("challenge.refused", "totp", "challenge_over")]


async def test_a_block_is_a_page_with_its_end_and_an_event_of_its_own(house):
    await begun(house, "totp")
    house.step_ups.answer_fails = NotProved(
        reason=Reason.STEP_UP_BLOCKED, return_to="/", until=NOW + timedelta(minutes=15)
    )
    status, _location, text, headers = await sent(house, f"c=challenge-0&code=1&{PLACE}")

    assert (status, headers["Retry-After"]) == (429, "900")
    assert "in 15 minutes" in text
    assert events(house)[1:] == [("step_up.blocked", "totp", "step_up_blocked")]
    assert json.loads(house.audit_lines[-1])["detail"] == (NOW + timedelta(minutes=15)).isoformat()


@pytest.mark.parametrize("said", ["nonsense", "%3Cscript%3E", "step_up_blocked", ""])
async def test_an_address_cannot_make_the_page_say_anything_else(house, said):
    location = await begun(house, "sms")
    _status, text = await page(house, f"{location}&said={said}")
    assert 'class="error"' not in text


async def test_a_script_is_told_what_was_wrong_by_status_and_reason(house):
    await begun(house, "sms")
    same_origin = {**SCRIPT, "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
    status, _location, text, _headers = await sent(house, "c=challenge-0&code=1", headers=same_origin)
    assert (status, json.loads(text)["reason"]) == (403, "code_wrong")
    status, _location, text, _headers = await sent(
        house, "c=challenge-0&code=1", headers=same_origin, cookies=f"__Host-authproxy={NEW_TICKET}"
    )
    assert (status, json.loads(text)["reason"]) == (401, "no_session")


async def test_people_who_were_signed_out_meanwhile_sign_in_and_come_back(house):
    await begun(house, "sms")
    status, location, _text, _headers = await sent(
        house, f"c=challenge-0&code={CODE}&{PLACE}", cookies=f"__Host-authproxy={NEW_TICKET}"
    )
    assert (status, location) == (303, f"{ORIGIN}/.authproxy/login?rt=/pay%3Fa%3D1")


@pytest.mark.parametrize("body", ["code=123456", "again=yes", ""])
async def test_a_challenge_that_is_over_or_anothers_leads_to_a_new_one(house, body):
    status, _location, text, _headers = await sent(house, f"c=unknown&{body}&{PLACE}")
    assert (status, "challenge_over" in text) == (403, True)
    assert 'href="/.authproxy/step-up?rt=/pay%3Fa%3D1&amp;for=payments"' in text


async def test_looking_at_a_challenge_that_is_over_is_no_event(house):
    await begun(house, "sms")
    standing = (await house.step_ups.standing(house.step_ups.visits[-1], "challenge-0")).standing
    house.step_ups.standing_fails = NotProved(
        reason=Reason.CHALLENGE_OVER,
        return_to="/pay?a=1",
        session=house.step_ups.session,
        standing=replace(standing, state=State.EXPIRED),
        state=State.EXPIRED,
    )
    status, text = await page(house, "step-up?c=challenge-0")

    assert (status, "This confirmation is over" in text) == (403, True)
    assert 'href="/.authproxy/step-up?rt=/pay%3Fa%3D1&amp;for=payments"' in text
    assert len(house.audit_lines) == 1


# Another message.


async def test_another_message_is_asked_for_on_the_page_of_the_code(house):
    house.step_ups.again_in = timedelta(seconds=40)
    _status, text = await page(house, await begun(house, "sms"), headers=SLOVENE)
    assert "Novo sporočilo lahko zahtevate čez 40 sekund." in text
    status, location, _text, _headers = await sent(house, f"c=challenge-0&again=yes&{PLACE}")
    assert (status, "c=challenge-1" in location) == (303, True)
    assert events(house) == [("challenge.issued", "sms", None)] * 2


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.STEP_UP_TOO_OFTEN, "The code that you have received before still works."),
        (Reason.SENDER_UNAVAILABLE, "Messages cannot be sent at the moment."),
    ],
)
async def test_if_no_new_message_is_sent_the_last_code_still_works(house, reason, words):
    await begun(house, "sms")
    house.step_ups.again_fails = NotProved(
        reason=reason, return_to="/pay", method="sms", until=NOW + timedelta(seconds=30)
    )
    with log_lines():
        status, location, _text, _headers = await sent(house, f"c=challenge-0&again=yes&{PLACE}")

    assert status == 303
    assert words in (await page(house, location.partition("/.authproxy/")[2]))[1]


# The phone.


async def test_the_waiting_page_shows_the_number_and_loads_itself_anew_without_a_script(house):
    _status, text = await page(house, await begun(house, "push"))

    assert '<p class="number">42</p>' in text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    assert "static/waiting.js" in text
    assert "calm=yes" in text


async def test_the_reloading_can_be_stopped(house):
    _status, text = await page(house, f"{await begun(house, 'push')}&calm=yes")
    assert "refresh" not in text
    assert "calm=yes" in text.partition('hreflang="en"')[0]


@pytest.mark.parametrize(
    ("phone", "state"), [("waits", "pending"), ("approved", "answered"), ("refused", "answered")]
)
async def test_the_script_learns_whether_to_go_on_and_nothing_else(house, phone, state):
    await begun(house, "push")
    house.step_ups.phone = phone
    async with house.asked(
        "GET", "/.authproxy/step-up/status?c=challenge-0", headers=SCRIPT, cookies=COOKIE
    ) as answer:
        assert (answer.status, await answer.json()) == (200, {"state": state})
    async with house.asked(
        "GET", "/.authproxy/step-up/status?c=other", headers=SCRIPT, cookies=COOKIE
    ) as answer:
        assert await answer.json() == {"state": "over"}
    async with house.asked("GET", "/.authproxy/step-up/status?c=challenge-0", headers=SCRIPT) as answer:
        assert answer.status == 401
    assert len(house.audit_lines) == 1


async def test_a_phone_that_has_not_answered_leads_back_to_the_waiting(house):
    await begun(house, "push")
    status, location, _text, _headers = await sent(house, f"c=challenge-0&{PLACE}")
    assert (status, "c=challenge-0" in location) == (303, True)
    assert len(house.audit_lines) == 1


async def test_a_phone_that_has_approved_leads_on(house):
    location = await begun(house, "push")
    house.step_ups.phone = "approved"
    assert "Your phone has answered." in (await page(house, location))[1]
    status, place, _text, headers = await sent(house, f"c=challenge-0&{PLACE}")

    assert (status, place) == (303, f"{ORIGIN}/pay?a=1")
    assert NEW_TICKET in headers["Set-Cookie"]


async def test_a_phone_that_has_refused_asks_whether_somebody_else_is_there(house):
    await begun(house, "push")
    house.step_ups.phone = "refused"
    status, _location, text, headers = await sent(house, f"c=challenge-0&{PLACE}")

    assert status == 403
    assert "Somebody else may be using your session" in text
    assert 'href="/.authproxy/logout?everywhere=yes"' in text
    assert "Set-Cookie" not in headers
    assert events(house)[1:] == [("challenge.refused", "push", "push_refused")]


# For scripts.


async def test_a_script_that_lacks_a_proof_gets_the_challenge_of_rfc_9470(house):
    headers = {**SCRIPT, "X-Authproxy-Reason": "step_up_required", "X-Authproxy-Status": "401"}
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        assert answer.headers["WWW-Authenticate"].startswith(
            'Bearer realm="acq", error="insufficient_user_authentication"'
        )
        problem = json.loads(await answer.text())
        assert (problem["reason"], problem["step_up_url"]) == (
            "step_up_required",
            f"{ORIGIN}/.authproxy/step-up",
        )
        assert "login_url" not in problem
