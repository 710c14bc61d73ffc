"""Requests of nobody on public routes, which have no session to count for, to end with, or to own anything."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from authproxy.edge.rules.connection_shares import ConnectionShares
from tests.support.edge import GOOD, HANDSHAKE, PORTAL, SWITCHED, Conversation, request, running_edge

NOBODYS_LINES = (b"X-Auth-Subject: -", b"X-Auth-Name: -", b"X-Auth-Level: -")


def subrequest(ticket: str | None) -> bytes:
    cookie = f"Cookie: __Host-authproxy={ticket}\r\n" if ticket else ""
    return (
        "GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: auth\r\nX-Original-URL: http://acq.localhost/open/a"
        f"\r\nX-Original-Method: GET\r\n{cookie}\r\n"
    ).encode()


@pytest.mark.parametrize("ticket", [None, "1.ended"])
async def test_a_request_of_nobody_reaches_the_portal_as_one_of_nobody(ticket):
    async with running_edge() as edge:
        edge.access.public = ("/open",)
        client = await edge.client()
        cookie = f"Cookie: __Host-authproxy={ticket}\r\n" if ticket else ""
        forged = "X-Auth-Subject: mallory", "X-Auth-Assertion: forged"
        assert (await client.ask("GET /open/a", *forged, cookie=cookie)).status == 200
        (head,) = edge.portal.heads
        assert [line for line in head.split(b"\r\n") if line.startswith(b"X-Auth-")] == list(NOBODYS_LINES)
        (seen,) = edge.observed
        assert (seen["decision"], seen["session"], seen["rule"]) == ("allowed", None, "open")


async def test_nginx_is_told_the_same():
    async with running_edge() as edge:
        edge.access.public = ("/open",)
        client = await edge.client(unix=True)
        await client.send(subrequest(None))
        answer = await client.answer()
        assert (answer.status, answer.get("X-Auth-Subject")) == (200, b"-")
        assert (answer.all("X-Auth-Assertion"), answer.all("Set-Cookie")) == ([], [])


async def test_requests_of_nobody_count_for_their_address_only():
    async with running_edge(trusted=["127.0.0.1"]) as edge:
        edge.access.public = ("/open",)
        edge.gate.connections_per_address = ConnectionShares(1)
        edge.gate.connections_per_session = ConnectionShares(1)
        started = await edge.client()
        body = "Content-Length: 2"
        mine, others = "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 203.0.113.10"
        await started.send(request("POST /open", body, mine, cookie="", body=b"1"))
        await edge.settled(lambda: bool(edge.portal.conversations))
        assert (await (await edge.client()).ask("GET /open", mine, cookie="")).status == 503
        assert (await (await edge.client()).ask("GET /open", others, cookie="")).status == 200
        await started.send(b"2")
        assert (await started.answer()).status == 200
        assert (await (await edge.client()).ask("GET /open", mine, cookie="")).status == 200


@pytest.mark.parametrize("is_preflight", [False, True])
async def test_one_address_without_a_session_does_not_take_all_connections_to_the_portal(is_preflight):
    portal = dataclasses.replace(PORTAL, passes_preflights=True)
    asks = ("Origin: https://partner.example", "Access-Control-Request-Method: PUT")
    line, fields = ("OPTIONS /api", asks) if is_preflight else ("GET /open/a", ())
    may_answer = asyncio.Event()

    async def waits(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await may_answer.wait()
            await conversation.answer()

    async with running_edge(script=waits, portal=portal) as edge:
        edge.access.public = ("/open",)
        edge.gate.connections_per_session = ConnectionShares(2)
        waiting = [await edge.client() for _ in range(2)]
        for client in waiting:
            await client.send(request("GET /open/a", cookie=""))
        await edge.settled(lambda: len(edge.portal.conversations) == 2)
        refused = await (await edge.client()).ask(line, *fields, cookie="")
        assert (refused.status, refused.get("Retry-After")) == (503, b"5")
        signed_in = await edge.client()
        await signed_in.send(request("GET /open/a"))
        await edge.settled(lambda: len(edge.portal.conversations) == 3)
        may_answer.set()
        for client in (*waiting, signed_in):
            assert (await client.answer()).status == 200
        assert (await (await edge.client()).ask(line, *fields, cookie="")).status == 200


async def echoes(conversation: Conversation) -> None:
    await conversation.read_until(b"\r\n\r\n")
    await conversation.say(SWITCHED)
    while data := await conversation.read():
        await conversation.say(data)


async def test_a_socket_of_nobody_stays_open_and_one_of_somebody_ends_with_their_session():
    async with running_edge(script=echoes) as edge:
        edge.access.public = ("/open",)
        nobody, ana = await edge.client(), await edge.client()
        await nobody.send(request("GET /open", *HANDSHAKE, cookie=""))
        await ana.send(request("GET /open", *HANDSHAKE))
        for client in (nobody, ana):
            head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 101 ")
        edge.access.revoked.add(GOOD)
        edge.pass_time(1)
        assert (await ana.some()).startswith(b"\x88")
        await nobody.send(b"\x81\x80abcd")
        assert await nobody.some() == b"\x81\x80abcd"


async def test_pages_of_other_sites_open_no_socket_on_a_public_route():
    async with running_edge(script=echoes) as edge:
        edge.access.public = ("/open",)
        client = await edge.client()
        await client.send(request("GET /open", *HANDSHAKE, "Origin: http://evil.example", cookie=""))
        assert (await client.answer()).status == 403
        assert edge.portal.conversations == []


async def test_a_ticket_that_opens_nothing_any_more_opens_no_connection_of_its_person():
    """Somebody has authenticated on a connection to the portal (NTLM). Their session has ended, and the next
    person at the same browser still sends its ticket."""

    async def remembers(conversation: Conversation) -> None:
        person = b"nobody"
        while True:
            head, _ = await conversation.read_request()
            if b"Authorization: NTLM " in head:
                person = b"ana"
            await conversation.answer(b"you are " + person)

    async with running_edge(script=remembers) as edge:
        edge.access.public = ("/open",)
        browser = await edge.client()
        assert (await browser.ask("GET /", "Authorization: NTLM ana")).body == b"you are ana"
        assert (await browser.ask("GET /open")).body == b"you are ana"
        edge.access.revoked.add(GOOD)
        assert (await browser.ask("GET /open")).body == b"you are nobody"
