"""What takes long ends with the session that has begun it: event streams, downloads, uploads, long polls. What
is cut never looks complete."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.edge import GOOD, NOW, Conversation, request, running_edge

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = b"9\r\ndata: 1\n\n\r\n"
BINARY = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


class Portal:
    """Says `begins` at once, and whatever the test wants it to say later."""

    def __init__(self, begins: bytes = b"") -> None:
        self.begins = begins
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_left = asyncio.Event()

    async def __call__(self, conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        if self.begins:
            await conversation.say(self.begins)
        talking = asyncio.ensure_future(self._talk(conversation))
        try:
            while await conversation.read():
                pass
        finally:
            talking.cancel()
            self.is_left.set()

    async def _talk(self, conversation: Conversation) -> None:
        while True:
            await conversation.say(await self.said.get())


def revoke(edge) -> None:
    edge.access.revoked.add(GOOD)
    edge.access.may_answer.set()


def let_the_end_come(edge) -> None:
    edge.gate.clock = lambda: NOW + timedelta(hours=8)


async def begun(edge, portal, data=b"", *, until=b""):
    """A client whose request has reached the portal and whose answer has come as far as `until`."""
    client = await edge.client()
    await client.send(data or request("GET /long"))
    await edge.settled(lambda: len(edge.portal.received) > 0)
    got = b""
    while not got.endswith(until):
        got += await client.some()
    return client


async def left(portal) -> None:
    async with asyncio.timeout(10):
        await portal.is_left.wait()


@pytest.mark.parametrize("ends", [revoke, let_the_end_come])
async def test_an_event_stream_ends_in_order_with_its_session(ends):
    portal = Portal(EVENTS + FIRST)
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, until=FIRST)
        edge.pass_time(3)
        portal.said.put_nowait(FIRST)
        assert await client.some() == FIRST
        ends(edge)
        edge.pass_time(1)
        assert await client.everything() == b"0\r\n\r\n"
        await left(portal)
        await edge.settled(lambda: len(edge.observed) == 1)
        assert edge.observed[0]["reason"] == "session_ended"


@pytest.mark.parametrize("ends", [revoke, let_the_end_come])
@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (b"Content-Length: 100\r\n\r\n", b"first half"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"a\r\nfirst half\r\n"),
    ],
)
async def test_a_download_is_cut_and_does_not_look_complete(ends, framing, piece):
    portal = Portal(BINARY + framing + piece)
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, until=piece)
        edge.pass_time(3)
        portal.said.put_nowait(piece)
        assert await client.some() == piece
        ends(edge)
        edge.pass_time(1)
        with pytest.raises(ConnectionResetError):
            await client.some()
        await left(portal)
        await edge.settled(lambda: len(edge.observed) == 1)
        assert edge.observed[0]["reason"] == "session_ended"


async def test_a_download_to_an_old_client_ends_with_a_reset_because_its_end_is_the_end_of_the_connection():
    portal = Portal(BINARY + b"Transfer-Encoding: chunked\r\n\r\na\r\nfirst half\r\n")
    async with running_edge(script=portal) as edge:
        client = await begun(
            edge, portal, request("GET /long").replace(b"HTTP/1.1", b"HTTP/1.0"), until=b"first half"
        )
        revoke(edge)
        edge.pass_time(3)
        with pytest.raises(ConnectionResetError):
            await client.some()


async def test_a_poll_that_waits_is_told_that_its_session_is_over():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, request("GET /poll", "Sec-Fetch-Mode: cors"))
        edge.pass_time(3)
        revoke(edge)
        edge.pass_time(1)
        answer = await client.answer()
        assert (answer.status, answer.get("content-type")) == (
            401,
            b"application/problem+json; charset=utf-8",
        )
        assert b'"login_url"' in answer.body
        await left(portal)
        # The connection is as good as before.
        edge.access.revoked.clear()
        edge.portal.script = Portal(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (await client.ask("GET /next")).status == 200


async def test_a_person_who_waits_for_a_page_is_led_to_the_chooser():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, request("GET /report?a=1", "Sec-Fetch-Mode: navigate"))
        revoke(edge)
        edge.pass_time(3)
        answer = await client.answer()
        assert answer.status == 303
        assert answer.get("location").endswith(b"/.authproxy/login?rt=/report%3Fa%3D1")


async def test_an_upload_is_refused_and_what_has_arrived_of_it_is_not_complete_for_the_portal():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(
            edge, portal, request("POST /upload", "Content-Length: 1000", body=b"first half")
        )
        edge.pass_time(3)
        await client.send(b"more")
        await edge.settled(lambda: edge.portal.received.endswith(b"first halfmore"))
        revoke(edge)
        edge.pass_time(1)
        answer = await client.answer("POST")
        assert answer.status == 401
        await client.send(b"never passed on")
        await left(portal)
        assert edge.portal.received.endswith(b"first halfmore")


async def test_a_form_that_the_portal_is_working_on_is_answered_so_that_nobody_sends_it_twice():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(
            edge,
            portal,
            request("POST /pay", "Sec-Fetch-Mode: navigate", "Content-Length: 6", body=b"amount"),
        )
        await edge.settled(lambda: edge.portal.received.endswith(b"amount"))
        edge.pass_time(3)
        revoke(edge)
        for _ in range(3):
            edge.pass_time(1)
            await asyncio.sleep(0)
        portal.said.put_nowait(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npaid")
        answer = await client.answer("POST")
        assert (answer.status, answer.body) == (200, b"paid")
        assert edge.portal.received.count(b"POST /pay ") == 1


async def test_a_script_that_waits_for_its_post_is_told():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(
            edge, portal, request("POST /poll", "Sec-Fetch-Mode: cors", "Content-Length: 1", body=b"x")
        )
        await edge.settled(lambda: edge.portal.received.endswith(b"x"))
        revoke(edge)
        edge.pass_time(3)
        assert (await client.answer("POST")).status == 401


async def test_the_end_of_a_session_comes_while_the_store_is_away_too():
    portal = Portal(EVENTS + FIRST)
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, until=FIRST)
        edge.pass_time(3)
        asked = len(edge.access.activities)
        let_the_end_come(edge)
        edge.pass_time(1)
        assert await client.everything() == b"0\r\n\r\n"
        assert len(edge.access.activities) == asked


async def test_what_is_quick_costs_no_question_and_what_is_slow_one_a_second():
    portal = Portal(EVENTS + FIRST)
    async with running_edge(script=portal) as edge:
        await begun(edge, portal, until=FIRST)
        edge.pass_time(1.9)
        assert edge.access.activities == []
        for _ in range(3):
            edge.pass_time(1)
            await asyncio.sleep(0)
        assert len(edge.access.activities) == 3


async def test_a_stream_is_active_while_something_flows_in_it():
    portal = Portal(EVENTS + FIRST)
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, until=FIRST)
        for says in (b"", b"", FIRST, b""):
            if says:
                portal.said.put_nowait(says)
                assert await client.some() == says
            edge.pass_time(3)
            await asyncio.sleep(0)
        assert edge.access.activities == ["streams", None, "streams", None]


async def test_the_body_of_a_slow_upload_flows_too():
    portal = Portal()
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, request("POST /upload", "Content-Length: 1000", body=b"1"))
        edge.pass_time(3)
        await asyncio.sleep(0)
        await client.send(b"2")
        await edge.settled(lambda: edge.portal.received.endswith(b"12"))
        edge.pass_time(1)
        await asyncio.sleep(0)
        edge.pass_time(1)
        assert edge.access.activities == ["streams", "streams", None]


async def test_a_stream_whose_session_cannot_be_looked_at_for_a_bug_is_cut():
    portal = Portal(EVENTS + FIRST)
    async with running_edge(script=portal) as edge:
        client = await begun(edge, portal, until=FIRST)
        edge.gate.access = None
        edge.pass_time(3)
        with pytest.raises(ConnectionResetError):
            await client.some()
        assert len(edge.errors) == 1
        edge.errors.clear()
