"""The portal behind nginx with the shipped snippets: who is let in, what the portal learns, and what
everybody else is told."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio

from authproxy.access.request_senders import is_page_load
from tests.support.http_client import Browser
from tests.support.nginx_house import Front, behind_nginx, says, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

IDENTITY = (
    "X-Auth-Subject",
    "X-Auth-Name",
    "X-Auth-Email",
    "X-Auth-Tax-Number",
    "X-Auth-Method",
    "X-Auth-Level",
    "X-Auth-Roles",
    "X-Auth-Step-Up",
    "X-Auth-Assertion",
)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    more = """
    location /own-header/ { proxy_set_header X-Kind special; include authproxy/headers.conf; proxy_pass http://portal; }
    location = /reader { auth_request off; return 200 $authproxy_reader; }
    location /staff/ { deny all; proxy_pass http://portal; }
    location /password/ { auth_basic staff; auth_basic_user_file /dev/null; proxy_pass http://portal; }
    """
    async with behind_nginx(redis_server.socket_url, more=more) as opened:
        yield opened


async def test_somebody_who_opens_a_deep_link_signs_in_through_nginx_and_lands_there(front: Front) -> None:
    ana = front.house.person()

    page = await ana.signs_in(f"{front.url}/izpisi/2026?mesec=11&vrsta=a%26b")

    assert (page.status, page.text) == (200, "portal")
    assert front.portal.last.target == "/izpisi/2026?mesec=11&vrsta=a%26b"
    through_nginx = [answer for answer in ana.browser.history if answer.url.startswith(front.url)]
    assert {answer.status for answer in through_nginx} <= {200, 303}
    assert through_nginx[0].status == 303
    assert through_nginx[0].header("cache-control") == "no-store"
    assert "auth request unexpected status" not in front.nginx.errors


async def test_the_portal_receives_every_identity_header_once_and_no_cookie_of_ours(front: Front) -> None:
    ana = await front.signed_in()
    cookie = f"a=1; {front.cookie(ana)}; __Host-authproxy-flow=planted; lang=sl"

    answer = await front.raw_get("/api?x=1", "X-Request-Id: of-the-client", cookie=cookie)

    assert status_of(answer) == 200
    received = front.portal.last
    assert {name: len(received.all(name)) for name in IDENTITY} == dict.fromkeys(IDENTITY, 1)
    assert received.all("X-Auth-Name") == ["Ana Novak"]
    assert received.all("X-Auth-Level") == ["20"]
    assert received.all("X-Auth-Tax-Number") == ["99990008"]
    assert received.all("Cookie") == ["a=1; lang=sl"]
    assert received.all("Host") == [front.host]
    assert received.all("X-Forwarded-Host") == [front.host]
    assert received.all("X-Forwarded-Proto") == ["http"]
    assert received.all("X-Forwarded-For") == ["127.0.0.1"]
    assert len(received.all("X-Request-Id")[0]) == 32
    assert b"x-auth-" not in answer.lower()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("{own}", None),
        ("{own};a=1", "a=1"),
        ("a=1;{own}", "a=1"),
        ("a=1; __Host-authproxy-flow=f; {own}; b=2; c=3", "a=1; b=2; c=3"),
        ("x__Host-authproxy=2; {own}", None),
        ("{own}; __Host-authproxy-a=1; __Host-authproxy-b=2", None),
    ],
)
async def test_the_portal_keeps_its_own_cookies_and_gets_none_of_ours(
    front: Front, sent: str, kept: str | None
) -> None:
    ana = await front.signed_in()

    assert status_of(await front.raw_get("/", cookie=sent.format(own=front.cookie(ana)))) == 200

    arrived = front.portal.last.all("Cookie")
    assert arrived == ([kept] if kept else [])


async def test_a_location_with_a_header_of_its_own_keeps_the_identity_by_including_the_headers_again(
    front: Front,
) -> None:
    ana = await front.signed_in()

    assert (
        status_of(
            await front.raw_get(
                "/own-header/a", "X-Auth-Name: Mallory", "X-Kind: forged", cookie=front.cookie(ana)
            )
        )
        == 200
    )

    assert front.portal.last.all("X-Kind") == ["special"]
    assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]


async def test_a_script_without_a_session_gets_401_and_the_place_to_sign_in_never_a_redirect(
    front: Front,
) -> None:
    seen = len(front.portal.received)
    answer = await Browser().fetch(f"{front.url}/api/accounts?page=2")

    assert answer.status == 401
    assert answer.header("content-type").startswith("application/problem+json")
    assert answer.json["reason"] == "no_session"
    assert answer.json["login_url"] == f"{front.url}/.authproxy/login?rt=/api/accounts%3Fpage%3D2"
    assert 'Bearer realm="acq"' in answer.all("www-authenticate")
    assert says(answer, "location") is None
    assert says(answer, "set-cookie") is None
    assert len(front.portal.received) == seen


async def test_a_script_whose_session_has_ended_learns_that(front: Front) -> None:
    browser = Browser()
    browser.cookies.put(
        front.url, "__Host-authproxy", "1.i7sYvIaTG-ezxywjL37hMQ.fXHjANjXtQK8_-cZyMzm3Dqfar6PrV-NI1xLJtuTGn8"
    )

    answer = await browser.fetch(f"{front.url}/api/accounts")

    assert (answer.status, answer.json["reason"]) == (401, "session_ended")


async def test_a_form_sent_without_a_session_begins_a_sign_in_that_says_so_and_leads_back_to_the_form(
    front: Front,
) -> None:
    headers = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html", "Referer": f"{front.url}/transfer"}

    answer = await Browser().post(f"{front.url}/transfer/send", {"amount": "10"}, headers=headers)

    assert answer.status == 303
    assert re.fullmatch(rf"{front.url}/\.authproxy/login\?rt=/transfer&lost=[0-9a-f]{{32}}", answer.location)


BROWSERS = {
    "internet explorer": {
        "Accept": "text/html, application/xhtml+xml, */*",
        "User-Agent": "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    },
    "old safari": {
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) AppleWebKit/605.1.15 Safari/605.1.15",
    },
    "script of internet explorer": {"Accept": "*/*"},
    "script with jquery": {"Accept": "text/html, */*; q=0.01", "X-Requested-With": "XMLHttpRequest"},
    "browser": {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    "shouting browser": {"Accept": "TEXT/HTML", "Sec-Fetch-Mode": "Navigate"},
    "frame": {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    "fetch": {"Accept": "text/html", "Sec-Fetch-Mode": "cors"},
    "picture": {"Accept": "image/*", "Sec-Fetch-Mode": "no-cors"},
    "prefetch": {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch;prerender"},
    "old prefetch": {"Accept": "text/html", "Purpose": "Prefetch"},
    "program": {},
    "program with a token": {"Accept": "text/html", "Authorization": "bearer x"},
    "program with a token that acts as a browser": {"Sec-Fetch-Mode": "navigate", "Authorization": "Bearer"},
    "browser with a password": {"Sec-Fetch-Mode": "navigate", "Authorization": "Basic YTpi"},
}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("browser", BROWSERS)
async def test_nginx_tells_people_from_scripts_as_the_gateway_does(
    front: Front, browser: str, method: str
) -> None:
    sent = BROWSERS[browser]
    lines = [f"{method} /reader HTTP/1.1", f"Host: {front.host}", "Connection: close", "Content-Length: 0"]

    answer = await front.raw(
        "\r\n".join([*lines, *(f"{name}: {value}" for name, value in sent.items()), "", ""])
    )

    fields = [(name.encode(), value.encode()) for name, value in sent.items()]
    assert answer.endswith(b"person" if is_page_load(fields, method) else b"script")


@pytest.mark.parametrize("browser", ["internet explorer", "old safari"])
async def test_a_form_of_an_old_browser_begins_a_sign_in_too(front: Front, browser: str) -> None:
    headers = BROWSERS[browser] | {"Referer": f"{front.url}/transfer?step=2"}

    answer = await Browser().post(f"{front.url}/transfer/send", {"amount": "10"}, headers=headers)

    location = f"{front.url}/.authproxy/login?rt=/transfer%3Fstep%3D2&lost="
    assert (answer.status, answer.location.startswith(location)) == (303, True)


@pytest.mark.parametrize("destination", ["frame", "iframe", "object", "embed"])
async def test_a_missing_session_in_a_frame_is_a_page_that_the_portal_may_frame(
    front: Front, destination: str
) -> None:
    headers = {"Sec-Fetch-Dest": destination, "Referer": f"{front.url}/frames?menu=1"}

    page = await Browser().navigate(f"{front.url}/content", headers=headers)

    assert (page.status, page.heading) == (401, "Prosimo, prijavite se")
    assert "frame-ancestors 'self'" in page.header("content-security-policy")
    assert page.links == (f"{front.url}/.authproxy/login?rt=/frames%3Fmenu%3D1",)
    assert f"script-src {front.host}/.authproxy/static/" in page.header("content-security-policy")
    script = await Browser().fetch(f"{front.url}/.authproxy/static/frame.js")
    assert (script.status, "data-back" in script.text) == (200, True)
    assert 'target="_top"' in page.text
    assert says(page, "location") is None
    assert says(page, "set-cookie") is None


async def test_what_is_forbidden_can_be_framed_by_the_portal_only_where_it_is_asked_for_a_frame(
    front: Front,
) -> None:
    ana = await front.signed_in()
    for destination, by in (("iframe", "'self'"), ("document", "'none'")):
        page = await ana.browser.navigate(f"{front.url}/staff/x", headers={"Sec-Fetch-Dest": destination})
        assert page.status == 403
        assert f"frame-ancestors {by}" in page.header("content-security-policy")
        assert "<form" not in page.text


async def test_a_script_in_a_frame_gets_no_page(front: Front) -> None:
    answer = await Browser().fetch(f"{front.url}/api", headers={"Sec-Fetch-Dest": "iframe"})

    assert (answer.status, answer.json["reason"]) == (401, "no_session")


async def test_what_nginx_itself_forbids_stays_forbidden_for_whoever_is_signed_in(front: Front) -> None:
    ana = await front.signed_in()
    seen = len(front.portal.received)

    page = await ana.browser.navigate(f"{front.url}/staff/list")
    script = await ana.browser.fetch(f"{front.url}/staff/list")

    assert page.status == 403
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "Dostop ni dovoljen" in page.text
    # The gateway, asked about it again, has nothing against it: status and headers tell nothing of that.
    assert (script.status, script.body) == (403, b"")
    assert not any(name.startswith("x-auth-") for name, _ in script.headers)
    assert len(front.portal.received) == seen


async def test_a_password_that_nginx_asks_for_is_asked_of_whoever_is_signed_in_too(front: Front) -> None:
    ana = await front.signed_in()
    seen = len(front.portal.received)

    answer = await ana.browser.fetch(f"{front.url}/password/x")

    assert (answer.status, answer.body) == (401, b"")
    assert 'Basic realm="staff"' in answer.all("www-authenticate")
    assert len(front.portal.received) == seen


async def test_the_page_of_a_refusal_speaks_english_to_those_who_ask_for_it_and_names_the_request(
    front: Front,
) -> None:
    ana = await front.signed_in()

    page = await ana.browser.navigate(
        f"{front.url}/staff/list", headers={"Accept-Language": "en-GB,en;q=0.9"}
    )

    assert "Access is not allowed" in page.text
    assert '<a href="/.authproxy/session">' in page.text


async def test_an_error_of_the_portal_is_passed_on_as_it_is(front: Front) -> None:
    ana = await front.signed_in()
    for status in (401, 403, 500, 503):
        answer = await ana.browser.navigate(f"{front.url}/status/{status}")
        assert (answer.status, answer.text, says(answer, "x-portal")) == (status, "portal", "here")


async def test_an_upload_of_20_megabytes_passes_with_its_identity(front: Front) -> None:
    ana = await front.signed_in()
    body = bytes(range(256)) * (20 * 4096)

    answer = await ana.browser.request(
        "POST", f"{front.url}/files", headers={"Content-Type": "application/octet-stream"}, body=body
    )

    assert answer.status == 200
    assert (front.portal.last.body_size, front.portal.last.body_sha256) == (
        20 * 1024 * 1024,
        sha256(body).hexdigest(),
    )
    assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]


async def test_a_websocket_opens_for_a_session_and_a_page_of_the_portal_only(front: Front) -> None:
    ana = await front.signed_in()
    address = f"ws://127.0.0.1:{front.nginx.port}/socket"
    own = {"Host": front.host, "Cookie": front.cookie(ana)}
    async with aiohttp.ClientSession() as session:
        for headers in (own | {"Origin": front.url}, own):
            async with asyncio.timeout(10), session.ws_connect(address, headers=headers) as opened:
                await opened.send_str("dober dan")
                assert await opened.receive_str() == "echo dober dan"
        assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
        for headers, status in (
            (own | {"Origin": "https://evil.example"}, 426),
            ({"Host": front.host, "Origin": front.url}, 401),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(address, headers=headers)
            assert refused.value.status == status


async def test_another_upgrade_than_websocket_does_not_reach_the_portal(front: Front) -> None:
    ana = await front.signed_in()

    fields = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    assert status_of(await front.raw_get("/", *fields, cookie=front.cookie(ana))) == 200

    assert front.portal.last.all("Upgrade") == front.portal.last.all("HTTP2-Settings") == []


async def test_pipelined_requests_are_each_judged_by_their_own_cookie_and_answered_in_order(
    front: Front,
) -> None:
    ana = await front.signed_in()
    head = "GET /{} HTTP/1.1\r\nHost: " + front.host + "\r\nAccept: application/json\r\n{}\r\n"
    cookie = f"Cookie: {front.cookie(ana)}\r\n"
    asked = [(f"turn-{turn}", cookie if turn % 2 else "") for turn in range(11)]

    answer = await front.raw(
        "".join(head.format(path, sent) for path, sent in asked)
        + head.format("last", cookie + "Connection: close\r\n")
    )

    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [401, 200] * 5 + [401, 200]
    assert [received.target for received in front.portal.received[-6:]] == [
        "/turn-1",
        "/turn-3",
        "/turn-5",
        "/turn-7",
        "/turn-9",
        "/last",
    ]


async def test_a_client_that_goes_away_in_the_middle_of_an_upload_harms_nobody_else(front: Front) -> None:
    ana = await front.signed_in()
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", front.nginx.port)
        writer.write(
            f"POST /files HTTP/1.1\r\nHost: {front.host}\r\nCookie: "
            f"{front.cookie(ana)}\r\nContent-Length: 100000\r\n\r\nabc".encode()
        )
        await writer.drain()
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    assert status_of(await front.raw_get("/after", cookie=front.cookie(ana))) == 200
