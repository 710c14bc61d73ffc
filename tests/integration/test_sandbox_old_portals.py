"""What the demo portals do as old portals do it, each spoken to from outside as if a gateway stood before
it."""

from __future__ import annotations

import re

import pytest
from aiohttp import WSMsgType

from authproxy.sandbox.portals.application import application
from authproxy.sandbox.portals.catalogue import portal
from tests.support.vouching_gateway import ISSUER, NOW, VouchingGateway


@pytest.fixture
async def opened(aiohttp_client, aiohttp_server):
    """A portal, and the headers with which a gateway vouches for somebody."""
    from aiohttp import web

    gateway, keys = VouchingGateway(), web.Application()
    keys.router.add_get("/jwks", gateway.key_set)
    jwks = str((await aiohttp_server(keys)).make_url("/jwks"))

    async def made(portal_id, **claims):
        client = await aiohttp_client(
            application(portal=portal(portal_id), jwks_url=jwks, issuer=ISSUER, clock=lambda: NOW)
        )
        return client, {"X-Auth-Assertion": gateway.assertion(aud=portal_id, **claims)}

    return made


async def text_of(client, path, headers, **options):
    async with client.get(path, headers=headers, **options) as answer:
        return answer.status, answer.headers, await answer.text()


async def test_a_browser_without_the_cookie_gets_frames_with_the_session_in_their_addresses(opened):
    client, vouched = await opened("bips")
    status, headers, page = await text_of(client, "/okvir", vouched)
    [session] = re.findall(r"JSESSIONID=([0-9A-F]{32}); Path=/; HttpOnly", headers["Set-Cookie"])
    assert (status, "<frameset" in page) == (200, True)
    assert re.findall(r'<frame name="\w+" src="([^"]+)"', page) == [
        f"/okvir/meni;jsessionid={session}",
        f"/takojsnja;jsessionid={session}",
    ]
    status, _, rows = await text_of(client, f"/takojsnja;jsessionid={session}", vouched)
    assert (status, "Število vrstic: 90" in rows) == (200, True)


async def test_the_session_is_found_by_the_path_or_by_the_cookie_and_counts_pages(opened):
    client, vouched = await opened("bips")
    _, headers, _ = await text_of(client, "/okvir", vouched)
    session = headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    client.session.cookie_jar.clear()
    _, _, menu = await text_of(client, f"/okvir/meni;jsessionid={session}", vouched)
    assert menu.count("</p>\n</main>") == 1
    assert "Strani v seji strežnika: 2" in menu
    with_cookie = vouched | {"Cookie": f"JSESSIONID={session}"}
    _, headers, page = await text_of(client, "/okvir", with_cookie)
    assert ("Set-Cookie" in headers, ";jsessionid=" in page) == (False, False)
    _, _, menu = await text_of(client, "/okvir/meni", with_cookie)
    assert "Strani v seji strežnika: 4" in menu
    foreign = vouched | {"Cookie": f"JSESSIONID={'0' * 32}"}
    _, headers, _ = await text_of(client, "/okvir", foreign)
    assert "Set-Cookie" in headers


async def test_pages_of_a_portal_with_frames_may_stand_in_its_own_frames_and_others_may_not(opened):
    for portal_id, who in (("bips", "frame-ancestors 'self'"), ("bws", "frame-ancestors 'none'")):
        client, vouched = await opened(portal_id)
        _, headers, _ = await text_of(client, "/", vouched)
        assert who in headers["Content-Security-Policy"]


async def test_a_screen_is_fed_by_an_event_stream_or_by_a_websocket(opened):
    client, vouched = await opened("bips")
    async with client.get("/nadzor/tok?premor_ms=1", headers=vouched) as stream:
        read = await stream.content.readuntil(b'id: 3\ndata: {"stevilka": 3, "v_vrsti": 11}\n\n')
        assert read.startswith(b"retry: 1000\n\nid: 1\n")
    client, vouched = await opened("bws")
    async with client.ws_connect("/nadzor/ws?premor_ms=1", headers=vouched) as socket:
        await socket.send_str("a screen has nothing to say")
        messages = [await socket.receive() for _ in range(3)]
        assert [message.type for message in messages] == [WSMsgType.TEXT] * 3
        assert [message.json()["stevilka"] for message in messages] == [1, 2, 3]
    for wrong in ("0", "-1", "60001", "x"):
        status, _, _ = await text_of(client, f"/nadzor/ws?premor_ms={wrong}", vouched)
        assert status == 400


