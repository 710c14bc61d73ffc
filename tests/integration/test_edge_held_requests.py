"""Forms that met a demand for a fresh proof: kept by the edge, and sent to the portal once, exactly as they
came."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.routes import Requirement, Route
from authproxy.access.unavailable import CannotAsk
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.edge.rules.connection_shares import ConnectionShares
from authproxy.edge.site import EdgeLimits, FormKeeping, Way
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.flows.held.requests import HeldRequests
from authproxy.identity.person import Subject
from authproxy.storage.memory import MemoryLimits, MemorySessions, MemorySharedOctets
from authproxy.storage.retention import BlockRules
from tests.support.edge import (
    GOOD,
    HOST,
    NOW,
    SESSION,
    Conversation,
    Counterpart,
    Edge,
    request,
    running_edge,
)
from tests.support.session_builders import new_ticket

ORIGIN = f"http://{HOST}"
TYPE = "application/x-www-form-urlencoded"
FROM_PORTAL = (
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    f"Origin: {ORIGIN}",
    f"Referer: {ORIGIN}/payments/new?x=1",
)
BODY = b"amount=12%2C50&to=SI56&purpose=pla%C4%8Da"
CAP = 4096
AN_HOUR = timedelta(hours=1)
STRANGER = "1.stranger"


class Kept(MemorySharedOctets):
    """The in-process store, with a plug to pull and a moment to wait in."""

    def __init__(self):
        super().__init__(clock=lambda: NOW)
        self.is_away = False
        self.takes = self.puts = 0
        self.may_take = asyncio.Event()
        self.may_take.set()

    async def get(self, key):
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")
        return await super().get(key)

    async def put(self, key, value, lives_for):
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")
        await super().put(key, value, lives_for)
        self.puts += 1

    async def take(self, key):
        self.takes += 1
        await self.may_take.wait()
        return await super().take(key)


@dataclass
class HoldingEdge:
    edge: Edge
    kept: Kept
    held: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    sessions: MemorySessions = field(default_factory=lambda: MemorySessions(remembered_for=AN_HOUR))

    @property
    def is_weak(self) -> bool:
        return GOOD in self.edge.access.lacks_proof

    @is_weak.setter
    def is_weak(self, to: bool) -> None:
        (self.edge.access.lacks_proof.add if to else self.edge.access.lacks_proof.discard)(GOOD)

    async def keep(
        self, *, line="POST /payments?new", fields=FROM_PORTAL, content_type=TYPE, body=BODY
    ) -> str:
        """The name of a form that was sent when a proof was missing. Afterwards there is one."""
        self.is_weak = True
        client = await self.edge.client()
        answer = await client.ask(
            line, *fields, f"Content-Type: {content_type}", f"Content-Length: {len(body)}", body=body
        )
        client.close()
        self.is_weak = False
        assert answer.status == 303
        return held_in(answer)

    async def send(self, name, *, target="/payments?new", fields=FROM_PORTAL, ticket=GOOD):
        client = await self.edge.client()
        return await client.ask(
            *sending(name, target, fields),
            cookie=f"Cookie: __Host-authproxy={ticket}; theme=dark\r\n",
            body=release(name),
        )


def release(name: str) -> bytes:
    return f"authproxy-held={name}".encode()


def sending(name, target="/payments?new", fields=FROM_PORTAL):
    return f"POST {target}", *fields, f"Content-Type: {TYPE}", f"Content-Length: {len(release(name))}"


def held_in(answer) -> str:
    location = answer.get("location").decode()
    assert location.startswith(
        f"{ORIGIN}/.authproxy/step-up?rt=/payments/new%3Fx%3D1&for=acq/payments%20POST&held="
    )
    return location.partition("&held=")[2]


def is_lost(answer) -> bool:
    return answer.status == 303 and answer.get("location").endswith(b"&for=acq/payments%20POST&lost=yes")


async def records(conversation: Conversation) -> None:
    """A portal that answers each request with its raw body."""
    while True:
        _, body = await conversation.read_request()
        await conversation.answer(body)


@asynccontextmanager
async def house(*, largest=CAP):
    kept, sessions = Kept(), MemorySessions(remembered_for=AN_HOUR)
    rules = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
    requests = HeldRequests(
        store=kept,
        limits=MemoryLimits(people=rules, addresses=rules),
        random_text=secrets.token_urlsafe,
        lives_for=timedelta(minutes=30),
        size=largest,
        types=(TYPE, "multipart/form-data", "text/plain"),
        sessions=sessions,
    )
    held: list[str] = []
    released: list[str] = []
    told = FormKeeping(
        requests=requests,
        when_kept=lambda record: held.append(
            record.session.session_id if record.session else record.ended_session.person.subject
        ),
        when_released=lambda record: released.append(record.path),
    )
    async with running_edge(script=records, form_keeping=told) as edge:
        edge.access.sessions[STRANGER] = replace(
            SESSION, person=replace(SESSION.person, subject=Subject("bor"))
        )
        yield HoldingEdge(edge, kept, held, released, sessions)


async def test_a_form_waits_for_the_proof_and_then_arrives_once_byte_for_byte():
    async with house() as here:
        name = await here.keep()
        assert (here.edge.portal.received, here.held, here.released) == (b"", [SESSION.session_id], [])
        answer = await here.send(name)
        assert (answer.status, answer.body) == (200, BODY)
        head, _, body = here.edge.portal.received.partition(b"\r\n\r\n")
        assert (head.split(b"\r\n")[0], body) == (b"POST /payments?new HTTP/1.1", BODY)
        for line in (
            b"Content-Type: " + TYPE.encode(),
            b"Content-Length: %d" % len(BODY),
            b"Origin: " + ORIGIN.encode(),
            b"Referer: " + ORIGIN.encode() + b"/payments/new?x=1",
            b"X-Auth-Subject: ana-subject",
            b"Cookie: theme=dark",
        ):
            assert head.split(b"\r\n").count(line) == 1
        assert name.encode() not in here.edge.portal.received
        assert here.released == ["/payments"]
        again = await here.send(name)
        assert (again.status, again.body) == (410, b"<h1>page held_request_gone</h1>")
        assert here.edge.portal.received.count(b"POST ") == 1
        assert [told["reason"] for told in here.edge.observed] == [
            "step_up_required",
            None,
            "held_request_gone",
        ]
        assert (here.edge.observed[0]["rule"], here.edge.observed[0]["decision"]) == (
            "acq/payments POST",
            "step_up_required",
        )


async def test_a_form_for_a_part_on_another_server_arrives_there():
    payments = Counterpart(records)
    await payments.listen()
    async with house() as here:
        site = here.edge.gate.sites[HOST]
        route = Route(name="acq/payments", path="/payments", requirement=Requirement(), way=1)
        pool = UpstreamPool(
            Upstream(host="127.0.0.1", port=payments.port),
            upstream_connections=4,
            connect_timeout=5,
            upstream_idle_timeout=30,
        )
        site.portal, site.ways = replace(site.portal, routes=(route, *site.portal.routes)), (Way(pool=pool),)
        answer = await here.send(await here.keep())
        assert (answer.status, answer.body) == (200, BODY)
        assert (payments.received.count(b"POST "), here.edge.portal.conversations) == (1, [])
        here.edge.close_clients()
    await payments.close()


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=xYz", "text/plain", "Application/X-Www-Form-Urlencoded; charset=UTF-8"],
)
@pytest.mark.parametrize("body", [b"", bytes(range(256)) * 16, b"--xYz\r\n\r\n\r\n--xYz--\r\n"])
async def test_every_listed_type_of_every_size_up_to_the_cap_is_kept_as_it_is(content_type, body):
    async with house() as here:
        name = await here.keep(content_type=content_type, body=body)
        assert (await here.send(name)).body == body
        assert b"\r\nContent-Type: %s\r\n" % content_type.encode() in here.edge.portal.received


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([f"Content-Type: {TYPE}", f"Content-Length: {CAP + 1}"], b"x" * (CAP + 1)),
        ([f"Content-Type: {TYPE}", "Transfer-Encoding: chunked"], b"3\r\na=b\r\n0\r\n\r\n"),
        (["Content-Type: application/json", "Content-Length: 2"], b"{}"),
        (["Content-Length: 3"], b"a=b"),
        ([f"Content-Type: {TYPE}", f"Content-Type: {TYPE}", "Content-Length: 3"], b"a=b"),
        ([f"Content-Type: {TYPE}", "Content-Encoding: gzip", "Content-Length: 3"], b"a=b"),
        ([f"Content-Type: {TYPE}"], b""),
    ],
)
async def test_what_cannot_be_kept_is_said_to_be_lost(fields, body):
    async with house() as here:
        here.is_weak = True
        assert is_lost(
            await (await here.edge.client()).ask("POST /payments", *FROM_PORTAL, *fields, body=body)
        )
        assert (here.edge.portal.received, here.held) == (b"", [])


@pytest.mark.parametrize(
    "fields",
    [["Sec-Fetch-Site: same-site"], ["Sec-Fetch-Site: same-origin", "Origin: https://evil.example"], []],
)
async def test_a_form_that_another_site_made_the_browser_send_is_not_kept(fields):
    """Our confirmation page would send it as the portal's own."""
    async with house() as here:
        here.is_weak = True
        sent = ["Sec-Fetch-Mode: navigate", *fields, f"Content-Type: {TYPE}", "Content-Length: 3"]
        assert is_lost(await (await here.edge.client()).ask("POST /payments", *sent, body=b"a=b"))
        assert here.held == []


