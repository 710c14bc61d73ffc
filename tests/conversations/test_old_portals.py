"""Old portals behind the gateway, at the sandbox and with its own settings: what their people and programs
do, as stories."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from authproxy.sandbox.addresses import PROGRAM_ID, PROGRAM_SECRET
from tests.support.gateway import CVETKA
from tests.support.http_client import Browser
from tests.support.town import running_town
from tests.support.waiting import until

BATCH_CLIENT = Path(__file__).parents[1] / "support" / "batch_client.py"
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
    session = ana.browser.cookies.get(town.url("bips"), "JSESSIONID")

    async def is_written():
        return '"path":"/okvir/meni"' in town.written  # lines are collected for a moment

    await until(is_written)
    assert session not in town.written


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
    # The listener looks once a second whether something is over its time, so one second would decide nothing.
    for first_byte, seconds, status in (("1m", 2, 200), ("200ms", 64, 504)):
        route = {"path": "/porocilo", "timeouts": {"first_byte": first_byte}}
        async with houses(acq={"routes": [route]}) as house:
            ana = await house.signed_in()
            assert (await ana.opens(f"{house.acq}/porocilo?sekund={seconds}")).status == status


async def test_a_link_with_raw_letters_finds_what_it_asks_for(town):
    ana = town.person()
    await ana.signs_in(town.url("bws"))
    cookie = ana.browser.cookies.of(town.url("bws"))
    status, page = await raw_answer(
        town.url("bws"), b"/isci?q=" + "Čepič".encode("windows-1250"), cookie=cookie
    )
    assert (status, "<strong>Čepič</strong>" in page) == (200, True)


async def test_administration_is_for_its_role_by_whatever_name(town):
    ana, cvetka = town.person(), town.person(CVETKA)
    page = await ana.signs_in(town.url("bws", "/skrbnistvo/PRAVICE.aspx"))
    assert (page.status, "Vaše vloge: skrbnik" in page.text) == (200, True)
    await cvetka.signs_in(town.url("bws"))
    for spelling in (
        "/Skrbnistvo/Pravice.aspx",
        "/skrbnistvo/pravice.aspx",
        "/SKRBNISTVO",
        "/Skrbnistvo./Pravice.aspx",
        "/Skrbnistvo%20/Pravice.aspx",
        "/Skrbnistvo::$DATA",
        "/SKRBNI~1/PRAVIC~1.ASP",
        "/x/..%3B/Skrbnistvo",
        "/%53krbnistvo/Pravice.aspx",
        "/Skrbnistvo%5CPravice.aspx",
    ):
        refused = await cvetka.opens(town.url("bws", spelling))
        assert refused.status in (400, 403), (spelling, refused.text)
        assert "Vaše vloge" not in refused.text


async def test_a_form_that_is_sent_after_five_idle_minutes_is_kept_and_sent_once(town):
    ana = town.person()
    page = await ana.signs_in(town.url("bips", "/vnos"))
    [form] = [form for form in page.forms if form.action.endswith("/vnos")]
    town.clock.advance(minutes=6)
    shown = await ana.walk(await ana.browser.submit(page, form, {"naziv": "Čepič", "opomba": "čez čas"}))
    assert (shown.status, "Čepič" in shown.text) == (200, True)
    [waiting] = [form for form in shown.forms if "authproxy-held" in form.fields]
    arrived = await ana.browser.submit(shown, waiting)
    assert (arrived.status, "<dd>Čepič</dd>" in arrived.text) == (200, True)
    assert (await ana.browser.submit(shown, waiting)).status == 410


async def run_by_the_bank(*arguments):
    """What the bank's program prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, BATCH_CLIENT, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        printed, complaint = await process.communicate()
    assert complaint == b""
    return printed.decode().splitlines()


async def test_a_banks_program_hands_in_its_batches_with_a_token(town, tmp_path):
    secret, place = tmp_path / "secret", town.url("bws", "/api/paketi")
    secret.write_text(PROGRAM_SECRET)
    tokens = town.addresses.issuer + "token"
    handed_in, own = await run_by_the_bank(place, secret, tokens, PROGRAM_ID, "paketi")
    assert handed_in == '201 {"paket": "PK-70501", "zahtevkov": 2, "oddal": "paketni-odjemalec"}'
    assert own == '200 [{"paket": "PK-70501", "zahtevkov": 2, "oddal": "paketni-odjemalec"}]'
    refused, _ = await run_by_the_bank(place, secret, tokens, PROGRAM_ID, "nekaj-drugega")
    assert (refused[:4], "machine_not_allowed_here" in refused) == ("403 ", True)
    elsewhere, _ = await run_by_the_bank(town.url("bws", "/vnos"), secret, tokens, PROGRAM_ID, "paketi")
    assert elsewhere.startswith(("401 ", "403 "))


async def test_a_banks_program_hands_in_its_batches_with_a_key_until_it_is_revoked(town, tmp_path):
    key, place = tmp_path / "key", town.url("bws", "/api/paketi")
    asked = ("--portal", "bws", "--scope", "paketi", "-c", town.settings_file)
    key.write_text(await command("machines", "add", "nocna-obdelava", *asked))
    handed_in, _ = await run_by_the_bank(place, key)
    assert handed_in.startswith('201 {"paket": "PK-70501"')
    await command("machines", "revoke", "--client", "nocna-obdelava", "-c", town.settings_file)
    handed_in, own = await run_by_the_bank(place, key)
    assert [line[:4] for line in (handed_in, own)] == ["401 ", "401 "]
    assert "machine_token_invalid" in handed_in
    assert key.read_text().strip() not in town.written


async def command(*arguments):
    """What an operator's command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "authproxy", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint
    return printed.decode()
