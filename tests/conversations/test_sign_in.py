"""Sign-in against the provider: who is let in, who is not and is told why, and what a ticket is worth."""

from __future__ import annotations

import secrets

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import ANA, BOR, CVETKA, TICKET
from tests.support.http_client import Browser


async def test_consent_that_is_refused_signs_nobody_in(house, ana):
    page = await ana.signs_in(f"{house.acq}/izpis/2026/11", consents=False)
    assert (page.status, ana.ticket(house.acq)) == (403, None)
    assert "consent_refused" in page.text
    assert any(link.endswith("/login?rt=/izpis/2026/11") for link in page.links)


async def test_without_a_tax_number_there_is_a_page_with_the_way_to_one_and_no_session(house):
    bor = house.person(BOR)
    page = await bor.signs_in(f"{house.acq}/izpis/2026/11")
    assert (page.status, bor.ticket(house.acq)) == (403, None)
    assert "tax_number_missing" in page.text
    assert house.settings.rekono.dashboard_url in page.links
    assert page.forms[0].fields["rt"] == "/izpis/2026/11"
    assert await list_sessions(house.settings) == []


async def test_a_level_below_the_portals_is_refused_and_a_sufficient_one_is_not(houses):
    async with houses(environment={"AUTHPROXY__PORTALS__ACQ__LEVEL": "30"}) as house:
        ana, cvetka = house.person(ANA), house.person(CVETKA)
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "level_too_low" in page.text
        assert (await cvetka.signs_in(house.acq + "/")).status == 200


async def test_a_route_may_demand_more_than_its_portal(houses):
    async with houses(
        environment={"AUTHPROXY__PORTALS__ACQ__ROUTES": '[{"path": "/izpis", "level": 30}]'}
    ) as house:
        ana = house.person(ANA)
        assert (await ana.signs_in(house.acq + "/")).status == 200
        refused = await ana.opens(f"{house.acq}/izpis/2026/11")
        assert (refused.status, refused.all("set-cookie")) == (403, [])
        assert "level_too_low" in refused.text
        assert (await ana.browser.fetch(f"{house.acq}/izpis/2026/11")).json["reason"] == "level_too_low"
        assert (await ana.opens(f"{house.acq}/")).status == 200


async def test_what_one_method_of_a_path_allows_is_not_what_another_demands(houses):
    routes = [{"path": "/vnos", "methods": ["POST"], "level": 30}, {"path": "/vnos", "level": 10}]
    async with houses(acq={"routes": routes}) as house:
        ana = house.person()
        assert (await ana.signs_in(f"{house.acq}/vnos")).status == 200
        sent = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        for _ in range(2):
            assert (await ana.opens(f"{house.acq}/vnos")).status == 200
            assert (await ana.browser.post(f"{house.acq}/vnos", {"znesek": "1"}, headers=sent)).json[
                "reason"
            ] == "level_too_low"
        assert "POST /vnos" not in house.portal.asked


async def test_a_provider_that_is_away_at_the_start_is_waited_for(houses):
    async with houses(provider_is_up=False) as house:
        ana = house.person(ANA)
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, page.header("retry-after"), page.all("set-cookie")) == (503, "5", [])
        assert "provider_unavailable" in page.text
        await house.provider.start()
        house.clock.advance(minutes=1)
        assert (await ana.signs_in(house.acq + "/")).status == 200


async def test_while_the_provider_is_away_sessions_go_on_and_callbacks_leave_cookies_alone(house, ana):
    await ana.signs_in(house.acq + "/")
    cvetka = house.person(CVETKA)
    callback = await cvetka.goes_to_callback(house.acq + "/")
    before = cvetka.browser.cookies.of(house.acq + "/")
    await house.provider.stop()
    page = await cvetka.browser.navigate(callback)
    assert (page.status, page.header("retry-after"), page.all("set-cookie")) == (503, "5", [])
    assert callback.partition("?")[2] not in page.text
    assert cvetka.browser.cookies.of(house.acq + "/") == before
    assert (await ana.opens(house.acq + "/")).status == 200
    await house.provider.start()
    assert (await cvetka.signs_in(house.acq + "/")).status == 200


async def test_a_ticket_of_one_portal_opens_nothing_at_another(house, ana):
    await ana.signs_in(house.acq + "/")
    thief = Browser()
    thief.cookies.put(house.b2b, TICKET, ana.ticket(house.acq))
    assert (await thief.fetch(f"{house.b2b}/api/jaz")).json["reason"] == "session_of_another_portal"
    assert (await thief.navigate(house.b2b + "/")).status == 303
    assert (await thief.navigate(f"{house.b2b}/.authproxy/session")).status == 303
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_a_planted_ticket_never_becomes_a_session(house, ana):
    planted = f"1.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}"
    ana.browser.cookies.put(house.acq, TICKET, planted)
    await ana.signs_in(house.acq + "/")
    assert ana.ticket(house.acq) not in {None, planted}
    attacker = Browser()
    attacker.cookies.put(house.acq, TICKET, planted)
    assert (await attacker.fetch(f"{house.acq}/api/jaz")).status == 401


async def test_two_cookies_of_the_name_are_no_session(house, ana):
    await ana.signs_in(house.acq + "/")
    ticket = ana.ticket(house.acq)
    for pair in (f"{TICKET}={ticket}; {TICKET}={ticket}", f"{TICKET}=x; {TICKET}={ticket}"):
        answer = await Browser().request("GET", f"{house.acq}/api/jaz", headers={"Cookie": pair})
        assert (answer.status, answer.json["reason"]) == (401, "no_session")


async def test_a_ticket_with_another_secret_opens_nothing(house, ana):
    await ana.signs_in(house.acq + "/")
    head, _, secret = ana.ticket(house.acq).rpartition(".")
    forged = f"{head}.{secret[:20]}{'A' if secret[20] != 'A' else 'B'}{secret[21:]}"
    answer = await Browser().request("GET", f"{house.acq}/api/jaz", headers={"Cookie": f"{TICKET}={forged}"})
    assert answer.status == 401
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_every_sign_in_has_a_ticket_of_its_own(house, ana):
    await ana.signs_in(house.acq + "/")
    first = ana.ticket(house.acq)
    ana.browser.cookies.put(house.acq, TICKET, None)
    await ana.signs_in(house.acq + "/")
    assert ana.ticket(house.acq) not in {None, first}


async def test_cookies_are_small_and_bound_to_the_host(house, ana):
    await ana.signs_in(house.acq + "/")
    given = [
        value
        for answer in ana.browser.history
        if answer.url.startswith(house.acq)
        for value in answer.all("set-cookie")
    ]
    assert len(given) == 2
    for cookie in given:
        pair, *attributes = cookie.split("; ")
        assert len(pair) < 150
        assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://b2b.localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=["cross-site", "same-site", "none", "old-browser", "opaque", "nothing"],
)
async def test_a_form_of_another_site_begins_no_sign_in(house, headers):
    answer = await Browser().post(
        f"{house.acq}/.authproxy/login", {"method": "rekono", "rt": "/"}, headers=headers
    )
    assert (answer.status, answer.all("location"), answer.all("set-cookie")) == (403, [], [])
