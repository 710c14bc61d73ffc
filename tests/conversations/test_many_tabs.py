"""The complaints of other products' users: many tabs, the back button, restored browsers, stale and foreign
callbacks, loops."""

from __future__ import annotations

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import DAVID, FLOW, TICKET
from tests.support.http_client import Browser

TOKEN_ENDPOINT = "POST /openid-connect-server-webapp/token"


async def begun(person, url):
    """A tab that stands at the provider's door; the address it was sent to."""
    chooser = await person.browser.follow(await person.opens(url))
    return await person.browser.submit(chooser, chooser.forms[0], {"method": "rekono"})


async def test_twenty_tabs_finished_in_reverse_order_and_then_replayed(house, ana):
    places = [f"{house.acq}/transakcije?zavihek={number}" for number in range(20)]
    tabs = [await begun(ana, place) for place in places]
    flow = ana.browser.cookies.get(house.acq, FLOW)
    callbacks = []
    for tab, place in reversed(list(zip(tabs, places, strict=True))):
        back = await ana.walk(tab, stop=lambda answer: answer.is_redirect and "/callback/" in answer.location)
        callbacks.append((back.location, place))
        landed = await ana.walk(await ana.browser.navigate(back.location))
        assert (landed.status, landed.url) == (200, place)
    assert ana.browser.cookies.get(house.acq, FLOW) == flow
    ticket = ana.ticket(house.acq)
    for callback, place in callbacks:
        answer = await ana.browser.navigate(callback)
        assert (answer.status, answer.location, answer.all("set-cookie")) == (303, place, [])
    assert ana.ticket(house.acq) == ticket
    assert len(await list_sessions(house.settings)) == 1
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 20
    assert {pair.partition("=")[0] for pair in ana.browser.cookies.of(house.acq + "/").split("; ")} == {
        TICKET,
        FLOW,
    }


async def test_a_replayed_callback_in_a_signed_out_browser_shows_one_way_on_and_signs_nobody_in(house, ana):
    callback = await ana.goes_to_callback(f"{house.acq}/izpis/2026/11")
    await ana.browser.navigate(callback)
    ana.browser.cookies.put(house.acq, TICKET, None)
    answer = await ana.browser.navigate(callback)
    assert (answer.status, ana.ticket(house.acq)) == (400, None)
    assert "attempt_used" in answer.text
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 1


async def test_a_stale_attempt_shows_one_button_that_leads_to_the_same_place(house, ana):
    place = f"{house.acq}/izpis/2026/11"
    callback = await ana.goes_to_callback(place)
    house.clock.advance(minutes=31)
    page = await ana.browser.navigate(callback)
    assert (page.status, ana.ticket(house.acq)) == (400, None)
    assert "attempt_too_old" in page.text
    (again,) = {link.partition("&lang=")[0] for link in page.links if "/login?" in link}
    landed = await ana.signs_in(again)
    assert (landed.status, landed.url) == (200, place)


async def test_a_callback_of_another_browser_never_signs_in(house, ana):
    planted = await ana.goes_to_callback(f"{house.acq}/vnos")
    victim = Browser()
    await victim.navigate(f"{house.acq}/.authproxy/login")
    answer = await victim.navigate(planted, site="cross-site")
    assert (answer.status, victim.cookies.get(house.acq, TICKET)) == (400, None)
    assert "attempt_of_another_browser" in answer.text
    assert "vnos" not in answer.text
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 0


async def test_a_callback_without_the_flow_cookie_explains_cookies(house, ana):
    callback = await ana.goes_to_callback(house.acq + "/")
    ana.browser.cookies.put(house.acq, FLOW, None)
    answer = await ana.browser.navigate(callback)
    assert (answer.status, ana.ticket(house.acq)) == (400, None)
    assert "cookies_off" in answer.text
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 0


async def test_whatever_follows_an_address_without_the_cookie_leaves_the_attempt_to_its_own_browser(
    house, ana
):
    callback = await ana.goes_to_callback(f"{house.acq}/izpis/2026/11")
    assert "cookies_off" in (await Browser().navigate(callback)).text
    landed = await ana.walk(await ana.browser.navigate(callback))
    assert (landed.status, landed.url) == (200, f"{house.acq}/izpis/2026/11")


async def test_a_browser_that_keeps_no_cookies_is_told_before_it_is_sent_away(house, ana):
    ana.browser.cookies.loses = lambda _name: True
    page = await ana.signs_in(house.acq + "/")
    assert page.status == 400
    assert "cookies_off" in page.text
    assert not any("/authorize" in asked for asked in house.provider.asked)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code=of-somebody",
        "?code=of-somebody&state=wrong",
        "?code=of-somebody&state=",
        "?error=access_denied&state=wrong",
        "?code=of-somebody&state=a&state=b",
    ],
)
async def test_an_unknown_state_asks_nothing_of_the_provider(house, query):
    browser = Browser()
    await browser.navigate(f"{house.acq}/.authproxy/login")
    answer = await browser.navigate(f"{house.acq}/.authproxy/callback/rekono{query}")
    assert (answer.status, browser.cookies.get(house.acq, TICKET)) == (400, None)
    assert "of-somebody" not in answer.text
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 0


async def test_a_doubled_parameter_beside_a_good_state_is_refused_without_asking(house, ana):
    callback = await ana.goes_to_callback(house.acq + "/")
    answer = await ana.browser.navigate(f"{callback}&code=another")
    assert answer.status in {400, 502}
    assert ana.ticket(house.acq) is None
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 0


async def test_an_attempt_of_one_portal_is_unknown_at_another(house, ana):
    callback = await ana.goes_to_callback(house.acq + "/")
    answer = await ana.browser.navigate(callback.replace(house.acq, house.b2b))
    assert (answer.status, ana.ticket(house.b2b)) == (400, None)
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 0


async def test_a_head_request_spends_no_code(house, ana):
    callback = await ana.goes_to_callback(house.acq + "/")
    assert (await ana.browser.request("HEAD", callback)).status == 405
    assert (await ana.walk(await ana.browser.navigate(callback))).status == 200


async def test_a_loop_ends_at_a_page_that_names_the_cause_and_clears_itself(house, ana):
    place = f"{house.acq}/izpis/2026/11"
    ana.browser.cookies.loses = lambda name: name == TICKET
    page = await ana.signs_in(place)
    assert (page.status, page.header("retry-after")) == (429, "60")
    assert "sign_in_loop" in page.text
    assert "ne shranjuje piškotkov" in page.text
    assert house.provider.asked.count(TOKEN_ENDPOINT) == 3
    house.clock.advance(seconds=61)
    ana.browser.cookies.loses = lambda _name: False
    landed = await ana.signs_in(place)
    assert (landed.status, landed.url) == (200, place)


async def test_another_person_in_a_second_tab_replaces_the_session(house, ana):
    first, second = await begun(ana, f"{house.acq}/?prvi"), await begun(ana, f"{house.acq}/?drugi")
    await ana.walk(first)
    old = ana.ticket(house.acq)
    ana.browser.cookies.put(house.issuer, "JSESSIONID", None)
    david = house.person(DAVID, browser=ana.browser)
    assert (await david.walk(second)).status == 200
    assert (await david.browser.fetch(f"{house.acq}/api/jaz")).json["email"] == DAVID
    replay = Browser()
    replay.cookies.put(house.acq, TICKET, old)
    assert (await replay.fetch(f"{house.acq}/api/jaz")).json["reason"] == "session_ended"
    assert len(await list_sessions(house.settings)) == 1
