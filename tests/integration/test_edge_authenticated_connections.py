"""NTLM and Negotiate authenticate a connection (RFC 4559 §5): nobody else's request may travel on it. And
what else makes a connection to a portal unfit for the next request: bytes that belong to no answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from authproxy.identity.session import SessionId
from tests.support.edge import GOOD, SESSION, Conversation, request, running_edge

LOOPS = ("asyncio", "uvloop")
BOR = "1.bor"


def of(ticket: str) -> str:
    return f"Cookie: __Host-authproxy={ticket}\r\n"


async def remembers_the_connection(conversation: Conversation) -> None:
    """A portal of Windows' kind: the handshake has three legs, and from then on the connection is the
    person's."""
    person, challenged = b"nobody", False
    while True:
        head, _ = await conversation.read_request()
        scheme, _, credentials = head.partition(b"Authorization: ")[2].partition(b"\r\n")[0].partition(b" ")
        if credentials.startswith(b"offers"):
            challenged = True
            await conversation.answer(
                b"", status="401 Unauthorized", fields=b"WWW-Authenticate: %s challenge\r\n" % scheme
            )
            continue
        if credentials and challenged:
            person = credentials
        if b"/needs" in head and person == b"nobody":
            await conversation.answer(
                b"",
                status="401 Unauthorized",
                fields=b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n",
            )
        else:
            await conversation.answer(b"you are " + person)


async def authenticated(edge, *, ticket: str = GOOD, scheme: str = "NTLM"):
    """A client whose person has gone through the whole handshake."""
    client = await edge.client()
    assert (await client.ask("GET /needs", cookie=of(ticket))).status == 401
    assert (
        await client.ask("GET /needs", f"Authorization: {scheme} offers", cookie=of(ticket))
    ).status == 401
    assert (
        await client.ask("GET /needs", f"Authorization: {scheme} ana", cookie=of(ticket))
    ).body == b"you are ana"
    return client


def with_bor(edge) -> None:
    edge.access.sessions[BOR] = replace(SESSION, session_id=SessionId("session-of-bor"))


@pytest.mark.parametrize(
    "scheme", ["NTLM", "Negotiate", "negotiate", "Nego2", "Kerberos", "CredSSP", "PKU2U"]
)
async def test_a_handshake_of_three_legs_succeeds_and_its_connection_serves_nobody_else(scheme):
    async with running_edge(script=remembers_the_connection) as edge:
        with_bor(edge)
        ana = await authenticated(edge, scheme=scheme)
        assert (await (await edge.client()).ask("GET /", cookie=of(BOR))).body == b"you are nobody"
        assert (await (await edge.client()).ask("GET /")).body == b"you are nobody", (
            "the same person over another connection"
        )
        assert (await ana.ask("GET /")).body == b"you are ana"


async def test_a_connection_is_its_clients_from_the_first_request_with_such_credentials_on():
    async def believes_at_once(conversation: Conversation) -> None:
        person = b"nobody"
        while True:
            head, _ = await conversation.read_request()
            if b"Authorization: NTLM " in head:
                person = head.partition(b"Authorization: NTLM ")[2].partition(b"\r\n")[0]
            await conversation.answer(b"you are " + person)

    async with running_edge(script=believes_at_once) as edge:
        with_bor(edge)
        ana, bor = await edge.client(), await edge.client()
        assert (await ana.ask("GET /")).body == b"you are nobody"
        assert (await ana.ask("GET /", "Authorization: NTLM ana")).body == b"you are ana"
        assert (await bor.ask("GET /", cookie=of(BOR))).body == b"you are nobody"
        assert (await ana.ask("POST /", "Content-Length: 3", body=b"abc")).body == b"you are ana"


