"""A form that is sent after its person's session has ended: it waits for them and nobody else, or they are told
at once that it was not sent. By way of the whole gateway."""

from __future__ import annotations

import re

import pytest
import redis

from authproxy.bootstrap.open_sessions import revoke_session
from tests.support.gateway import CVETKA, TICKET
from tests.support.step_up import sent_form

TYPED = {"besedilo": 'plača <b>november</b> & "ostalo"'}
SIGN_OUT = "/.authproxy/logout"


@pytest.fixture
async def house(houses):
    async with houses(acq={"idle": "5m"}) as opened:
        yield opened


@pytest.fixture
async def form(house):
    """Ana, and the page with a form that she has opened."""
    ana = await house.signed_in()
    return ana, await ana.opens(house.acq + "/vnos")


async def send(house, person, page, typed=TYPED):
    [form] = [form for form in page.forms if form.action == f"{house.acq}/vnos"]
    return await person.browser.submit(page, form, typed, headers={"Referer": page.url, "Origin": house.acq})


def is_not_sent(house, met, page="/vnos"):
    """Whether the chooser says that the form was not sent, with the id of its request."""
    chooser = re.escape(f"{house.acq}/.authproxy/login?rt={page}&lost=")
    return met.status == 303 and re.fullmatch(f"{chooser}[0-9a-f]{{16}}", met.location) is not None


def sent(house):
    return house.portal.asked.count("POST /vnos")


def sending(page):
    [form] = [form for form in page.forms if "authproxy-held" in form.fields]
    return form


def at_provider(house, person):
    """Forgets that somebody is signed in at the provider, as when its own session has ended."""
    for url, name in {(house.issuer, name) for _, _, name in person.browser.cookies._kept}:
        if not name.startswith("__Host-authproxy"):
            person.browser.cookies.put(url, name, None)


async def test_what_was_typed_too_long_waits_for_its_person_and_is_sent_once(house, form):
    ana, page = form
    house.advance(minutes=6)
    met = await send(house, ana, page)
    assert (met.status, sent(house)) == (303, 0)
    assert met.location.startswith(f"{house.acq}/.authproxy/login?rt=/vnos&held=")
    chooser = await ana.browser.follow(met)
    assert "Vaš vnos še ni bil poslan." in chooser.text
    shown = await ana.walk(chooser)
    assert (shown.status, sent(house)) == (200, 0)
    assert "plača &lt;b&gt;november&lt;/b&gt;" in shown.text
    assert sending(shown).action == f"{house.acq}/vnos"
    answer = await ana.browser.submit(shown, sending(shown))
    assert (answer.status, sent(house)) == (200, 1)
    assert "plača &lt;b&gt;november" in answer.text
    assert ((await ana.browser.submit(shown, sending(shown))).status, sent(house)) == (410, 1)
    [held], [released] = house.events("request.held"), house.events("request.released")
    assert (held["person"], held["session"]) == (released["person"], None)
    for secret in (sending(shown).fields["authproxy-held"], "plača", "pla\\u010da"):
        assert secret not in house.audit


async def test_at_the_absolute_end_the_form_waits_too(houses):
    absolute = {"AUTHPROXY__SESSIONS__ABSOLUTE": "20m"}
    async with houses(acq={"idle": "15m"}, environment=absolute) as house:
        ana = await house.signed_in()
        house.advance(minutes=10)
        page = await ana.opens(house.acq + "/vnos")
        house.advance(minutes=11)
        shown = await ana.walk(await send(house, ana, page))
        assert (await ana.browser.submit(shown, sending(shown))).status == 200
        assert sent(house) == 1


