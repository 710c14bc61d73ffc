from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.pages import ELSEWHERE, FORM, NOW, OTHER_TICKET, PAGE, SESSION, TICKET

TICKET_COOKIE = f"__Host-authproxy={TICKET}"
SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "application/json"}


async def test_the_page_says_who_how_strong_and_until_when(house):
    async with house.asked("GET", "/.authproxy/session", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert answer.status == 200
        assert "Ana &lt;Novak&gt;" in text
        assert "<dd>medium</dd>" in text
        assert "2026-03-02 21:05</time>" in text
        assert "14 minutes left" in text
        assert "7 hours left" in text
        assert "2026-03-02 13:05</time>" in text
        assert "ana@example.si" in text
        assert "ends in 008" in text
        assert "Firefox, Windows" in text
        assert "99990008" not in text
        assert TICKET not in text


async def test_the_page_counts_in_slovene(house):
    headers = {**PAGE, "Accept-Language": "sl"}
    house.flows.open_sessions[TICKET] = replace(SESSION, idle_for=timedelta(minutes=3))
    async with house.asked("GET", "/.authproxy/session", headers=headers, cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert "še 2 minuti" in text
        assert "2. 3. 2026 ob 21.05" in text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 drugo sejo"),
        (2, "2 drugi seji"),
        (3, "3 druge seje"),
        (4, "4 druge seje"),
        (5, "5 drugih sej"),
        (101, "101 drugo sejo"),
    ],
)
async def test_other_sessions_are_counted_in_slovene(house, count, words):
    house.flows.elsewhere[:] = [replace(ELSEWHERE, session_id=f"{number}") for number in range(count)]
    headers = {**PAGE, "Accept-Language": "sl"}
    async with house.asked("GET", "/.authproxy/session", headers=headers, cookies=TICKET_COOKIE) as answer:
        assert f"Imate še {words}." in await answer.text()


