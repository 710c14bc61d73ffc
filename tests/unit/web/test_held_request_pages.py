"""A held request is shown exactly as it would be sent. Sending and discarding are one button each."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import FORM, PAGE, TICKET
from tests.support.step_up_script import HELD, NEW_TICKET, a_form

COOKIE = f"__Host-authproxy={TICKET}"
SEND = f"/.authproxy/step-up/send?held={HELD}&rt=/orders"
ORIGIN = "https://acq.example.si"


async def shown(house, request, *, headers=PAGE) -> str:
    house.held.kept[HELD] = request
    async with house.asked("GET", SEND, headers=headers, cookies=COOKIE) as answer:
        assert answer.status == 200
        assert "form-action" not in answer.headers["Content-Security-Policy"]
        return await answer.text()


async def test_the_form_is_shown_and_its_button_sends_it_to_the_portal(house):
    text = await shown(house, a_form())

    assert '<dt>amount</dt><dd class="value">100,00 €</dd>' in text
    assert '<span class="path">/pay?now=1</span>' in text
    assert (
        f'<form method="post" action="{ORIGIN}/pay?now=1" '
        'enctype="application/x-www-form-urlencoded">\n<input type="hidden" name="authproxy-held" '
        f'value="{HELD}">\n<button>' in text
    )


async def test_names_and_values_are_never_markup(house):
    text = await shown(house, a_form(target='/pay?"><script>', files=('"><img src=x onerror=alert(1)>.pdf',)))

    assert "&lt;b&gt;to&lt;/b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>" not in text
    assert "<img src=x" not in text


@pytest.mark.parametrize(
    "name", ["password", "Geslo", "user.pwd", "csrfmiddlewaretoken", "PIN", "client_secret"]
)
async def test_a_value_that_looks_like_a_secret_is_not_shown(house, name):
    text = await shown(house, a_form(fields=((name, "Skrivnost1"), ("shipping", "doma"))))

    assert "Skrivnost1" not in text
    assert "(not shown)" in text
    assert "doma" in text


async def test_a_target_that_begins_like_a_host_stays_at_the_portal(house):
    text = await shown(house, a_form(target="//evil.example/pay"))
    assert f'action="{ORIGIN}//evil.example/pay"' in text


async def test_a_large_form_is_shown_in_part_and_says_so(house):
    many = tuple((f"field-{number}", "x" * 5000) for number in range(60))
    text = await shown(house, a_form(fields=many, files=("a" * 5000,)))

    assert text.count("<dt>field-") == 40
    assert "Not all of the data can be shown here" in text
    assert len(text.encode()) < 20_000
    assert "Not all of the data can be shown here" in await shown(house, a_form(is_whole=False))
    assert "Not all of the data can be shown here" not in await shown(house, a_form())


async def test_a_clerk_reads_nothing_about_bytes_and_methods(house):
    text = await shown(house, a_form(fields=()), headers={**PAGE, "Accept-Language": "sl"})
    main = re.search("<main.*</main>", text, re.DOTALL)[0]
    assert re.findall("POST |bajt|321|Vneseni podatki", main) == []


@pytest.mark.parametrize("query", ["", f"?held={'x' * 43}", "?held=short"])
async def test_a_held_request_that_is_gone_is_said_to_be_gone(house, query):
    house.held.kept[HELD] = a_form()
    async with house.asked("GET", f"/.authproxy/step-up/send{query}", cookies=COOKIE) as answer:
        assert answer.status == 410
        assert "held_request_gone-0123abcd" in await answer.text()


async def test_nobody_without_a_session_sees_what_was_sent(house):
    house.held.kept[HELD] = a_form()
    for cookies in (None, f"__Host-authproxy={NEW_TICKET}"):
        async with house.asked("GET", SEND, cookies=cookies) as answer:
            assert (answer.status, answer.headers["Location"]) == (
                303,
                f"{ORIGIN}/.authproxy/login?rt=/orders&held={HELD}",
            )
    async with house.asked(
        "POST", "/.authproxy/step-up/discard", headers=FORM, body=f"held={HELD}"
    ) as answer:
        assert answer.status == 303
    assert HELD in house.held.kept


async def test_a_discarded_request_is_deleted_and_the_browser_goes_back(house):
    house.held.kept[HELD] = a_form()
    for _ in range(2):
        async with house.asked(
            "POST",
            "/.authproxy/step-up/discard",
            headers=FORM,
            cookies=COOKIE,
            body=f"held={HELD}&rt=/orders",
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, f"{ORIGIN}/orders")
    assert house.held.kept == {}


async def test_no_other_page_discards_it(house):
    house.held.kept[HELD] = a_form()
    foreign = {**FORM, "Sec-Fetch-Site": "cross-site"}
    async with house.asked(
        "POST", "/.authproxy/step-up/discard", headers=foreign, cookies=COOKIE, body=f"held={HELD}"
    ) as answer:
        assert answer.status == 403
    async with house.asked(
        "POST", "/.authproxy/step-up/discard", headers=FORM, cookies=COOKIE, body="rt=/orders"
    ) as answer:
        assert answer.status == 303
    assert HELD in house.held.kept
