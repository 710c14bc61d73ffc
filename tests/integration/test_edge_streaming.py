"""Bodies pass as they come: large ones in little memory, slow ones at the pace of the slower side, and
without waiting for the end."""

from __future__ import annotations

import asyncio
import gc
import resource
from pathlib import Path

import pytest

from authproxy.edge.client.connection import ClientConnection
from authproxy.edge.exchange import Exchange
from authproxy.edge.transfer import Transfer
from authproxy.edge.upstream.connection import UpstreamConnection
from tests.support.edge import SLOW, Conversation, request, running_edge
from tests.support.waiting import stands_still

LOOPS = ("asyncio", "uvloop")
LARGE = 200 * 1024 * 1024
PIECE = b"0123456789abcdef" * 4096


def peak_memory() -> int:
    """Bytes: the most that this process has held since `forget_peak`."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Otherwise an earlier test that has held more would hide everything (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


async def drains(conversation: Conversation) -> None:
    """A portal that takes an upload, or sends a download, without keeping any of it."""
    while True:
        head = await conversation.read_until(b"\r\n\r\n")
        if head.startswith(b"POST"):
            left = LARGE
            while left:
                data = await conversation.read(min(left, 1 << 18))
                conversation.received.clear()
                left -= len(data)
            await conversation.answer(b"taken")
        else:
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
            for _ in range(LARGE // len(PIECE)):
                await conversation.say(PIECE)


async def test_large_bodies_pass_in_little_memory_in_both_directions():
    async with running_edge(script=drains) as edge:
        client = await edge.client()
        forget_peak()
        before = peak_memory()
        await client.send(request("POST /", f"Content-Length: {LARGE}"))
        for _ in range(LARGE // len(PIECE)):
            await client.send(PIECE)
        assert (await client.answer("POST")).body == b"taken"
        await client.send(request("GET /"))
        head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
        assert b"Content-Length: %d\r\n" % LARGE in head
        received = 0
        while received < LARGE:
            received += len(await client.some())
        assert received == LARGE
        assert peak_memory() - before < 30 * 1024 * 1024
        assert (edge.observed[0]["bytes_in"], edge.observed[0]["status"]) == (LARGE, 200)


async def test_chunks_reach_the_portal_before_the_request_ends():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("POST /", "Transfer-Encoding: chunked"))
        for number in range(5):
            await client.send(b"1\r\n%d\r\n" % number)
            await edge.settled(lambda number=number: edge.portal.received.endswith(b"1\r\n%d\r\n" % number))
        await client.send(b"0\r\n\r\n")
        assert (await client.answer("POST")).status == 200


async def test_events_reach_the_client_as_they_are_sent():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(5):
            await conversation.say(b"data: %d\n\n" % number)
            await was_seen.acquire()

    was_seen = asyncio.Semaphore(0)
    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /events"))
        seen = b""
        for number in range(5):
            while b"data: %d\n\n" % number not in seen:
                seen += await client.some()
            was_seen.release()


async def test_a_client_that_does_not_read_stops_the_portal_and_gets_everything_later():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (400 * len(PIECE)))
        for number in range(400):
            await conversation.say(PIECE)
            sent.append(number)
        await conversation.read_request()
        await conversation.answer(b"next")

    sent: list[int] = []
    async with running_edge(script=script) as edge:
        client = await edge.client(has_small_window=True)
        client.reader._transport.pause_reading()
        await client.send(request("GET /"))
        await edge.settled(lambda: len(sent) > 3)
        assert await stands_still(lambda: len(sent)) < 400
        client.reader._transport.resume_reading()
        assert (await client.answer()).body == PIECE * 400
        assert (await client.ask("GET /next")).body == b"next"
        assert len(edge.portal.conversations) == 1


async def test_a_portal_that_does_not_read_stops_the_client_and_gets_everything_later():
    async def script(conversation: Conversation) -> None:
        head = await conversation.read_until(b"\r\n\r\n")
        conversation.writer.transport.pause_reading()
        await may_read.wait()
        conversation.writer.transport.resume_reading()
        await conversation.read_body(head)
        await conversation.answer(b"taken")

    may_read = asyncio.Event()
    total = 400 * len(PIECE)
    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("POST /", f"Content-Length: {total}"))
        sent: list[int] = []

        async def upload() -> None:
            for number in range(400):
                await client.send(PIECE)
                sent.append(number)

        uploading = asyncio.ensure_future(upload())
        await edge.settled(lambda: len(sent) > 3)
        assert await stands_still(lambda: len(sent)) < 400
        assert edge.pool is not None
        may_read.set()
        assert (await client.answer("POST")).body == b"taken"
        await uploading
        assert edge.portal.received.count(PIECE[:16]) == total // 16


async def test_a_body_that_came_before_the_portal_was_reached_stops_at_a_portal_that_does_not_read():
    async def script(conversation: Conversation) -> None:
        conversation.writer.transport.pause_reading()
        await may_read.wait()
        conversation.writer.transport.resume_reading()
        head = await conversation.read_until(b"\r\n\r\n")
        await conversation.read_body(head)
        await conversation.answer(b"taken")

    may_read = asyncio.Event()
    total = 400 * len(PIECE)
    async with running_edge(script=script, portal_has_small_window=True) as edge:
        client = await edge.client()
        body = (
            request("POST /", f"Content-Length: {total}", cookie=f"Cookie: __Host-authproxy={SLOW}\r\n")
            + PIECE * 400
        )
        uploading = asyncio.ensure_future(client.send(body))
        await edge.settled(lambda: len(edge.access.asked) == 1)
        assert await stands_still(lambda: len(edge.portal.received)) == 0
        edge.access.may_answer.set()
        await edge.settled(
            lambda: any(connection._body_is_paused for connection in edge.listener._connections)
        )
        await edge.settled(lambda: len(edge.portal.conversations) == 1)
        assert await stands_still(client.writer.transport.get_write_buffer_size) > 0
        may_read.set()
        assert (await client.answer("POST")).body == b"taken"
        await uploading


@pytest.mark.parametrize("cycles", [30])
async def test_nothing_is_left_behind_when_connections_close(cycles):
    """Freed by counting references alone: a gateway that leaves the work to the collector stops for it under
    load."""

    def alive() -> int:
        return sum(
            isinstance(one, Exchange | Transfer | ClientConnection | UpstreamConnection)
            for one in gc.get_objects()
        )

    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer()

    async with running_edge(script=script) as edge:
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for number in range(cycles):
                client = await edge.client()
                await client.ask("GET /")
                await client.ask("POST /", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n")
                await client.ask("GET /", cookie="")
                if number % 2:
                    await client.send(b"garbage\r\n\r\n")
                    await client.everything()
                client.close()
                edge._clients.clear()
            await edge.settled(lambda: edge.listener.connection_count == 0)
            await edge.settled(lambda: repr(edge.pool).startswith("<UpstreamPool 0 busy, 0 idle"))
            await asyncio.sleep(0)
            assert alive() - before <= 2
        finally:
            gc.enable()
