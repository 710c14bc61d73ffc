"""WebSocket through the edge: the handshake, the bytes, who may open one, and what ends it (RFC 6455, RFC
9110 §7.8)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from authproxy.edge.rules.websocket import POLICY_VIOLATION, close_frame
from authproxy.edge.upstream.pool import Upstream
from tests.support.edge import (
    COOKIE,
    GOOD,
    HANDSHAKE,
    HOST,
    SWITCHED,
    Conversation,
    Edge,
    request,
    running_edge,
)
from tests.support.waiting import PATIENCE, stands_still

LOOPS = ("asyncio", "uvloop")


async def echoes(conversation: Conversation) -> None:
    """A portal that switches to a protocol in which everything comes back."""
    await conversation.read_until(b"\r\n\r\n")
    await conversation.say(SWITCHED)
    while data := await conversation.read():
        await conversation.say(data)


@contextlib.asynccontextmanager
async def edge_before_websockets() -> AsyncIterator[Edge]:
    async def echo(socket) -> None:
        async for message in socket:
            await socket.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with running_edge(upstream=lambda *_: Upstream(host="127.0.0.1", port=port)) as edge:
            yield edge


def opened(edge: Edge, **options):
    fields = {"Cookie": f"__Host-authproxy={GOOD}"}
    return connect(
        f"ws://{HOST}/live",
        host="127.0.0.1",
        port=edge.port,
        additional_headers=fields,
        max_size=None,
        proxy=None,
        **options,
    )


async def tunnelled(edge: Edge):
    client = await edge.client()
    await client.send(request("GET /live", *HANDSHAKE))
    head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client, head


async def test_messages_of_every_size_come_back():
    async with edge_before_websockets() as edge, opened(edge) as socket:
        for message in ("short", "č" * 1000, b"\x00" * 70_000, b"large" * 600_000):
            await socket.send(message)
            assert await socket.recv() == message


async def test_the_handshake_reaches_the_portal_and_its_answer_the_client():
    async with running_edge(script=echoes) as edge:
        client, head = await tunnelled(edge)
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert (head.count(b"Connection: Upgrade\r\n"), head.count(b"Upgrade: websocket\r\n")) == (1, 1)
        asked = edge.portal.received
        assert b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in asked
        assert (asked.count(b"Connection: Upgrade\r\n"), asked.count(b"Upgrade: websocket\r\n")) == (1, 1)
        assert b"X-Auth-Subject: ana-subject\r\n" in asked
        await client.send(b"\x81\x00GET / HTTP/1.1\r\n\r\n")
        assert await client.some() == b"\x81\x00GET / HTTP/1.1\r\n\r\n"
        assert edge.listener.tunnel_count == 1


async def test_bytes_that_the_portal_sends_together_with_its_101_arrive():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED + b"first message")
        await conversation.read()

    async with running_edge(script=script) as edge:
        client, _ = await tunnelled(edge)
        assert await client.some() == b"first message"


@pytest.mark.parametrize("origin", [f"http://{HOST}", None])
async def test_the_portals_own_pages_and_programs_may_open_sockets(origin):
    async with edge_before_websockets() as edge, opened(edge, origin=origin) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        f"https://{HOST}",
        f"http://{HOST}:81",
        f"http://{HOST}.evil.example",
        f"http://evil.example, http://{HOST}",
    ],
)
async def test_pages_of_other_sites_may_not_open_sockets(origin):
    async with running_edge() as edge:
        with pytest.raises(InvalidStatus, match="403"):
            async with opened(edge, origin=origin):
                pass
        assert edge.portal.conversations == []
        assert edge.access.asked == []


async def test_two_origins_of_which_one_is_foreign_are_refused():
    async with running_edge() as edge:
        answer = await (await edge.client()).ask(
            "GET /live", *HANDSHAKE, f"Origin: http://{HOST}", "Origin: http://evil.example"
        )
        assert (answer.status, b"foreign_origin" in answer.body) == (403, True)


async def test_a_socket_without_a_session_gets_401_and_no_redirect():
    async with running_edge() as edge:
        answer = await (await edge.client()).ask("GET /live", *HANDSHAKE, "Accept: text/html", cookie="")
        assert (answer.status, answer.get("location")) == (401, None)


async def test_a_portal_that_declines_leaves_the_connection_usable():
    async with running_edge() as edge:
        client = await edge.client()
        for _ in range(2):
            answer = await client.ask("GET /live", *HANDSHAKE)
            assert (answer.status, answer.body) == (200, b"GET /live HTTP/1.1")
            assert (await client.ask("GET /page")).body == b"GET /page HTTP/1.1"
        assert len(edge.portal.conversations) == 1


async def test_a_handshake_waits_for_the_answers_in_front_of_it():
    async with running_edge(script=echoes_after_one) as edge:
        client = await edge.client()
        await client.send(request("GET /page") + request("GET /live", *HANDSHAKE))
        assert (await client.answer()).body == b"page"
        rest = client._rest
        while b"\r\n\r\n" not in rest:
            rest += await client.some()
        assert rest.startswith(b"HTTP/1.1 101 ")


async def echoes_after_one(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.answer(b"page")
    await echoes(conversation)


async def test_bytes_sent_together_with_the_handshake_are_refused_and_nothing_reaches_the_portal():
    async with running_edge(script=echoes) as edge:
        answer = await edge.exchange(request("GET /live", *HANDSHAKE, body=b"\x81\x05early"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert edge.portal.conversations == []


async def test_bytes_sent_before_the_101_cut_the_connection():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await may_switch.wait()
        await conversation.say(SWITCHED)
        await conversation.read()

    may_switch = asyncio.Event()
    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /live", *HANDSHAKE))
        await edge.settled(lambda: b"/live" in edge.portal.received)
        await client.send(b"GET /smuggled HTTP/1.1\r\n\r\n")
        await edge.settled(lambda: all(one._refusal is not None for one in edge.listener._connections))
        may_switch.set()
        await client.everything()
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert b"/smuggled" not in edge.portal.received


@pytest.mark.parametrize("version", ["HTTP/1.0"])
async def test_http_1_0_is_not_upgraded(version):
    async with running_edge() as edge:
        answer = await edge.exchange(request("GET /live", *HANDSHAKE).replace(b"HTTP/1.1", version.encode()))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"pgrade" not in edge.portal.received


async def test_a_revoked_session_closes_its_sockets():
    async with edge_before_websockets() as edge, opened(edge) as socket:
        edge.pass_time(1)
        await socket.send("still here")
        assert await socket.recv() == "still here"
        edge.access.revoked.add(GOOD)
        edge.pass_time(1)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)


async def test_messages_of_both_sides_are_activity_and_pings_are_not():
    async with edge_before_websockets() as edge, opened(edge) as socket:
        edge.pass_time(1)
        await socket.send("č" * 50_000)
        await socket.recv()
        edge.pass_time(1)
        await asyncio.sleep(0)
        await (await socket.ping())
        edge.pass_time(1)
        assert edge.access.activities == [None, "websocket_messages", None]


async def test_the_listener_looks_after_sockets_by_itself():
    async with running_edge(script=echoes) as edge:
        client, _ = await tunnelled(edge)
        watching = asyncio.ensure_future(edge.listener.watch((edge.pool,)))
        edge.access.revoked.add(GOOD)
        async with asyncio.timeout(PATIENCE):
            assert await client.everything() == close_frame(POLICY_VIOLATION)
        watching.cancel()


async def test_a_socket_whose_session_cannot_be_looked_at_for_a_bug_is_cut():
    async with running_edge(script=echoes) as edge:
        client, _ = await tunnelled(edge)
        edge.gate.access = None
        edge.pass_time(1)
        await client.everything()
        assert len(edge.errors) == 1
        edge.errors.clear()


async def test_a_client_that_goes_takes_the_portals_end_along():
    async with running_edge(script=echoes) as edge:
        client, _ = await tunnelled(edge)
        client.close()
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        await edge.settled(lambda: len(edge.observed) == 1)
        assert (edge.observed[0]["status"], edge.observed[0]["path"]) == (101, "/live")
        assert edge.listener.tunnel_count == 0


async def test_a_portal_that_goes_takes_the_clients_end_along_after_its_last_word():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED + b"last word")

    async with running_edge(script=script) as edge:
        client, _ = await tunnelled(edge)
        assert await client.everything() == b"last word"
        await edge.settled(lambda: len(edge.observed) == 1)


async def test_a_reader_that_is_slow_stops_the_portal_and_loses_nothing():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED)
        for number in range(400):
            await conversation.say(b"%08d" % number * 8192)
            sent.append(number)

    sent: list[int] = []
    async with running_edge(script=script) as edge:
        client, _ = await tunnelled(edge)
        client.reader._transport.pause_reading()
        await edge.settled(lambda: len(sent) > 3)
        assert await stands_still(lambda: len(sent)) < 400
        client.reader._transport.resume_reading()
        data = await client.everything()
        assert data == b"".join(b"%08d" % number * 8192 for number in range(400))


async def test_draining_cuts_sockets_at_once():
    async with running_edge(script=echoes) as edge:
        client, _ = await tunnelled(edge)
        assert await edge.listener.drain(5)
        await client.everything()
        assert COOKIE.encode() not in edge.portal.received