async def test_a_gateway_that_keeps_nothing_says_so():
    async with house(largest=0) as here:
        here.is_weak = True
        fields = (*FROM_PORTAL, f"Content-Type: {TYPE}", "Content-Length: 0")
        assert is_lost(await (await here.edge.client()).ask("POST /payments", *fields))
    async with running_edge() as edge:
        edge.access.lacks_proof.add(GOOD)
        assert is_lost(await (await edge.client()).ask("POST /payments", *fields))


async def test_scripts_and_page_loads_that_are_no_form_are_answered_at_once():
    async with house() as here:
        here.is_weak = True
        client = await here.edge.client()
        script = await client.ask("POST /payments", f"Content-Type: {TYPE}", "Content-Length: 3", body=b"a=b")
        assert (script.status, b'"reason": "step_up_required"' in script.body) == (401, True)
        for line in ("GET /payments", "HEAD /payments"):
            answer = await client.ask(line, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none")
            assert (answer.status, answer.get("location")) == (
                303,
                f"{ORIGIN}/.authproxy/step-up?rt=/payments&for=acq/payments%20POST".encode(),
            )
        lost = await client.ask(
            "PUT /payments", *FROM_PORTAL, f"Content-Type: {TYPE}", "Content-Length: 3", body=b"a=b"
        )
        assert is_lost(lost)
        assert here.held == []


async def test_a_store_that_is_away_loses_nothing_without_a_word():
    async with house() as here:
        here.kept.is_away = here.is_weak = True
        client = await here.edge.client()
        answer = await client.ask(
            "POST /payments", *FROM_PORTAL, f"Content-Type: {TYPE}", "Content-Length: 3", body=b"a=b"
        )
        assert (answer.status, answer.body) == (503, b"<h1>page store_unavailable</h1>")
        assert b"a=b" not in here.edge.pages.received
        here.kept.is_away = False
        name = await here.keep()
        here.kept.is_away = True
        answer = await here.send(name)
        assert (answer.status, answer.body) == (503, b"<h1>page store_unavailable</h1>")
        here.kept.is_away = False
        assert (await here.send(name)).body == BODY


async def test_another_person_cannot_send_a_form_and_does_not_use_it_up():
    async with house() as here:
        name = await here.keep()
        assert (await here.send(name, ticket=STRANGER)).status == 410
        assert (await here.send(name)).body == BODY


async def test_a_form_cannot_be_sent_elsewhere():
    async with house() as here:
        name = await here.keep()
        for target in ("/payments", "/payments?old", "/admin?new"):
            assert (await here.send(name, target=target)).status == 410
        assert (await here.send(name)).body == BODY


async def test_a_form_that_is_sent_on_counts_for_its_session_and_waits_while_there_is_no_room():
    async with house() as here:
        name = await here.keep()
        here.edge.gate.connections_per_session = ConnectionShares(1)
        assert here.edge.gate.connections_per_session.take(SESSION.session_id)
        assert (await here.send(name)).status == 503
        assert here.edge.portal.received == b""
        here.edge.gate.connections_per_session.give_back(SESSION.session_id)
        assert (await here.send(name)).body == BODY
        await here.edge.settled(lambda: here.edge.gate.connections_per_session._taken == {})


async def test_who_may_not_come_in_at_this_moment_keeps_the_form():
    async with house() as here:
        name = await here.keep()
        here.is_weak = True
        assert held_in(await here.send(name)) == name
        here.is_weak = False
        here.edge.access.revoked.add(GOOD)
        answer = await here.send(name)
        assert (answer.status, b"/.authproxy/login?rt=" in answer.get("location")) == (303, True)
        here.edge.access.revoked.clear()
        assert (here.kept.takes, here.edge.portal.received, here.held) == (0, b"", [SESSION.session_id])
        assert (await here.send(name)).body == BODY


async def test_a_form_waits_while_the_place_that_it_is_for_lets_nobody_in():
    async with house() as here:
        name = await here.keep()
        here.edge.access.closed = ("/payments",)
        assert (await here.send(name)).status == 403
        assert (here.kept.takes, here.edge.portal.received) == (0, b"")
        here.edge.access.closed = ()
        assert (await here.send(name)).body == BODY


async def test_a_form_stays_its_persons_where_everybody_may_enter_meanwhile():
    async with house() as here:
        name = await here.keep()
        here.edge.access.public = ("/payments",)
        here.edge.access.revoked.add(GOOD)
        answer = await here.send(name)
        assert (answer.status, b"/.authproxy/login?rt=" in answer.get("location")) == (303, True)
        assert (here.kept.takes, here.edge.portal.received) == (0, b"")
        here.edge.access.revoked.clear()
        assert (await here.send(name)).body == BODY


@pytest.mark.parametrize(
    "fields",
    [
        ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-site"],
        ["Origin: https://evil.example"],
        ["Accept: text/html"],
    ],
)
async def test_only_a_page_of_the_portals_origin_sends_a_form_on(fields):
    async with house() as here:
        name = await here.keep()
        answer = await here.send(name, fields=fields)
        assert (answer.status, b"foreign_origin" in answer.body) == (403, True)
        assert (here.kept.takes, here.edge.portal.received) == (0, b"")


async def test_of_two_requests_at_one_moment_one_sends_the_form():
    async with house() as here:
        name = await here.keep()
        answers = await asyncio.gather(*(here.send(name) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [410] * 7
        assert here.edge.portal.received.count(b"POST ") == 1


async def test_a_browser_that_gives_up_at_the_last_moment_finds_the_form_again():
    async with house() as here:
        name = await here.keep()
        here.kept.may_take.clear()
        client = await here.edge.client()
        await client.send(request(*sending(name), body=release(name)))
        await here.edge.settled(lambda: here.kept.takes == 1)
        client.close()
        await here.edge.settled(lambda: here.edge.listener.connection_count == 0)
        here.kept.may_take.set()
        await here.edge.settled(lambda: here.kept.puts == 2)
        assert here.edge.portal.received == b""
        assert (await here.send(name)).body == BODY


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 58,
        b"authproxy-held=" + b"a" * 42 + b"%",
        b"authproxy-helf=" + b"a" * 43,
        b"a=b&authproxy-held=" + b"a" * 39,
    ],
)
async def test_a_form_of_the_portals_own_that_is_as_long_is_left_alone(body):
    assert len(body) == 58
    async with house() as here:
        client = await here.edge.client()
        fields = (f"Content-Type: {TYPE}", "Content-Length: 58")
        assert (await client.ask("POST /payments", *fields, body=body)).body == body
        await client.send(request("POST /payments", *fields, body=body[:1]))
        for at in range(1, 58):
            await client.send(body[at : at + 1])
        assert (await client.answer("POST")).body == body
        head = here.edge.portal.received.split(b"\r\n\r\n")[0]
        assert b"\r\nContent-Length: 58" in head


async def test_another_type_of_the_same_length_is_streamed():
    async with house() as here:
        client = await here.edge.client()
        await client.send(
            request("POST /payments", "Content-Type: text/plain", "Content-Length: 58", body=b"first")
        )
        await here.edge.settled(lambda: here.edge.portal.received.endswith(b"first"))
        await client.send(b"x" * 53)
        assert (await client.answer("POST")).status == 200


async def test_a_client_that_waits_for_leave_gets_it_and_nothing_is_lost():
    async with house() as here:
        here.is_weak = True
        client = await here.edge.client()
        fields = (
            *FROM_PORTAL,
            f"Content-Type: {TYPE}",
            f"Content-Length: {len(BODY)}",
            "Expect: 100-continue",
        )
        await client.send(request("POST /payments?new", *fields))
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(BODY)
        name = held_in(await client.answer("POST"))
        here.is_weak = False
        await client.send(request(*sending(name), "Expect: 100-continue"))
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(release(name))
        assert (await client.answer("POST")).body == BODY
        assert b"Expect" not in here.edge.portal.received


async def test_a_form_of_the_portals_own_that_waits_for_leave_gets_it_once():
    async def gives_leave(conversation: Conversation) -> None:
        head = await conversation.read_until(b"\r\n\r\n")
        if b"expect:" in head.lower():
            await conversation.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await conversation.answer(await conversation.read_body(head))

    async with house() as here:
        here.edge.portal.script = gives_leave
        client = await here.edge.client()
        await client.send(
            request("POST /payments", f"Content-Type: {TYPE}", "Content-Length: 58", "Expect: 100-continue")
        )
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"x" * 58)
        answer = await client.answer("POST")
        assert (answer.interim, answer.body) == ([], b"x" * 58)


