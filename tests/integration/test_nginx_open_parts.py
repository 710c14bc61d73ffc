"""nginx with the shipped snippets before a portal of which parts are open, closed, or for one network only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.gateway import Person
from tests.support.nginx_house import Front, behind_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

PLAIN = ("Subject", "Name", "Email", "Tax-Number", "Method", "Level", "Roles", "Step-Up")
ROUTES = [
    {"path": "/vault", "level": "30"},
    {"path": "/assets", "methods": ["GET", "HEAD"], "access": "public"},
    {"path": "/robots.txt", "methods": ["GET", "HEAD"], "access": "public"},
    {"path": "/closed", "access": "deny"},
    {"path": "/office", "networks": ["203.0.113.0/24"]},
    {"path": "/here", "networks": ["127.0.0.0/8"]},
]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    more = "location /trap/ { auth_request off; proxy_pass http://portal; }"
    async with behind_nginx(redis_server.socket_url, more=more, acq={"routes": ROUTES}) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ana(front: Front) -> Person:
    return await front.signed_in()


@pytest.mark.parametrize("cookie", ["", "__Host-authproxy=made.up", "__Host-authproxy=" + "A" * 65])
async def test_an_open_part_is_for_everybody_and_the_portal_learns_that_it_is_nobody(
    front: Front, cookie: str
) -> None:
    forged = [f"X-Auth-{name}: mallory" for name in (*PLAIN, "Assertion")]

    assert status_of(await front.raw_get("/assets/logo.svg", *forged, cookie=cookie)) == 200

    received = front.portal.last
    assert received.target == "/assets/logo.svg"
    assert {name: received.all(f"X-Auth-{name}") for name in PLAIN} == {name: ["-"] for name in PLAIN}
    assert received.all("X-Auth-Assertion") == []


async def test_in_an_open_part_the_portal_learns_who_is_signed_in(front: Front, ana: Person) -> None:
    assert status_of(await front.raw_get("/assets/logo.svg", cookie=front.cookie(ana))) == 200

    assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
    assert len(front.portal.last.all("X-Auth-Assertion")) == 1


async def test_only_what_is_open_is_open(front: Front) -> None:
    seen = len(front.portal.received)
    for target in ("/", "/assetsx", "/robots.txt2", "/vault/users", "/here/x"):
        assert status_of(await front.raw_get(target)) == 401, target
    post = f"POST /assets/x HTTP/1.1\r\nHost: {front.host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert status_of(await front.raw(post)) == 401
    assert len(front.portal.received) == seen


@pytest.mark.parametrize(
    "target",
    [
        "/vault%2f..%2fassets/users",
        "/vault%2F..%2Fassets/users",
        "/vault/..%2fassets/users",
        "/assets/..%2fvault/users",
        "/assets/%2e%2e/vault/users",
        "/assets/..;/vault/users",
        "/assets%2f..%2fvault/users",
        "/assets/..%5cvault",
        "/assets/%252e%252e/vault/users",
        "/assets;/../vault",
        "/;x/../assets/vault",
        "//vault/assets/",
        "/assets/..//vault",
        "/trap/..%2fvault",
    ],
)
async def test_no_spelling_of_another_part_is_taken_for_the_open_one(front: Front, target: str) -> None:
    seen = len(front.portal.received)

    assert status_of(await front.raw_get(target)) in {400, 401, 403, 404}
    assert len(front.portal.received) == seen


async def test_what_the_readme_warns_of_does_happen_where_nginx_does_not_ask(front: Front) -> None:
    """nginx takes the path for one below /trap/, asks nobody, and passes on what was sent."""
    assert status_of(await front.raw_get("/vault%2f..%2ftrap/users")) == 200

    assert front.portal.last.target == "/vault%2f..%2ftrap/users"


async def test_a_closed_part_is_closed_to_everybody(front: Front, ana: Person) -> None:
    seen = len(front.portal.received)
    for cookie in ("", front.cookie(ana)):
        answer = await front.raw_get("/closed/x", cookie=cookie)
        assert (status_of(answer), b"access_denied_here" in answer) == (403, True)
        page = await front.raw_get(
            "/closed/x", "Sec-Fetch-Mode: navigate", "Accept-Language: en", cookie=cookie
        )
        assert (status_of(page), b"<h1>This page cannot be opened here</h1>" in page) == (403, True)
    assert len(front.portal.received) == seen


async def test_a_part_for_a_network_judges_the_address_that_nginx_sees_and_no_header_of_the_client(
    front: Front, ana: Person
) -> None:
    seen = len(front.portal.received)
    for cookie in ("", front.cookie(ana)):
        answer = await front.raw_get("/office", "X-Forwarded-For: 203.0.113.9", cookie=cookie)
        assert (status_of(answer), b"network_not_allowed" in answer) == (403, True)
    assert len(front.portal.received) == seen

    elsewhere = "X-Forwarded-For: 198.51.100.1"
    assert status_of(await front.raw_get("/here", elsewhere, cookie=front.cookie(ana))) == 200
