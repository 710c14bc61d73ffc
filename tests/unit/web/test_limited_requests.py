from __future__ import annotations

import pytest

from authproxy.flows.ending.back_channel_logout import LogoutRefused
from authproxy.web.rates import Rates
from tests.support.pages import FLOW, FORM, TICKET, running_pages

SIGN_IN = ("POST", "/.authproxy/login", "method=rekono&rt=/")
SERVER = {"User-Agent": "provider/1", "Accept": "*/*"}


@pytest.fixture
async def strict():
    """One request of each kind a minute."""
    async with running_pages(
        rates=Rates({"sign_ins": 1, "callbacks": 1, "logout_tokens": 1, "codes": 1})
    ) as running:
        yield running


async def asked(house, method, path, body=None, *, headers=FORM, client="203.0.113.7"):
    cookies = f"__Host-authproxy={TICKET}; __Host-authproxy-flow={FLOW}"
    async with house.asked(
        method, path, headers={**headers, "X-Authproxy-Client": client}, cookies=cookies, body=body
    ) as answer:
        return answer.status, answer.headers, await answer.text()


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("sign_ins", SIGN_IN),
        ("callbacks", ("GET", "/.authproxy/callback/rekono?state=s&code=c")),
        ("codes", ("POST", "/.authproxy/step-up", "method=sms")),
        ("codes", ("POST", "/.authproxy/session/methods", "method=totp")),
        ("codes", ("POST", "/.authproxy/session/methods/finish", "name=x&code=1")),
    ],
)
async def test_the_second_request_within_a_minute_is_told_when_to_come_back(strict, kind, request_):
    first, _, _ = await asked(strict, *request_)
    status, headers, text = await asked(strict, *request_)
    assert (first != 429, status) == (True, 429)
    assert headers["Retry-After"] == "60"
    assert "Set-Cookie" not in headers
    assert "too_many_requests-0123abcd" in text
    assert "in 1 minute" in text
    assert strict.metrics.requests_limited == {(kind,): 1}


async def test_what_is_refused_for_coming_too_fast_reaches_no_flow(strict):
    for _ in range(3):
        await asked(strict, *SIGN_IN)
        await asked(strict, "GET", "/.authproxy/callback/rekono?state=s&code=c")
    assert (len(strict.flows.begun), len(strict.flows.completed)) == (1, 1)


async def test_a_script_gets_the_problem(strict):
    await asked(strict, *SIGN_IN)
    status, headers, text = await asked(
        strict, *SIGN_IN, headers={**FORM, "Sec-Fetch-Mode": "cors", "Accept": "*/*"}
    )
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (
        429,
        "application/problem+json; charset=utf-8",
        "60",
    )
    assert '"reason": "too_many_requests"' in text


CALLBACK = ("GET", "/.authproxy/callback/rekono?state=s&code=c", None)
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}


@pytest.mark.parametrize(
    ("request_", "forced"),
    [
        (SIGN_IN, FOREIGN),
        (("POST", "/.authproxy/step-up", "method=sms"), FOREIGN),
        (CALLBACK, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        (
            CALLBACK,
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        ),
    ],
)
async def test_a_page_of_another_site_keeps_nobody_at_its_readers_address_from_signing_in(
    strict, request_, forced
):
    said = [(await asked(strict, *request_, headers={**FORM, **forced}))[0] for _ in range(3)]
    assert (said[0] != 429, said[1:]) == (True, [429, 429])
    assert (await asked(strict, *request_))[0] != 429


async def test_another_address_is_not_held_up(strict):
    await asked(strict, *SIGN_IN)
    assert (await asked(strict, *SIGN_IN, client="203.0.113.8"))[0] == 303


async def test_logout_tokens_that_are_believed_may_be_any_number_and_others_may_not(strict):
    async def sent():
        return (
            await asked(
                strict, "POST", "/.authproxy/backchannel-logout", "logout_token=a.b.c", headers=SERVER
            )
        )[0]

    assert [await sent() for _ in range(5)] == [200] * 5
    strict.back_channel.outcome = LogoutRefused("logout token: the signature is wrong")
    assert [await sent() for _ in range(3)] == [400, 429, 429]
    assert len(strict.back_channel.received) == 6


async def test_pages_that_cost_nothing_are_not_counted(strict):
    for _ in range(5):
        for path in ("/.authproxy/login", "/.authproxy/session", "/.authproxy/step-up"):
            assert (await asked(strict, "GET", path))[0] != 429
