"""Answers of portals that are cut short, malformed or too long, and connections that are not what they seem
(RFC 9112 §6.3, §9)."""

from __future__ import annotations

import asyncio

import h11
import pytest

from tests.support.edge import HOST, REQUEST_ID, Conversation, request, running_edge

LOOPS = ("asyncio", "uvloop")


def says(data: bytes):
    """A portal that answers each request with these bytes and then closes."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(data)

    return script


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
    ],
)
async def test_an_answer_that_was_cut_never_looks_complete(cut):
    async with running_edge(script=says(cut)) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        with pytest.raises((h11.RemoteProtocolError, ConnectionError)):
            await client.answer()


async def test_a_chunked_answer_that_was_cut_does_not_look_complete_to_http_1_0():
    async with running_edge(
        script=says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    ) as edge:
        client = await edge.client()
        await client.send(request("GET /").replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            while await client.some():
                pass


@pytest.mark.parametrize(
    "garbage",
    [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX-Field : space\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Field: fold\r\n ed\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_becomes_502(garbage):
    async with running_edge(script=says(garbage)) as edge:
        client = await edge.client()
        answer = await client.ask("GET /")
        assert answer.status == 502
        assert b'"reason": "portal_' in answer.body
        answer = await client.ask("GET /", "Accept: text/html")
        assert (answer.status, answer.body[:10]) == (502, b"<h1>page p")


async def test_a_head_without_end_is_not_held():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        while True:
            await conversation.say(b"x" * 65536)

    async with running_edge(script=script) as edge:
        assert (await (await edge.client()).ask("GET /")).status == 502


@pytest.mark.parametrize(
    "extra",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned",
        b"HTTP/1.1 200 OK\r\nX-Half: ",
        b"H",
        b"garbage",
    ],
)
@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nme",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nme\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("comes", ["at once", "later"])
async def test_bytes_behind_an_answer_poison_nobody(extra, first, comes):
    was_read = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        head, _ = await conversation.read_request()
        if b"/first" not in head:
            await conversation.answer(b"honest")
        elif comes == "at once":
            await conversation.say(first + extra)
        else:
            await conversation.say(first)
            await was_read.wait()
            await conversation.say(extra)
        await conversation.read()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        assert (await client.ask("GET /first")).body == b"me"
        was_read.set()
        if comes == "later":
            await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert (await client.ask("GET /second")).body == b"honest"
        assert [b"/second" in one.received for one in edge.portal.conversations] == [False, True]


@pytest.mark.parametrize(
    ("method", "status", "framing"),
    [
        ("HEAD", b"200 OK", b"Content-Length: 8"),
        ("HEAD", b"200 OK", b"X-Framing: none"),
        ("HEAD", b"304 No", b"Transfer-Encoding: chunked"),
        ("GET", b"304 No", b"Content-Length: 8"),
        ("GET", b"204 No", b"Content-Length: 8"),
        ("GET", b"204 No", b"Transfer-Encoding: chunked"),
    ],
)
async def test_what_a_portal_sends_behind_an_answer_without_a_body_is_nobodys_answer(method, status, framing):
    """Ten times the rest comes when the next person's request is on its way, which is the worst moment of
    all."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 %s\r\n%s\r\n\r\n" % (status, framing))
        await conversation.read_until(b"\r\n\r\n")
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")

    async def honest(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer(b"honest")
        await conversation.read()

    async with running_edge(script=script) as edge:
        client, other = await edge.client(), await edge.client()
        for number in range(10):
            edge.portal.script = script
            assert (await client.ask(f"{method} /bare")).status == int(status[:3])
            edge.portal.script = honest
            assert (await other.ask(f"GET /{number}")).body == b"honest"
            await edge.settled(edge.portal.conversations[-2].is_over.is_set)
            edge.pool.close()


BAD_TRAILERS = (
    b"X-Field : space\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"Content-Length: 5\r\n\r\n",
    b"X-Null: \x00\r\n\r\n",
    b"A: b\nC: d\r\n\r\n",
)


@pytest.mark.parametrize("trailers", [*BAD_TRAILERS, b"X-Endless: " + 300_000 * b"x"])
@pytest.mark.parametrize("comes", ["at once", "in two pieces"])
async def test_a_bad_trailer_costs_the_connection_to_the_portal_and_not_the_answer(trailers, comes):
    body_is_there = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
        if comes == "at once":
            await conversation.say(whole + trailers)
        else:
            await conversation.say(whole)
            await body_is_there.wait()
            await conversation.say(trailers)
        await conversation.read()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        if comes == "in two pieces":
            early = b""
            while b"hello" not in early:
                early += await client.some()
            body_is_there.set()
            client.unread(early)
        answer = await client.answer()
        assert (answer.body, answer.trailers) == (b"hello", [])
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_blanks_behind_a_value_are_no_part_of_it():
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5 \r\nSet-Cookie: a=b\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\t \r\nSet-Cookie: a=b\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length:  5 \t\r\nConnection: keep-alive \r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ]

    async def script(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.read_request()
            await conversation.say(answer)
        await conversation.read()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        for length in (b"5", b"5", b"5", None):
            answer = await client.ask("GET /")
            assert (answer.status, answer.body, answer.get("content-length")) == (200, b"hello", length)
        assert len(edge.portal.conversations) == 1


# Connections that the portal has closed


async def closes_after_one(conversation: Conversation) -> None:
    head, _ = await conversation.read_request()
    await conversation.answer(head.partition(b"\r\n")[0])


async def test_an_idle_connection_that_the_portal_closed_is_not_used_again():
    async with running_edge(script=closes_after_one) as edge:
        client = await edge.client()
        for number in range(3):
            body = b"b" if number else b""
            assert (
                await client.ask(f"POST /{number}", f"Content-Length: {len(body)}", body=body)
            ).status == 200
            await edge.settled(lambda: repr(edge.pool).startswith("<UpstreamPool 0 busy, 0 idle"))


async def drops_the_second(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.answer(b"kept alive")
    await conversation.read_request()


async def test_a_safe_request_on_a_connection_that_closes_in_that_moment_is_sent_again_once():
    async with running_edge(script=drops_the_second) as edge:
        client = await edge.client()
        assert (await client.ask("GET /1")).status == 200
        assert (await client.ask("GET /2")).status == 200
        assert edge.portal.received.count(b"GET /2 ") == 2


async def test_a_request_with_effects_is_never_sent_twice():
    async with running_edge(script=drops_the_second) as edge:
        client = await edge.client()
        assert (await client.ask("GET /1")).status == 200
        assert (await client.ask("POST /2", "Content-Length: 1", body=b"x")).status == 502
        assert (await client.ask("GET /3")).status == 200
        assert (await client.ask("DELETE /4")).status == 502
        assert (edge.portal.received.count(b"POST /2 "), edge.portal.received.count(b"DELETE /4 ")) == (1, 1)


async def test_a_safe_request_is_not_sent_again_on_a_fresh_connection():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()

    async with running_edge(script=script) as edge:
        assert (await (await edge.client()).ask("GET /")).status == 502
        assert edge.portal.received.count(b"GET / ") == 1


async def test_who_waits_for_a_connection_is_served_in_turn():
    gates: dict[bytes, asyncio.Event] = {b"/%d" % number: asyncio.Event() for number in range(4)}
    order: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        while True:
            head, _ = await conversation.read_request()
            path = head.split(b" ")[1]
            order.append(path)
            await gates[path].wait()
            await conversation.answer(path)

    async with running_edge(script=script, pool_limit=1) as edge:
        clients = [await edge.client() for _ in gates]
        for number, client in enumerate(clients):
            await client.send(request(f"GET /{number}"))
            await edge.settled(lambda number=number: len(edge.access.asked) == number + 1)
        for number, client in enumerate(clients):
            gates[b"/%d" % number].set()
            assert (await client.answer()).body == b"/%d" % number
        assert order == list(gates)
        assert len(edge.portal.conversations) == 1


async def test_a_client_that_gives_up_ends_the_request_at_the_portal():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.read()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        await edge.settled(lambda: b"\r\n\r\n" in edge.portal.received)
        client.close()
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert len(edge.observed) == 1


async def test_a_client_that_gives_up_while_waiting_for_a_connection_takes_none():
    async def script(conversation: Conversation) -> None:
        while True:
            head, _ = await conversation.read_request()
            if b"/hold" in head:
                await release.wait()
            await conversation.answer()

    release = asyncio.Event()
    async with running_edge(script=script, pool_limit=1) as edge:
        holding, waiting, last = [await edge.client() for _ in range(3)]
        await holding.send(request("GET /hold"))
        await edge.settled(lambda: b"/hold" in edge.portal.received)
        await waiting.send(request("GET /gives-up"))
        await edge.settled(lambda: repr(edge.pool).endswith("1 waiting>"))
        waiting.close()
        await edge.settled(lambda: edge.listener.connection_count == 2)
        await last.send(request("GET /last"))
        await edge.settled(lambda: repr(edge.pool).endswith("2 waiting>"))
        release.set()
        assert (await last.answer()).status == 200
        assert b"/gives-up" not in edge.portal.received


async def test_the_portal_learns_host_and_identity_from_us():
    async with running_edge() as edge:
        await (await edge.client()).ask("GET /a?b=c")
        head = edge.portal.received
        assert head.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: %s\r\n" % HOST.encode())
        assert b"\r\nX-Auth-Subject: ana-subject\r\n" in head
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
        assert b"\r\nX-Forwarded-Proto: http\r\n" in head
        assert b"\r\nX-Request-Id: %s\r\n" % REQUEST_ID.encode() in head
        assert b"\r\ntraceparent: 00-" in head
