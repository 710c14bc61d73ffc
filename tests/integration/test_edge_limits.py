"""What waits too long or grows too large is ended, and an orderly end ends nobody early."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import socket
import ssl
import tracemalloc

import pytest
import trustme

from authproxy.edge.rules.connection_shares import ConnectionShares
from authproxy.edge.site import EdgeLimits
from authproxy.edge.upstream.pool import Upstream
from tests.support.edge import HOST, Conversation, RawClient, request, running_edge
from tests.support.log_lines import log_lines
from tests.support.waiting import PATIENCE, stands_still

LOOPS = ("asyncio", "uvloop")
SMALL = EdgeLimits(
    head_size=4096,
    target_size=1024,
    header_count=20,
    body_size=10_000,
    connections=3,
    head_timeout=10,
    idle_timeout=75,
    body_timeout=60,
    first_byte_timeout=30,
)


async def holds(conversation: Conversation) -> None:
    await conversation.read_request()
    await conversation.read()


# Time


async def test_a_head_that_does_not_arrive_in_time_is_408():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: ")
        await edge.settled(
            lambda: (
                not any(one.is_idle for one in edge.listener._connections)
                and edge.listener.connection_count == 1
            )
        )
        edge.pass_time(9)
        await client.send(b"acq")
        edge.pass_time(2)
        assert (await client.answer()).status == 408
        assert await client.everything() == b""


async def test_a_connection_on_which_nothing_happens_is_closed_without_a_word():
    async with running_edge(limits=SMALL) as edge:
        fresh, used = await edge.client(), await edge.client()
        await used.ask("GET /")
        await edge.settled(lambda: edge.listener.connection_count == 2)
        edge.pass_time(74)
        assert edge.listener.connection_count == 2
        edge.pass_time(2)
        assert (await fresh.everything(), await used.everything()) == (b"", b"")


async def test_a_connection_that_cannot_be_looked_after_is_cut_and_the_others_keep_their_time_limits():
    def fails(answered):
        raise ValueError(f"nobody expected this of {answered.client}")

    async with running_edge(limits=SMALL) as edge:
        edge.gate.observer = fails  # it is told of the 408 to an unfinished head
        unruly, client = [await edge.client(), await edge.client()], await edge.client()
        for each in unruly:
            await each.send(b"GET / HTTP/1.1\r\n")
        await edge.settled(lambda: edge.listener.connection_count == 3)
        edge.pass_time(76)
        assert await client.everything() == b""
        await edge.settled(lambda: edge.listener.connection_count == 0)
        assert len(edge.errors) == 2
        edge.errors.clear()


async def test_a_body_that_stops_is_408_and_the_portal_sees_no_complete_request():
    async with running_edge(limits=SMALL, script=holds) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 10", body=b"12345"))
        await edge.settled(lambda: edge.portal.received.endswith(b"12345"))
        edge.pass_time(59)
        assert not edge.portal.conversations[0].is_over.is_set()
        edge.pass_time(2)
        assert (await client.answer("POST")).status == 408
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_a_body_that_drips_uses_its_time_up_and_one_that_flows_does_not():
    async with running_edge(limits=SMALL, script=holds) as edge:
        dripping, flowing = await edge.client(), await edge.client()
        for client in (dripping, flowing):
            await client.send(request("POST /", "Transfer-Encoding: chunked"))
        await edge.settled(lambda: len(edge.portal.conversations) == 2)
        for second in range(1, 14):
            await dripping.send(b"1\r\nd\r\n")
            await flowing.send(b"200\r\n" + b"f" * 512 + b"\r\n")
            await edge.settled(
                lambda second=second: edge.portal.received.count(b"1\r\nd\r\n") >= min(second, 12)
            )
            await edge.settled(lambda second=second: edge.portal.received.count(b"f" * 512) == second)
            edge.pass_time(5)
        assert (await dripping.answer("POST")).status == 408
        assert len([one for one in edge.portal.conversations if not one.is_over.is_set()]) == 1


async def test_a_portal_that_says_nothing_is_504():
    async with running_edge(limits=SMALL, script=holds) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        await edge.settled(lambda: b"GET / " in edge.portal.received)
        edge.pass_time(29)
        assert not edge.portal.conversations[0].is_over.is_set()
        edge.pass_time(2)
        answer = await client.answer()
        assert (answer.status, b"portal_timeout" in answer.body) == (504, True)
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_a_person_sees_a_page_when_the_portal_says_nothing():
    async with running_edge(limits=SMALL, script=holds) as edge:
        client = await edge.client()
        await client.send(request("GET /", "Sec-Fetch-Mode: navigate"))
        await edge.settled(lambda: b"GET / " in edge.portal.received)
        edge.pass_time(31)
        answer = await client.answer()
        assert (answer.status, answer.body) == (504, b"<h1>page portal_timeout</h1>")


async def test_a_portal_that_stops_in_the_middle_is_cut_and_nothing_looks_complete():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await conversation.read()

    async with running_edge(limits=SMALL, script=script) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        assert (await client.some()).startswith(b"HTTP/1.1 200 ")
        edge.pass_time(61)
        with pytest.raises(ConnectionError):
            while await client.some():
                pass


async def test_a_slow_upload_is_not_the_portals_fault():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 2", body=b"1"))
        await edge.settled(lambda: edge.portal.received.endswith(b"\r\n\r\n1"))
        edge.pass_time(40)
        await client.send(b"2")
        assert (await client.answer("POST")).status == 200


async def test_a_portal_that_does_not_accept_is_504_in_time():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with running_edge(
            upstream=lambda *_: Upstream(host="127.0.0.1", port=port), connect_timeout=0.2
        ) as edge:
            answer = await (await edge.client()).ask("GET /")
            assert (answer.status, b"portal_timeout" in answer.body) == (504, True)
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    "upstream",
    [
        Upstream(host="127.0.0.1", port=1),
        Upstream(unix_path="/nowhere/portal.sock"),
        Upstream(host="a" * 70 + ".invalid", port=80),
    ],
)
async def test_a_portal_that_cannot_be_reached_is_502(upstream):
    async with running_edge(upstream=lambda *_: upstream) as edge:
        client = await edge.client()
        answer = await client.ask("GET /")
        assert answer.status == 502
        assert (
            await client.ask("POST /", "Content-Length: 3", "Accept: text/html", body=b"abc")
        ).status == 502
        edge.errors.clear()  # the last one is no address at all: reported, and answered


# Size


@pytest.mark.parametrize(
    "fields",
    [["X-Large: " + "x" * 6000], [f"X-{number}: x" for number in range(20)], ["X: " + "x" * 500] * 11],
    ids=["long", "many", "sum"],
)
async def test_a_head_larger_than_the_limit_is_431(fields):
    async with running_edge(limits=SMALL) as edge:
        assert (await edge.exchange(request("GET /", *fields))).startswith(b"HTTP/1.1 431 ")
        assert edge.portal.conversations == []


async def test_a_field_that_never_ends_is_431_before_it_fills_the_memory():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(12):
            await client.send(b"x" * 512)
        assert (await client.answer()).status == 431


async def test_a_head_has_exactly_the_size_that_is_said_however_it_arrives():
    async with running_edge(limits=SMALL) as edge:
        largest = request(
            "GET /page?a=b", "X-Field: " + "x" * (4096 - len(request("GET /page?a=b", "X-Field: ")))
        )
        assert len(largest) == 4096
        for pieces in ((largest,), (largest[:100], largest[100:2000], largest[2000:3500], largest[3500:])):
            client = await edge.client()
            await edge.settled(lambda: edge.listener.connection_count == 1)
            [connection] = edge.listener._connections
            for piece in pieces:
                connection.data_received(piece)
            assert (await client.answer()).status == 200
            client.close()
            await edge.settled(lambda: edge.listener.connection_count == 0)
        assert (await edge.exchange(largest.replace(b"xx", b"xxx", 1))).startswith(b"HTTP/1.1 431 ")


async def test_an_upload_in_ever_so_many_chunks_is_no_large_head():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Transfer-Encoding: chunked"))
        await edge.settled(lambda: bool(edge.portal.conversations))
        [connection] = edge.listener._connections
        for _ in range(1000):
            for piece in (b"1;abc", b"def\r\n", b"x\r\n"):
                connection.data_received(piece)
        connection.data_received(b"0\r\n\r\n")
        assert (await client.answer("POST")).status == 200


async def test_trailers_and_chunk_extensions_count_as_head():
    async with running_edge(limits=SMALL, script=holds) as edge:
        for endless in (b"1;", b"0\r\nX: ", b"0\r\n" + b"X: y\r\n" * 50):
            client = await edge.client()
            await client.send(request("POST /", "Transfer-Encoding: chunked") + endless)
            for _ in range(24):
                await client.send(b"x" * 512)
                await asyncio.sleep(0)
            assert (await client.answer("POST")).status == 431


async def test_a_target_longer_than_the_limit_is_414():
    async with running_edge(limits=SMALL) as edge:
        assert (await edge.exchange(request("GET /" + "a" * 1024))).startswith(b"HTTP/1.1 414 ")


async def test_a_body_that_says_it_is_too_large_is_413_before_it_is_sent():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 10001"))
        assert (await client.answer("POST")).status == 413
        assert edge.portal.conversations == []
        assert (
            await (await edge.client()).ask("POST /", "Content-Length: 10000", body=b"x" * 10_000)
        ).status == 200


async def test_chunks_that_become_too_large_are_413_and_no_complete_request():
    async with running_edge(limits=SMALL, script=holds) as edge:
        client = await edge.client()
        await client.send(
            request("POST /", "Transfer-Encoding: chunked") + b"1388\r\n" + b"x" * 5000 + b"\r\n"
        )
        await edge.settled(lambda: edge.portal.received.endswith(b"x\r\n"))
        await client.send(b"1389\r\n" + b"x" * 5001 + b"\r\n0\r\n\r\n")
        assert (await client.answer("POST")).status == 413
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert not edge.portal.received.endswith(b"0\r\n\r\n")


async def test_a_client_that_is_still_sending_can_read_why_it_was_refused():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 3000000") + b"x" * 3_000_000)
        assert (await client.answer("POST")).status == 413
        assert await client.everything() == b""


async def test_a_client_that_never_stops_sending_is_cut():
    async with running_edge(limits=SMALL) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 3000000"))
        assert (await client.answer("POST")).status == 413
        edge.pass_time(3)
        await edge.settled(lambda: edge.listener.connection_count == 0)


async def test_a_client_that_goes_on_with_a_refused_body_is_cut_after_a_while():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 3000000", cookie="", body=b"x"))
        assert (await client.answer("POST")).status == 401
        await client.send(b"x" * 100)
        edge.pass_time(2.5)
        await edge.settled(lambda: all(one._is_closing for one in edge.listener._connections))
        edge.pass_time(2.5)
        await edge.settled(lambda: edge.listener.connection_count == 0)


async def test_more_connections_than_the_limit_are_not_served():
    async with running_edge(limits=SMALL) as edge:
        clients = [await edge.client() for _ in range(3)]
        for client in clients:
            assert (await client.ask("GET /")).status == 200
        with pytest.raises(ConnectionError):
            await (await edge.client()).ask("GET /")
        clients[0].close()
        await edge.settled(lambda: edge.listener.connection_count == 2)
        assert (await (await edge.client()).ask("GET /")).status == 200


async def test_connections_for_which_no_descriptor_is_left_are_closed_told_once_and_counted():
    async with running_edge() as edge:
        served = await edge.client()
        assert (await served.ask("GET /")).status == 200
        edge.listener._last_descriptor = 1
        with log_lines() as log:
            for _ in range(3):
                with pytest.raises(ConnectionError):
                    await (await edge.client()).ask("GET /")
                edge.pass_time(1)
            assert (await served.ask("GET /")).status == 200
            edge.pass_time(1)
        said = [line["event"] for line in log.lines() if line["event"].startswith("connections.")]
        assert said == ["connections.refused", "connections.accepted_again"]
        assert (edge.listener.refused_without_descriptor, edge.listener.refused_at_limit) == (3, 0)


async def test_a_client_that_asks_and_never_reads_fills_no_memory():
    async with running_edge() as edge:
        client = await edge.client(has_small_window=True)
        client.reader._transport.pause_reading()
        burst = request("GET /" + "a" * 1500, cookie="") * 50
        sending = asyncio.ensure_future(client.send(burst * 100))
        await edge.settled(lambda: any(one._is_clogged for one in edge.listener._connections))
        assert await stands_still(lambda: len(edge.observed)) < 5000
        connection = next(iter(edge.listener._connections))
        assert connection._transport.get_write_buffer_size() < 100_000
        client.reader._transport.resume_reading()
        for _ in range(5000):
            assert (await client.answer()).status == 401
        await sending


async def test_a_client_that_never_takes_its_last_answer_is_cut():
    async with running_edge() as edge:
        client = await edge.client(has_small_window=True)
        client.reader._transport.pause_reading()
        sending = asyncio.ensure_future(client.send(request("GET /" + "a" * 1500, cookie="") * 5000))
        await edge.settled(lambda: any(one._is_clogged for one in edge.listener._connections))
        edge.pass_time(76)
        edge.pass_time(61)
        await edge.settled(lambda: edge.listener.connection_count == 0)
        sending.cancel()


# The end


async def test_draining_lets_a_running_request_finish_and_says_so():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await may_answer.wait()
        await conversation.answer(b"finished")

    may_answer = asyncio.Event()
    async with running_edge(script=script) as edge:
        busy, idle = await edge.client(), await edge.client()
        await busy.send(request("GET /"))
        await edge.settled(lambda: b"GET / " in edge.portal.received and edge.listener.connection_count == 2)
        draining = asyncio.ensure_future(edge.listener.drain(5))
        assert await idle.everything() == b""
        with pytest.raises(ConnectionError):
            await (await edge.client()).ask("GET /")
        may_answer.set()
        answer = await busy.answer()
        assert (answer.body, answer.get("connection")) == (b"finished", b"close")
        assert await draining


async def test_a_connection_that_waits_to_be_accepted_when_draining_begins_is_served():
    async with running_edge() as edge:
        waiting = socket.create_connection(("127.0.0.1", edge.port))
        waiting.setblocking(False)
        waiting.send(request("GET /"))
        # From here on the loop has not run: nobody has accepted it yet.
        assert await edge.listener.drain(5)
        reader, writer = await asyncio.open_connection(sock=waiting)
        said = await reader.read()
        assert (said.startswith(b"HTTP/1.1 200 "), b"onnection: close" in said) == (True, True)
        writer.close()


async def test_while_it_leaves_everybody_is_served_and_told_to_go():
    async with running_edge() as edge:
        known = await edge.client()
        await known.ask("GET /")
        leaving = asyncio.ensure_future(edge.listener.leave(30))
        await edge.settled(lambda: edge.listener.is_draining)
        for client in (known, await edge.client()):
            answer = await client.ask("GET /")
            assert (answer.status, answer.get("connection")) == (200, b"close")
        edge.listener.hurry()
        await asyncio.wait_for(leaving, PATIENCE)


async def test_who_is_hurried_cuts_at_once():
    async with running_edge(script=holds) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        await edge.settled(lambda: b"GET / " in edge.portal.received)
        draining = asyncio.ensure_future(edge.listener.drain(30))
        edge.listener.hurry()
        assert not await asyncio.wait_for(draining, PATIENCE)


async def test_draining_cuts_what_does_not_finish():
    async with running_edge(script=holds) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        await edge.settled(lambda: b"GET / " in edge.portal.received)
        assert not await edge.listener.drain(0.05)
        assert edge.listener.connection_count == 0
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_the_unix_socket_is_for_those_whom_its_permissions_let_in():
    async with running_edge() as edge:
        assert edge.unix.stat().st_mode & 0o777 == 0o660
        client = await edge.client(unix=True)
        assert (await client.ask("GET /")).status == 200
        assert HOST.encode() in edge.portal.received


async def test_the_pages_hear_that_a_proxy_names_no_client_and_the_log_says_so_once():
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        with log_lines() as log:
            for said in ((), (), ("X-Forwarded-For: 198.51.100.7",), ("X-Forwarded-For: unknown",)):
                assert (await client.ask("GET /.authproxy/session", *said)).status == 200
        assert [b"X-Authproxy-Client-Is-Nobody: yes" in head for head in edge.pages.heads] == [
            True,
            True,
            False,
            True,
        ]
        assert [line["proxy"] for line in log.lines() if line["event"] == "proxy.names_no_client"] == [
            "local"
        ]


# TLS


@pytest.fixture(scope="module")
def listener_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    return context


def trusting_anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def reset_or_closed(reader):
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_who_says_nothing_on_a_tls_listener_is_counted_at_once(listener_tls):
    limits = dataclasses.replace(SMALL, connections=5, head_timeout=600.0)
    async with running_edge(limits=limits, listener_tls=listener_tls, client_tls=trusting_anybody()) as edge:
        silent = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(5)]
        await edge.settled(lambda: edge.listener.connection_count == 5)
        for _ in range(20):
            with contextlib.suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                await reset_or_closed(reader)
                writer.close()
        assert edge.listener.connection_count == 5
        for _, writer in silent:
            writer.close()
        await edge.settled(lambda: edge.listener.connection_count == 0)
        assert (await (await edge.client()).ask("GET /")).status == 200


async def test_who_says_nothing_on_a_tls_listener_is_cut_in_time(listener_tls):
    limits = dataclasses.replace(SMALL, connections=5, head_timeout=0.3)
    async with running_edge(limits=limits, listener_tls=listener_tls, client_tls=trusting_anybody()) as edge:
        silent = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(5)]
        for reader, _ in silent:
            await reset_or_closed(reader)
        await edge.settled(lambda: edge.listener.connection_count == 0)
        for _, writer in silent:
            writer.close()


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(listener_tls):
    authority, renewed = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(renewed)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running_edge(limits=SMALL, listener_tls=listener_tls, client_tls=trusting_anybody()) as edge:
        before = await edge.client()
        assert (await before.ask("GET /")).status == 200
        edge.listener.renew_tls(renewed)
        assert (await before.ask("GET /")).status == 200  # what is open goes on
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port, ssl=trusting, server_hostname=HOST)
        writer.close()


async def test_one_address_in_its_handshakes_leaves_places_to_others(listener_tls):
    limits = dataclasses.replace(SMALL, connections=5, head_timeout=10.0)
    tls = trusting_anybody()
    async with running_edge(limits=limits, listener_tls=listener_tls, client_tls=tls) as edge:
        edge.gate.connections_per_address = ConnectionShares(2)
        silent = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(2)]
        await edge.settled(lambda: edge.listener.connection_count == 2)
        for _ in range(4):
            with contextlib.suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                await reset_or_closed(reader)
                writer.close()
        assert edge.listener.connection_count == 2
        other = RawClient(
            *await asyncio.open_connection(
                "127.0.0.1", edge.port, ssl=tls, server_hostname=HOST, local_addr=("127.0.0.2", 0)
            )
        )
        assert (await other.ask("GET /")).status == 200
        other.close()
        for _, writer in silent:
            writer.transport.abort()
        await edge.settled(lambda: edge.gate.connections_per_address._taken == {})


async def test_handshakes_that_fail_leave_no_place_taken(listener_tls):
    async with running_edge(limits=SMALL, listener_tls=listener_tls, client_tls=trusting_anybody()) as edge:
        for opening in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01\x00\x05hello"):
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                writer.write(opening)
                writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await asyncio.wait_for(reader.read(), 10)
                writer.close()
                await edge.settled(lambda: edge.listener.connection_count == 0)
        assert (await (await edge.client()).ask("GET /")).status == 200


async def test_a_handshake_holds_up_no_orderly_end(listener_tls):
    async with running_edge(limits=SMALL, listener_tls=listener_tls, client_tls=trusting_anybody()) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        await edge.settled(lambda: edge.listener.connection_count == 1)
        assert await edge.listener.drain(5)
        await reset_or_closed(reader)
        assert edge.listener.connection_count == 0
        writer.close()


# Memory


async def test_an_idle_connection_that_was_answered_holds_little():
    """Counted is what the interpreter has for it, here with asyncio's transports and the client's socket."""
    loop = asyncio.get_running_loop()

    async def answered_client(edge):
        client = opened.enter_context(socket.socket())
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", edge.port))
        await loop.sock_sendall(client, request("GET /a", "Accept: */*", "User-Agent: " + "x" * 200))
        assert await loop.sock_recv(client, 65536)

    async with running_edge() as edge:
        with contextlib.ExitStack() as opened:
            opened.callback(tracemalloc.stop)
            for _ in range(10):
                await answered_client(edge)
            gc.collect()
            tracemalloc.start()
            for _ in range(100):
                await answered_client(edge)
            for recorded in (edge.access.asked, edge.observed, edge.portal.heads):
                recorded.clear()
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            assert held / 100 < 6_000
