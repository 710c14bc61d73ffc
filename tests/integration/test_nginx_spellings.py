"""nginx with the shipped snippets before a portal on Windows, and before one that gets its paths rewritten:
whoever may not see a part of it tries every spelling."""

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

ROUTES = [
    {"path": "/merchants", "methods": ["GET"]},
    {"path": "/admin", "level": "30"},
    {"path": "/shops/*/orders", "level": "30"},
]
# With a path in `proxy_pass`, nginx decodes the path, merges slashes and resolves dots before it passes it on.
REWRITTEN = "location /x/ { proxy_pass http://portal/; }"


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    acq = {"routes": ROUTES, "paths": "windows"}
    async with behind_nginx(redis_server.socket_url, more=REWRITTEN, acq=acq) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ana(front: Front) -> Person:
    return await front.signed_in()


@pytest.mark.parametrize(
    "target",
    [
        "/admin/secret",
        "/ADMIN/secret",
        "/%61dmin/x",
        "/%41dmin/x",
        "/admin%3Bx/secret",
        "/admin;x/secret",
        "/;x/admin",
        "/x/..%3B/admin",
        "/x/..;/admin",
        "/..%EF%BC%8Fadmin",
        "/%EF%BC%8Fadmin",
        "/admin./x",
        "/admin%20/x",
        "/admin::$DATA",
        "/ADMIN~1/x",
        "/(S(a))/admin",
        "/%EF%BD%81dmin",
        "/merchants/..%20/admin",
        "/merchants;/../admin",
        "/shops/7/orders",
        "/SHOPS/%37/Orders./8",
        "/shops;x/7;y/orders;z",
        "//admin",
        "/%2Fadmin",
    ],
)
async def test_no_spelling_of_a_protected_part_reaches_the_portal(
    front: Front, ana: Person, target: str
) -> None:
    seen = len(front.portal.received)

    assert status_of(await front.raw_get(target, cookie=front.cookie(ana))) in {400, 403}
    assert len(front.portal.received) == seen


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/merchants;jsessionid=A1",
        "/merchants/list;jsessionid=A1.node2?page=2",
        "/shops/7",
        "/a%20b",
        "/~ana/x",
    ],
)
async def test_links_with_several_readings_are_followed_as_they_are(
    front: Front, ana: Person, target: str
) -> None:
    assert status_of(await front.raw_get(target, cookie=front.cookie(ana))) == 200

    assert front.portal.last.target == target


async def test_nginx_does_make_a_parameter_of_what_it_decodes(front: Front, ana: Person) -> None:
    """This is why an encoded semicolon is read as one."""
    assert status_of(await front.raw_get("/x/list%3Bv=1", cookie=front.cookie(ana))) == 200

    assert front.portal.last.target == "/list;v=1"
