"""Requests with the same fields as one before: each is answered as if it were the first, on whatever
connection and for whomever it comes."""

from __future__ import annotations

import dataclasses

from authproxy.edge.site import EdgeLimits
from authproxy.identity.session import SessionId
from tests.support.edge import COOKIE, GOOD, HOST, SESSION, request, running_edge


def question(path: str, number: int, ticket: str = GOOD) -> bytes:
    return (
        f"GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: auth\r\nCookie: __Host-authproxy={ticket}\r\n"
        f"X-Original-URL: http://{HOST}{path}\r\nX-Original-Method: GET\r\nX-Request-Id: {number:032x}\r\n\r\n"
    ).encode()


async def test_the_portal_gets_each_request_as_it_would_get_the_first():
    async with running_edge(own_headers=["X-Auth-Subject"]) as edge:
        for client in (await edge.client(), await edge.client()):
            for path in ("/a", "/b?c=d", "/a"):
                answer = await client.ask(
                    f"GET {path}", "X-Auth-Subject: mallory", "Accept: */*", "Via: 1.1 a"
                )
                assert (answer.status, answer.body) == (200, b"GET %s HTTP/1.1" % path.encode())
            assert (
                await client.ask("HEAD /a", "X-Auth-Subject: mallory", "Accept: */*", "Via: 1.1 a")
            ).body == b""
        assert [target.path for target in edge.access.asked] == ["/a", "/b", "/a", "/a"] * 2
        lines = [
            {
                line
                for line in head.split(b"\r\n")[1:]
                if not line.startswith((b"X-Request-Id", b"traceparent"))
            }
            for head in edge.portal.heads
        ]
        assert all(each == lines[0] for each in lines)
        assert b"mallory" not in edge.portal.received
        assert len({record["request_id"] for record in edge.observed}) == 8


async def test_a_proxy_is_told_about_the_url_that_it_asks_about_now():
    async with running_edge() as edge:
        edge.access.closed = ("/closed",)
        client = await edge.client(unix=True)
        told = []
        for number, path in enumerate(("/a", "/closed", "/b", "/a/../closed", "/a")):
            await client.send(question(path, number))
            told.append((await client.answer()).status)
        assert told == [200, 403, 200, 403, 200]
        assert [target.path for target in edge.access.asked] == ["/a", "/closed", "/b", "/a"]
        assert [record["request_id"] for record in edge.observed] == [f"{number:032x}" for number in range(5)]


async def test_two_people_on_one_connection_are_never_taken_for_each_other():
    async with running_edge() as edge:
        edge.access.sessions["1.other"] = dataclasses.replace(
            SESSION, session_id=SessionId("of-somebody-else")
        )
        client = await edge.client(unix=True)
        for ticket in (GOOD, "1.other", GOOD, "1.nobody", "1.other"):
            await client.send(question("/a", 1, ticket))
            await client.answer()
        assert [record["session"] and record["session"].session_id for record in edge.observed] == [
            SESSION.session_id,
            "of-somebody-else",
            SESSION.session_id,
            None,
            "of-somebody-else",
        ]


async def test_a_revoked_session_does_not_live_on_in_its_fields():
    async with running_edge() as edge:
        client = await edge.client()
        assert [(await client.ask("GET /a")).status for _ in range(3)] == [200] * 3
        edge.access.revoked.add(GOOD)
        assert (await client.ask("GET /a")).status == 401


async def test_nothing_is_read_behind_a_request_that_closes():
    async with running_edge() as edge:
        client = await edge.client()
        await client.ask("GET /a")
        await client.send(request("GET /last", "Connection: close"))
        await client.send(request("GET /a"))
        assert (await client.everything()).count(b"HTTP/1.1 200") == 1
        assert b"GET /last" in edge.portal.received
        assert edge.portal.received.count(b"GET /a ") == 1


async def test_a_known_head_inside_a_body_is_a_part_of_the_body():
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("GET /a")).status == 200
        hidden = request("GET /a")
        await client.send(
            f"POST /form HTTP/1.1\r\nHost: {HOST}\r\n{COOKIE}Content-Length: {len(hidden)}\r\n\r\n".encode()
        )
        await edge.settled(lambda: b"POST /form" in edge.portal.received)
        await client.send(hidden)
        assert (await client.answer("POST")).body == b"POST /form HTTP/1.1"
        assert (await client.ask("GET /b")).body == b"GET /b HTTP/1.1"
        assert [target.path for target in edge.access.asked] == ["/a", "/form", "/b"]
        assert edge.portal.received.count(hidden) == 1


async def test_limits_hold_for_known_fields_too():
    async with running_edge(limits=EdgeLimits(target_size=100, head_size=400)) as edge:
        client = await edge.client()
        assert (await client.ask("GET /a")).status == 200
        assert (await client.ask("GET /" + "a" * 100)).status == 414
        client = await edge.client()
        assert (await client.ask("GET /a")).status == 200
        assert (await client.ask("GET /a", "X: " + "a" * 400)).status == 431


async def test_limits_of_time_begin_anew_after_a_known_head():
    async with running_edge() as edge:
        client = await edge.client()
        for _ in range(2):
            assert (await client.ask("GET /a")).status == 200
        await client.send(b"GET /b HTT")
        await edge.settled(lambda: any(not each.is_idle for each in edge.listener._connections))
        edge.pass_time(60)
        assert (await client.answer()).status == 408
