from __future__ import annotations

import json

import pytest

from authproxy.access.decision import Reason
from authproxy.flows.ending.back_channel_logout import LogoutRefused, SessionsEnded
from tests.support.pages import ELSEWHERE, SESSION

PATH = "/.authproxy/backchannel-logout"
SERVER = {"User-Agent": "provider/1", "Accept": "*/*"}
FORM = "application/x-www-form-urlencoded"


async def answered(house, body, *, content_type=FORM, headers=None):
    async with house.asked(
        "POST", PATH, headers={**SERVER, "Content-Type": content_type, **(headers or {})}, body=body
    ) as answer:
        return answer.status, answer.headers, await answer.text()


def events(house):
    return [json.loads(line) for line in house.audit_lines]


async def test_a_token_that_counts_is_answered_with_nothing_at_all(house):
    status, headers, text = await answered(house, "logout_token=a.b.c")
    assert (status, text, headers["Cache-Control"]) == (200, "", "no-store")
    assert "Set-Cookie" not in headers
    assert house.back_channel.received == ["a.b.c"]
    accepted, revoked = events(house)
    assert (accepted["event"], accepted["detail"]) == ("provider_logout.accepted", "1 ended, named by sid")
    assert (revoked["event"], revoked["by"], revoked["session"], revoked["portal"]) == (
        "session.revoked",
        "provider",
        ELSEWHERE.session_id,
        "b2b",
    )
    assert accepted["person"] == revoked["person"] is not None
    assert house.metrics.back_channel_logouts == {("accepted",): 1}


async def test_a_token_without_a_person_is_noted_without_one(house):
    house.back_channel.outcome = SessionsEnded(sessions=(), person=None, named_by="sid")
    assert (await answered(house, "logout_token=a.b.c"))[0] == 200
    assert [(event["detail"], event["person"]) for event in events(house)] == [
        ("0 ended, named by sid", None)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://idp.example.si"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Cookie": "__Host-authproxy=1.a.b"},
    ],
)
async def test_neither_origin_nor_cookies_matter(house, headers):
    assert (await answered(house, "logout_token=a.b.c", headers=headers))[0] == 200
    assert house.flows.open_sessions
    assert SESSION.session_id not in str(house.audit_lines)


async def test_a_refused_token_is_told_why(house):
    house.back_channel.outcome = LogoutRefused("logout token: the signature is wrong")
    status, headers, text = await answered(house, "logout_token=eyJ.forged.x")
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (
        400,
        "no-store",
        "application/json; charset=utf-8",
    )
    assert json.loads(text) == {
        "error": "invalid_request",
        "error_description": "logout token: the signature is wrong",
    }
    [event] = events(house)
    assert (event["event"], event["detail"]) == (
        "provider_logout.refused",
        "logout token: the signature is wrong",
    )
    assert house.metrics.back_channel_logouts == {("refused",): 1}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", FORM),
        ("token=a.b.c", FORM),
        ("logout_token=a.b.c&logout_token=a.b.c", FORM),
        ('{"logout_token":"a.b.c"}', "application/json"),
        ("a.b.c", "application/logout+jwt"),
        (b"logout_token=%FF", FORM),
        ("&".join(f"x{n}=" for n in range(30)), FORM),
    ],
)
async def test_what_is_no_form_with_one_token_is_refused_and_not_repeated(house, body, content_type):
    status, _, text = await answered(house, body, content_type=content_type)
    assert (status, json.loads(text)["error"]) == (400, "invalid_request")
    assert "a.b.c" not in text
    assert house.back_channel.received == []


async def test_a_huge_form_is_not_read(house):
    status, _, _ = await answered(house, "logout_token=" + "a" * 20_000)
    assert (status, house.back_channel.received) == (413, [])


@pytest.mark.parametrize("reason", [Reason.STORE_UNAVAILABLE, Reason.PROVIDER_UNAVAILABLE])
async def test_what_cannot_be_asked_is_never_a_success(house, reason):
    house.back_channel.down = reason
    status, headers, text = await answered(house, "logout_token=a.b.c")
    assert (status, json.loads(text)["reason"], headers["Retry-After"]) == (503, reason.value, "5")
    assert events(house) == []
    assert house.metrics.back_channel_logouts == {("unavailable",): 1}


async def test_nobody_signs_out_by_a_link(house):
    async with house.asked("GET", f"{PATH}?logout_token=a.b.c") as answer:
        assert answer.status == 405
    assert house.back_channel.received == []