@pytest.mark.parametrize(
    "challenge",
    [b"WWW-Authenticate: NTLM", b'www-authenticate: Basic realm="x", Negotiate', b"Proxy-Authenticate: NTLM"],
)
async def test_a_connection_on_which_the_portal_offers_such_a_scheme_goes_to_nobody_else(challenge):
    async def offers(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await conversation.answer(
                b"%d" % edge.portal.conversations.index(conversation), fields=challenge + b"\r\n"
            )

    async with running_edge(script=offers) as edge:
        first, second = await edge.client(), await edge.client()
        assert (await first.ask("GET /")).body == b"0"
        assert (await second.ask("GET /")).body == b"1"
        assert [(await first.ask("GET /")).body, (await second.ask("GET /")).body] == [b"0", b"1"]


@pytest.mark.parametrize(
    "fields",
    [
        ["Authorization: Basic TlRMTSA="],
        ["Authorization: Bearer ntlm-negotiate"],
        ["X-Authorization: NTLM x"],
    ],
)
async def test_credentials_of_single_requests_leave_connections_to_everybody(fields):
    async with running_edge() as edge:
        for _ in range(3):
            client = await edge.client()
            assert (await client.ask("GET /", *fields)).status == 200
            client.close()
        assert len(edge.portal.conversations) == 1


async def test_a_front_proxy_that_mixes_people_on_one_connection_never_gives_one_the_others():
    async with running_edge(script=remembers_the_connection) as edge:
        with_bor(edge)
        shared = await authenticated(edge)
        assert (await shared.ask("GET /", cookie=of(BOR))).body == b"you are nobody"
        assert (await shared.ask("GET /")).body == b"you are nobody", (
            "and hers was closed when his request came"
        )
        await edge.settled(edge.portal.conversations[0].is_over.is_set)


async def test_an_authenticated_connection_ends_with_its_client_or_when_it_was_idle_too_long():
    async with running_edge(script=remembers_the_connection) as edge:
        gone, resting = await authenticated(edge), await authenticated(edge)
        first, second = edge.portal.conversations
        gone.close()
        await edge.settled(first.is_over.is_set)
        edge.pass_time(29)
        assert (await resting.ask("GET /")).body == b"you are ana"
        edge.pass_time(31)
        await edge.settled(second.is_over.is_set)
        assert (await resting.ask("GET /")).body == b"you are nobody"


async def test_idle_authenticated_connections_make_room_for_requests_that_wait():
    async with running_edge(script=remembers_the_connection, pool_limit=2) as edge:
        with_bor(edge)
        await authenticated(edge)
        await authenticated(edge)
        others = [await edge.client() for _ in range(4)]
        answers = await asyncio.gather(*(other.ask("GET /", cookie=of(BOR)) for other in others))
        assert [answer.body for answer in answers] == [b"you are nobody"] * 4
        assert edge.pool.use.in_use == 0


async def test_an_authenticated_connection_that_the_portal_has_closed_is_not_used():
    async def closes_after_one(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer(b"once", fields=b"WWW-Authenticate: NTLM\r\n")

    async with running_edge(script=closes_after_one) as edge:
        client = await edge.client()
        for number in range(1, 4):
            assert (await client.ask("POST /", "Content-Length: 1", body=b"x")).body == b"once"
            await edge.settled(
                lambda number=number: len(edge.portal.conversations) == number and edge.pool.use.idle == 0
            )


async def test_a_form_that_is_sent_on_takes_its_credentials_along():
    # The edge's own head of such a request must know what the client's knew.
    from authproxy.access.held_request import HeldRequest
    from authproxy.edge.rules import held_forms as held
    from authproxy.edge.rules import request_head

    asked = request_head.parse(
        b"POST",
        b"/",
        "1.1",
        [(b"Host", b"acq.localhost"), (b"Authorization", b"NTLM x"), (b"Content-Length", b"58")],
    )
    form = HeldRequest(
        target="/", content_type="text/plain", fields=(("Content-Type", "text/plain"),), body=b"x"
    )
    assert held.released(asked, form).authenticates_connection


# Bytes that belong to no answer


async def numbered(conversation: Conversation, edge) -> bytes:
    head, _ = await conversation.read_request()
    return head.partition(b" HTTP/1.1\r\n")[0]


JUNK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


async def test_bytes_that_arrive_on_an_idle_connection_never_become_somebodys_answer():
    async def sends_junk_late(conversation: Conversation) -> None:
        while True:
            line = await numbered(conversation, edge)
            await conversation.answer(line)
            await has_answer.acquire()
            await conversation.say(JUNK)

    has_answer = asyncio.Semaphore(0)
    async with running_edge(script=sends_junk_late) as edge:
        client = await edge.client()
        assert (await client.ask("GET /1")).body == b"GET /1"
        has_answer.release()
        await edge.settled(lambda: edge.pool.unasked == 1)
        for number in range(2, 30):
            # From here on no connection serves twice: what arrives in the wrong moment finds nobody.
            assert (await client.ask(f"GET /{number}")).body == b"GET /%d" % number
            has_answer.release()
        assert edge.pool.use.idle == 0


@pytest.mark.parametrize("junk", [JUNK, b"x", b"\r\nx", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_bytes_behind_an_answer_are_noticed_whenever_they_come(junk):
    async def sends_more(conversation: Conversation) -> None:
        line = await numbered(conversation, edge)
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s" % (len(line), line, junk))
        await conversation.read()

    async with running_edge(script=sends_more) as edge:
        for number in range(3):
            assert (await (await edge.client()).ask(f"GET /{number}")).body == b"GET /%d" % number
        assert (len(edge.portal.conversations), edge.pool.unasked > 0) == (3, True)


async def test_bytes_behind_a_large_answer_are_noticed_too():
    async def sends_more(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
        await may_go_on.wait()
        await conversation.say(b"x" * 50_000 + JUNK)
        await conversation.read()

    may_go_on = asyncio.Event()
    async with running_edge(script=sends_more) as edge:
        client = await edge.client()
        await client.send(request("GET /"))
        received = await client.some()
        while received.count(b"x") < 50_000:
            received += await client.some()
        may_go_on.set()
        while received.count(b"x") < 100_000:
            received += await client.some()
        await edge.settled(lambda: edge.pool.unasked == 1 and edge.pool.use.idle == 0)
        assert received.endswith(b"x")


async def test_a_server_that_says_good_bye_to_an_idle_connection_is_trusted_further():
    async def times_out(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer()
        await may_end.wait()
        await conversation.say(
            b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )

    may_end = asyncio.Event()
    async with running_edge(script=times_out) as edge:
        client = await edge.client()
        assert (await client.ask("GET /")).status == 200
        may_end.set()
        await edge.settled(lambda: edge.pool.use.idle == 0)
        assert (edge.pool.unasked, edge.pool.reuses) == (0, True)
        assert (await client.ask("GET /")).status == 200


async def test_a_portal_that_sends_nothing_unasked_for_a_while_is_trusted_again():
    async def once(conversation: Conversation) -> None:
        while True:
            line = await numbered(conversation, edge)
            await conversation.say(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + (JUNK if b"/junk" in line else b"")
            )

    async with running_edge(script=once) as edge:
        client = await edge.client()
        await client.ask("GET /")
        await client.ask("GET /junk")
        await edge.settled(lambda: not edge.pool.reuses)
        edge.pass_time(1)
        edge.pass_time(599)
        assert not edge.pool.reuses
        edge.pass_time(2)
        used = len(edge.portal.conversations)
        fresh = await edge.client()
        for _ in range(3):
            assert (await fresh.ask("GET /")).status == 200
        assert len(edge.portal.conversations) == used + 1


async def test_a_head_answer_whose_body_comes_all_the_same_is_nobodys_next_answer():
    async def sends_a_body(conversation: Conversation) -> None:
        head, _ = await conversation.read_request()
        if head.startswith(b"HEAD"):
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(JUNK))
            await has_answer.acquire()
            await conversation.say(JUNK)
        else:
            await conversation.answer(b"honest")

    has_answer = asyncio.Semaphore(0)
    async with running_edge(script=sends_a_body) as edge:
        for _ in range(5):
            attacker, person = await edge.client(), await edge.client()
            assert (await attacker.ask("HEAD /upload")).status == 200
            has_answer.release()
            assert (await person.ask("GET /")).body == b"honest"


async def test_where_a_portal_is_known_for_it_every_connection_serves_one_request():
    async with running_edge(pool_reuses=False) as edge:
        client = await edge.client()
        for number in range(1, 4):
            assert (await client.ask(f"GET /{number}")).status == 200
            assert (len(edge.portal.conversations), edge.pool.use.idle) == (number, 0)
        await edge.settled(lambda: all(one.is_over.is_set() for one in edge.portal.conversations))
        await client.send(request("GET /4") + request("POST /5", "Content-Length: 1", body=b"x"))
        assert [(await client.answer()).body for _ in range(2)] == [b"GET /4 HTTP/1.1", b"POST /5 HTTP/1.1"]
