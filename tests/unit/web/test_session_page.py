from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.pages_house import ELSEWHERE, FORM, NOW, PAGE, SESSION, TICKET

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


async def test_the_last_minute_is_said_in_words(house):
    house.flows.open_sessions[TICKET] = replace(SESSION, expires_at=NOW + timedelta(seconds=30), person=replace(SESSION.person, name=None))
    house.flows.elsewhere.clear()
    async with house.asked("GET", "/.authproxy/session", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert "less than a minute left" in text
        assert "<dd>a1b2</dd>" in text
        assert "signed in nowhere else" in text


async def test_a_script_gets_the_same_as_an_object(house):
    async with house.asked("GET", "/.authproxy/session", headers=SCRIPT, cookies=TICKET_COOKIE) as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert await answer.json() == {
            "subject": "a1b2", "name": "Ana <Novak>", "method": "rekono", "level": 20, "portal": "acq", "session_id": "s" * 24,
            "started_at": "2026-03-02T12:05:00+00:00", "expires_at": "2026-03-02T20:05:00+00:00",
            "idle_ends_at": "2026-03-02T13:19:00+00:00", "seconds_left": 14 * 60,
        }  # fmt: skip


async def test_whoever_is_not_signed_in_is_led_to_the_chooser(house):
    async with house.asked("GET", "/.authproxy/session?lang=en") as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si/.authproxy/login?lang=en")


async def test_a_script_without_a_session_is_told_where_a_person_signs_in(house):
    async with house.asked("GET", "/.authproxy/session", headers=SCRIPT) as answer:
        assert (answer.status, answer.content_type) == (401, "application/problem+json")
        problem = json.loads(await answer.text())
        assert problem["reason"] == "no_session"
        assert problem["login_url"] == "https://acq.example.si/.authproxy/login"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="acq"'


async def test_another_session_can_be_ended_from_here(house):
    body = f"session_id={ELSEWHERE.session_id}"
    async with house.asked("POST", "/.authproxy/session/end", headers=FORM, cookies=TICKET_COOKIE, body=body) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si/.authproxy/session")
    assert house.flows.elsewhere == []
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["session"], event["by"]) == ("session.revoked", ELSEWHERE.session_id, "person")


async def test_ending_a_session_that_is_over_changes_nothing(house):
    async with house.asked("POST", "/.authproxy/session/end", headers=FORM, cookies=TICKET_COOKIE, body="session_id=gone") as answer:
        assert answer.status == 303
    assert house.flows.elsewhere == [ELSEWHERE]
    assert house.audit_lines == []


@pytest.mark.parametrize("cookie", [None, f"{TICKET_COOKIE}; {TICKET_COOKIE}"])
async def test_nobody_ends_a_session_without_having_one(house, cookie):
    body = f"session_id={ELSEWHERE.session_id}"
    async with house.asked("POST", "/.authproxy/session/end", headers=FORM, cookies=cookie, body=body) as answer:
        assert answer.headers["Location"] == "https://acq.example.si/.authproxy/login"
    assert house.flows.elsewhere == [ELSEWHERE]
