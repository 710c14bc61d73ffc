"""What a portal says about its own address, and what happens where parts of a portal have servers, times and
limits of their own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator

import pytest

from authproxy.access import methods
from authproxy.access.routes import Requirement, Route
from authproxy.edge.rules.public_addresses import public_addresses
from authproxy.edge.site import EdgeLimits, Way
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from tests.support.edge import (
    HANDSHAKE,
    HOST,
    PORTAL,
    ROUTE,
    SWITCHED,
    Conversation,
    Counterpart,
    Edge,
    answers_everything,
    request,
    running_edge,
)

NOTHING = Requirement()
REPORTS = Route(
    name="acq/reports", path="/reports", requirement=NOTHING, upstream="http://127.0.0.1:9002", way=1
)
PARTS = dataclasses.replace(PORTAL, routes=(REPORTS, ROUTE))


def says(status: str, *fields: str, body: bytes = b"", chunked: bool = False):
    """A portal that answers everything so."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            lines = "".join(f"{field}\r\n" for field in fields)
            if chunked:
                lines += "Transfer-Encoding: chunked\r\n"
                wire = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
            else:
                lines += f"Content-Length: {len(body)}\r\n"
                wire = body
            await conversation.say(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + wire)

    return script


INNER = public_addresses(
    origin="https://acq.example", scheme="http", authority="inner:9001", preserves_host=False
)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("status", ["201 Created", "302 Found", "200 OK"])
async def test_a_portal_that_names_itself_names_the_public_address(status, chunked):
    script = says(
        status,
        "Location: http://inner:9001/next",
        "location: http://other.example/next",
        "Content-Location: /here",
        "Refresh: 5; url=http://inner:9001/later",
        "Set-Cookie: a=1; Domain=inner; Path=/app" if chunked else "X-Link: http://inner:9001/",
        "Link: <http://inner:9001/x>; rel=next",
        body=b"<a href='http://inner:9001/'>",
        chunked=chunked,
    )
    async with running_edge(script=script, addresses=INNER) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert answer.all("Location") == [b"https://acq.example/next", b"http://other.example/next"]
        assert answer.get("Content-Location") == b"/here"
        assert answer.get("Refresh") == b"5; url=https://acq.example/later"
        assert answer.get("Link") == b"<http://inner:9001/x>; rel=next"
        assert answer.body == b"<a href='http://inner:9001/'>"
        if chunked:
            assert answer.get("Set-Cookie") == b"a=1; Domain=acq.example; Path=/app"
        else:
            assert answer.get("X-Link") == b"http://inner:9001/"


async def test_an_answer_that_comes_in_pieces_names_the_public_address_too():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(
            b"HTTP/1.1 302 Found\r\nLocation: http://inner:9001/x\r\nContent-Length: 4\r\n\r\n"
        )
        await conversation.say(b"body")

    async with running_edge(script=script, addresses=INNER) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert (answer.get("Location"), answer.body) == (b"https://acq.example/x", b"body")


async def test_without_a_need_nothing_in_a_head_is_changed():
    script = says("302 Found", "Location: http://inner:9001/next", "Set-Cookie: a=1; Domain=inner")
    async with running_edge(script=script) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert answer.get("Location") == b"http://inner:9001/next"
        assert answer.get("Set-Cookie") == b"a=1; Domain=inner"


async def test_a_portal_cannot_set_our_cookies_by_another_name_for_itself():
    script = says("200 OK", "Set-Cookie: __Host-authproxy=x; Domain=inner; Path=/")
    async with running_edge(script=script, addresses=INNER) as edge:
        assert (await (await edge.client()).ask("GET /")).all("Set-Cookie") == []


@dataclasses.dataclass
class Parts:
    edge: Edge
    reports: Counterpart
    """The server of /reports."""


@contextlib.asynccontextmanager
async def parts(
    limits: EdgeLimits = EdgeLimits(),  # noqa: B008  (frozen)
    *,
    portal=PARTS,
    script=answers_everything,
    reports_script=answers_everything,
    connections: int = 8,
) -> AsyncIterator[Parts]:
    """A portal whose /reports are on a server of their own, with limits of their own."""
    reports = Counterpart(reports_script)
    await reports.listen()
    async with running_edge(portal=portal, script=script) as edge:
        pool = UpstreamPool(
            Upstream(host="127.0.0.1", port=reports.port),
            upstream_connections=connections,
            connect_timeout=5,
            upstream_idle_timeout=30,
        )
        edge.gate.sites[HOST].ways = (Way(pool=pool, limits=limits, name="/reports", host=b"reports:1"),)
        try:
            yield Parts(edge, reports)
        finally:
            edge.close_clients()
            await reports.close()


