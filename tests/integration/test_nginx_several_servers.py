"""What deploy/nginx/README.md says about redirects, cookies and several servers, with the real nginx."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.edge import Conversation, Counterpart
from tests.support.nginx_house import Front, behind_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]
README = Path(__file__).parents[2] / "deploy/nginx/README.md"


def documented(port: int) -> str:
    """The lines of the README, for a server on this port."""
    chapter = (
        README.read_text().partition("## Redirects, several servers, slow pages")[2].partition("\n## ")[0]
    )
    lines = "\n".join(re.findall(r"```nginx\n(.*?)```", chapter, re.DOTALL))
    return lines.replace("127.0.0.1:9001", "inner:9001").replace(" 127.0.0.1 ", " inner ").replace(
        "127.0.0.1:9002", f"127.0.0.1:{port}"
    )  # fmt: skip


async def names_itself(conversation: Conversation) -> None:
    while True:
        head, _ = await conversation.read_request()
        public = b"inner" not in head.split(b"\r\n", 1)[0]
        place = b"http://acq.localhost/x" if public else b"http://inner:9001/x?y"
        fields = b"Location: %s\r\nSet-Cookie: a=1; Domain=inner; Path=/\r\n" % place
        await conversation.answer(b"", status="302 Found", fields=fields)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reports() -> AsyncIterator[Counterpart]:
    server = Counterpart(names_itself)
    await server.listen()
    yield server
    await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer, reports: Counterpart) -> AsyncIterator[Front]:
    routes = [{"path": "/reports", "level": "20"}]
    more = documented(reports.port)
    async with behind_nginx(redis_server.socket_url, more=more, acq={"routes": routes}) as opened:
        yield opened


async def test_a_server_of_a_part_is_protected_and_its_addresses_become_public(
    front: Front, reports: Counterpart
) -> None:
    assert status_of(await front.raw_get("/reports/a", "Accept: application/json")) == 401
    assert reports.conversations == []

    cookie = front.cookie(await front.signed_in())
    for path, place in (
        ("/reports/inner", b"https://acq.localhost/x?y"),
        ("/reports/plain", b"https://acq.localhost/x"),
    ):
        answer = await front.raw_get(path, cookie=cookie)
        assert status_of(answer) == 302
        assert b"\r\nLocation: %s\r\n" % place in answer, answer
        assert b"\r\nSet-Cookie: a=1; Domain=acq.localhost; Path=/\r\n" in answer, answer
    assert b"\r\nX-Auth-Subject: " in reports.received
