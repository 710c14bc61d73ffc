"""HTTP/1.1 through the edge, seen from both sides: framing, order, keep-alive, interim answers, trailers (RFC
9110, RFC 9112)."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.edge import (
    COOKIE,
    FORBIDDEN,
    HOST,
    SLOW,
    UNANSWERABLE,
    Conversation,
    request,
    running_edge,
)

LOOPS = ("asyncio", "uvloop")


def ticket(value: str) -> str:
    return f"Cookie: __Host-authproxy={value}\r\n"


async def test_many_requests_share_one_connection_on_both_sides():
    async with running_edge() as edge:
        client = await edge.client()
        for number in range(20):
            answer = await client.ask(f"GET /{number}")
            assert (answer.status, answer.body) == (200, b"GET /%d HTTP/1.1" % number)
        assert len(edge.portal.conversations) == 1


async def test_pipelined_requests_of_every_framing_are_answered_in_order():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(
            request("POST /1", "Content-Length: 3", body=b"abc")
            + request("POST /2", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
            + request("GET /3")
            + request("HEAD /4")
            + request("GET /5", cookie="")
            + request("GET /6", "Connection: close")
        )
        answers = [await client.answer(method) for method in ("POST", "POST", "GET", "HEAD", "GET", "GET")]
        assert [answer.status for answer in answers] == [200, 200, 200, 200, 401, 200]
        assert [answer.body for answer in answers if answer.status == 200] == [
            b"POST /1 HTTP/1.1",
            b"POST /2 HTTP/1.1",
            b"GET /3 HTTP/1.1",
            b"",
            b"GET /6 HTTP/1.1",
        ]
        assert await client.everything() == b""
        assert edge.portal.received.count(b"\r\n\r\nabc") == 1
        assert b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n" in edge.portal.received


async def test_a_request_that_closes_does_not_close_before_those_in_front_of_it():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /first") + request("GET /last", "Connection: close"))
        first, last = await client.answer(), await client.answer()
        assert (first.body, first.get("connection")) == (b"GET /first HTTP/1.1", None)
        assert (last.body, last.get("connection")) == (b"GET /last HTTP/1.1", b"close")


async def test_a_thousand_pipelined_requests_are_answered_in_order():
    async with running_edge() as edge:
        client = await edge.client()
        sending = asyncio.ensure_future(
            client.send(b"".join(request(f"GET /{number}") for number in range(1000)))
        )
        for number in range(1000):
            assert (await client.answer()).body == b"GET /%d HTTP/1.1" % number
        await sending


async def test_pipelined_requests_larger_than_the_limit_of_one_head_are_no_large_head():
    async with running_edge() as edge:
        client = await edge.client()
        burst = b"".join(
            request(f"GET /{number}", f"X-Filler: {'f' * 2000}", cookie="") for number in range(60)
        )
        await client.send(burst)
        assert {(await client.answer()).status for _ in range(60)} == {401}


async def test_a_complete_body_in_one_read_is_no_large_head():
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("POST /", "Content-Length: 100000", body=b"b" * 100_000)).status == 200
        assert (await client.ask("GET /still-there")).status == 200


async def test_pipelined_requests_wait_for_a_decision_that_takes_its_time():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(
            request("POST /slow", "Content-Length: 4", cookie=ticket(SLOW), body=b"body")
            + request("GET /next")
        )
        await edge.settled(lambda: len(edge.access.asked) == 1)
        assert edge.portal.conversations == []
        edge.access.may_answer.set()
        assert (await client.answer("POST")).body == b"POST /slow HTTP/1.1"
        assert (await client.answer()).body == b"GET /next HTTP/1.1"
        assert b"\r\n\r\nbody" in edge.portal.received


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "Content-Length: 0"),
        (b"x" * 70_000, "Content-Length: 70000"),
        (b"5;name=value\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    ],
)
async def test_a_body_arrives_whole_however_it_is_cut_into_reads(body, field):
    async with running_edge() as edge:
        client = await edge.client()
        data = request("POST /", field, body=body)
        for at in range(0, len(data), max(1, len(data) // 300)):
            await client.send(data[at : at + max(1, len(data) // 300)])
            await asyncio.sleep(0)
        assert (await client.answer("POST")).status == 200
        if body.startswith(b"5;"):
            received = edge.portal.received.partition(b"\r\n\r\n")[2]
            assert b"hello" in b"".join(
                received.split(b"\r\n")[1::2]
            )  # chunk extensions end here (RFC 9112 §7.1.1)
            assert b"name=value" not in edge.portal.received
        else:
            assert edge.portal.received.endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified", "404 Not Found"])
async def test_answers_without_a_body_leave_both_connections_usable_unless_a_body_is_announced(
    method, status
):
    async def script(conversation: Conversation) -> None:
        while True:
            head, _ = await conversation.read_request()
            has_body = head.startswith(b"GET") and status[:3] not in {"204", "304"}
            length = b"" if status[:3] == "204" else b"Content-Length: 4\r\n"
            await conversation.say(
                b'HTTP/1.1 %s\r\n%sETag: "e"\r\n\r\n%s'
                % (status.encode(), length, b"body" if has_body else b"")
            )

    async with running_edge(script=script) as edge:
        client = await edge.client()
        for _ in range(3):
            answer = await client.ask(f"{method} /")
            assert answer.status == int(status[:3])
            assert answer.get("content-length") == (None if status[:3] == "204" else b"4")
            assert answer.get("transfer-encoding") is None
        # A portal that sends the body which such an answer announces would have it taken for the next answer.
        may_have_a_body = status[:3] == "304" or (method == "HEAD" and status[:3] != "204")
        assert len(edge.portal.conversations) == (3 if may_have_a_body else 1)


async def test_early_hints_pass_to_http_1_1_and_not_to_http_1_0():
    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await conversation.say(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            await conversation.answer()

    async with running_edge(script=script) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert (answer.interim, answer.status) == ([103], 200)
        old = await edge.exchange(request("GET /").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert old.startswith(b"HTTP/1.1 200 ")
        assert b"103" not in old


async def test_an_answer_that_ends_with_the_connection_is_chunked_for_http_1_1_and_closes_http_1_0():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")

    async with running_edge(script=script) as edge:
        client = await edge.client()
        for _ in range(2):
            answer = await client.ask("GET /")
            assert (answer.body, answer.get("transfer-encoding")) == (b"until the end", b"chunked")
        old = await edge.exchange(
            request("GET /", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
        )
        assert old.endswith(b"\r\n\r\nuntil the end")
        assert b"Connection: close\r\n" in old
        assert b"ransfer-" not in old


@pytest.mark.parametrize("host", ["", "Host:\r\n"])
async def test_a_health_check_that_names_no_host_gets_a_sign_of_life_from_the_default_portal(host):
    async with running_edge() as edge:
        asked = [
            f"{line}\r\n{host}\r\n".encode()
            for line in ("GET / HTTP/1.0", "HEAD / HTTP/1.0", "OPTIONS / HTTP/1.0", "OPTIONS * HTTP/1.0")
        ]
        assert [(await edge.exchange(one))[9:12] for one in asked] == [b"400"] * 4
        edge.gate.default_site = edge.gate.sites[HOST]
        answers = [await edge.exchange(one) for one in asked]
        assert [answer[9:12] for answer in answers] == [b"303", b"303", b"200", b"200"]
        assert f"\r\nLocation: http://{HOST}/.authproxy/login?rt=/\r\n".encode() in answers[0]
        assert b"\r\nAllow: DELETE, GET, " in answers[3]
        assert edge.portal.conversations == []


async def test_whoever_names_no_host_is_judged_by_the_default_portal_as_everybody_else():
    async with running_edge() as edge:
        edge.gate.default_site = edge.gate.sites[HOST]
        answer = await edge.exchange(f"GET /page HTTP/1.0\r\n{COOKIE}\r\n".encode())
        assert (answer[9:12], edge.access.asked[-1].host) == (b"200", HOST)
        assert f"\r\nHost: {HOST}\r\n".encode() in edge.portal.received
        assert (await edge.exchange(f"GET http://other.example/ HTTP/1.0\r\n{COOKIE}\r\n".encode()))[
            9:12
        ] == b"400"
        assert (await edge.exchange(f"GET /page HTTP/1.1\r\n{COOKIE}\r\n".encode()))[9:12] == b"400"
        assert (await edge.exchange(f"GET /page HTTP/1.1\r\nHost:\r\n{COOKIE}\r\n".encode()))[9:12] == b"400"
        assert (await edge.exchange(f"OPTIONS /page HTTP/1.0\r\n{COOKIE}\r\n".encode())).endswith(
            b"OPTIONS /page HTTP/1.1"
        )
        assert len(edge.portal.received.split(b"HTTP/1.1\r\n")) == 3


async def test_the_server_as_a_whole_says_what_may_be_asked_at_a_portal_and_at_no_other_host():
    async with running_edge() as edge:
        client = await edge.client()
        answer = await client.ask("OPTIONS *", cookie="")
        assert (answer.status, answer.body) == (200, b"")
        assert (await client.ask("GET /")).status == 200
        assert (await edge.exchange(request("OPTIONS *", host="other.example")))[9:12] == b"400"
        assert (await edge.exchange(request("GET *")))[9:12] == b"400"


async def test_http_1_0_keeps_the_connection_only_if_it_asks_to():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /1", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = await client.answer()
        assert (answer.status, answer.get("connection")) == (200, b"keep-alive")
        await client.send(request("GET /2").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await client.answer()).get("connection") == b"close"
        assert await client.everything() == b""


async def test_trailers_pass_in_both_directions():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Checksum: back\r\n\r\n"
        )

    async with running_edge(script=script) as edge:
        client = await edge.client()
        answer = await client.ask(
            "POST /", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\nX-Checksum: forth\r\n\r\n"
        )
        assert (answer.body, answer.trailers) == (b"hi", [(b"x-checksum", b"back")])
        assert edge.portal.received.endswith(b"\r\n1\r\na\r\n0\r\nX-Checksum: forth\r\n\r\n")


async def test_trailers_that_are_complete_before_the_portal_is_connected_are_not_lost():
    async with running_edge() as edge:
        client = await edge.client()
        body = b"1\r\na\r\n0\r\nX-Checksum: forth\r\n\r\n"
        await client.send(request("POST /", "Transfer-Encoding: chunked", cookie=ticket(SLOW), body=body))
        edge.access.may_answer.set()
        assert (await client.answer("POST")).status == 200
        assert edge.portal.received.endswith(b"X-Checksum: forth\r\n\r\n")


@pytest.mark.parametrize(
    "name",
    [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Cookie",
        "X-Auth-Subject",
        "x_auth_subject",
        "Content_Length",
    ],
)
async def test_a_trailer_that_means_framing_or_identity_is_refused(name):
    async with running_edge() as edge:
        trailer = f"{name}: 0\r\n\r\n".encode()
        answer = await edge.exchange(
            request("POST /", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n" + trailer)
        )
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert edge.portal.received == b""
        client = await edge.client()
        await client.send(request("POST /", "Transfer-Encoding: chunked", body=b"1\r\na\r\n"))
        await edge.settled(lambda: b"a" in edge.portal.received)
        await client.send(b"0\r\n" + trailer)
        assert (await client.answer("POST")).status == 400
        await edge.settled(edge.portal.conversations[-1].is_over.is_set)
        assert not edge.portal.received.endswith(b"0\r\n\r\n")


async def test_forbidden_trailers_of_a_portal_are_dropped():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nSet-Cookie: a=b\r\n\r\n"
        )

    async with running_edge(script=script) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert (answer.body, answer.trailers) == (b"hi", [])


# Expect: 100-continue


async def test_the_portals_100_reaches_the_client_and_the_body_follows():
    async def script(conversation: Conversation) -> None:
        head = await conversation.read_until(b"\r\n\r\n")
        assert b"Expect: 100-continue\r\n" in head
        await conversation.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await conversation.read_body(head)
        await conversation.answer()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 4", "Expect: 100-continue"))
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"body")
        assert (await client.answer("POST")).status == 200
        assert edge.portal.received.endswith(b"\r\n\r\nbody")


async def test_a_portal_that_never_heard_of_expect_costs_the_client_one_second():
    async with running_edge() as edge:
        client = await edge.client()
        asked_at = edge.gate.time()
        await client.send(request("POST /", "Content-Length: 4", "Expect: 100-continue"))
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert edge.gate.time() - asked_at > 0.9
        await client.send(b"body")
        assert (await client.answer("POST")).status == 200


async def test_hints_do_not_stand_for_the_100_that_a_client_waits_for():
    async def script(conversation: Conversation) -> None:
        head = await conversation.read_until(b"\r\n\r\n")
        await conversation.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await conversation.read_body(head)
        await conversation.answer()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 4", "Expect: 100-continue"))
        assert (await client.some()).startswith(b"HTTP/1.1 103 ")
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"body")
        assert (await client.answer("POST")).status == 200


async def test_a_final_answer_instead_of_100_closes_because_the_body_may_or_may_not_come():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.answer(status="401 Unauthorized")

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 4", "Expect: 100-continue"))
        answer = await client.answer("POST")
        assert (answer.interim, answer.status, answer.get("connection")) == ([], 401, b"close")
        assert await client.everything() == b""


@pytest.mark.parametrize(("value", "status"), [("", 401), (FORBIDDEN, 403), (UNANSWERABLE, 503)])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_a_refusal_of_an_expecting_client_closes_without_100(value, status, accept):
    async with running_edge() as edge:
        client = await edge.client()
        mode = "Sec-Fetch-Mode: navigate" if accept == "text/html" else "Sec-Fetch-Mode: cors"
        await client.send(
            request("POST /", "Content-Length: 4", "Expect: 100-continue", mode, cookie=ticket(value))
        )
        answer = await client.answer("POST")
        assert answer.status == (303 if status == 401 and accept == "text/html" else status)
        assert (answer.interim, answer.get("connection")) == ([], b"close")
        assert edge.portal.conversations == []


# Refusals and their connection


async def test_the_rest_of_a_refused_upload_is_read_and_the_connection_goes_on():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 10", cookie="", body=b"12345"))
        assert (await client.answer("POST")).status == 401
        await client.send(b"67890" + request("GET /next"))
        assert (await client.answer()).body == b"GET /next HTTP/1.1"
        assert edge.portal.received.count(b"12345") == 0


async def test_a_body_behind_an_early_answer_is_not_given_to_the_next_request():
    async def script(conversation: Conversation) -> None:
        await conversation.read_until(b"\r\n\r\n")
        await conversation.answer(b"early")
        await conversation.read()

    async with running_edge(script=script) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 10", body=b"12345"))
        assert (await client.answer("POST")).body == b"early"
        await client.send(b"67890" + request("GET /next"))
        assert (await client.answer()).body == b"early"
        assert len(edge.portal.conversations) == 2


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [("", 401, b"no_session"), (FORBIDDEN, 403, b"level_too_low"), (UNANSWERABLE, 503, b"store_unavailable")],
)
async def test_each_refusal_has_its_status_for_scripts(value, status, reason):
    async with running_edge() as edge:
        answer = await (await edge.client()).ask("GET /", cookie=ticket(value))
        assert (answer.status, answer.get("content-type")) == (
            status,
            b"application/problem+json; charset=utf-8",
        )
        assert b'"reason": "%s"' % reason in answer.body
        assert answer.all("set-cookie") == []
        assert edge.portal.conversations == []


async def test_a_person_gets_a_page_with_the_status_of_the_refusal():
    async with running_edge() as edge:
        answer = await (await edge.client()).ask("GET /", "Accept: text/html", cookie=ticket(FORBIDDEN))
        assert (answer.status, answer.body) == (403, b"<h1>page level_too_low</h1>")
        assert edge.portal.conversations == []


async def test_a_person_gets_plain_words_when_even_the_pages_are_gone():
    async with running_edge() as edge:
        await edge.pages.close()
        answer = await (await edge.client()).ask("GET /", "Accept: text/html", cookie=ticket(FORBIDDEN))
        assert (answer.status, answer.get("content-type")) == (403, b"text/plain; charset=utf-8")


async def test_own_places_are_answered_by_the_pages_with_the_cookies_that_portals_never_see():
    async with running_edge() as edge:
        answer = await (await edge.client()).ask(
            "GET /.authproxy/session", "X-Authproxy-Portal: other", "X-Authproxy-Client: 1.1.1.1"
        )
        assert answer.body == b"<h1>page /.authproxy/session</h1>"
        assert answer.get("set-cookie") == b"__Host-authproxy-flow=f"
        assert b"Cookie: __Host-authproxy=1.good\r\n" in edge.pages.received
        assert edge.pages.received.count(b"X-Authproxy-Client: ") == 1
        assert b"X-Authproxy-Client: 127.0.0.1\r\n" in edge.pages.received
        assert edge.pages.received.count(b"X-Authproxy-Portal: ") == 1
        assert edge.portal.conversations == []


@pytest.mark.parametrize(
    "path",
    [
        "/.AUTHPROXY/session",
        "/.authproxy;x/session",
        "/;/.authproxy/session",
        "/%2Eauthproxy/session",
        "/.authproxy",
    ],
)
async def test_other_spellings_of_our_place_never_reach_the_portal(path):
    async with running_edge() as edge:
        await (await edge.client()).ask(f"GET {path}")
        assert edge.portal.conversations == []


async def test_an_unknown_host_is_refused():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /", host="other.example"))
        answer = await client.answer()
        assert answer.status == 403
        assert b"unknown_host" in answer.body
        assert edge.access.asked == []


@pytest.mark.parametrize("host", [HOST.upper(), HOST + ".", HOST + ":80", HOST + ".:80"])
async def test_every_spelling_of_a_host_is_the_same_portal(host):
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /", host=host))
        assert (await client.answer()).status == 200
        assert f"\r\nHost: {HOST}\r\n".encode() in edge.portal.received


async def test_one_observation_is_made_of_each_request():
    async with running_edge() as edge:
        client = await edge.client()
        await client.ask("GET /yes")
        await client.ask("GET /no", cookie="")
        await client.send(b"GARBAGE\r\n\r\n")
        await client.everything()
        seen = [(one["status"], one["decision"], one["reason"]) for one in edge.observed]
        assert seen == [
            (200, "allowed", None),
            (401, "authentication_required", "no_session"),
            (405, "denied", "method_unsupported"),
        ]
