"""What an intermediary owes to others: Via, Max-Forwards and Date (RFC 9110 §6.6.1, §7.6.2, §7.6.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.edge import NOW, Conversation, request, running_edge

DATE = b"Sun, 22 Nov 2026 09:00:00 GMT"


def answers(fields: bytes, body: bytes = b"fine", version: bytes = b"1.1"):
    """A portal that answers everything with these fields."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await conversation.say(b"HTTP/%s 200 OK\r\n%s\r\n%s" % (version, fields, body))

    return script


WAYS = {
    "in one piece": (b"Content-Length: 4\r\n", b"fine"),
    "in two pieces": (b"Content-Length: 200000\r\n", b"f" * 200_000),
    "with a cookie": (b"Set-Cookie: a=b\r\nContent-Length: 4\r\n", b"fine"),
    "in chunks": (b"Transfer-Encoding: chunked\r\n", b"4\r\nfine\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_answer_of_a_portal_has_one_date_and_our_name(way):
    fields, body = WAYS[way]
    async with running_edge(script=answers(fields, body)) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert (answer.get("date"), answer.get("via")) == (DATE, b"1.1 authproxy")
        edge.portal.script = answers(
            b"date: Mon, 1 Jan 2001 00:00:00 GMT\r\nVia: 1.0 inner\r\n" + fields, body
        )
        edge.pool.close()
        answer = await (await edge.client()).ask("GET /")
        assert (answer.get("date"), answer.all("via")) == (
            b"Mon, 1 Jan 2001 00:00:00 GMT",
            [b"1.0 inner", b"1.1 authproxy"],
        )


async def test_via_names_the_version_in_which_a_message_came():
    async with running_edge(script=answers(b"Content-Length: 4\r\n", version=b"1.0")) as edge:
        old = await edge.exchange(request("GET /", "Via: 1.1 cdn").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert b"\r\nVia: 1.0 authproxy\r\n" in old
        [head] = edge.portal.heads
        assert b"\r\nVia: 1.1 cdn\r\n" in head
        assert head.endswith(b"\r\nVia: 1.0 authproxy")


async def test_without_a_name_nothing_is_added():
    async with running_edge(via="") as edge:
        answer = await (await edge.client()).ask("GET /", "Via: 1.1 a, 1.1 a")
        assert (answer.status, answer.get("via"), edge.portal.received.count(b"Via")) == (200, None, 1)


async def test_a_request_that_goes_in_circles_is_not_sent_on():
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("GET /", "Via: 1.1 authproxy")).status == 200
        circles = ("Via: 1.1 authproxy", "Via: 1.0 cdn, 1.1 authproxy")
        answer = await client.ask("GET /again", *circles)
        assert (answer.status, b'"reason": "loop_detected"' in answer.body) == (508, True)
        answer = await client.ask("GET /again", *circles, "Accept: text/html")
        assert (answer.status, answer.body) == (508, b"<h1>page loop_detected</h1>")
        assert b"/again" not in edge.portal.received
        assert edge.observed[-1]["reason"] == "loop_detected"
        assert (await client.ask("POST /again", *circles, "Content-Length: 3", body=b"abc")).status == 508
        assert (await client.ask("GET /")).status == 200


async def test_options_is_answered_here_when_it_must_not_go_further():
    async with running_edge() as edge:
        client = await edge.client()
        answer = await client.ask("OPTIONS /", "Max-Forwards: 0")
        assert (answer.status, answer.body, b"OPTIONS" in (answer.get("allow") or b"")) == (200, b"", True)
        assert edge.portal.received == b""
        assert (await client.ask("OPTIONS /", "Max-Forwards: 0", cookie="")).status == 401
        assert (await client.ask("OPTIONS /", "Max-Forwards: 2")).status == 200
        assert b"\r\nMax-Forwards: 1\r\n" in edge.portal.received
        assert (await client.ask("TRACE /", "Max-Forwards: 0")).status == 405
        client = await edge.client()
        assert (await client.ask("GET /get", "Max-Forwards: 0")).status == 200
        assert b"GET /get " in edge.portal.received


async def test_what_we_answer_ourselves_has_the_date_of_that_second():
    async with running_edge() as edge:
        began, moment = edge.gate.time(), [0.0]
        edge.gate.time = lambda: began + moment[0]
        edge.gate.clock = lambda: NOW + timedelta(seconds=0.25 + moment[0])
        client = await edge.client()
        for moment[0], second in (
            (0.0, b":00 "),
            (0.5, b":00 "),
            (0.75, b":01 "),
            (1.5, b":01 "),
            (1.75, b":02 "),
        ):
            assert (await client.ask("GET /", cookie="")).get("date") == DATE.replace(b":00 ", second)
        assert b"\r\nDate: Sun, 22 Nov 2026 09:00:02 GMT\r\n" in await edge.exchange(b"nonsense\r\n\r\n")