async def test_the_last_minute_is_counted_in_seconds_and_a_session_at_its_end_offers_no_extension(house):
    nobody = replace(SESSION.person, name=None, email=None, tax_number=None)
    house.flows.open_sessions[TICKET] = replace(
        SESSION, expires_at=NOW + timedelta(seconds=30), person=nobody
    )
    house.flows.elsewhere.clear()
    async with house.asked("GET", "/.authproxy/session", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert text.count("30 seconds left") == 2
        assert "session/extend" not in text
        assert "ends in" not in text
        assert "<dd>a1b2</dd>" in text
        assert "signed in nowhere else" in text


async def test_a_script_gets_the_same_as_an_object(house):
    async with house.asked("GET", "/.authproxy/session", headers=SCRIPT, cookies=TICKET_COOKIE) as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert await answer.json() == {
            "subject": "a1b2",
            "name": "Ana <Novak>",
            "method": "rekono",
            "level": 20,
            "portal": "acq",
            "session_id": "s" * 24,
            "started_at": "2026-03-02T12:05:00+00:00",
            "expires_at": "2026-03-02T20:05:00+00:00",
            "authenticated_at": "2026-03-02T12:05:00+00:00",
            "idle_ends_at": "2026-03-02T13:19:00+00:00",
            "seconds_left": 14 * 60,
            "seconds_to_absolute_end": 7 * 3600,
            "warned_before": 120,
            "step_up": [{"method": "rekono", "at": "2026-03-02T12:05:00+00:00"}],
        }


async def test_people_who_are_not_signed_in_go_to_the_chooser(house):
    async with house.asked("GET", "/.authproxy/session?lang=en") as answer:
        assert (answer.status, answer.headers["Location"]) == (
            303,
            "https://acq.example.si/.authproxy/login?lang=en",
        )


async def test_a_script_without_a_session_is_told_where_a_person_signs_in(house):
    async with house.asked("GET", "/.authproxy/session", headers=SCRIPT) as answer:
        assert (answer.status, answer.content_type) == (401, "application/problem+json")
        problem = json.loads(await answer.text())
        assert problem["reason"] == "no_session"
        assert problem["login_url"] == "https://acq.example.si/.authproxy/login"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="acq"'


async def test_another_session_can_be_ended_from_here(house):
    body = f"session_id={ELSEWHERE.session_id}"
    async with house.asked(
        "POST", "/.authproxy/session/end", headers=FORM, cookies=TICKET_COOKIE, body=body
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (
            303,
            "https://acq.example.si/.authproxy/session?said=ended",
        )
    assert house.flows.elsewhere == []
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["session"], event["by"]) == (
        "session.revoked",
        ELSEWHERE.session_id,
        "person",
    )


async def test_ending_a_session_that_is_over_changes_nothing(house):
    async with house.asked(
        "POST", "/.authproxy/session/end", headers=FORM, cookies=TICKET_COOKIE, body="session_id=gone"
    ) as answer:
        assert answer.status == 303
    assert house.flows.elsewhere == [ELSEWHERE]
    assert house.audit_lines == []


@pytest.mark.parametrize("cookie", [None, f"{TICKET_COOKIE}; {TICKET_COOKIE}"])
async def test_nobody_ends_a_session_without_having_one(house, cookie):
    body = f"session_id={ELSEWHERE.session_id}"
    async with house.asked(
        "POST", "/.authproxy/session/end", headers=FORM, cookies=cookie, body=body
    ) as answer:
        assert answer.headers["Location"] == "https://acq.example.si/.authproxy/login"
    assert house.flows.elsewhere == [ELSEWHERE]


async def test_all_other_sessions_can_be_ended_at_once(house):
    house.flows.elsewhere.append(replace(ELSEWHERE, session_id="second"))

    async with house.asked(
        "POST", "/.authproxy/session/end?lang=sl", headers=FORM, cookies=TICKET_COOKIE, body="which=others"
    ) as answer:
        assert (
            answer.headers["Location"]
            == "https://acq.example.si/.authproxy/session?lang=sl&said=others-ended"
        )
    assert house.flows.elsewhere == []
    assert house.flows.open_sessions
    assert [json.loads(line)["session"] for line in house.audit_lines] == [ELSEWHERE.session_id, "second"]


async def test_a_button_extends_the_session_and_says_so(house):
    async with house.asked(
        "POST", "/.authproxy/session/extend", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (
            303,
            "https://acq.example.si/.authproxy/session?said=extended",
        )
    async with house.asked("GET", "/.authproxy/session?said=extended", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert '<p class="status" role="status">The session has been extended.</p>' in text
        assert "15 minutes left" in text
    assert house.audit_lines == []


async def test_a_script_that_extends_learns_the_new_end_and_the_same_absolute_one(house):
    headers = {**SCRIPT, "Sec-Fetch-Site": "same-origin", "Origin": "https://acq.example.si"}
    async with house.asked(
        "POST", "/.authproxy/session/extend", headers=headers, cookies=TICKET_COOKIE, body=""
    ) as answer:
        session = await answer.json()

        assert (session["seconds_left"], session["seconds_to_absolute_end"]) == (15 * 60, 7 * 3600)


async def test_asking_how_long_the_session_lasts_does_not_extend_it(house):
    before = house.flows.last_active_at
    for _ in range(3):
        async with house.asked("GET", "/.authproxy/session", headers=SCRIPT, cookies=TICKET_COOKIE) as answer:
            assert (await answer.json())["seconds_left"] == 14 * 60
    assert house.flows.last_active_at == before


@pytest.mark.parametrize(
    "headers",
    [
        {**SCRIPT, "Sec-Fetch-Site": "cross-site"},
        {**SCRIPT, "Sec-Fetch-Site": "same-site"},
        {**SCRIPT, "Origin": "https://evil.test"},
    ],
)
async def test_a_stranger_keeps_no_session_alive(house, headers):
    before = house.flows.last_active_at
    async with house.asked(
        "POST", "/.authproxy/session/extend", headers=headers, cookies=TICKET_COOKIE, body=""
    ) as answer:
        assert answer.status == 403
    assert house.flows.last_active_at == before


async def test_a_session_that_is_over_cannot_be_extended(house):
    headers = {**SCRIPT, "Sec-Fetch-Site": "same-origin"}
    async with house.asked(
        "POST",
        "/.authproxy/session/extend",
        headers=headers,
        cookies=f"__Host-authproxy={OTHER_TICKET}",
        body="",
    ) as answer:
        assert answer.status == 401
        assert (await answer.json())["reason"] == "no_session"


async def test_short_sessions_are_warned_of_at_half_time(house):
    house.flows.open_sessions[TICKET] = replace(SESSION, idle_for=timedelta(minutes=3))
    async with house.asked("GET", "/.authproxy/session", headers=SCRIPT, cookies=TICKET_COOKIE) as answer:
        assert (await answer.json())["warned_before"] == 90


@pytest.mark.parametrize("said", ["ended", "others-ended", "<b>", ""])
async def test_no_text_of_an_address_is_repeated_on_the_page(house, said):
    async with house.asked("GET", f"/.authproxy/session?said={said}", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert ('role="status"' in text) == (said in {"ended", "others-ended"})
        assert "<b>" not in text.replace("<b>Merchant portal</b>", "").replace("<b>Need help?</b>", "")


async def test_one_button_is_the_main_one_and_actions_that_end_something_are_links_of_their_colour(house):
    for method in ("totp", "push", "recovery"):
        house.enrolling.enrols(method)
    async with house.asked("GET", "/.authproxy/session", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

    looks = [
        (" ".join(words.split()), re.sub(r' class="|"', "", look))
        for look, words in re.findall(r'<(?:button|a)((?: class="[^"]*")?)[^>]*>([^<]*)<', text)
    ]
    assert [words for words, look in looks if not look and "<footer>" not in text.partition(words)[0]] == [
        "Extend the session"
    ]
    assert {words for words, look in looks if look == "link danger"} == {
        "Remove",
        "End",
        "End all other sessions",
        "Sign out everywhere",
    }
    assert len([look for _, look in looks if look == "quiet"]) == 3