async def test_another_instance_knows_too_whose_the_session_was(house, form):
    ana, page = form
    house.advance(minutes=6)
    async with house.second_gateway() as port:
        headers = {
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": "same-origin",
            "Referer": page.url,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        met = await ana.browser.request("POST", page.url, headers=headers, body=b"besedilo=a", port=port)
        shown = await ana.walk(met)
        assert (await ana.browser.submit(shown, sending(shown))).status == 200
        assert sent(house) == 1


async def test_whoever_signs_in_instead_hears_nothing_of_the_form_and_its_person_finds_it_later(house, form):
    ana, page = form
    house.advance(minutes=6)
    met = await send(house, ana, page)
    at_provider(house, ana)
    cvetka = house.person(CVETKA, browser=ana.browser)
    arrived = await cvetka.walk(met)
    assert (arrived.status, arrived.url) == (200, f"{house.acq}/vnos")
    asked = [answer.url for answer in ana.browser.history if "/step-up/send" in answer.url]
    assert (asked, sent(house), "november" in arrived.text) == ([], 0, False)
    # The address of the chooser, which the history of the browser has.
    again = await cvetka.walk(await cvetka.opens(met.location))
    assert again.url == f"{house.acq}/vnos"

    elsewhere = await house.signed_in()
    shown = await elsewhere.walk(await elsewhere.opens(met.location))
    assert (await elsewhere.browser.submit(shown, sending(shown))).status == 200
    assert sent(house) == 1


async def test_after_a_sign_out_nothing_is_kept_and_the_person_is_told_so(house, form):
    ana, page = form
    ticket = ana.ticket(house.acq)
    confirm = await ana.opens(house.acq + SIGN_OUT)
    [sign_out] = [form for form in confirm.forms if form.action.endswith(SIGN_OUT)]
    await ana.browser.submit(confirm, sign_out)
    ana.browser.cookies.put(house.acq, TICKET, ticket)  # a browser that did not forget it
    met = await send(house, ana, page)
    assert (is_not_sent(house, met), sent(house)) == (True, 0)


async def test_after_an_operator_has_ended_the_session_nothing_is_kept(house, form):
    ana, page = form
    [started] = house.events("session.started")
    assert await revoke_session(house.settings, started["session"])
    met = await send(house, ana, page)
    assert (is_not_sent(house, met), sent(house)) == (True, 0)


async def test_of_a_form_that_is_too_large_its_person_is_told_before_signing_in_and_finds_the_page_again(
    house, form
):
    ana, page = form
    house.advance(minutes=6)
    met = await send(house, ana, page, {"besedilo": "x" * 300_000})
    assert is_not_sent(house, met)
    chooser = await ana.browser.follow(met)
    assert "Vaš vnos ni bil poslan." in chooser.text
    assert f"<code>not_sent-{met.location.partition('&lost=')[2]}</code>" in chooser.text
    arrived = await ana.walk(chooser)
    assert (arrived.status, arrived.url, sent(house)) == (200, f"{house.acq}/vnos", 0)


async def test_a_form_of_somebody_who_was_never_signed_in_is_not_kept(house):
    stranger = house.person()
    met = await sent_form(stranger, house.acq + "/vnos", b"besedilo=a")
    assert is_not_sent(house, met)
    assert house.events("request.held") == []


async def test_a_form_that_another_site_sends_for_somebody_whose_session_has_ended_is_not_kept(house, form):
    ana, _ = form
    house.advance(minutes=6)
    headers = {
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "cross-site",
        "Origin": "https://evil.example",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    met = await ana.browser.request("POST", house.acq + "/vnos", headers=headers, body=b"besedilo=a")
    assert is_not_sent(house, met, "/")
    assert house.events("request.held") == []


async def test_a_sign_in_that_fails_first_leaves_the_form_waiting(house, form):
    ana, page = form
    house.advance(minutes=6)
    met = await send(house, ana, page)
    at_callback = await ana.walk(met, stop=lambda answer: "/callback/" in str(answer.all("location")))
    house.advance(minutes=31)
    refused = await ana.opens(at_callback.location)
    assert refused.status == 400
    again = next(link for link in refused.links if "/.authproxy/login?" in link)
    shown = await ana.walk(await ana.opens(again))
    assert (await ana.browser.submit(shown, sending(shown))).status == 200
    assert sent(house) == 1


@pytest.mark.usefixtures("form")
async def test_nobody_can_read_in_the_store_whose_the_session_was(house, redis_server):
    house.advance(minutes=6)
    with redis.Redis.from_url(redis_server.socket_url) as store:
        [key] = list(store.scan_iter(match="*:ended", count=1000))
        sealed = store.get(key)
    assert all(text.encode() not in sealed for text in ("ana.novak", house.issuer, "acq"))
