"""`/.authproxy/auth/…`: what each kind of front proxy asks, and what its client gets."""

from __future__ import annotations

import pytest

from tests.support.edge import FORBIDDEN, GOOD, HOST, NOW, UNANSWERABLE, running_edge
from tests.support.questions import CLIENT, DIALECTS, FORWARDING, proof, question

OTHERS = (*FORWARDING, "envoy")
"""All but nginx, which has its own tests."""
PAGE = "Sec-Fetch-Mode: navigate"
SCRIPT = "Sec-Fetch-Mode: cors"


async def answered(edge, data: bytes, *, unix: bool = True):
    client = await edge.client(unix=unix)
    await client.send(data)
    return await client.answer()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_allow_is_200_with_every_identity_header_and_no_cookie(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect))
        assert (answer.status, answer.body) == (200, b"")
        assert answer.get("x-auth-subject") == b"ana-subject"
        assert answer.get("x-auth-assertion") == b"header.payload.signature"
        assert answer.all("set-cookie") == []
        assert answer.get("cache-control") == b"no-store"
        assert edge.portal.conversations == []
        seen = edge.observed[0]
        assert (seen["dialect"], seen["path"], seen["client"]) == (dialect, "/page", CLIENT)


@pytest.mark.parametrize("dialect", ["caddy", "traefik"])
async def test_a_proxy_that_replaces_whole_fields_is_told_which_the_portal_gets(dialect):
    async with running_edge() as edge:
        own = await answered(edge, question(dialect, "Authorization: Basic YTpi"))
        assert (own.get("cookie"), own.get("authorization")) == (None, b"Basic YTpi")
        line = f"Cookie: a=1; __Host-authproxy={GOOD}; b=2"
        mixed = await answered(
            edge, question(dialect, line, "Authorization: a", "Authorization: b", ticket=None)
        )
        assert (mixed.get("cookie"), mixed.get("authorization")) == (b"a=1; b=2", None)


@pytest.mark.parametrize("dialect", ["nginx", "haproxy", "envoy"])
async def test_others_are_not_told_the_clients_own_cookies(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, "Authorization: Basic YTpi"))
        assert (answer.get("cookie"), answer.get("authorization")) == (None, None)


@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_page_load_without_a_session_is_led_to_the_sign_in(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, PAGE, ticket=None))
        assert answer.status == 302
        assert answer.get("location") == f"http://{HOST}/.authproxy/login?rt=/page%3Fa%3Db".encode()


@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_script_without_a_session_is_told_so_and_not_led_away(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, SCRIPT, ticket=None))
        assert (answer.status, answer.get("location")) == (401, None)
        assert answer.get("www-authenticate") == b'Bearer realm="acq"'
        assert b'"reason": "no_session"' in answer.body


@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_form_without_a_session_gets_a_page_that_says_so(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, PAGE, method="POST", ticket=None))
        assert (answer.status, answer.body) == (401, b"<h1>page not_sent</h1>")
        assert answer.get("location") is None


@pytest.mark.parametrize("dialect", OTHERS)
async def test_whoever_may_not_enter_gets_a_page_or_a_problem(dialect):
    async with running_edge() as edge:
        page = await answered(edge, question(dialect, PAGE, ticket=FORBIDDEN))
        assert (page.status, page.body) == (403, b"<h1>page level_too_low</h1>")
        problem = await answered(edge, question(dialect, SCRIPT, ticket=FORBIDDEN))
        assert (problem.status, problem.get("content-type")) == (
            403,
            b"application/problem+json; charset=utf-8",
        )


@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_store_that_is_away_is_a_fault_and_never_a_sign_in(dialect):
    async with running_edge() as edge:
        page = await answered(edge, question(dialect, PAGE, ticket=UNANSWERABLE))
        problem = await answered(edge, question(dialect, SCRIPT, ticket=UNANSWERABLE))
        assert (page.status, problem.status) == (503, 503)
        assert (page.get("location"), problem.get("location")) == (None, None)
        assert problem.get("retry-after") == b"5"


@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_stranger_is_refused_whatever_it_says(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect), unix=False)
        assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
        assert edge.access.asked == []


@pytest.mark.parametrize("dialect", OTHERS)
async def test_the_next_question_on_a_connection_is_not_taken_for_the_body_of_the_one_before(dialect):
    async with running_edge() as edge:
        client = await edge.client(unix=True)
        for ticket, status in ((GOOD, 200), (FORBIDDEN, 403), (GOOD, 200)):
            await client.send(question(dialect, PAGE, ticket=ticket))
            assert (await client.answer()).status == status


