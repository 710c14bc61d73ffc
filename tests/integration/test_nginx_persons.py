"""nginx with the shipped snippets: the next person at the same browser, the portal's own sign-out link, and
what stays open when a session ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets

from tests.support.gateway import CVETKA, Person
from tests.support.nginx_house import Front, behind_nginx
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

README = Path(__file__).parents[2] / "deploy" / "nginx" / "README.md"
THROUGH = (
    "location /dogodki { include authproxy/through.conf; } location /ws { include authproxy/through.conf; }"
)


def _written(beginning: str) -> str:
    """A block of the README, so that what operators copy is what is tested."""
    [found] = re.findall(rf"```nginx\n({beginning}.*?)```", README.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    async with behind_nginx(
        redis_server.socket_url,
        http=_written("map "),
        more=_written("add_header ") + _written(r"if \(") + THROUGH,
        acq={"cookies": {"end_with_session": ["JSESSIONID"]}, "sign_out_paths": ["/izhod"]},
    ) as opened:
        yield opened


async def signs_out(person: Person, portal: str) -> None:
    page = await person.opens(f"{portal}/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.startswith(f"{portal}/.authproxy/logout")]
    assert (await person.browser.submit(page, form)).status == 303


async def portal_gets(front: Front, person: Person, path: str = "/look") -> str:
    """The cookies that the portal gets with a request of this person."""
    await person.browser.fetch(front.url + path)
    return "; ".join(front.portal.last.all("Cookie"))


async def test_a_cookie_of_one_person_comes_back_with_their_requests_only(front: Front) -> None:
    ana = await front.signed_in()
    assert await portal_gets(front, ana) == ""
    await ana.browser.fetch(front.url + "/?set-cookie=JSESSIONID%3Dof.Ana%3B+Path%3D/&set-cookie=look%3Dblue")
    assert await portal_gets(front, ana) in {"JSESSIONID=of.Ana; look=blue", "look=blue; JSESSIONID=of.Ana"}

    # Her session ends without a sign-out, and somebody else signs in at the same browser.
    ana.browser.cookies.put(front.url, "__Host-authproxy", None)
    ana.browser.cookies.put(front.house.issuer, "JSESSIONID", None)
    cvetka = front.house.person(CVETKA, browser=ana.browser)
    await cvetka.signs_in(front.url + "/")
    assert await portal_gets(front, cvetka) == "look=blue"
    await cvetka.browser.fetch(front.url + "/?set-cookie=JSESSIONID%3Dof.Cvetka")
    assert "JSESSIONID=of.Cvetka" in await portal_gets(front, cvetka)


async def test_a_session_in_the_path_does_not_reach_the_portal(front: Front) -> None:
    ana = await front.signed_in()
    for path, left in (
        ("/list;jsessionid=of.Cvetka?a=b;jsessionid=1", "/list?a=b;jsessionid=1"),
        ("/list%3bJSESSIONID=of.Cvetka/x;v=1", "/list/x;v=1"),
        ("//list;v=1;jsessionid=of.Cvetka;w=2", "//list;v=1;w=2"),
    ):
        seen = len(front.portal.received)
        answer = await ana.browser.request("POST", front.url + path, body=b"a=b")
        assert (answer.status, answer.header("location")) == (307, front.url + left)
        assert len(front.portal.received) == seen


async def test_a_sign_out_expires_the_cookie(front: Front) -> None:
    ana = await front.signed_in()
    await ana.browser.fetch(front.url + "/?set-cookie=JSESSIONID%3Da%3B+Path%3D/")
    await signs_out(ana, front.url)
    assert ana.browser.cookies.get(front.url, "JSESSIONID") is None
    assert ana.browser.cookies.get(front.url, "__Host-authproxy-proxy-JSESSIONID") is None


async def test_the_portals_own_sign_out_link_leads_to_our_page(front: Front) -> None:
    ana = await front.signed_in()
    seen = len(front.portal.received)
    for method in ("GET", "POST"):
        answer = await ana.browser.request(method, front.url + "/izhod", body=b"")
        assert (answer.status, answer.header("location")) == (303, front.url + "/.authproxy/logout")
    assert len(front.portal.received) == seen
    assert await portal_gets(front, ana) is not None
    assert front.portal.last.all("X-Auth-Subject") != []


async def test_what_goes_through_the_gateway_ends_with_its_session(front: Front) -> None:
    ana = await front.signed_in()
    ticket = front.cookie(ana)

    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.nginx.port)
        writer.write(
            f"GET /dogodki?stevilo=1000&premor_ms=100 HTTP/1.1\r\nHost: {front.host}\r\n"
            f"Cookie: {ticket}\r\n\r\n".encode()
        )
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"data: 1\n\n")
        await signs_out(ana, front.url)
        await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()


async def test_a_socket_that_goes_through_the_gateway_is_closed_with_its_session(front: Front) -> None:
    ana = await front.signed_in()
    ticket = {"Cookie": front.cookie(ana)}
    at: dict[str, Any] = {"host": "127.0.0.1", "port": front.nginx.port, "proxy": None}
    url = f"ws://{front.host}/ws"

    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(
            url, additional_headers=ticket, origin=websockets.Origin("https://evil.example"), **at
        )
    async with (
        asyncio.timeout(30),
        websockets.connect(
            url, additional_headers=ticket, origin=websockets.Origin(front.url), **at
        ) as socket,
    ):
        await socket.send("still here")
        assert await socket.recv() == "still here"
        await signs_out(ana, front.url)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_what_goes_past_it_is_refused_when_it_connects_again_but_not_before(front: Front) -> None:
    ana = await front.signed_in()
    ticket = front.cookie(ana)

    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.nginx.port)
        writer.write(f"GET /events HTTP/1.1\r\nHost: {front.host}\r\nCookie: {ticket}\r\n\r\n".encode())
        front.portal.events.put_nowait("first")
        await reader.readuntil(b"data: first\n\n")
        await signs_out(ana, front.url)
        front.portal.events.put_nowait("after the sign-out")
        await reader.readuntil(b"data: after the sign-out\n\n")
        writer.close()
        assert b" 401 " in (await front.raw_get("/events", cookie=ticket)).partition(b"\r\n")[0]