async def test_a_route_is_served_by_its_own_server():
    async with parts() as found:
        client = await found.edge.client()
        assert (await client.ask("GET /reports/a?b=c")).body == b"GET /reports/a?b=c HTTP/1.1"
        assert (await client.ask("GET /reportsx")).body == b"GET /reportsx HTTP/1.1"
        assert (await client.ask("POST /reports", "Content-Length: 1", body=b"x")).status == 200
        assert [head.split(b" ", 2)[1] for head in found.edge.portal.heads] == [b"/reportsx"]
        assert found.reports.received.count(b"\r\nHost: reports:1\r\n") == 2
        assert b"X-Auth-Subject: ana-subject\r\n" in found.reports.received
        assert b"__Host-authproxy" not in found.reports.received


@pytest.mark.parametrize(
    ("asked", "serves_reports"), [("POST", True), ("GET", False)], ids=["its own", "the rest"]
)
async def test_a_preflight_goes_to_the_server_of_the_request_that_follows(asked, serves_reports):
    posts = dataclasses.replace(REPORTS, methods=("POST",))
    portal = dataclasses.replace(PARTS, routes=(posts, ROUTE), passes_preflights=True)
    async with parts(portal=portal) as found:
        fields = ("Origin: https://partner.example", f"Access-Control-Request-Method: {asked}")
        answer = await (await found.edge.client()).ask("OPTIONS /reports", *fields, cookie="")
        assert answer.status == 200
        assert (bool(found.reports.received), bool(found.edge.portal.received)) == (
            serves_reports,
            not serves_reports,
        )


async def test_a_preflight_for_a_request_that_nobody_may_send_reaches_no_server():
    closed = dataclasses.replace(REPORTS, methods=("POST",), access="deny")
    portal = dataclasses.replace(PARTS, routes=(closed, ROUTE), passes_preflights=True)
    async with parts(portal=portal) as found:
        client = await found.edge.client()
        for asked, status in (("POST", 401), ("GET", 200)):
            fields = ("Origin: https://partner.example", f"Access-Control-Request-Method: {asked}")
            assert (await client.ask("OPTIONS /reports", *fields, cookie="")).status == status
        assert not found.reports.received
        assert found.edge.portal.received.count(b"OPTIONS ") == 1


@pytest.mark.parametrize(
    ("method", "destination", "status"),
    [
        ("COPY", "/b", 200),
        ("COPY", "/reports/b", 403),
        ("MOVE", "/reports", 403),
        ("MOVE", f"http://{HOST}/reports/b", 403),
    ],
)
async def test_nothing_is_copied_from_one_server_to_another(method, destination, status):
    portal = dataclasses.replace(PARTS, methods=methods.ORDINARY | methods.WEBDAV, webdav=True)
    async with parts(portal=portal) as found:
        answer = await (await found.edge.client()).ask(f"{method} /a", f"Destination: {destination}")
        assert answer.status == status
        assert found.reports.conversations == []
        assert bool(found.edge.portal.conversations) is (status == 200)


async def test_within_one_server_a_destination_is_named_as_that_server_knows_itself():
    portal = dataclasses.replace(PARTS, methods=methods.ORDINARY | methods.WEBDAV, webdav=True)
    async with parts(portal=portal) as found:
        answer = await (await found.edge.client()).ask("COPY /reports/a", "Destination: /reports/b")
        assert answer.status == 200
        assert b"\r\nDestination: http://reports:1/reports/b\r\n" in found.reports.received