async def test_administration_has_the_names_that_windows_gives_it(opened):
    client, vouched = await opened("bws", roles=["skrbnik"])
    for path in (
        "/Skrbnistvo/Pravice.aspx",
        "/skrbnistvo/pravice.aspx",
        "/SKRBNI~1/PRAVIC~1.ASP",
        "/skrbnistvo./pravice.aspx::$DATA",
        "/Skrbnistvo",
    ):
        status, _, page = await text_of(client, path, vouched)
        assert (status, "Vaše vloge: skrbnik" in page) == (200, True), path
    for path in ("/Skrbnistvo/Drugo.aspx", "/Skrbnistva"):
        assert (await text_of(client, path, vouched))[0] == 404
    assert (await text_of(client, "/Skrbnistvo", {}))[0] == 403


@pytest.mark.parametrize("query", ["q=%C8e", "q=%E8E", "q=+%C8e&x=1"])
async def test_a_search_reads_its_words_as_windows_1250(opened, query):
    client, vouched = await opened("bws")
    _, _, page = await text_of(client, f"/isci?{query}", vouched)
    assert re.search(r"Iskano: <strong>[Čč][eE]</strong>", page)


async def test_a_search_finds_rows_of_every_table(opened):
    client, vouched = await opened("bws")
    _, _, page = await text_of(client, "/isci?q=nanos", vouched)
    assert ("Število vrstic: 3" in page, 'href="/paketi/PK-70412"' in page) == (True, True)
    assert "Iskano" not in (await text_of(client, "/isci", vouched))[2]


async def test_a_redirect_leads_to_the_name_under_which_the_portal_was_reached(opened):
    client, vouched = await opened("bws")
    inner = vouched | {"Host": "bws.inner.example:8104"}
    status, headers, _ = await text_of(client, "/vstop", inner, allow_redirects=False)
    assert (status, headers["Location"]) == (302, "http://bws.inner.example:8104/storitve")
    assert re.fullmatch(
        r"ASPSESSIONID=[0-9A-F]{24}; Domain=bws\.inner\.example; Path=/; HttpOnly", headers["Set-Cookie"]
    )


async def test_open_pages_need_no_gateway_and_greet_whom_it_vouches_for(opened):
    client, vouched = await opened("bws")
    assert "Niste prijavljeni." in (await text_of(client, "/pomoc", {}))[2]
    assert "Niste prijavljeni." in (await text_of(client, "/pomoc", {"X-Auth-Assertion": "x.y.z"}))[2]
    assert "Prijavljeni ste kot Ana Žnidaršič" in (await text_of(client, "/pomoc", vouched))[2]
    assert (await text_of(client, "/assets/znak.svg", {}))[0] == 200
    assert (await text_of(client, "/robots.txt", {}))[2] == "User-agent: *\nDisallow: /\n"
    client, _ = await opened("bips")
    assert (await text_of(client, "/pomoc", {}))[0] == 403


async def test_a_program_hands_in_batches_and_sees_its_own(opened):
    client, vouched = await opened("bws", sub="paketni-odjemalec")
    async with client.post("/api/paketi", headers=vouched, json={"zahtevki": [1, 2]}) as answer:
        assert (answer.status, await answer.json()) == (
            201,
            {"paket": "PK-70501", "zahtevkov": 2, "oddal": "paketni-odjemalec"},
        )
    async with client.get("/api/paketi", headers=vouched) as answer:
        assert [each["paket"] for each in await answer.json()] == ["PK-70501"]
    for wrong in ({}, {"zahtevki": []}, {"zahtevki": "x"}, []):
        async with client.post("/api/paketi", headers=vouched, json=wrong) as answer:
            assert answer.status == 400
    async with client.post("/api/paketi", json={"zahtevki": [1]}) as answer:
        assert answer.status == 403


async def test_a_report_takes_as_long_as_it_is_told(opened):
    client, vouched = await opened("bips")
    assert "sekund: <strong>0</strong>" in (await text_of(client, "/porocilo?sekund=0", vouched))[2]
    for wrong in ("601", "-1", "1.5", "x"):
        assert (await text_of(client, f"/porocilo?sekund={wrong}", vouched))[0] == 400
