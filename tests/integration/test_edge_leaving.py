"""What would never end by itself is ended in order: WebSockets by a close frame when the gateway goes down or
their session ends (RFC 6455 §7.4.1), event streams by their last chunk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from authproxy.edge.rules.websocket import GOING_AWAY, POLICY_VIOLATION, close_frame
from authproxy.edge.upstream.pool import Upstream
from tests.support.edge import (
    COOKIE,
    GOOD,
    HANDSHAKE,
    HOST,
    SLOW,
    SWITCHED,
    Conversation,
    Edge,
    request,
    running_edge,
)
from tests.support.waiting import PATIENCE

LOOPS = ("asyncio", "uvloop")
CLIENTS_CLOSE = Frame(Opcode.CLOSE, b"\x03\xe9").serialize(mask=True)


def opened(edge: Edge):
    fields = {"Cookie": f"__Host-authproxy={GOOD}"}
    return connect(
        f"ws://{HOST}/live",
        host="127.0.0.1",
        port=edge.port,
        additional_headers=fields,
        max_size=None,
        proxy=None,
    )


@contextlib.asynccontextmanager
async def edge_before_websockets() -> AsyncIterator[tuple[Edge, list[ServerConnection]]]:
    """An edge before a real WebSocket server that echoes, and the connections that the server has had."""
    seen: list[ServerConnection] = []

    async def echo(socket: ServerConnection) -> None:
        seen.append(socket)
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                await socket.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with running_edge(upstream=lambda *_: Upstream(host="127.0.0.1", port=port)) as edge:
            yield edge, seen


async def goes_down(edge: Edge) -> None:
    async with asyncio.timeout(PATIENCE):
        assert await edge.listener.drain(60)


async def session_ends(edge: Edge) -> None:
    edge.access.revoked.add(GOOD)
    edge.pass_time(1)


@pytest.mark.parametrize(("ends", "code"), [(goes_down, GOING_AWAY), (session_ends, POLICY_VIOLATION)])
async def test_browser_and_portal_are_told_why_a_websocket_ends(ends, code):
    async with edge_before_websockets() as (edge, seen), opened(edge) as socket:
        await socket.send("before")
        assert await socket.recv() == "before"
        ending = asyncio.ensure_future(ends(edge))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert (closed.value.rcvd.code, closed.value.sent.code) == (code, code)
        await asyncio.wait_for(seen[0].wait_closed(), PATIENCE)
        assert seen[0].close_code == code
        await ending
        await edge.settled(lambda: edge.listener.tunnel_count == 0)


async def tunnelled(edge: Edge):
    client = await edge.client()
    await client.send(request("GET /live", *HANDSHAKE))
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 101 ")
    return client


async def test_a_close_frame_waits_for_the_end_of_the_frame_that_has_begun():
    async def sends_half(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED + frame[:40_000])
        await may_go_on.wait()
        await conversation.say(frame[40_000:] + b"\x81\x04late" * 10)
        await conversation.read()

    frame, may_go_on = Frame(Opcode.BINARY, b"m" * 100_000).serialize(mask=False), asyncio.Event()
    async with running_edge(script=sends_half) as edge:
        client = await tunnelled(edge)
        received = b""
        while len(received) < 40_000:
            received += await client.some()
        ending = asyncio.ensure_future(edge.listener.drain(5))
        await edge.settled(lambda: edge.listener.is_closed)
        may_go_on.set()
        while not received.endswith(close_frame(GOING_AWAY)):
            received += await client.some()
        assert received == frame + close_frame(GOING_AWAY)
        await client.send(CLIENTS_CLOSE)
        assert (await client.everything(), await ending) == (b"", True)


async def test_after_the_end_of_a_session_nothing_more_of_its_client_reaches_the_portal():
    async with running_edge(script=keeps) as edge:
        client = await tunnelled(edge)
        await client.send(Frame(Opcode.TEXT, b"before").serialize(mask=True))
        await edge.settled(
            lambda: (
                b"\r\n\r\n" in edge.portal.received
                and len(edge.portal.received.partition(b"\r\n\r\n")[2]) == 12
            )
        )
        edge.access.revoked.add(GOOD)
        edge.pass_time(1)
        assert await client.some() == close_frame(POLICY_VIOLATION)
        await client.send(Frame(Opcode.TEXT, b"after").serialize(mask=True) + CLIENTS_CLOSE)
        assert await client.everything() == b""
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert len(edge.portal.received.partition(b"\r\n\r\n")[2]) == 12 + 8, (
            "what it had sent before, and our close frame"
        )


async def keeps(conversation: Conversation) -> None:
    await conversation.read_until(b"\r\n\r\n")
    await conversation.say(SWITCHED)
    while await conversation.read():
        pass


async def test_a_client_that_does_not_answer_a_close_frame_is_closed_after_a_while():
    async with running_edge(script=keeps) as edge:
        client = await tunnelled(edge)
        assert await edge.listener.drain(5)
        assert await client.everything() == close_frame(GOING_AWAY)


async def test_a_portal_that_has_said_goodbye_is_not_said_it_a_second_time():
    async def says_goodbye(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED + close_frame(1000))
        await conversation.read()

    async with running_edge(script=says_goodbye) as edge:
        client = await tunnelled(edge)
        assert await client.some() == close_frame(1000)
        ending = asyncio.ensure_future(edge.listener.drain(5))
        await edge.settled(lambda: edge.listener.is_closed)
        await client.send(CLIENTS_CLOSE)
        assert (await client.everything(), await ending) == (b"", True)


async def test_a_protocol_without_frames_is_cut():
    async def speaks_something(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(SWITCHED + b"first message")
        await conversation.read()

    async with running_edge(script=speaks_something) as edge:
        client = await tunnelled(edge)
        assert await client.some() == b"first message"
        assert await edge.listener.drain(1)
        assert await client.everything() == b""


# Event streams


@contextlib.asynccontextmanager
async def edge_before_event_stream() -> AsyncIterator[Edge]:
    """An edge before a real event stream that says one thing and would go on for ever."""

    async def stream(asked: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await answer.prepare(asked)
        await answer.write(b"data: one\n\n")
        await asyncio.Event().wait()
        return answer

    application = web.Application()
    application.router.add_get("/events", stream)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with running_edge(
            upstream=lambda *_: Upstream(host="127.0.0.1", port=runner.addresses[0][1])
        ) as edge:
            yield edge
    finally:
        await runner.cleanup()


async def test_event_streams_end_in_order_at_once_when_the_gateway_goes_down():
    async with edge_before_event_stream() as edge, aiohttp.ClientSession() as browser:
        fields = {"Cookie": f"__Host-authproxy={GOOD}", "Host": HOST}
        async with browser.get(f"http://127.0.0.1:{edge.port}/events", headers=fields) as answer:
            assert await answer.content.readline() == b"data: one\n"
            async with asyncio.timeout(PATIENCE):
                assert await edge.listener.drain(30)
                # A reset, or an end without the last chunk, would raise here.
                assert await answer.content.read() == b"\n"
        assert edge.observed[0]["status"] == 200


async def endless(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\npart" % conversation.kind)  # type: ignore[attr-defined]
    await conversation.read()


@pytest.mark.parametrize(
    "kind",
    [b"text/event-stream", b"Text/Event-Stream;charset=utf-8", b"multipart/x-mixed-replace; boundary=b"],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_every_endless_kind_ends_for_every_version(kind, version):
    async def script(conversation: Conversation) -> None:
        conversation.kind = kind  # type: ignore[attr-defined]
        await endless(conversation)

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /events").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        received = b""
        while b"part" not in received:
            received += await client.some()
        async with asyncio.timeout(PATIENCE):
            assert await edge.listener.drain(30)
        received += await client.everything()
        assert received.endswith(b"4\r\npart\r\n0\r\n\r\n" if version == "1.1" else b"\r\n\r\npart")
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_an_event_stream_that_begins_while_the_gateway_goes_down_ends_too():
    async def script(conversation: Conversation) -> None:
        conversation.kind = b"text/event-stream"  # type: ignore[attr-defined]
        await endless(conversation)

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /events", cookie=COOKIE.replace(GOOD, SLOW)))
        await edge.settled(lambda: edge.access.asked != [])
        ending = asyncio.ensure_future(edge.listener.drain(30))
        await edge.settled(lambda: edge.listener.is_closed)
        edge.access.may_answer.set()
        received = b""
        while b"part" not in received:
            received += await client.some()
        edge.pass_time(1)
        assert (received + await client.everything()).endswith(b"0\r\n\r\n")
        assert await ending


async def test_an_answer_of_known_length_is_finished_whatever_it_is_called():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 8\r\n\r\nhalf"
        )
        await may_go_on.wait()
        await conversation.say(b"half")

    may_go_on = asyncio.Event()
    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /events"))
        received = b""
        while b"half" not in received:
            received += await client.some()
        ending = asyncio.ensure_future(edge.listener.drain(30))
        await edge.settled(lambda: edge.listener.is_closed)
        edge.pass_time(1)
        may_go_on.set()
        while not received.endswith(b"halfhalf"):
            received += await client.some()
        # The head went out before anybody knew that the connection would not stay: it is closed when it is
        # found idle.
        edge.pass_time(1)
        assert (await client.everything(), await ending) == (b"", True)
