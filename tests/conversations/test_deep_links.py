"""Where people land, and what a program gets in place of a page."""

from __future__ import annotations

import re

import pytest

from tests.support.http_client import Browser

PAGE = "text/html,*/*;q=0.8"
PROGRAMS = {
    "fetch": {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": PAGE},
    "no-cors": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Accept": PAGE},
    "picture": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/*"},
    "stylesheet": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "style", "Accept": "text/css"},
    "XMLHttpRequest": {"X-Requested-With": "XMLHttpRequest", "Accept": PAGE},
    "WebSocket": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
    "prefetch": {"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch", "Accept": PAGE},
    "command line": {"Accept": "*/*"},
}


@pytest.mark.parametrize(
    "place",
    ["/izpis/2026/11", "/transakcije?kraj=Ljubljana&od=2026-01-01", "/transakcije?kraj=%C5%A0kofja%20Loka"],
)
async def test_a_deep_link_leads_back_to_itself(house, ana, place):
    first = await ana.opens(house.acq + place)
    assert first.status == 303
    page = await ana.walk(first)
    assert (page.status, page.url) == (200, house.acq + place)


async def test_a_program_gets_401_with_a_place_to_sign_in_and_never_a_redirect(house):
    for name, headers in PROGRAMS.items():
        answer = await Browser().request("GET", f"{house.acq}/transakcije?kraj=Celje", headers=headers)
        assert (name, answer.status, answer.header("content-type")) == (
            name,
            401,
            "application/problem+json; charset=utf-8",
        )
        assert answer.json["reason"] == "no_session"
        assert answer.json["login_url"] == f"{house.acq}/.authproxy/login?rt=/transakcije%3Fkraj%3DCelje"
        assert answer.all("location") == answer.all("set-cookie") == []
    assert house.portal.asked == []


async def test_the_login_url_that_a_program_gets_leads_a_person_to_the_page(house, ana):
    answer = await ana.browser.fetch(f"{house.acq}/izpis/2026/11")
    page = await ana.signs_in(answer.json["login_url"])
    assert (page.status, page.url) == (200, f"{house.acq}/izpis/2026/11")


async def test_a_program_learns_that_its_session_has_ended(house, ana):
    await ana.signs_in(house.acq + "/")
    house.clock.advance(minutes=6)
    answer = await ana.browser.fetch(f"{house.acq}/api/jaz")
    assert (answer.status, answer.json["reason"]) == (401, "session_ended")


async def test_a_form_sent_without_a_session_leads_back_to_its_page_and_not_to_its_target(house, ana):
    answer = await ana.browser.post(
        f"{house.acq}/vnos",
        {"znesek": "1"},
        headers={
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": "same-origin",
            "Accept": PAGE,
            "Referer": f"{house.acq}/vnos?korak=2",
        },
    )
    assert answer.status == 303
    page = await ana.walk(answer)
    assert (page.status, page.url, page.method) == (200, f"{house.acq}/vnos?korak=2", "GET")


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/.authproxy/logout",
        "javascript:alert(1)",
    ],
)
async def test_a_return_address_of_others_leads_to_the_front_page(house, ana, place):
    chooser = await ana.browser.navigate(f"{house.acq}/.authproxy/login")
    page = await ana.walk(
        await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono", "rt": place})
    )
    assert (page.status, page.url) == (200, f"{house.acq}/")


async def test_a_host_that_is_nobodys_gets_403_and_no_page_of_a_portal(house):
    answer = await Browser().navigate(f"http://unknown.localhost:{house.ports['gateway']}/.authproxy/login")
    assert answer.status == 403
    assert "unknown_host" in answer.text
    assert answer.all("set-cookie") == []


async def test_the_page_for_a_host_that_is_nobodys_has_its_style_sheet(house):
    gateway = f"http://unknown.localhost:{house.ports['gateway']}"
    page = await Browser().navigate(f"{gateway}/")
    (sheet,) = re.findall(r'href="(/\.authproxy/static/pages\.css[^"]*)"', page.text)
    answer = await Browser().navigate(gateway + sheet)
    assert (answer.status, answer.header("content-type")) == (200, "text/css; charset=utf-8")
    assert (await Browser().navigate(f"{gateway}/.authproxy/static/logo")).status == 404
    assert (await Browser().navigate(f"{gateway}/.authproxy/static/../session")).status == 400
