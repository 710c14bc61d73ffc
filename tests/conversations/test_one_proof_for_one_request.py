"""A route that demands one proof for each request: what the person sees, and that the proof serves that form,
or that GET, and nothing else."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import pytest

from tests.support.gateway import ANA
from tests.support.nginx import recording_portal
from tests.support.step_up import (
    answered,
    asked,
    begun,
    chosen,
    landed,
    offered,
    open_step_up_house,
    sent_form,
)

ALONE = {"methods": ["push", "totp", "sms", "recovery"], "max_age": 0, "shows": ["amount", "payee"]}
PORTAL = {
    "idle": "30m",
    "routes": [
        {"path": "/vnos", "methods": ["POST"], "step_up": ALONE},
        {"path": "/prejeto", "step_up": ALONE},
        {"path": "/piskotek", "step_up": {"methods": ["push", "totp", "sms"], "max_age": "5m"}},
    ],
}
PAYMENT = b"amount=120%2C50&payee=Ana+%3Cb%3ENovak%3C%2Fb%3E%0D%0A%E2%80%AEx&note=november"
SHOWN = [{"name": "amount", "value": "120,50"}, {"name": "payee", "value": "Ana <b>Novak</b> \ufffdx"}]


@pytest.fixture
async def house(redis_server):
    redis_server.command("FLUSHALL")
    async with recording_portal() as portal:
        acq = PORTAL | {"upstream": f"http://127.0.0.1:{portal.port}"}
        async with open_step_up_house(redis_server.socket_url, acq=acq) as opened:
            opened.recorded = portal
            yield opened


def reached(house, method="POST"):
    """How many requests of that method the portal has got where proofs are demanded."""
    return sum(
        each.method == method and each.target.startswith(("/vnos", "/prejeto"))
        for each in house.recorded.received
    )


def step_up_told(house):
    """What the last request told the portal of proofs."""
    return next(
        value for name, value in house.recorded.received[-1].headers if name.lower() == "x-auth-step-up"
    )


async def pays(house, person, body=PAYMENT):
    return await sent_form(person, f"{house.acq}/vnos", body)


def sending(page):
    [form] = [form for form in page.forms if "authproxy-held" in form.fields]
    return form


async def confirmed(house, person, method="totp", body=PAYMENT, **code):
    """The page from which the form is sent, after a proof for it."""
    page = await chosen(person, await landed(person, await pays(house, person, body)), method)
    if method == "push":
        await house.answers_push()
        return await landed(person, await answered(person, page))
    return await landed(
        person,
        await answered(person, page, house.app_code(**code) if method == "totp" else await house.code_sent()),
    )


async def test_a_payment_is_seen_on_the_page_and_on_the_phone_and_reaches_the_portal_once_with_its_proof(
    house,
):
    ana = await house.signed_in()
    met = await pays(house, ana)
    assert (met.status, reached(house)) == (303, 0)
    page = await landed(ana, met)
    assert offered(page) == {"push", "totp", "sms"}
    for html in (page.text, (waiting := await chosen(ana, page, "push")).text):
        assert "120,50" in html
        assert "Ana &lt;b&gt;Novak&lt;/b&gt; \ufffdx" in html
        assert "november" not in html
    [push] = await house.pushes()
    assert push["shows"] == SHOWN
    await house.answers_push()
    confirmation = await landed(ana, await answered(ana, waiting))
    assert reached(house) == 0
    answer = await ana.browser.submit(confirmation, sending(confirmation))
    assert (answer.status, reached(house)) == (200, 1)
    # The proof stood in the headers of that request, and in no other.
    assert ", push;at=" in step_up_told(house)
    assert (await ana.opens(house.acq + "/")).status == 200
    assert "push" not in step_up_told(house)
    again = await ana.browser.submit(confirmation, sending(confirmation))
    assert (again.status, reached(house)) == (410, 1)


async def test_a_text_message_says_what_its_code_confirms(house):
    ana = await house.signed_in()
    confirmation = await confirmed(house, ana, "sms")
    [text] = await house.messages()
    assert "Potrjujete:\namount: 120,50\npayee: Ana <b>Novak</b> \ufffdx\n\n@acq.localhost #" in text
    assert (await ana.browser.submit(confirmation, sending(confirmation))).status == 200


async def test_the_same_form_sent_again_and_a_changed_one_need_a_proof_each(house):
    ana = await house.signed_in()
    first = await confirmed(house, ana)
    for body in (PAYMENT, PAYMENT.replace(b"120", b"920")):
        page = await landed(ana, await pays(house, ana, body))
        assert offered(page) == {"push", "totp", "sms"}
        # Its name in the form of the first confirmation leads to a proof, and not to the portal.
        held = re.search(r"held=([\w-]{43})", page.url)[1]
        met = await ana.browser.submit(first, sending(first), {"authproxy-held": held})
        assert (met.status, "/.authproxy/step-up?" in met.location, reached(house)) == (303, True, 0)
    assert (await ana.browser.submit(first, sending(first))).status == 200
    assert reached(house) == 1


async def test_forms_in_two_tabs_have_a_proof_each_and_both_are_sent(house):
    ana = await house.signed_in()
    first = await confirmed(house, ana)
    second = await confirmed(house, ana, body=b"amount=7&payee=Bor", steps=1)
    for page in (first, second):
        assert (await ana.browser.submit(page, sending(page))).status == 200
    assert reached(house) == 2


async def test_of_many_clicks_at_one_moment_on_two_instances_one_reaches_the_portal(house):
    ana = await house.signed_in()
    page = await confirmed(house, ana)
    body = f"authproxy-held={sending(page).fields['authproxy-held']}".encode()
    said = {
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "same-origin",
        "Origin": house.acq,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with house.second_gateway() as port:
        answers = await asyncio.gather(
            *(
                ana.browser.request("POST", f"{house.acq}/vnos", headers=said, body=body, port=each)
                for each in (None, port) * 5
            )
        )
    assert sorted({answer.status for answer in answers} - {200}) in ([303], [410], [303, 410])
    assert ([answer.status for answer in answers].count(200), reached(house)) == (1, 1)


async def test_a_proof_for_one_form_opens_nothing_else_and_a_proof_for_the_session_sends_no_form(house):
    ana = await house.signed_in()
    page = await confirmed(house, ana)
    assert offered(await asked(ana, f"{house.acq}/piskotek")) == {"push", "totp", "sms"}
    house.advance(seconds=30)
    other = await landed(
        ana, await answered(ana, await begun(ana, f"{house.acq}/piskotek", "totp"), house.app_code())
    )
    assert other.status == 200
    assert offered(await landed(ana, await pays(house, ana, b"amount=1&payee=x"))) == {"push", "totp", "sms"}
    assert (await ana.browser.submit(page, sending(page))).status == 200


async def test_a_proof_is_good_for_five_minutes_and_the_form_waits_for_another_one(house):
    ana = await house.signed_in()
    page = await confirmed(house, ana)
    house.advance(minutes=5, seconds=1)
    late = await ana.browser.submit(page, sending(page))
    assert (late.status, reached(house)) == (303, 0)
    again = await chosen(ana, await landed(ana, late), "totp")
    page = await landed(ana, await answered(ana, again, house.app_code()))
    assert (await ana.browser.submit(page, sending(page))).status == 200


async def test_a_get_has_a_proof_for_its_address_and_the_next_one_needs_another(house):
    ana = await house.signed_in()
    place = f"{house.acq}/prejeto?amount=7,00&payee=Bor"
    page = await asked(ana, place)
    assert ("7,00" in page.text, "Bor" in page.text) == (True, True)
    back = await answered(ana, await chosen(ana, page, "totp"), house.app_code())
    assert back.location == place
    other = await ana.opens(f"{house.acq}/prejeto?amount=9,00&payee=Bor")
    assert (other.status, reached(house, "GET")) == (303, 0)
    answers = await asyncio.gather(*(ana.opens(place) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 303, 303, 303, 303]
    assert offered(await asked(ana, place)) == {"push", "totp", "sms"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b'{"amount": 1}'), ("application/x-www-form-urlencoded", b"a=" + b"x" * 300_000)],
    ids=["a type that is not kept", "too large"],
)
async def test_what_cannot_be_kept_is_refused_before_anybody_proves_anything(house, content_type, body):
    ana = await house.signed_in()
    refused = await sent_form(ana, f"{house.acq}/vnos", body, content_type=content_type)
    assert (refused.status, "Tega tu ni mogoče potrditi" in refused.text, reached(house)) == (403, True, 0)
    script = await ana.browser.request(
        "POST",
        f"{house.acq}/vnos",
        headers={"Sec-Fetch-Mode": "cors", "Origin": house.acq, "Content-Type": "application/json"},
        body=b"{}",
    )
    assert (script.status, script.json["reason"]) == (403, "request_cannot_be_bound")


async def test_a_form_with_more_fields_than_can_be_shown_is_refused(house):
    ana = await house.signed_in()
    crowded = await landed(ana, await pays(house, ana, PAYMENT + b"&x=1" * 250 + b"&amount=9999"))
    assert (crowded.status, "Tega tu ni mogoče potrditi" in crowded.text) == (403, True)
    twice = await landed(ana, await pays(house, ana, PAYMENT + b"&amount=9999"))
    assert "120,50 | 9999" in twice.text
    in_query = await landed(ana, await sent_form(ana, f"{house.acq}/vnos?Amount=9999", PAYMENT))
    assert "9999 | 120,50" in in_query.text


async def test_an_address_that_names_another_route_shows_the_same_and_a_proof_for_it_serves_nothing_else(
    house,
):
    ana = await house.signed_in()
    page = await landed(ana, await pays(house, ana))
    elsewhere = await ana.opens(
        page.url.replace("for=acq/vnos%20POST", "for=acq/piskotek").replace(
            "for=acq%2Fvnos%20POST", "for=acq/piskotek"
        )
    )
    assert "120,50" in elsewhere.text


async def test_a_front_proxy_that_asks_subrequests_is_told_that_nothing_can_be_bound(house):
    ana = await house.signed_in()
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(
        "GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: "
        f"{urlsplit(house.acq).netloc}\r\nX-Original-URL: {house.acq}/prejeto\r\nX-Original-Method: "
        f"GET\r\nCookie: {ana.browser.cookies.of(house.acq + '/')}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 403 ")
    assert '"reason": "request_cannot_be_bound"' in answer


async def test_a_session_of_the_same_person_elsewhere_has_nothing_of_the_proof(house):
    ana, thief = await house.signed_in(), await house.signed_in(ANA)
    page = await confirmed(house, ana)
    met = await thief.browser.submit(page, sending(page))
    assert (met.status, "/.authproxy/step-up?" in met.location, reached(house)) == (303, True, 0)
    assert (await ana.browser.submit(page, sending(page))).status == 200
