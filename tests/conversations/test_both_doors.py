"""One question, one answer: what the edge is asked at the portal's places and the pages at ours is answered
by the same rules, and `explain` tells no other story."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from authproxy.access.routes import Portals
from authproxy.bootstrap.portals import all_portals
from authproxy.cli.explanation import explained
from authproxy.web import return_to


class Answered:
    """One answer on a raw connection, with header names in lower case."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0][9:12])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }
        self.body = body

    @property
    def kind(self):
        """What a client can tell: led on, shown a page, or told as a script is."""
        if self.status in {302, 303}:
            return "led on"
        return self.headers.get("content-type", "").partition(";")[0]


async def ask(house, path, *lines, method="GET"):
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
    head = b"\r\n".join(
        [
            b"%s %s HTTP/1.1" % (method.encode(), path.encode()),
            b"Host: acq.localhost:%d" % house.ports["gateway"],
            b"Connection: close",
            *lines,
        ]
    )
    writer.write(head + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found, _, body = answer.partition(b"\r\n\r\n")
    return Answered(found, body)


READERS = [
    [b"Sec-Fetch-Mode: navigate"],
    [b"Sec-Fetch-Mode: cors", b"Accept: text/html"],
    [b"Sec-Fetch-Mode:", b"Accept: text/html"],
    [b"Sec-Fetch-Mode:", b"Accept: */*"],
    [b"Accept: text/html,application/xhtml+xml"],
    [b"Accept: application/json"],
    [b"Accept: text/html", b"X-Requested-With: XMLHttpRequest"],
    [b"Sec-Fetch-Mode: navigate", b"Sec-Purpose: prefetch"],
    [b"Sec-Fetch-Mode: navigate", b"Purpose: prefetch"],
    [],
]


async def test_whether_a_person_or_a_script_asks_is_answered_alike(house):
    for method in ("GET", "POST"):
        for lines in READERS:
            sent = [*lines, b"Content-Length: 0"] if method == "POST" else lines
            edge = await ask(house, "/transakcije", *sent, method=method)
            pages = await ask(house, "/.authproxy/nothing", *sent, method=method)
            assert edge.kind in {"led on", "application/problem+json"}, (method, lines)
            assert (pages.kind == "text/html") is (edge.kind == "led on"), (method, lines)


async def test_a_form_of_a_browser_without_fetch_metadata_is_a_page_load_at_both(house):
    lines = [b"Accept: text/html", b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 0"]
    assert [
        (await ask(house, path, *lines, method="POST")).kind for path in ("/vnos", "/.authproxy/nothing")
    ] == ["led on", "text/html"]


def spellings(ticket):
    name = "__Host-authproxy"
    return [
        f"{name}={ticket}",
        f"a=1; {name}={ticket}",
        f"a=1;\t{name}= {ticket} ;b=2",
        f"{name}={ticket}; {name}={ticket}",
        f"{name}=; {name}={ticket}",
        f"{name} ={ticket}",
        f"a=1; {name} ={ticket}",
        f"a=1; {name}\t={ticket}",
        f"a=1,{name}={ticket}",
        f"a=1; x{name}={ticket}",
        f"a=1; \u00a0{name}={ticket}",
        f'{name}="{ticket}"',
        f"{name}={ticket}x",
        f"{name.upper()}={ticket}",
        f"a=1; {name}={ticket},x",
    ]


async def test_whether_a_cookie_is_the_session_is_answered_alike(house, ana):
    await ana.signs_in(f"{house.acq}/")
    found = []
    for cookie in spellings(ana.ticket(house.acq)):
        line = f"Cookie: {cookie}".encode()
        edge, pages = (
            await ask(house, "/", line),
            await ask(house, "/.authproxy/session", line, b"Accept: application/json"),
        )
        assert (edge.status, pages.status) in {(200, 200), (401, 401)}, cookie
        found.append(edge.status)
    assert found[:3] == [200] * 3
    assert set(found[3:]) == {401}


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/.authproxy/login", True),
        ("/.authproxy", True),
        ("/.AUTHPROXY/login", True),
        ("/.authproxy;x/login", True),
        ("/%2Eauthproxy/login", True),
        ("/.authproxyx", True),
        ("/.authproxy//login", True),
        ("/x/.authproxy/login", False),
        ("/authproxy/login", False),
        ("/.authprox", False),
    ],
)
async def test_whether_a_place_is_our_own_is_answered_alike(house, path, is_ours):
    portals = all_portals(house.settings)
    assert isinstance(portals, Portals)
    asked = await ask(house, path, b"Accept: application/json")
    told = json.loads(asked.body) if asked.status != 200 and asked.kind == "application/problem+json" else {}
    assert ("login_url" not in told) is is_ours  # the portal's places ask for a sign-in
    assert ("the gateway's own pages" in explained("GET", house.acq + path, portals).text) is is_ours
    assert (return_to.safe(path, origin=house.acq) == "/") is is_ours


async def test_a_problem_has_the_same_members_wherever_it_comes_from(house):
    edge = await ask(house, "/", b"Accept: application/json")
    pages = await ask(house, "/.authproxy/step-up/status?c=x", b"Accept: application/json")
    told = [json.loads(answer.body) for answer in (edge, pages)]
    assert [answer.status for answer in (edge, pages)] == [401, 401]
    assert (
        told[0].keys()
        == told[1].keys()
        == {"type", "title", "status", "reason", "request_id", "code", "login_url"}
    )
    assert [one["title"] for one in told] == ["Sign-in required"] * 2
    assert all(one["code"] == f"{one['reason']}-{one['request_id']}" for one in told)
    assert edge.headers["www-authenticate"] == pages.headers["www-authenticate"] == 'Bearer realm="acq"'


ROUTES = [{"path": "/vnos", "methods": ["POST"], "step_up": {"methods": ["totp"]}}]


@pytest.fixture
async def demanding_house(houses):
    """Forms to one place of its portal need a proof that nobody has, and are kept."""
    async with houses(acq={"routes": ROUTES}) as opened:
        yield opened


async def test_whether_our_own_page_has_sent_a_form_is_answered_alike(demanding_house):
    house = demanding_house
    ana = house.person()
    await ana.signs_in(f"{house.acq}/")
    cookie = f"Cookie: __Host-authproxy={ana.ticket(house.acq)}".encode()
    own, other = house.acq.encode(), b"https://evil.example"
    corpus = [
        ([b"Sec-Fetch-Site: same-origin", b"Origin: " + own], True),
        ([b"Sec-Fetch-Site: same-origin", b"Origin: null"], True),
        ([b"Sec-Fetch-Site: same-origin"], True),
        ([b"Sec-Fetch-Site: same-site", b"Origin: " + own], False),
        ([b"Origin: " + own], True),
        ([b"Sec-Fetch-Site: same-origin", b"Origin: " + other], False),
        ([b"Origin: null"], False),
        ([b"Origin: " + own, b"Origin: " + own], False),
        ([b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Site: same-origin"], False),
        ([b"Sec-Fetch-Site: none"], False),
    ]
    form = [
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: 0",
        b"Sec-Fetch-Mode: navigate",
        cookie,
    ]
    for lines, is_ours in corpus:
        edge = await ask(house, "/vnos", *lines, *form, method="POST")
        pages = await ask(house, "/.authproxy/session/extend", *lines, *form, method="POST")
        assert re.search("held=|lost=", edge.headers["location"])[0] == ("held=" if is_ours else "lost="), (
            lines
        )
        assert pages.status == (303 if is_ours else 403), lines
