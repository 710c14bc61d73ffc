"""Old portals behind the gateway, at the sandbox and with its own settings: what their people and programs
do, as stories."""

from __future__ import annotations

import asyncio
import contextlib
import re
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.support.gateway import CVETKA
from tests.support.http_client import Browser
from tests.support.town import running_town

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def town(redis_server, authority_state):
    async with running_town(redis_server, authority_state) as running:
        yield running


async def raw_answer(url, target, *, cookie):
    """Status and body of what bytes get that no library would send."""
    host = url.partition("://")[2].partition("/")[0]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.partition(":")[2]))
    try:
        async with asyncio.timeout(15):
            fields = f"Host: {host}\r\nCookie: {cookie}\r\nAccept: text/html\r\nAccept-Language: sl\r\n"
            writer.write(b"GET " + target + f" HTTP/1.1\r\n{fields}Connection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split(b" ")[1]), body.decode()


async def test_the_first_links_of_a_java_portal_lead_where_they_say(town):
    ana = town.person()
    frames = await ana.signs_in(town.url("bips", "/okvir"))
    addresses = re.findall(r'<frame name="\w+" src="([^"]+)"', frames.text)
    assert [";jsessionid=" in address for address in addresses] == [True, True]
    for address in addresses:
        page = await ana.browser.navigate(
            town.url("bips", address), site="same-origin", headers={"Sec-Fetch-Dest": "frame"}
        )
        assert page.status == 200, address


async def test_a_redirect_to_the_inner_name_arrives_at_the_public_one(town):
    ana = town.person()
    page = await ana.signs_in(town.url("bws", "/vstop"))
    assert (page.status, page.url) == (200, town.url("bws", "/storitve"))
    inner = town.addresses.upstream("bws").partition("://")[2]
    told = [value for answer in ana.browser.history for _, value in answer.headers]
    assert not [value for value in told if inner in value or "Domain=127" in value]


async def test_an_open_page_is_there_for_everybody_and_greets_whom_it_knows(town):
    nobody, ana = Browser(), town.person()
    for path in ("/robots.txt", "/assets/znak.svg", "/slog.css", "/pomoc"):
        assert (await nobody.navigate(town.url("bws", path))).status == 200
    assert "Niste prijavljeni." in (await nobody.navigate(town.url("bws", "/pomoc"))).text
    await ana.signs_in(town.url("bws"))
    assert "Prijavljeni ste kot Ana Novak." in (await ana.opens(town.url("bws", "/pomoc"))).text
    for protected in (
        "/",
        "/storitve",
        "/assets/../storitve",
        "/assets%2f..%2fstoritve",
        "/pomoc/../storitve",
    ):
        assert (await nobody.request("GET", town.url("bws", protected))).status in (303, 400, 401, 403)


async def test_the_next_person_begins_a_session_of_the_server_anew(town):
    ana, cvetka = town.person(), town.person(CVETKA)
    place, menu = town.url("bips", "/okvir"), town.url("bips", "/okvir/meni")
    await ana.signs_in(place)
    assert "Strani v seji strežnika: 2" in (await ana.opens(menu)).text
    kept = ana.browser.cookies.get(place, "JSESSIONID")
    await signs_out(ana, town.url("bips", ""))
    assert ana.browser.cookies.get(place, "JSESSIONID") is None
    # Cvetka comes to a browser that has kept it nevertheless.
    cvetka.browser.cookies.put(place, "JSESSIONID", kept)
    await cvetka.signs_in(place)
    assert "Strani v seji strežnika: 2" in (await cvetka.opens(menu)).text


async def signs_out(person, portal):
    asked = await person.opens(f"{portal}/.authproxy/logout")
    [form] = [form for form in asked.forms if "/.authproxy/logout" in form.action]
    return await person.browser.submit(asked, form)


@pytest.mark.parametrize(("portal_id", "path"), [("bips", "/nadzor/tok"), ("bws", "/nadzor/ws")])
async def test_a_monitoring_screen_goes_dark_at_sign_out(town, portal_id, path):
    ana = town.person()
    await ana.signs_in(town.url(portal_id, "/nadzor"))
    async with listening(ana, town.url(portal_id, path + "?premor_ms=20")) as screen:
        await screen.readuntil(b'"stevilka": 3')
        await signs_out(ana, town.url(portal_id, ""))
        await screen.read()  # to its end


@contextlib.asynccontextmanager
async def listening(person, url):
    """What a screen of the person's reads, and that within a deadline."""
    parts = urlsplit(url)
    fields = [
        f"GET {parts.path}?{parts.query} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Cookie: {person.browser.cookies.of(url)}",
        f"Origin: http://{parts.netloc}",
        "Sec-Fetch-Site: same-origin",
    ]
    if path_is_of_a_socket := parts.path.endswith("/ws"):
        fields += [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
        try:
            writer.write("\r\n".join([*fields, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101" if path_is_of_a_socket else b"HTTP/1.1 200"), head
            yield reader
        finally:
            writer.close()


async def test_a_slow_report_arrives_where_its_route_has_the_time(houses):
    brief = {"timeouts": {"first_byte": "200ms"}}
    patient = {"path": "/porocilo", "timeouts": {"first_byte": "1m"}}
    for routes, status in (([patient], 200), ([], 504)):
        async with houses(acq=brief | {"routes": routes}) as house:
            ana = await house.signed_in()
            assert (await ana.opens(f"{house.acq}/porocilo?sekund=1")).status == status
