"""The doctor's own connections: servers past the proxy, the stand-in, and how much it may send."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import trustme

from authproxy.access import consent
from authproxy.bootstrap.clock import utc_now
from authproxy.doctor import http2, machine, probes, raw_http
from authproxy.doctor.examination import Examination, Site
from authproxy.doctor.findings import Verdict
from authproxy.doctor.look import Look
from authproxy.doctor.stand_in import MARK, StandIn
from authproxy.doctor.wire import Budget, BudgetSpent, Door
from tests.support.ports import free_port

Probed = Callable[[Examination], Awaitable[Verdict]]
ASKED = raw_http.request("GET", "/", [("Host", "h"), ("Connection", "close")])


def budget(requests: int = 10) -> Budget:
    return Budget(requests=requests, ends_at=asyncio.get_running_loop().time() + 30)


def door(port: int, *, allowed: Budget | None = None, context: ssl.SSLContext | None = None) -> Door:
    return Door(
        address="127.0.0.1",
        port=port,
        server_name="acq.localhost",
        context=context,
        budget=allowed or budget(),
    )


async def test_a_server_at_all_addresses_of_the_machine_is_found_past_the_proxy() -> None:
    stand_in = StandIn(mark="m")
    async with stand_in.listening("0.0.0.0", 0) as port:
        addresses = machine.beside([f"http://127.0.0.1:{port}"], "127.0.0.1")
        answers = [await machine.ask(budget(), address, at, ASKED) for address, at in addresses]

    assert ("127.0.0.2", port) in addresses
    assert any(answer is not None and answer.status == 503 for answer in answers)


async def test_a_server_at_the_loopback_address_is_not() -> None:
    stand_in = StandIn(mark="m")
    async with stand_in.listening("127.0.0.1", 0) as port:
        addresses = machine.beside([f"http://127.0.0.1:{port}"], "127.0.0.1")
        answers = [await machine.ask(budget(), address, at, ASKED) for address, at in addresses]

    assert set(answers) == {None}


async def test_a_name_of_this_machine_is_its_loopback_address() -> None:
    assert await machine.of_itself("localhost") in {"127.0.0.1", "::1"}
    for other in ("192.0.2.7", "portal.invalid"):
        assert await machine.of_itself(other) == other


def test_from_another_machine_the_proxys_own_address_is_asked() -> None:
    servers = ["http://127.0.0.1:9001", "https://10.0.0.5", "unix:/run/x", "http://portal.example.si:81"]

    assert machine.beside(servers, "192.0.2.7") == [
        ("192.0.2.7", 9001),
        ("10.0.0.5", 443),
        ("portal.example.si", 81),
    ]


async def test_a_stand_in_keeps_what_has_the_mark_and_sends_others_away() -> None:
    stand_in = StandIn(mark="secret-mark")
    async with stand_in.listening("127.0.0.1", 0) as port:
        stranger = await door(port).ask(ASKED)
        head = await door(port).ask(
            raw_http.request("HEAD", "/x", [("Host", "h"), (MARK, "secret-mark.1")]), method="HEAD"
        )
        body = raw_http.chunked([b"ab"], [("X-Auth-Name", "me")])
        await door(port).ask(
            raw_http.request(
                "POST", "/y", [(MARK, "secret-mark.2"), ("Transfer-Encoding", "chunked")], body=body
            )
        )

    assert stranger is not None
    assert head is not None
    assert (stranger.status, head.status, stand_in.strangers) == (503, 200, 1)
    first, second = stand_in.taken()
    assert (first.method, second.body, second.trailers) == ("HEAD", b"ab", (("X-Auth-Name", "me"),))
    assert stand_in.taken() == ()


def examination(port: int, stand_in: StandIn | None, *, context: ssl.SSLContext | None = None) -> Examination:
    """Of a portal without any front proxy, by somebody to whom no gateway has answered."""
    return Examination(
        site=Site(origin="https://acq.localhost", host="acq.localhost", is_tls=True, plain_port=port),
        door=door(port, allowed=budget(30), context=context),
        consent=consent.consent(b"k" * 32, "acq.localhost", 2_000_000_000),
        look=Look(
            said={"portals": [{"servers": [f"http://192.0.2.1:{port}"]}]},
            answer=raw_http.Message(start="", fields=()),
        ),
        clock=utc_now,
        stand_in=stand_in,
        mark="m",
    )


@pytest.mark.parametrize(
    ("probe", "came"),
    [
        (probes.plain_http, "200, and it reached the portal"),
        (probes.request_framing, "the hidden request reached the portal"),
    ],
)
async def test_what_nobody_stands_in_front_of_is_red(probe: Probed, came: str) -> None:
    stand_in = StandIn(mark="m")
    async with stand_in.listening("127.0.0.1", 0) as port:
        verdict = await probe(examination(port, stand_in))

    assert (verdict.colour, verdict.came) == ("red", came)


async def test_a_portal_that_answers_past_the_proxy_is_red() -> None:
    stand_in = StandIn(mark="m")
    async with stand_in.listening("0.0.0.0", 0) as port:
        on = examination(port, None)
        on.look.said["portals"][0]["servers"] = [f"http://127.0.0.1:{port}"]
        verdict = await probes.portal_reachable(on)

    assert verdict.colour == "red"


@pytest.mark.parametrize(("days", "colour"), [(1, "red"), (10, "yellow"), (100, "green")])
async def test_a_certificate_that_ends_soon_is_told(days: int, colour: str) -> None:
    authority = trustme.CA()
    server, context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.configure_trust(context)
    ends_at = utc_now() + timedelta(days=days)
    authority.issue_cert("acq.localhost", not_after=ends_at).configure_cert(server)
    listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]

    verdict = await probes.certificate_end(examination(port, None, context=context))

    listening.close()
    assert verdict.colour == colour


async def test_no_more_is_sent_than_is_allowed() -> None:
    stand_in = StandIn(mark="m")
    async with stand_in.listening("127.0.0.1", 0) as port:
        asking = door(port, allowed=budget(requests=1))
        await asking.ask(ASKED)
        with pytest.raises(BudgetSpent):
            await asking.ask(ASKED)

    assert stand_in.strangers == 1


async def test_a_certificate_that_does_not_hold_is_told_in_words() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("acq.localhost").configure_cert(server)
    listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    asking = door(listening.sockets[0].getsockname()[1], context=ssl.create_default_context())

    assert await asking.ask(ASKED) is None

    listening.close()
    await listening.wait_closed()
    assert asking.failures[-1].startswith("the certificate does not hold: ")


@pytest.mark.parametrize(
    ("protocols", "answered", "why"),
    [
        (["http/1.1"], b"", "the front proxy does not offer it"),
        (["h2"], b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers is not HTTP/2: "),
        (["h2"], b"", "the connection was closed"),
        (["h2"], None, "no answer in time"),
    ],
    ids=["not_offered", "nonsense", "closed", "silent"],
)
async def test_it_says_why_it_cannot_speak_http2(
    protocols: list[str], answered: bytes | None, why: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"SM\r\n\r\n")
            if answered is None:
                await reader.read()
            writer.write(answered or b"")
        writer.close()

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_alpn_protocols(protocols)
    authority.issue_cert("acq.localhost").configure_cert(server)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    asking = door(listening.sockets[0].getsockname()[1], context=context)
    asking.http2 = context

    assert await asking.ask_http2(http2.request([(":path", "/")]), patience=0.5) is None

    listening.close()
    assert asking.failures[-1].startswith(why)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "the connection was refused"),
        ("nowhere.invalid", "the name has no address here (--connect HOST:PORT names one)"),
    ],
)
async def test_it_says_in_words_why_it_could_not_connect(address: str, words: str) -> None:
    closed = door(free_port())
    closed.address = address

    assert await closed.ask(ASKED) is None
    assert closed.failures == [words]
