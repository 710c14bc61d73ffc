"""nginx as a plain reverse proxy, with the shipped file: nginx passes everything on, and the gateway does the
rest."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio

from authproxy.access import consent
from authproxy.bootstrap.keys import consent_keys
from authproxy.doctor.doctor import Commission, examined
from authproxy.doctor.examination import Site
from tests.support.http_client import Browser
from tests.support.nginx_house import Front, passed_on_by_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    async with passed_on_by_nginx(redis_server.socket_url) as opened:
        yield opened


async def test_somebody_signs_in_through_nginx_and_lands_where_they_wanted_to_go(front: Front) -> None:
    ana = front.house.person()
    page = await ana.signs_in(f"{front.url}/izpisi/2026?mesec=11&vrsta=a%26b")
    assert (page.status, page.text) == (200, "portal")
    assert front.portal.last.target == "/izpisi/2026?mesec=11&vrsta=a%26b"
    assert len(front.portal.last.all("X-Auth-Assertion")) == 1


async def test_codes_of_the_provider_are_in_no_log_of_nginx(front: Front) -> None:
    await front.signed_in("/prijava")
    assert "/prijava" in front.nginx.requests
    for secret in ("code=", "state=", "/.authproxy/"):
        assert secret not in front.nginx.requests
        assert secret not in front.nginx.errors


async def test_nobody_gets_past_the_gateway(front: Front) -> None:
    before = len(front.portal.received)
    assert (await Browser().fetch(front.url + "/")).status == 401
    assert len(front.portal.received) == before


async def test_what_a_client_says_about_its_address_or_its_host_is_not_believed(front: Front) -> None:
    ana = await front.signed_in()
    answer = await front.raw_get(
        "/",
        "X-Forwarded-For: 203.0.113.66",
        "X-Forwarded-Host: b2b.localhost",
        "X-Forwarded-Proto: https",
        "Forwarded: for=203.0.113.66;host=b2b.localhost",
        cookie=front.cookie(ana),
    )
    assert status_of(answer) == 200
    received = front.portal.last
    assert received.all("X-Forwarded-For") == ["127.0.0.1"]
    assert received.all("X-Forwarded-Proto") == ["http"]
    assert not any("203.0.113.66" in value or "b2b" in value for _, value in received.headers)


@pytest.mark.parametrize("target", ["/a%20b/c%C4%8D?x=%2F&y", "/a;b=c/d", "/a//b"])
async def test_the_target_comes_to_the_portal_byte_for_byte(front: Front, target: str) -> None:
    ana = await front.signed_in()
    answer = await front.raw_get(target, cookie=front.cookie(ana))
    assert status_of(answer) == 200
    assert front.portal.last.target == target


@pytest.mark.parametrize("target", ["/a/../b", "/a%2Fb", "/%2e%2e/admin"])
async def test_a_target_that_means_several_things_is_judged_by_the_gateway_as_it_was_sent(
    front: Front, target: str
) -> None:
    ana = await front.signed_in()
    before = len(front.portal.received)
    answer = await front.raw_get(target, cookie=front.cookie(ana))
    assert status_of(answer) == 400
    assert len(front.portal.received) == before


async def test_websockets_pass_and_no_other_upgrade_does(front: Front) -> None:
    ana = await front.signed_in()
    headers = {"Cookie": front.cookie(ana), "Origin": front.url}
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(front.url + "/socket", headers=headers) as opened,
    ):
        await opened.send_str("hello")
        assert await opened.receive_str(timeout=10) == "echo hello"
    answer = await front.raw_get(
        "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", cookie=front.cookie(ana)
    )
    assert status_of(answer) == 200
    assert front.portal.last.all("Upgrade") == []


async def test_events_come_while_the_answer_is_still_open(front: Front) -> None:
    ana = await front.signed_in()
    async with (
        aiohttp.ClientSession() as client,
        client.get(front.url + "/events", headers={"Cookie": front.cookie(ana)}) as answer,
    ):
        await front.portal.events.put("one")
        assert await answer.content.readline() == b"data: one\n"
        await front.portal.events.put("two")
        assert await answer.content.readuntil(b"two\n") == b"\ndata: two\n"


async def test_a_large_body_passes_whole(front: Front) -> None:
    ana = await front.signed_in()
    async with aiohttp.ClientSession() as client:
        answer = await client.post(
            front.url + "/upload",
            data=io.BytesIO(bytes(3_000_000)),
            headers={"Cookie": front.cookie(ana), "Origin": front.url},
        )
    assert answer.status == 200
    assert front.portal.last.body_size == 3_000_000


async def test_nobody_asks_the_gateways_question_from_outside(front: Front) -> None:
    ana = await front.signed_in()
    question = [f"X-Original-URL: {front.url}/", "X-Original-Method: GET"]

    for path in (
        "/.authproxy/auth/nginx",
        "/.authproxy/auth%2fnginx",
        "//.authproxy//auth/nginx",
        "/.authproxy/auth/envoy/",
        # To nginx another path, to the gateway a question.
        "/.authproxy/auth/envoy/../../../public",
    ):
        answer = await front.raw_get(path, *question, cookie=front.cookie(ana))
        assert status_of(answer) == 404, path
        assert b"X-Auth-" not in answer


async def test_the_doctor_finds_nothing_to_mend_in_the_file(front: Front) -> None:
    key = consent_keys(front.house.settings.sessions)[0]
    commission = Commission(
        site=Site(origin=front.url, host=front.host, is_tls=False, plain_port=None),
        consent=consent.consent(key, front.host, int(front.house.clock().timestamp()) + 600),
        address="127.0.0.1",
        port=front.nginx.port,
        server_name=front.host,
        context=None,
    )

    report = await examined(commission, front.house.clock)

    of_the_test = {"plain_http", "keys", "store", "proxy_version"}
    wrong = {f.finding_id: f.verdict for f in report.findings if f.verdict.colour in {"red", "yellow"}}
    assert set(wrong) <= of_the_test, wrong