async def test_requests_behind_a_form_are_answered_in_order():
    async with house() as here:
        here.is_weak = True
        client = await here.edge.client()
        kept = request(
            "POST /payments?new",
            *FROM_PORTAL,
            f"Content-Type: {TYPE}",
            f"Content-Length: {len(BODY)}",
            body=BODY,
        )
        await client.send(kept + request("GET /behind", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none"))
        name = held_in(await client.answer("POST"))
        assert (
            (await client.answer())
            .get("location")
            .startswith(f"{ORIGIN}/.authproxy/step-up?rt=/behind".encode())
        )
        here.is_weak = False
        sent = request(*sending(name), body=release(name))
        await client.send(sent + request("GET /behind") + sent)
        assert [(await client.answer(method)).body for method in ("POST", "GET", "POST")] == [
            BODY,
            b"",
            b"<h1>page held_request_gone</h1>",
        ]


async def test_a_form_that_arrives_in_pieces_is_kept_whole():
    async with house() as here:
        here.is_weak = True
        client = await here.edge.client()
        await client.send(
            request(
                "POST /payments?new", *FROM_PORTAL, f"Content-Type: {TYPE}", f"Content-Length: {len(BODY)}"
            )
        )
        for at in range(len(BODY)):
            await client.send(BODY[at : at + 1])
        name = held_in(await client.answer("POST"))
        here.is_weak = False
        assert (await here.send(name)).body == BODY


@pytest.mark.parametrize("is_weak", [True, False])
async def test_a_form_that_does_not_come_to_its_end_is_not_waited_for(is_weak):
    async with house() as here:
        here.is_weak = is_weak
        client = await here.edge.client()
        await client.send(
            request(
                "POST /payments",
                *FROM_PORTAL,
                f"Content-Type: {TYPE}",
                "Content-Length: 58",
                "Expect: 100-continue",
            )
        )
        assert await client.some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"authproxy-held=")
        here.edge.pass_time(EdgeLimits().body_timeout + 1)
        assert (await client.answer("POST")).status == 408
        assert (here.held, here.edge.portal.received) == ([], b"")


# Forms that are sent after the session has ended.


async def ended_session(here, *, portal="acq") -> str:
    """The ticket of a session of Ana's that has ended by time."""
    ticket = new_ticket()
    session = replace(SESSION, session_id=ticket.session_id, portal=portal, idle_for=timedelta(minutes=5))
    began = NOW - timedelta(minutes=6)
    await here.sessions.create(ticket, session, browser="", now=began)
    assert await here.sessions.load(ticket, now=NOW) is None
    return ticket.text


async def sent_too_late(here, ticket, *, fields=FROM_PORTAL, content_type=TYPE, body=BODY):
    client = await here.edge.client()
    return await client.ask(
        "POST /payments?new",
        *fields,
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        cookie=f"Cookie: __Host-authproxy={ticket}\r\n" if ticket else "",
        body=body,
    )


CHOOSER = f"{ORIGIN}/.authproxy/login?rt=/payments/new%3Fx%3D1"
NOT_SENT = f"{CHOOSER}&lost="


def location(answer) -> str:
    assert answer.status == 303
    return answer.get("location").decode()


def is_not_sent(answer) -> bool:
    """Whether the chooser says so, with the id of the request that the log has."""
    return re.fullmatch(re.escape(NOT_SENT) + "[0-9a-f]{16}", location(answer)) is not None


async def test_a_form_that_came_after_the_end_of_the_session_waits_for_its_person_and_arrives_once():
    async with house() as here:
        answer = await sent_too_late(here, await ended_session(here))
        assert location(answer).startswith(f"{CHOOSER}&held=")
        assert (here.edge.portal.received, here.held) == (b"", ["ana-subject"])
        name = location(answer).partition("&held=")[2]
        assert (await here.send(name, ticket=STRANGER)).status == 410
        assert (await here.send(name)).body == BODY
        assert (await here.send(name)).status == 410
        assert here.edge.portal.received.count(b"POST ") == 1
        assert here.edge.observed[0]["decision"] == "authentication_required"


INTERNET_EXPLORER = (
    "Accept: text/html, application/xhtml+xml, */*",
    f"Referer: {ORIGIN}/payments/new?x=1",
    "Accept-Language: sl-SI",
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Accept-Encoding: gzip, deflate",
    "Cache-Control: no-cache",
)
OLD_SAFARI = (
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    f"Origin: {ORIGIN}",
    f"Referer: {ORIGIN}/payments/new?x=1",
    (
        "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/13.1.2 Safari/605.1.15"
    ),
    "Accept-Language: sl-si",
)


@pytest.mark.parametrize("browser", [INTERNET_EXPLORER, OLD_SAFARI], ids=["ie", "safari"])
async def test_a_form_of_an_old_browser_waits_and_arrives_as_others_do(browser):
    async with house() as here:
        answer = await sent_too_late(here, await ended_session(here), fields=browser)
        name = location(answer).partition("&held=")[2]
        from_our_page = [
            line.replace("/payments/new?x=1", "/.authproxy/step-up/send?held=x") for line in browser
        ]
        assert (await here.send(name, fields=from_our_page)).body == BODY
        assert b"Referer: %s/payments/new?x=1\r\n" % ORIGIN.encode() in here.edge.portal.received


@pytest.mark.parametrize(
    "change",
    [
        {"ticket": ""},
        {"ticket": "1.unknown"},
        {"ticket": new_ticket().text},
        {"body": b"x" * (CAP + 1)},
        {"content_type": "application/json"},
        {"fields": ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site", FROM_PORTAL[3])},
        {"fields": ("Sec-Fetch-Mode: navigate", "Origin: https://evil.example", FROM_PORTAL[3])},
    ],
    ids=["nobody", "no ticket", "unknown", "too large", "no form", "another site", "another origin"],
)
async def test_of_what_cannot_be_kept_the_person_is_told_before_they_sign_in(change):
    async with house() as here:
        answer = await sent_too_late(here, **({"ticket": await ended_session(here)} | change))
        assert is_not_sent(answer)
        assert (here.held, here.kept.puts, here.edge.portal.received) == ([], 0, b"")
        await here.edge.settled(lambda: len(here.edge.observed) == 1)
        assert here.edge.observed[0]["reason"] == "not_sent"


async def test_nothing_is_kept_for_somebody_who_has_signed_out():
    async with house() as here:
        ticket = await ended_session(here)
        [session] = [opened.session for opened in here.sessions._sessions.all()]
        await here.sessions.revoke(session.session_id)
        assert is_not_sent(await sent_too_late(here, ticket))
        assert here.kept.puts == 0


async def test_nothing_is_kept_for_a_session_of_another_portal():
    async with house() as here:
        assert is_not_sent(await sent_too_late(here, await ended_session(here, portal="b2b")))
        assert here.kept.puts == 0


async def test_nobody_can_make_the_gateway_read_a_form_for_a_session_that_it_does_not_know():
    """The answer comes although the body never does."""
    async with house() as here:
        client = await here.edge.client()
        ticket = new_ticket().text
        await client.send(
            request(
                "POST /payments",
                *FROM_PORTAL,
                f"Content-Type: {TYPE}",
                f"Content-Length: {CAP}",
                cookie=f"Cookie: __Host-authproxy={ticket}\r\n",
            )
        )
        assert "&lost=" in location(await client.answer("POST"))


async def test_behind_a_proxy_forms_after_the_end_count_for_the_address_that_sends_them():
    async with house() as here:
        ticket = await ended_session(here)
        here.edge.gate.trusted_proxies = TrustedProxies.of(("127.0.0.1",))
        here.edge.gate.connections_per_address = ConnectionShares(1)
        first, second = await here.edge.client(), await here.edge.client()
        head = request(
            "POST /payments",
            *FROM_PORTAL,
            f"Content-Type: {TYPE}",
            "Content-Length: 3",
            "X-Forwarded-For: 203.0.113.7",
            cookie=f"Cookie: __Host-authproxy={ticket}\r\n",
        )
        await first.send(head)
        await here.edge.settled(lambda: bool(here.edge.gate.connections_per_address._taken))
        await second.send(head)
        assert (await second.answer("POST")).status == 503
        await first.send(b"a=b")
        assert "&held=" in location(await first.answer("POST"))
        await here.edge.settled(lambda: here.edge.gate.connections_per_address._taken == {})


async def test_a_script_whose_session_has_ended_is_told_that_and_nothing_is_kept():
    async with house() as here:
        script = ("Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", f"Origin: {ORIGIN}")
        answer = await sent_too_late(here, await ended_session(here), fields=script)
        assert (answer.status, here.kept.puts) == (401, 0)
        assert b"not_sent" not in answer.body


async def test_if_nobody_can_say_whose_the_session_was_the_answer_is_503():
    class Away(MemorySessions):
        async def whose(self, ticket, *, now):
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")

    async with house() as here:
        here.edge.gate.form_keeping.requests._sessions = Away()
        answer = await sent_too_late(here, await ended_session(here))
        assert (answer.status, answer.body) == (503, b"<h1>page store_unavailable</h1>")
        assert here.kept.puts == 0


async def test_whoever_has_sent_thirty_forms_within_the_hour_is_told_that_the_next_is_not_sent():
    async with house() as here:
        ticket = await ended_session(here)
        for _ in range(30):
            assert "&held=" in location(await sent_too_late(here, ticket))
        assert is_not_sent(await sent_too_late(here, ticket))


async def test_a_session_that_ends_before_the_button_is_pressed_loses_no_form():
    async with house() as here:
        name = await here.keep()
        here.edge.access.revoked.add(GOOD)
        assert location(await here.send(name)) == f"{CHOOSER}&held={name}"
        here.edge.access.revoked.clear()
        assert (await here.send(name)).body == BODY