async def silent(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.is_over.wait()


async def test_a_route_may_be_waited_for_longer_than_the_rest():
    patient = EdgeLimits(first_byte_timeout=120)
    async with parts(patient, script=silent, reports_script=silent) as found:
        edge = found.edge
        slow, plain = await edge.client(), await edge.client()
        await slow.send(request("GET /reports"))
        await plain.send(request("GET /"))
        await edge.settled(lambda: bool(found.reports.received and edge.portal.received))
        edge.pass_time(64)
        assert (await plain.answer()).status == 504
        await found.reports.conversations[0].answer(b"at last")
        assert (await slow.answer()).body == b"at last"


async def test_a_route_that_is_over_its_own_time_is_504():
    impatient = EdgeLimits(first_byte_timeout=2)
    async with parts(impatient, script=silent, reports_script=silent) as found:
        edge, client = found.edge, await found.edge.client()
        await client.send(request("GET /reports"))
        await edge.settled(lambda: bool(found.reports.received))
        edge.pass_time(3)
        assert (await client.answer()).status == 504


async def begins(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await conversation.say(b"a")
    await conversation.is_over.wait()


async def test_an_answer_that_drips_is_cut_when_its_whole_time_is_over():
    async with parts(EdgeLimits(whole_timeout=30), reports_script=begins) as found:
        edge, client = found.edge, await found.edge.client()
        await client.send(request("GET /reports"))
        first = b""
        while not first.endswith(b"\r\n\r\na"):
            first += await client.some()
        edge.pass_time(29)
        await found.reports.conversations[0].say(b"b")
        assert await client.some() == b"b"
        edge.pass_time(2)
        assert await client.everything() == b""


async def streams(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    await conversation.is_over.wait()


async def test_an_event_stream_has_no_whole_time():
    async with parts(EdgeLimits(whole_timeout=30), reports_script=streams) as found:
        edge, client = found.edge, await found.edge.client()
        await client.send(request("GET /reports"))
        first = b""
        while b"data: 1" not in first:
            first += await client.some()
        edge.pass_time(31)
        await found.reports.conversations[0].say(b"data: 2\n\n")
        assert b"data: 2" in await client.some()


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_bodies_have_the_size_that_their_route_allows(is_chunked):
    async with parts(EdgeLimits(body_size=10)) as found:

        async def status(path: str, size: int) -> int:
            client = await found.edge.client()
            if is_chunked:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
                return (await client.ask(f"POST {path}", "Transfer-Encoding: chunked", body=body)).status
            return (await client.ask(f"POST {path}", f"Content-Length: {size}", body=b"x" * size)).status

        assert [await status("/reports", 10), await status("/reports", 11), await status("/", 11)] == [
            200, 413, 200,
        ]  # fmt: skip


@pytest.mark.parametrize("first", [True, False])
async def test_a_path_with_several_readings_takes_the_smallest_body_that_they_allow(first):
    """Otherwise `;x` in the path would be a way around the limit."""
    same = dataclasses.replace(REPORTS, upstream="")
    routes = (same, ROUTE) if first else (dataclasses.replace(ROUTE, path="/reports;x"), same, ROUTE)
    portal = dataclasses.replace(PORTAL, routes=routes)
    async with parts(EdgeLimits(body_size=10), portal=portal) as found:
        for size, status in ((10, 200), (11, 413)):
            client = await found.edge.client()
            answer = await client.ask("POST /reports;x", f"Content-Length: {size}", body=b"x" * size)
            assert answer.status == status


async def test_a_route_that_waits_for_its_connections_stops_nobody_elsewhere():
    async with parts(reports_script=silent, connections=1) as found:
        first, second = await found.edge.client(), await found.edge.client()
        for client in (first, second):
            await client.send(request("GET /reports"))
        await found.edge.settled(lambda: bool(found.reports.received))
        assert (await (await found.edge.client()).ask("GET /")).status == 200
        assert len(found.reports.conversations) == 1


async def switches(conversation: Conversation) -> None:
    await conversation.read_until(b"\r\n\r\n")
    await conversation.say(SWITCHED)
    while data := await conversation.read():
        await conversation.say(data)


async def test_a_websocket_is_with_the_server_of_its_route_and_has_no_whole_time():
    async with parts(EdgeLimits(whole_timeout=30), reports_script=switches) as found:
        client = await found.edge.client()
        await client.send(request("GET /reports/live", *HANDSHAKE))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await client.some()
        assert head.startswith(b"HTTP/1.1 101 ")
        found.edge.pass_time(31)
        frame = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"hi"
        await client.send(frame)
        assert await client.some() == frame
        assert found.edge.portal.conversations == []
