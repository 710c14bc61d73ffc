"""One address or one session never takes what all others need: connections to our own pages and to portals,
and places of clients."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from authproxy.edge.rules.connection_shares import ConnectionShares
from authproxy.edge.site import EdgeLimits
from authproxy.identity.session import SessionId
from tests.support.edge import (
    GOOD,
    HANDSHAKE,
    HOST,
    SESSION,
    Conversation,
    Edge,
    RawClient,
    answers_everything,
    request,
    running_edge,
)

LOOPS = ("asyncio", "uvloop")
BOR = "1.bor"
OF_BOR = f"Cookie: __Host-authproxy={BOR}\r\n"


def with_bor(edge: Edge) -> None:
    edge.access.sessions[BOR] = replace(SESSION, session_id=SessionId("session-of-bor"))


async def slow(edge: Edge, line: str, *, cookie: str = "", length: int = 15_000) -> RawClient:
    """A client whose body has begun and does not go on."""
    client = await edge.client()
    await client.send(request(line, f"Content-Length: {length}", cookie=cookie, body=b"x" * 300))
    return client


async def answers_or_streams(conversation: Conversation) -> None:
    """A portal with an endless stream, a WebSocket, an answer that takes its time, and pages."""
    while True:
        head, _ = await conversation.read_request()
        if b" /events " in head:
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
            await conversation.read()
            return
        if b" /live " in head:
            await conversation.say(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            await conversation.read()
            return
        if b" /large " in head:
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            await conversation.read_until(b"go on")
            await conversation.say(b"half")
        else:
            await conversation.answer()


# Our own pages


async def test_slow_bodies_from_nobody_take_no_connection_to_our_pages():
    async with running_edge() as edge:
        for number in range(80):  # more than there are connections to the pages
            await slow(edge, f"POST /.authproxy/{'login' if number % 2 else 'backchannel-logout'}")
        await edge.settled(lambda: edge.listener.connection_count == 80)
        client = await edge.client()
        for place in ("/.authproxy/login", "/.authproxy/static/pages.css", "/.authproxy/jwks.json"):
            assert (await client.ask(f"GET {place}", cookie="")).status == 200
        assert (len(edge.pages.conversations), edge.gate.pages.use.waiting) == (1, 0)


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_form_for_our_pages_arrives_whole_however_it_was_sent(is_chunked):
    async def echoes(conversation: Conversation) -> None:
        while True:
            head, body = await conversation.read_request()
            await conversation.answer(
                body if b"\r\nContent-Length: " in head else body.replace(b"\r\n", b"|")
            )

    async with running_edge() as edge:
        edge.pages.script = echoes
        client = await edge.client()
        framing = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 6"
        await client.send(request("POST /.authproxy/login", framing, "Expect: 100-continue", cookie=""))
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        for piece in (b"abc", b"def"):
            assert edge.pages.conversations == []
            await client.send(b"3\r\n%s\r\n" % piece if is_chunked else piece)
        await client.send(b"0\r\n\r\n" if is_chunked else b"")
        body = (await client.answer("POST")).body
        assert body.replace(b"|", b"").replace(b"3", b"").replace(b"6", b"").replace(b"0", b"") == b"abcdef"


async def test_a_body_for_our_pages_has_at_most_16_kib():
    async with running_edge() as edge:
        assert (
            await (await edge.client()).ask(
                "POST /.authproxy/login", "Content-Length: 16384", cookie="", body=b"x" * 16_384
            )
        ).status == 200
        answer = await (await edge.client()).ask("POST /.authproxy/login", "Content-Length: 16385", cookie="")
        assert (answer.status, b"body_too_large" in answer.body) == (413, True)
        client = await edge.client()
        await client.send(request("POST /.authproxy/login", "Transfer-Encoding: chunked", cookie=""))
        for _ in range(5):
            await client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        assert (await client.answer("POST")).status == 413
        assert len(edge.pages.conversations) == 1


async def test_a_body_for_our_pages_that_drips_is_408():
    async with running_edge() as edge:
        client = await slow(edge, "POST /.authproxy/login")
        await edge.settled(
            lambda: (
                edge.listener.connection_count == 1
                and all(one._receiving for one in edge.listener._connections)
            )
        )
        edge.pass_time(61)
        edge.pass_time(2)
        assert (await client.answer("POST")).status == 408
        assert edge.pages.conversations == []


# A session


async def test_slow_uploads_of_one_person_leave_the_portal_to_others():
    async with running_edge(pool_limit=4) as edge:
        with_bor(edge)
        edge.gate.connections_per_session = ConnectionShares(3)
        held = [
            await slow(edge, "POST /sink", cookie=f"Cookie: __Host-authproxy={GOOD}\r\n") for _ in range(3)
        ]
        await edge.settled(lambda: edge.pool.use.in_use == 3)
        too_many = await (await edge.client()).ask("POST /sink", "Content-Length: 1", body=b"x")
        assert (too_many.status, b"too_many_connections" in too_many.body) == (503, True)
        assert int(too_many.get("retry-after") or 0) > 0
        for _ in range(3):
            assert (await (await edge.client()).ask("GET /", cookie=OF_BOR)).status == 200
        held[0].close()
        await edge.settled(lambda: edge.pool.use.in_use == 2)
        assert (await (await edge.client()).ask("GET /")).status == 200
        assert edge.observed[0]["reason"] == "too_many_connections"


async def test_a_person_with_too_much_open_gets_a_page():
    async with running_edge() as edge:
        edge.gate.connections_per_session = ConnectionShares(1)
        await slow(edge, "POST /sink", cookie=f"Cookie: __Host-authproxy={GOOD}\r\n")
        await edge.settled(lambda: edge.pool.use.in_use == 1)
        answer = await (await edge.client()).ask("GET /", "Sec-Fetch-Mode: navigate")
        assert (answer.status, answer.body) == (503, b"<h1>page too_many_connections</h1>")


async def test_websockets_and_streams_of_a_session_count_until_they_end():
    async with running_edge(script=answers_or_streams, pool_streams=8) as edge:
        edge.gate.connections_per_session = ConnectionShares(2)
        stream, socket = await edge.client(), await edge.client()
        await stream.send(request("GET /events"))
        await socket.send(request("GET /live", *HANDSHAKE))
        await edge.settled(lambda: edge.pool.use.long == 2)
        for _ in range(2):
            assert (await (await edge.client()).ask("GET /")).status == 503
        stream.close()
        socket.close()
        await edge.settled(lambda: edge.pool.use.long == 0 and edge.gate.connections_per_session._taken == {})
        assert (await (await edge.client()).ask("GET /")).status == 200


async def test_every_end_of_a_request_gives_its_place_back():
    async def script(conversation: Conversation) -> None:
        head, _ = await conversation.read_request()
        if b"/closes" in head:
            return
        if b"/breaks" in head:
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        elif b"/nonsense" in head:
            await conversation.say(b"nonsense\r\n\r\n")
        else:
            await conversation.answer()

    async with running_edge(script=script, trusted=["127.0.0.1"], limits=EdgeLimits(body_size=10)) as edge:
        edge.gate.connections_per_session, edge.gate.connections_per_address = (
            ConnectionShares(1),
            ConnectionShares(1),
        )
        for line, fields, body in [
            ("GET /", [], b""),
            ("GET /closes", [], b""),
            ("GET /breaks", [], b""),
            ("GET /nonsense", [], b""),
            ("HEAD /", [], b""),
            ("POST /", ["Transfer-Encoding: chunked"], b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"),
            ("GET /.authproxy/login", [], b""),
            ("POST /.authproxy/login", ["Content-Length: 3"], b"abc"),
            ("POST /", ["Transfer-Encoding: chunked"], b"zz\r\n"),
        ]:
            client = await edge.client()
            await client.send(
                request(line, "X-Forwarded-For: 192.0.2.1", *fields, "Connection: close", body=body)
            )
            assert b"too_many" not in await client.everything()
            await edge.settled(
                lambda: (
                    edge.gate.connections_per_session._taken == {}
                    and edge.gate.connections_per_address._taken == {}
                )
            )


# An address


async def test_more_connections_than_an_address_may_have_are_told_so():
    async with running_edge() as edge:
        edge.gate.connections_per_address = ConnectionShares(2)
        first, second = await edge.client(), await edge.client()
        for client in (first, second):
            assert (await client.ask("GET /")).status == 200
        third = await edge.client()
        await third.send(request("GET /"))
        answer = await third.answer()
        assert (answer.status, b"too_many_connections" in answer.body, answer.get("connection")) == (
            503,
            True,
            b"close",
        )
        assert int(answer.get("retry-after") or 0) > 0
        assert await third.everything() == b""
        first.close()
        await edge.settled(lambda: edge.gate.connections_per_address._taken.get("127.0.0.1") == 1)
        assert (await (await edge.client()).ask("GET /")).status == 200
        assert (await second.ask("GET /")).status == 200


async def test_an_address_that_is_refused_again_and_again_leaves_places_to_others():
    async with running_edge(limits=EdgeLimits(connections=6)) as edge:
        edge.gate.connections_per_address = ConnectionShares(2)
        held = [await edge.client() for _ in range(4)]
        await edge.settled(lambda: edge.listener.connection_count == 4)
        for _ in range(10):
            with contextlib.suppress(ConnectionError):
                assert await (await edge.client()).everything() == b""
        assert edge.listener.connection_count == 4
        other = RawClient(*await asyncio.open_connection("127.0.0.1", edge.port, local_addr=("127.0.0.2", 0)))
        assert (await other.ask("GET /")).status == 200
        other.close()
        for client in held:
            client.close()
        await edge.settled(lambda: edge.gate.connections_per_address._taken == {})


async def test_behind_a_trusted_proxy_the_requests_of_an_address_count_and_not_the_proxys_connections():
    def behind(address: str) -> str:
        return f"X-Forwarded-For: {address}"

    async with running_edge(trusted=["127.0.0.1"], script=answers_or_streams) as edge:
        with_bor(edge)
        edge.gate.connections_per_address = ConnectionShares(2)
        streams = [await edge.client() for _ in range(2)]
        for stream in streams:
            await stream.send(request("GET /events", behind("192.0.2.1")))
        await edge.settled(lambda: edge.pool.use.in_use == 2)
        proxy = await edge.client()
        for place, status in (("/", 503), ("/.authproxy/login", 503)):
            answer = await proxy.ask(f"GET {place}", behind("192.0.2.1"))
            assert (answer.status, b"too_many_connections" in answer.body) == (status, True)
        assert (await proxy.ask("GET /", behind("192.0.2.2"), cookie=OF_BOR)).status == 200
        assert (await proxy.ask("GET /")).status == 200, "the proxy for itself"
        streams[0].close()
        await edge.settled(lambda: edge.pool.use.in_use == 1)
        assert (await proxy.ask("GET /", behind("192.0.2.1"))).status == 200


# What lasts


@pytest.mark.parametrize("line", ["GET /events", "GET /live"])
async def test_streams_do_not_use_the_places_of_requests_while_there_is_room_beside_them(line):
    async with running_edge(
        script=answers_or_streams, pool_limit=1, pool_streams=2, connect_timeout=0.3
    ) as edge:
        for number in (1, 2):
            await (await edge.client()).send(request(line, *(HANDSHAKE if "live" in line else ())))
            await edge.settled(lambda number=number: edge.pool.use.long == number)
        client = await edge.client()
        assert (await client.ask("GET /")).status == 200
        # One more counts as a request, and takes the only place of those.
        await (await edge.client()).send(request(line, *(HANDSHAKE if "live" in line else ())))
        await edge.settled(lambda: (edge.pool.use.long, edge.pool.use.in_use) == (2, 1))
        assert (await client.ask("GET /")).status == 504


async def test_uploads_and_answers_that_take_their_time_leave_their_places():
    async with running_edge(
        script=answers_or_streams, pool_limit=2, pool_streams=2, limits=EdgeLimits(body_rate=0)
    ) as edge:
        answered = await edge.client()
        await answered.send(request("GET /large"))
        await edge.settled(lambda: b"/large" in edge.portal.received)
        await slow(edge, "POST /sink", cookie=f"Cookie: __Host-authproxy={GOOD}\r\n")
        await edge.settled(lambda: edge.pool.use.in_use == 2)
        received = b""
        while b"half" not in received:
            received += await answered.some()
        edge.pass_time(9)
        assert edge.pool.use.in_use == 2
        edge.pass_time(2)
        assert (edge.pool.use.in_use, edge.pool.use.long) == (0, 2)
        assert (await (await edge.client()).ask("GET /")).status == 200
        # It ends, and its connection serves others again.
        edge.portal.conversations[0].reader.feed_data(b"go on")
        assert await answered.some() == b"half"
        assert (await answered.ask("GET /")).status == 200
        assert (edge.pool.use.long, len(edge.portal.conversations)) == (1, 3)


async def test_a_portal_that_has_not_begun_its_answer_gets_no_more_requests_for_it():
    async def never_answers(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.read()

    async with running_edge(script=never_answers, pool_limit=1, pool_streams=8, connect_timeout=0.2) as edge:
        await (await edge.client()).send(request("GET /"))
        await edge.settled(lambda: edge.pool.use.in_use == 1)
        edge.pass_time(11)
        assert (edge.pool.use.in_use, edge.pool.use.long) == (1, 0)
        assert (await (await edge.client()).ask("GET /")).status == 504
        assert len(edge.portal.conversations) == 1


async def test_who_waits_for_a_place_gets_that_of_a_stream_that_begins():
    async with running_edge(script=answers_or_streams, pool_limit=1, pool_streams=1) as edge:
        upload, waiting = await edge.client(), await edge.client()
        await upload.send(request("POST /sink", "Content-Length: 5000", body=b"x"))
        await edge.settled(lambda: edge.pool.use.in_use == 1)
        await waiting.send(request("GET /"))
        await edge.settled(lambda: edge.pool.use.waiting == 1)
        edge.pass_time(11)
        assert (await waiting.answer()).status == 200
        assert edge.pool.use.waiting == 0


@pytest.mark.parametrize(("rate", "status"), [(256, None), (1024, 408), (0, None)])
async def test_a_body_slower_than_the_rate_uses_its_time_up(rate, status):
    async with running_edge(limits=EdgeLimits(body_rate=rate), script=answers_everything) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 100000"))
        for second in range(1, 31):
            await client.send(b"x" * 1500)
            await edge.settled(
                lambda second=second: edge.portal.received.count(b"x") >= 1500 * second or edge.observed != []
            )
            edge.pass_time(5)
            if edge.observed:
                break
        assert [one["status"] for one in edge.observed] == ([] if status is None else [status])
        assert HOST.encode() in edge.portal.received


async def test_nobody_waits_for_ever_behind_authenticated_connections_and_streams():
    # The places are full of both: those that rest give way, those in use do not.
    async def challenges(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await conversation.answer(fields=b"WWW-Authenticate: NTLM\r\n")

    async with running_edge(script=challenges, pool_limit=3) as edge:
        clients = [await edge.client() for _ in range(12)]
        answers = await asyncio.gather(*(client.ask("GET /") for client in clients))
        assert [answer.status for answer in answers] == [200] * 12
        assert edge.pool.use.waiting == 0