NOT_SAID_ONCE = [
    *((dialect, name) for dialect in FORWARDING for name in ("Method", "Proto", "Host", "Uri", "For")),
    ("envoy", "Proto"),
    ("envoy", "For"),
]


@pytest.mark.parametrize(("dialect", "name"), NOT_SAID_ONCE)
async def test_a_question_that_lacks_a_line_is_unreadable(dialect, name):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, without=f"X-Forwarded-{name}"))
        assert (answer.status, b"subrequest_unreadable" in answer.body) == (403, True)
        assert edge.access.asked == []


# The proof by which a proxy may ask from any address.

KEY = bytes(range(100, 132))
AT = int(NOW.timestamp())


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_question_that_proves_its_sender_is_answered_wherever_it_comes_from(dialect):
    async with running_edge() as edge:
        edge.gate.question_keys = (KEY,)
        for unix in (False, True):
            answer = await answered(edge, question(dialect, proof(dialect, KEY, at=AT)), unix=unix)
            assert (answer.status, answer.get("x-auth-subject")) == (200, b"ana-subject")
            assert edge.observed[-1]["client"] == CLIENT


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_proof_that_does_not_hold_is_refused_wherever_it_comes_from(dialect, capsys):
    async with running_edge() as edge:
        for keys in ((), (KEY,)):
            edge.gate.question_keys = keys
            for unix in (False, True):
                line = proof(dialect, bytes(32), at=AT)
                answer = await answered(edge, question(dialect, line), unix=unix)
                assert (answer.status, b"untrusted_peer" in answer.body) == (403, True)
        assert edge.access.asked == []


async def test_a_proved_question_may_bring_the_id_of_the_request():
    async with running_edge() as edge:
        edge.gate.question_keys = (KEY,)
        for fields in ((proof("caddy", KEY, at=AT),), ()):
            data = question("caddy", "X-Request-Id: of-the-proxy", *fields)
            answer = await answered(edge, data, unix=False)
            assert (answer.get("x-request-id") == b"of-the-proxy") == bool(fields)


async def test_the_address_of_a_proved_question_is_read_from_the_right():
    async with running_edge(trusted=["10.0.0.0/24"]) as edge:
        edge.gate.question_keys = (KEY,)
        chain = "203.0.113.9, 192.0.2.7, 10.0.0.3"
        data = question("caddy", proof("caddy", KEY, at=AT, client=chain), client=chain)
        assert (await answered(edge, data, unix=False)).status == 200
        assert edge.observed[-1]["client"] == "192.0.2.7"


# No page of a refusal may be taken for leave to pass.


async def renders_with_200(conversation):
    """Our pages as they answer for an `object`, or if they are broken."""
    while True:
        head, _ = await conversation.read_request()
        await conversation.answer(b"" if head.startswith(b"HEAD ") else b"<h1>no</h1>")


async def renders_in_pieces_with_200(conversation):
    while True:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<h1>\r\n0\r\n\r\n")


@pytest.mark.parametrize("script", [renders_with_200, renders_in_pieces_with_200])
@pytest.mark.parametrize("line", ["GET", "HEAD"])
@pytest.mark.parametrize("dialect", OTHERS)
async def test_a_page_with_200_never_reaches_a_front_proxy(dialect, line, script):
    async with running_edge() as edge:
        edge.pages.script = script
        data = question(dialect, PAGE, ticket=FORBIDDEN, method=line if dialect == "envoy" else "GET")
        data = data.replace(b"GET", line.encode(), 1)
        client = await edge.client(unix=True)
        await client.send(data)
        answer = await client.answer(line)
        assert answer.status == 403
        await client.send(question(dialect))
        assert (await client.answer()).get("x-auth-subject") == b"ana-subject"


@pytest.mark.parametrize("dialect", OTHERS)
async def test_an_object_in_a_page_gets_the_page_of_a_frame_with_its_own_status(dialect):
    async with running_edge() as edge:
        answer = await answered(edge, question(dialect, PAGE, "Sec-Fetch-Dest: object", ticket=None))
        assert (answer.status, answer.body) == (401, b"<h1>page no_session</h1>")
        assert b"Sec-Fetch-Dest: iframe\r\n" in edge.pages.received
