"""Signing in with a certificate behind nginx, HAProxy, Envoy, Caddy and Traefik with the shipped snippets: they end TLS, the
gateway judges what they forward."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.certificate_host import ana, choosing, signs_in, to_certificate_host
from tests.support.forwarded import written_by
from tests.support.gateway import TICKET
from tests.support.http_client import Answer, Browser
from tests.support.redis_server import RedisServer
from tests.support.terminators import (
    CADDY,
    ENVOY,
    ENVOY_WITH_PORTALS,
    HAPROXY,
    HAPROXY_WITH_PORTALS,
    NGINX,
    TRAEFIK,
    Terminated,
    behind,
)

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

PLACE = "/?izpis=2026-11"
SLOVENE, ENGLISH = "Trenutno ni na voljo", "Temporarily unavailable"
TERMINATORS = [
    pytest.param(NGINX, id="nginx", marks=pytest.mark.needs("nginx")),
    pytest.param(HAPROXY, id="haproxy", marks=pytest.mark.needs("haproxy")),
    # The same lines, in the files for six portals.
    pytest.param(HAPROXY_WITH_PORTALS, id="haproxy-with-portals", marks=pytest.mark.rehearsal),
    pytest.param(ENVOY, id="envoy"),
    pytest.param(ENVOY_WITH_PORTALS, id="envoy-with-portals", marks=pytest.mark.rehearsal),
    pytest.param(CADDY, id="caddy"),
    pytest.param(TRAEFIK, id="traefik"),
]
REFUSED_BY_GATEWAY = {
    "erik.kos": "certificate_revoked",
    "seal": "certificate_is_a_seal",
    "foreign-policy": "certificate_not_for_signing_in",
}


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=TERMINATORS)
async def front(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    authority_state: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Terminated]:
    redis_server.command("FLUSHALL")
    folder = tmp_path_factory.mktemp(request.param.program)
    async with behind(request.param, redis_server.socket_url, authority_state, folder) as opened:
        await opened.house.enrols(ana(opened.house.certificates))
        yield opened


def refusal_on(front: Terminated, page: Answer) -> dict[str, Any]:
    [event] = [
        event for event in front.house.events("certificate.refused") if event["request_id"] in page.text
    ]
    return event


async def nobody_is_signed_in(front: Terminated, browser: Browser) -> bool:
    has_ticket = browser.cookies.get(front.house.acq, TICKET) is not None
    return not has_ticket and (await browser.fetch(f"{front.house.acq}/")).status == 401


async def test_a_person_shows_a_certificate_to_the_terminator_and_is_signed_in(front: Terminated) -> None:
    house = front.house
    browser = house.certificates.browser("ana.novak")
    page = await signs_in(browser, house.acq + PLACE)

    assert (page.status, page.url) == (200, house.acq + PLACE), page.text
    me = (await browser.fetch(f"{house.acq}/.authproxy/session")).json
    assert (me["subject"], me["method"], me["level"]) == ("ana", "acnlb", 20)
    assert front.house.events("certificate.accepted")[-1]["detail"].startswith(
        f"certificate {house.certificates.leaf('ana.novak').fingerprint}:"
    )
    # What tells the browser's attempt, on the way there and back, is in no log of the terminator.
    assert any("?hop=" in one.url for one in browser.history)
    assert [
        file.name for file in front.folder.rglob("*") if file.is_file() and b"hop=" in file.read_bytes()
    ] == []


async def test_who_shows_none_gets_the_page_about_that(front: Terminated) -> None:
    browser = front.house.certificates.browser()
    page = await to_certificate_host(browser, front.house.acq + PLACE)

    assert (page.status, refusal_on(front, page)["reason"]) == (403, "certificate_missing")
    assert await nobody_is_signed_in(front, browser)


@pytest.mark.parametrize("name", REFUSED_BY_GATEWAY)
async def test_what_the_terminator_has_no_opinion_about_the_gateway_refuses(
    front: Terminated, name: str
) -> None:
    page = await to_certificate_host(front.house.certificates.browser(name), front.house.acq + PLACE)
    assert (page.status, refusal_on(front, page)["reason"]) == (403, REFUSED_BY_GATEWAY[name])


@pytest.mark.parametrize(
    ("name", "reason"), [("franc.golob", "certificate_expired"), ("impostor", "certificate_untrusted")]
)
async def test_what_the_terminator_objects_to_is_a_page_of_the_gateway_and_no_alert(
    front: Terminated, name: str, reason: str
) -> None:
    browser = front.house.certificates.browser(name)
    page = await to_certificate_host(browser, front.house.acq + PLACE)

    # A terminator with a verdict of its own does not say what it objects to.
    expected = (
        reason if front.terminator in {ENVOY, ENVOY_WITH_PORTALS, CADDY, TRAEFIK} else "certificate_untrusted"
    )
    assert (page.status, refusal_on(front, page)["reason"]) == (403, expected)
    assert f"{front.house.acq}/.authproxy/login?" in page.text
    assert await nobody_is_signed_in(front, browser)


@pytest.mark.parametrize(
    "spelled", [str, str.upper, lambda name: name.replace("-", "_"), lambda name: name.replace("-", ".")]
)
@pytest.mark.parametrize("shown", [None, "cvetka.zupan"])
async def test_what_a_client_writes_into_the_header_itself_does_not_get_through(
    front: Terminated, shown: str | None, spelled: Any
) -> None:
    house = front.house
    browser = house.certificates.browser(shown)
    way = (await choosing(browser, house.acq + PLACE)).location
    forged = {
        spelled(name): value
        for name, value in written_by(front.terminator.presented_by, house, "ana.novak").items()
    }
    before = len(front.house.events("certificate.accepted"))
    answer = await browser.navigate(way, headers=forged)
    while answer.is_redirect:
        answer = await browser.follow(answer)

    assert await nobody_is_signed_in(front, browser)
    ana_is = house.certificates.leaf("ana.novak").fingerprint
    assert not any(ana_is in event["detail"] for event in front.house.events("certificate.accepted")[before:])


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.needs("openssl")
async def test_the_names_of_the_authorities_are_sent_and_no_session_is_resumed(
    front: Terminated, tmp_path: Path, version: str
) -> None:
    async def asks(*more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "openssl",
            "s_client",
            "-connect",
            f"localhost:{front.house.certificates.port}",
            "-servername",
            "localhost",
            version,
            *more,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        # Tickets of TLS 1.3 come with the answer.
        said, _ = await asyncio.wait_for(
            process.communicate(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 15
        )
        return said.decode()

    said = await asks("-ign_eof", "-sess_out", str(tmp_path / "session"))
    assert "CN = ACNLB SubCA" in said.partition("Acceptable client certificate CA names")[2]
    assert re.search(r"HTTP/1\.1 \d", said)
    if (tmp_path / "session").exists():
        again = await asks("-ign_eof", "-sess_in", str(tmp_path / "session"))
        assert "Reused, " not in again
        assert "New, " in again


async def test_every_answer_ends_its_connection_so_that_the_browser_may_choose_again(
    front: Terminated,
) -> None:
    house = front.house
    for name in (None, "franc.golob", "ana.novak"):
        way = (await choosing(browser := house.certificates.browser(name), house.acq + PLACE)).location
        async with (
            aiohttp.ClientSession() as session,
            session.get(way, ssl=browser.tls, allow_redirects=False) as answer,
        ):
            assert answer.status in {303, 403}
            assert answer.headers["Connection"] == "close", name


async def test_the_address_in_the_record_is_that_of_the_connection_whatever_the_client_says(
    front: Terminated,
) -> None:
    house = front.house
    way = (await choosing(browser := house.certificates.browser(), house.acq + PLACE)).location
    here = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0), family=2)
    said = {"X-Forwarded-For": "203.0.113.9"}
    async with (
        aiohttp.ClientSession(connector=here) as session,
        session.get(way, ssl=browser.tls, headers=said) as answer,
    ):
        assert answer.status == 403
    assert front.house.events("certificate.refused")[-1]["client"] == "127.0.0.3"


async def test_while_the_gateway_is_away_everybody_gets_our_page(front: Terminated) -> None:
    house = front.house
    # nginx writes the address of a request that fails into its error log.
    url = house.certificates.url + ("/" if front.terminator is NGINX else "/?hop=zapecaten")
    async with front.without_gateway():
        # nginx objects to the certificate of the second one.
        for shown in (None, "franc.golob"):
            browser = house.certificates.browser(shown)
            pages = [await browser.navigate(url), await browser.navigate(url)]
            forged = {"Accept-Language": "en-GB,en;q=0.9", "X-Request-Id": "<b>made up"}
            english = await browser.navigate(url, headers=forged)
            script = await browser.fetch(url)
            for page, heading in ((pages[0], SLOVENE), (pages[1], SLOVENE), (english, ENGLISH)):
                assert (page.status, page.heading) == (503, heading), (shown, page.text)
                assert page.header("content-type") == "text/html; charset=utf-8"
                assert "style-src 'sha256-" in page.header("content-security-policy")
                assert "made up" not in page.text
            assert script.header("content-type").startswith("application/problem+json")
            assert (script.status, script.json["status"], script.json["reason"]) == (503, 503, "unexpected")
            for answer in (*pages, english, script):
                assert answer.header("cache-control") == "no-store"
                assert answer.header("retry-after") == "5"
                assert answer.header("x-content-type-options") == "nosniff"
            async with aiohttp.ClientSession() as session, session.get(url, ssl=browser.tls) as kept:
                assert (kept.status, kept.headers["Connection"]) == (503, "close")
    written = [file for file in front.folder.rglob("*") if file.is_file()]
    assert [file.name for file in written if b"zapecaten" in file.read_bytes()] == []

    # Nothing of it stays.
    page = await to_certificate_host(house.certificates.browser(), house.acq + PLACE)
    assert (page.status, refusal_on(front, page)["reason"]) == (403, "certificate_missing")


async def test_an_error_of_the_gateway_itself_is_not_replaced(front: Terminated) -> None:
    async def fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} Failed\r\nContent-Length: 8\r\n\r\nits page".encode())
        writer.close()

    async with front.without_gateway():
        server = await (
            asyncio.start_unix_server(fails, front.listen.removeprefix("unix:"))
            if front.terminator.listens_on_socket
            else asyncio.start_server(fails, *front.listen.split(":"))
        )
        async with server:
            for shown in (None, "franc.golob"):
                for status in (500, 503):
                    browser = front.house.certificates.browser(shown)
                    page = await browser.navigate(front.house.certificates.url)
                    assert (page.status, page.text) == (status, "its page")


async def test_who_goes_around_the_terminator_is_not_believed(front: Terminated) -> None:
    if front.terminator.listens_on_socket:
        socket = Path(front.listen.removeprefix("unix:"))
        assert socket.stat().st_mode & 0o007 == 0, "everybody may open it"
        return
    house = front.house
    browser = house.certificates.browser()
    way = (await choosing(browser, house.acq + PLACE)).location.replace(
        house.certificates.url, f"http://{front.listen}"
    )
    headers = written_by(front.terminator.presented_by, house, "ana.novak")
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0), family=2)
    async with (
        aiohttp.ClientSession(connector=elsewhere) as session,
        session.get(way, headers=headers, allow_redirects=False) as answer,
    ):
        assert answer.status == 403
    assert front.house.events("certificate.refused")[-1]["reason"] == "untrusted_peer"
    assert await nobody_is_signed_in(front, browser)
