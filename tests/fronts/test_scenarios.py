"""The same scenarios behind each front proxy, with the shipped files and the real program. The first sentence
of a scenario is its row in the table of deploy/README.md."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import secrets
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import aiohttp
import pytest

from authproxy.bootstrap.open_sessions import revoke_session
from authproxy.edge.rules import identity_names
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES
from tests.support.fronts.every import SIGNING, SIX
from tests.support.fronts.http2_client import Http2Failed
from tests.support.fronts.world import (
    CLOSED,
    DEMANDING,
    HIGHER,
    OPEN,
    QUESTION_KEY,
    READABLE,
    SilentGateway,
    Standing,
    status_of,
)
from tests.support.gateway import ANA, Person
from tests.support.http_client import Answer
from tests.support.ports import free_port
from tests.support.step_up import answered, begun
from tests.support.waiting import until

pytestmark = [pytest.mark.needs("redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]

OURS = (
    "X-Auth-Subject",
    "X-Auth-Name",
    "X-Auth-Email",
    "X-Auth-Tax-Number",
    "X-Auth-Method",
    "X-Auth-Level",
    "X-Auth-Roles",
    "X-Auth-Step-Up",
    "X-Auth-Assertion",
)
_METHODS = {"nginx": "push", "caddy": "push", "traefik": "push", "envoy": "sms", "haproxy": "totp"}
"""How Ana proves that it is her: nobody may do so in one way five times within a moment."""
MEGABYTE = 1 << 20


def never_reached(front: Standing, seen: int) -> None:
    assert [received.target for received in front.portal.received[seen:]] == []


def is_personal(answer: Answer) -> None:
    """What every answer of the gateway about a person says."""
    assert "no-store" in answer.header("cache-control")
    assert answer.all("x-content-type-options") == ["nosniff"]
    assert not [name for name, _ in answer.headers if name.startswith("x-auth-")]


async def test_deep_link(front: Standing) -> None:
    """A deep link leads through the sign-in to its place."""
    ana = front.person()

    page = await ana.signs_in(f"{front.url}/izpisi/2026?mesec=11&vrsta=a%26b")

    assert (page.status, page.text) == (200, "portal"), front.running.errors
    received = front.portal.last
    assert received.target == "/izpisi/2026?mesec=11&vrsta=a%26b"
    first = next(answer for answer in ana.browser.history if answer.url.startswith(front.url))
    assert first.status in {302, 303}
    assert first.location.startswith(f"{front.url}/.authproxy/login?rt=/izpisi/2026%3F")
    assert "no-store" in first.header("cache-control")
    assert not first.all("set-cookie")


async def test_identity(front: Standing) -> None:
    """The portal gets every identity header once, the address of the client, and no cookie of the gateway."""
    ana = await front.ana()
    cookie = f"a=1; {front.cookie(ana)}; __Host-authproxy-flow=planted; lang=sl"

    answer = await front.raw_get("/api?x=1", cookie=cookie)

    assert status_of(answer) == 200
    received = front.portal.last
    assert {name: len(received.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
    assert received.all("X-Auth-Name") == ["Ana Novak"]
    assert received.all("X-Auth-Level") == ["20"]
    assert received.all("Cookie") == ["a=1; lang=sl"]
    assert received.all("Host") == [front.host]
    assert received.all("X-Forwarded-Proto") == ["https"]
    assert received.all("X-Forwarded-For") == ["127.0.0.1"]
    assert b"x-auth-" not in answer.lower()


async def test_script_without_session(front: Standing) -> None:
    """A script without a session gets 401 as JSON, with the reason and the address of the sign-in."""
    seen = len(front.portal.received)

    answer = await front.browser().fetch(f"{front.url}/api/accounts?page=2")

    assert (answer.status, answer.json["reason"]) == (401, "no_session")
    assert answer.header("content-type").startswith("application/problem+json")
    assert answer.json["login_url"] == f"{front.url}/.authproxy/login?rt=/api/accounts%3Fpage%3D2"
    assert any(value.startswith("Bearer realm=") for value in answer.all("www-authenticate"))
    assert not answer.all("location") + answer.all("set-cookie")
    is_personal(answer)
    never_reached(front, seen)


async def test_form_without_session(front: Standing) -> None:
    """A form without a session is not sent to the portal, and its person is asked to sign in again."""
    seen = len(front.portal.received)
    headers = {
        "Sec-Fetch-Mode": "navigate",
        "Accept": "text/html",
        "Origin": front.url,
        "Referer": f"{front.url}/nakazilo",
    }

    answer = await front.browser().post(f"{front.url}/nakazilo/poslji", {"znesek": "10"}, headers=headers)

    if "form_without_session" in front.differs:
        assert answer.status == 303
        assert answer.location.startswith(f"{front.url}/.authproxy/login?rt=/nakazilo&lost=")
    else:
        assert (answer.status, answer.all("location")) == (401, [])
        assert f"{front.url}/.authproxy/login?rt=/nakazilo" in "".join(answer.links)
    never_reached(front, seen)


async def test_frame(front: Standing) -> None:
    """In a frame, the missing session is a page that the portal may frame, with a link for the whole window."""
    headers = {"Sec-Fetch-Dest": "iframe", "Referer": f"{front.url}/okvirji"}

    page = await front.browser().navigate(f"{front.url}/vsebina", headers=headers)

    assert (page.status, page.heading) == (401, "Prosimo, prijavite se")
    assert "frame-ancestors 'self'" in page.header("content-security-policy")
    assert f"{front.url}/.authproxy/login?rt=/okvirji" in page.links


async def test_step_up(front: Standing) -> None:
    """A place that asks for a fresh proof leads to it and back, and a script learns what is missing."""
    ana = await front.signed_in()
    seen = len(front.portal.received)
    place = f"{front.url}{DEMANDING}/12"

    script = await ana.browser.fetch(place)
    assert script.status == 401
    assert 'error="insufficient_user_authentication"' in " ".join(script.all("www-authenticate"))
    never_reached(front, seen)
    house, method = front.world.house, _METHODS[front.kind.name]
    page = await begun(ana, place, method)
    if method == "push":
        await house.answers_push()
        back = await answered(ana, page)
    elif method == "sms":
        [newest, *_] = await house.messages(ANA)
        code = re.search(r"^@\S+ #(\d{6})$", newest, re.MULTILINE)
        assert code, "the message has a line for browsers"
        back = await answered(ana, page, house.keep_secret(code[1]))
    else:
        back = await answered(ana, page, house.app_code())

    arrived = await ana.browser.follow(back)
    assert (arrived.status, arrived.url, arrived.text) == (200, place, "portal")
    assert front.portal.last.all("X-Auth-Step-Up") not in ([], ["-"])


async def test_refusal(front: Standing) -> None:
    """What is forbidden is a page that says so, and 403 as JSON with the reason for scripts."""
    ana = await front.ana()
    seen = len(front.portal.received)

    page = await ana.browser.navigate(f"{front.url}{CLOSED}/x")
    script = await ana.browser.fetch(f"{front.url}{CLOSED}/x")

    assert (page.status, script.status) == (403, 403)
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "<h1>" in page.text
    assert (script.json["reason"], script.json["status"]) == ("network_not_allowed", 403)
    if "refusal" not in front.differs:
        assert "network_not_allowed" in page.text
    for answer in (page, script):
        assert not answer.all("location") + answer.all("set-cookie")
        is_personal(answer)
    never_reached(front, seen)


async def test_higher_level(front: Standing) -> None:
    """Nobody comes in with a lower level of trust than a place demands."""
    ana = await front.ana()
    seen = len(front.portal.received)

    page = await ana.browser.navigate(f"{front.url}{HIGHER}/x")
    script = await ana.browser.fetch(f"{front.url}{HIGHER}/x")

    assert page.status in {302, 303, 403}
    assert script.status in {401, 403}
    never_reached(front, seen)


async def test_everything_is_asked(front: Standing) -> None:
    """Without a session no file, method or sort of request gets past the question."""
    seen = len(front.portal.received)
    for path in (
        "/",
        "/style.css",
        "/app.js",
        "/slike/logo.png?v=1",
        "/static/x",
        "/assets/x.map",
        "/favicon.ico",
        "/robots.txt",
        "/.well-known/security.txt",
        "/.well-known/acme-challenge/x",
        "/health",
        "/metrics",
        "/socket",
        "/events",
        "/api/",
        "/index.php",
        "/.env",
        "/izpis.pdf",
    ):
        assert status_of(await front.raw_get(path)) == 401, path
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "QUERY"):
        answer = await front.raw_get("/a", "Content-Length: 0", method=method)
        assert status_of(answer) in {400, 401, 403, 405, 501}, method
    for fields in (
        # With credentials, a cookie or a body it is no preflight.
        ("Origin: https://evil.example", "Access-Control-Request-Method: POST", "Authorization: Basic eDp5"),
        ("Origin: https://evil.example", "Access-Control-Request-Method: POST", "Cookie: lang=sl"),
        ("User-Agent: GoogleHC/1.0",),
        ("User-Agent: kube-probe/1.30",),
        ("Purpose: prefetch", "Sec-Purpose: prefetch"),
        ("Range: bytes=0-1",),
        ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ):
        for method in ("GET", "OPTIONS"):
            assert status_of(await front.raw_get("/a", *fields, method=method)) in {400, 401, 403, 405}, (
                fields
            )
    never_reached(front, seen)


async def test_open_path(front: Standing) -> None:
    """A public place is open to everybody, and the portal learns nobody's name there."""
    forged = [f"{name}: mallory" for name in OURS]

    assert status_of(await front.raw_get(f"{OPEN}/a?b=c", *forged)) == 200

    received = front.portal.last
    assert received.target == f"{OPEN}/a?b=c"
    assert {value for name in OURS for value in received.all(name)} <= {"", "-"}


async def test_question_from_outside(front: Standing) -> None:
    """The place where the front proxy asks is closed to everybody else."""
    ana = await front.ana()
    seen = len(front.portal.received)
    fields = [
        f"X-Original-URL: {front.url}/",
        "X-Original-Method: GET",
        "X-Forwarded-Method: GET",
        "X-Forwarded-Uri: /",
        f"X-Forwarded-Host: {front.host}",
        "X-Forwarded-Proto: https",
    ]
    places = [
        f"/.authproxy/auth/{name}" for name in ("nginx", "caddy", "traefik", "haproxy", "envoy/", "x", "")
    ]
    own = places[0].replace("nginx", front.kind.dialect)
    spelled = [
        f"{own}?x=1",
        f"{own}/",
        f"{own};x",
        f"{own}#x",
        own.replace("/auth/", "/auth%2f"),
        own.replace("/auth/", "/%61uth/"),
        own.replace("/auth/", "//auth/"),
        own.replace("/auth/", "/./auth/"),
        own.replace("/auth/", "/x/../auth/"),
        own.replace("/.", "/%2e"),
        f"{OPEN}/..{own}",
        f"/{own}",
        own.replace("/.authproxy", "/.AUTHPROXY"),
        "/.authproxy/auth/envoy/%zz",
        # To a proxy that resolves the dots another page, to the gateway a question.
        "/.authproxy/auth/envoy/../../login",
        f"/.authproxy/auth/envoy/../../..{OPEN}",
        f"/.authproxy/auth/envoy/%2e%2e/%2E%2E/..{OPEN}",
        front.url + own,
    ]

    for place in places + spelled:
        for cookie in ("", front.cookie(ana)):
            answer = await front.raw_get(place, *fields, cookie=cookie)
            assert status_of(answer) in {400, 401, 403, 404}, (place, answer)
            assert b"x-auth-" not in answer.lower()
            # The front proxy answers by itself: the gateway would refuse a question by 403. Some cannot read %zz or #.
            if place.startswith("/.authproxy/auth"):
                unreadable = "%zz" in place or "#" in place
                assert status_of(answer) in ({400, 404} if unreadable else {404}), (place, answer)
    never_reached(front, seen)


async def test_preflight(front: Standing) -> None:
    """Where the settings say so, a CORS preflight reaches the portal without an identity; what has a body is none."""
    asks = ("Origin: https://partner.example", "Access-Control-Request-Method: PUT", "X-Auth-Name: mallory")

    assert status_of(await front.raw_get("/api", *asks, method="OPTIONS")) == 200

    received = front.portal.last
    assert (received.method, received.target) == ("OPTIONS", "/api")
    assert received.all("Access-Control-Request-Method") == ["PUT"]
    assert not {value for name in OURS for value in received.all(name)} - {"", "-"}
    assert status_of(await front.raw_get("/api", *asks, "Content-Length: 0", method="OPTIONS")) == 200
    seen = len(front.portal.received)
    head = "\r\n".join(["OPTIONS /api HTTP/1.1", f"Host: {front.host}", "Connection: close", *asks, ""])
    for framed in (
        "Content-Length: 5\r\n\r\na=b&c",
        "Transfer-Encoding: chunked\r\n\r\n5\r\na=b&c\r\n0\r\n\r\n",
    ):
        assert status_of(await front.raw(head + framed)) in {401, 411, 413}, framed
    never_reached(front, seen)
    asks = (f"Origin: {front.url}", "Access-Control-Request-Method: PUT", "Upgrade: websocket")
    head = "\r\n".join(["OPTIONS /api HTTP/1.1", f"Host: {front.host}", "Connection: Upgrade", *asks, ""])
    for framed in ("\r\n", "Content-Length: 5\r\n\r\na=b&c"):
        await front.raw(head + framed)
        for received in front.portal.received[seen:]:
            assert (received.all("Upgrade"), received.body_size) == ([], 0)


async def test_preflight_over_http2(front: Standing) -> None:
    """A body that comes over HTTP/2 without a length makes it another request than a CORS preflight, too."""
    asks = {"origin": "https://partner.example", "access-control-request-method": "PUT"}

    assert (await front.over_http2("/api", asks, method="OPTIONS")).status == 200

    seen = len(front.portal.received)
    answer = await front.over_http2("/api", asks, method="OPTIONS", body=b"a=b&c")
    if "preflight_over_http2" in front.cannot:
        assert answer.status == 200
        assert front.portal.last.all("X-Auth-Assertion") == []
        return
    assert answer.status in {401, 411, 413}
    never_reached(front, seen)


async def test_pages(front: Standing) -> None:
    """The gateway's own pages are served at the portal's address."""
    page = await front.browser().navigate(f"{front.url}/.authproxy/login")

    assert page.status == 200
    assert page.forms
    keys = await front.browser().fetch(f"{front.url}/.authproxy/jwks.json")
    assert (keys.status, list(keys.json)) == (200, ["keys"])


async def test_fields_of_portal(front: Standing) -> None:
    """Headers for the portal itself, such as a password or the version in a cache, arrive there once."""
    ana = await front.ana()
    fields = {
        "Authorization": "Basic YW5hOmdlc2xv",
        "If-None-Match": '"abc"',
        "If-Modified-Since": "Sun, 29 Nov 2026 09:00:00 GMT",
        "Range": "bytes=0-99",
        "Accept-Language": "sl",
        "Content-Type": "text/plain",
        "X-Harmless": "passes",
        "X-CSRF-Token": "of the portal",
    }

    sent = [f"{name}: {value}" for name, value in fields.items()]
    assert status_of(await front.raw_get("/a", *sent, cookie=front.cookie(ana))) == 200

    assert {name: front.portal.last.all(name) for name in fields} == {
        name: [value] for name, value in fields.items()
    }
    seen = len(front.portal.received)
    assert status_of(await front.raw_get("/a", "Authorization: Basic YW5hOmdlc2xv")) == 401
    never_reached(front, seen)


async def test_websocket(front: Standing) -> None:
    """WebSockets open for whoever is signed in, from pages of the portal only."""
    ana = await front.ana()
    address = f"wss://127.0.0.1:{front.place.port}/socket"
    own = {"Host": front.host, "Cookie": front.cookie(ana)}
    async with aiohttp.ClientSession() as session:
        options = {"ssl": front.world.tls, "server_hostname": front.place.hosts["acq.example.si"]}
        async with (
            asyncio.timeout(10),
            session.ws_connect(address, headers=own | {"Origin": front.url}, **options) as opened,
        ):
            await opened.send_str("dober dan")
            assert await opened.receive_str() == "echo dober dan"
        assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
        seen = len(front.portal.received)
        for headers, statuses in (
            (own | {"Origin": "https://evil.example"}, {403, 426}),
            ({"Host": front.host, "Origin": front.url}, {401}),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(address, headers=headers, **options)
            assert refused.value.status in statuses
        assert not [received for received in front.portal.received[seen:] if received.all("Upgrade")]


async def test_other_upgrade(front: Standing) -> None:
    """No other upgrade than WebSocket reaches the portal."""
    ana = await front.ana()
    for upgrade in (
        "Upgrade: h2c",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: websocket\r\nUpgrade: h2c",
        "Upgrade: h2c, websocket",
    ):
        seen = len(front.portal.received)
        answer = await front.raw(
            f"GET /a HTTP/1.1\r\nHost: {front.host}\r\nConnection: close, Upgrade, HTTP2-Settings\r\nCookie: "
            f"{front.cookie(ana)}\r\n{upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        assert status_of(answer) in {200, 400, 403}
        for received in front.portal.received[seen:]:
            assert received.all("Upgrade") in ([], ["websocket"]), upgrade
            assert received.all("HTTP2-Settings") == []


async def test_event_stream(front: Standing) -> None:
    """Events come when the portal sends them, not when the answer has ended."""
    ana = await front.ana()
    front.portal.events = asyncio.Queue()
    async with asyncio.timeout(10), front.connection() as (reader, writer):
        writer.write(
            f"GET /events HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nAccept: "
            "text/event-stream\r\n\r\n".encode()
        )
        for said in ("ena", "dva", "tri"):
            front.portal.events.put_nowait(said)
            await reader.readuntil(f"data: {said}\n".encode())


def spelled(name: str) -> tuple[str, ...]:
    underscores = name.replace("-", "_")
    return (
        name,
        name.upper(),
        underscores,
        underscores.upper(),
        name.replace("-", "_", 1),
        name.replace("-", "."),
    )


async def test_forged_identity(front: Standing) -> None:
    """No identity header of a client reaches the portal, in any spelling."""
    ana = await front.ana()
    for at in range(len(spelled(""))):
        forged = [f"{spelled(name)[at]}: mallory" for name in OURS]
        with front.world.tap.heard() as heard:
            status = status_of(await front.raw_get("/a", *forged, cookie=front.cookie(ana)))
        assert status == 200 or (status in {400, 403} and at > 1)
        assert b"mallory" not in b"".join(heard)
        if status == 200:
            received = front.portal.last
            assert {name: len(received.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
            assert received.all("X-Auth-Name") == ["Ana Novak"]


async def test_names_alike(front: Standing) -> None:
    """Names that only look like identity headers, `X-Auth-Name-` or `X--Auth-Name`, do not reach the portal."""
    ana = await front.ana()
    for alike in ("{}-", "-{}", "X-{}", "Http-{}"):
        forged = [alike.format(name).replace("X-X-", "X--") for name in OURS]
        with front.world.tap.heard() as heard:
            await front.raw_get("/a", *(f"{name}: mallory" for name in forged), cookie=front.cookie(ana))
        arrived = re.findall(rb"(?m)^([^:\r\n]+):[^\r\n]*mallory", b"".join(heard))
        if "names_alike" in front.cannot:
            assert [name.decode() for name in arrived] == forged
        else:
            assert arrived == []


MALFORMED = [
    b"X-Auth-Name : mallory",
    b"X-Auth-Name\t: mallory",
    b" X-Auth-Name: mallory",
    b"X-Harmless: a\r\n X-Auth-Name: mallory",
    b"X-Harmless: a\r\n\tX-Auth-Name: mallory",
    b"X-Harmless: a\nX-Auth-Name: mallory",
    b"X-Harmless: a\rX-Auth-Name: mallory",
    b"X-Harmless: a\r\r\nX-Auth-Name: mallory",
    b"X-Auth-Name\0: mallory",
    b"X-Auth-Name: \0mallory",
    b"X-Auth-Name;: mallory",
    b'"X-Auth-Name": mallory',
    b"X-Auth\xadName: mallory",
    b"X-Auth\xe2\x80\x91Name: mallory",
    b"\x0bX-Auth-Name: mallory",
    b"X-Auth+Name: mallory",
    b"X Auth Name: mallory",
    b"X-Auth-Name\r\n: mallory",
    b"X-Auth-Name: mallory\r\nX-Auth-Name: mallory",
    b"x-AUTH-name:mallory",
    b"Connection: X-Auth-Name\r\nX-Auth-Name: mallory",
    b"Connection: Host\r\nX_Auth_Name: mallory",
]


async def test_malformed_fields(front: Standing) -> None:
    """A field that is written in a wrong way is refused, or does not become an identity header."""
    ana = await front.ana()
    for field in MALFORMED:
        with front.world.tap.heard() as heard:
            await front.raw(
                f"GET /a HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\n".encode()
                + field
                + b"\r\nConnection: close\r\n\r\n"
            )
        for name, _ in re.findall(rb"(?:^|[\r\n])([^:\r\n]*):([^\r\n]*mallory)", b"".join(heard)):
            assert re.sub(rb"[^a-z0-9]", b"-", name.lower()) != b"x-auth-name", (field, heard)


async def test_framing(front: Standing) -> None:
    """A body whose length can be read in two ways smuggles no request past the gateway."""
    ana = await front.ana()
    smuggled = f"GET /smuggled HTTP/1.1\r\nHost: {front.host}\r\n\r\n"
    length = len(smuggled)
    last = f"GET {OPEN}/last HTTP/1.1\r\nHost: {front.host}\r\nConnection: close\r\n\r\n"
    head = f" /a HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\n"
    for line in (
        f"Content-Length: {length}\r\nTransfer-Encoding: chunked",
        f"Transfer-Encoding: chunked\r\nContent-Length: {length}",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        f"Transfer-Encoding: xchunked\r\nContent-Length: {length}",
        f"Transfer-Encoding: chunked, identity\r\nContent-Length: {length}",
        f"Transfer-Encoding: identity\r\nContent-Length: {length}",
        f"Transfer-Encoding: identity, chunked\r\nContent-Length: {length}",
        f"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {length}",
        f"Transfer-Encoding : chunked\r\nContent-Length: {length}",
        f"Transfer-Encoding:\x0bchunked\r\nContent-Length: {length}",
        f"Transfer_Encoding: chunked\r\nContent-Length: {length}",
        f"Content-Length: 5\r\nContent-Length: {length}",
        f"Content-Length: {length}\r\nContent-Length: 5",
        f"Content-Length: 5, {length}",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5 ",
        "Content-Length: -1",
        "Content-Length:",
        "Content_Length: 5",
        "Connection: Content-Length\r\nContent-Length: 5",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Expect: 100-continue\r\nContent-Length: 5",
    ):
        for method, body in (
            ("POST", f"0\r\n\r\n{smuggled}"),
            ("POST", f"abcde{smuggled}"),
            ("GET", smuggled),
        ):
            seen = len(front.portal.received)
            # Whatever the front proxy takes for the second request has no cookie. What comes behind it is
            # enough for any length, so that it waits for nothing.
            await front.raw(f"{method}{head}{line}\r\n\r\n{body}{last}{last}", answers=5)
            assert "/smuggled" not in [received.target for received in front.portal.received[seen:]], line


async def test_foreign_identity(front: Standing) -> None:
    """No header in which other products carry identity, origin, path or method reaches the portal."""
    ana = await front.ana()
    names = sorted({*IDENTITY_NAMES, *FORWARDING_NAMES, *identity_names.known()})
    dashes = sorted({name.replace("_", "-").lower() for name in names})
    underscores = [name.replace("-", "_") for name in dashes if "-" in name]
    passed = set()
    for spelling, some in (("dashes", dashes), ("underscores", underscores)):
        for few in (some[at : at + 70] for at in range(0, len(some), 70)):
            fields = [f"{name}: mallory" for name in few]
            with front.world.tap.heard() as heard:
                answer = await front.raw_get("/a", *fields, "X-Harmless: passes", cookie=front.cookie(ana))
            arrived = b"".join(heard)
            passed |= set(re.findall(rb"^([^:\r\n]+):[^\r\n]*mallory", arrived, re.MULTILINE))
            if spelling == "dashes":
                assert (status_of(answer), b"passes" in arrived) == (200, True), (few, answer)
    assert passed == set()


@pytest.mark.parametrize("forged", ["/odprto", "/.authproxy/login"])
async def test_forged_forwarding(front: Standing, forged: str) -> None:
    """Nobody is judged by what they say the original request was."""
    ana = await front.ana()
    seen = len(front.portal.received)
    for field in (
        f"X-Original-URL: {front.url}{forged}",
        f"X_Original_URL: {front.url}{forged}",
        f"X-Original-URI: {forged}",
        "X-Original-Method: OPTIONS",
        f"X-Forwarded-Uri: {forged}",
        f"X_Forwarded_Uri: {forged}",
        "X-Forwarded-Host: b2b.example.si",
        "X-Forwarded-Method: OPTIONS",
        "X-Forwarded-Proto: http",
        f"X-Forwarded-Prefix: {forged}",
        "X-Forwarded-Port: 80",
        "X-Original-Host: b2b.example.si",
        f"X-Rewrite-URL: {forged}",
        "Forwarded: for=10.0.0.1;host=b2b.example.si;proto=http",
    ):
        for cookie, at in (("", "/a"), (front.cookie(ana), f"{HIGHER}/a")):
            assert status_of(await front.raw_get(at, field, cookie=cookie)) in {400, 401, 403}, field
    never_reached(front, seen)
    # An address that a client claims is not believed either.
    await front.raw_get("/a", "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", cookie=front.cookie(ana))
    assert front.portal.last.all("X-Forwarded-For") == ["127.0.0.1"]
    answer = await front.raw_get(f"{CLOSED}/a", "X-Forwarded-For: 192.0.2.7", cookie=front.cookie(ana))
    assert status_of(answer) == 403


@pytest.mark.parametrize(
    "named",
    ["X-Auth-Subject", "Cookie, X-Auth-Name", "X-Original-URL, X-Forwarded-Uri", "Host, X-Forwarded-For"],
)
async def test_connection_named(front: Standing, named: str) -> None:
    """To name a header in Connection takes no header of ours away."""
    ana = await front.ana()
    seen = len(front.portal.received)

    answer = await front.raw(
        f"GET /a HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: close, "
        f"{named}\r\n\r\n"
    )

    if status_of(answer) == 200:
        assert {name: len(front.portal.last.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
        assert front.portal.last.all("X-Forwarded-For") == ["127.0.0.1"]
    else:
        # Cookie is the client's own: whoever takes it away has no session.
        assert status_of(answer) in {400, 401, 403}
        never_reached(front, seen)


async def test_trailers(front: Standing) -> None:
    """No identity header comes to the portal in the trailers of a request."""
    ana = await front.ana()
    head = (
        f"POST /a HTTP/1.1\r\nHost: {front.host}\r\nCookie: {front.cookie(ana)}\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\nTrailer: X-Auth-Subject, X-Auth-Name\r\n\r\n"
    )
    refused_or_without_trailers = {411} if "trailers" in front.differs else {200, 400}
    with front.world.tap.heard() as heard:
        answer = await front.raw(
            head + "3\r\nabc\r\n0\r\nX-Auth-Subject: mallory\r\nX_Auth_Name: mallory\r\n\r\n"
        )
        assert status_of(answer) in refused_or_without_trailers
        try:
            over_http2 = await front.over_http2(
                "/a",
                {"cookie": front.cookie(ana)},
                method="POST",
                body=b"abc",
                trailers={"x-auth-subject": "mallory", "remote-user": "mallory"},
            )
        except Http2Failed:
            pass
        else:
            assert over_http2.status in refused_or_without_trailers
    assert b"mallory" not in b"".join(heard)


_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
CONFUSIONS = [
    "/odprto/../trezor",
    "/odprto/%2e%2e/trezor",
    "/odprto/.%2E/trezor",
    "/odprto/..%2ftrezor",
    "/odprto/..%2Ftrezor",
    "/odprto/%2e%2e%2ftrezor",
    "/odprto%2f..%2ftrezor",
    "/odprto/%252e%252e/trezor",
    "/odprto/%252e%252e%252ftrezor",
    "/odprto/..;/trezor",
    "/odprto/..;a=b/trezor",
    "/odprto/.;/../trezor",
    "/odprto\\..\\trezor",
    "/odprto/..%5ctrezor",
    "/odprto/%5c../trezor",
    "/odprto//../trezor",
    "/odprto//../../trezor",
    "/odprto/.../../trezor",
    "//trezor",
    "///trezor/",
    "/./trezor",
    "/%2e/trezor",
    "/;/trezor",
    "/;x=1/trezor",
    "/%74rezor",
    "/trezor;a=b",
    "/trezor/",
    "/trezor/.",
    "/trezor%00",
    "/odprto/%00/../trezor",
    "/odprto/%c0%ae%c0%ae/trezor",
    "/odprto/%",
    "/odprto/%zz/../trezor",
    "/odprto/\xe8/../trezor",
    "/odprto/\xc4\x8d",
    "/odprto/%0d%0aX-Auth-Name:%20m/../trezor",
    "/odprto/#/../trezor",
    "/odprto#/../trezor",
    "/odprto%23/../trezor",
    "/odprto/?/../trezor",
    "/odprto%3f/../trezor",
    "/.authproxy/../trezor",
    "/.authproxy/static/..%2f..%2ftrezor",
    "/.AUTHPROXY/../trezor",
    "/trezor/../odprto/../trezor",
]


def as_read_loosely(target: str) -> bytes:
    """The path as the most generous portal would read it."""
    path = target.encode("latin-1").partition(b"?")[0].partition(b"#")[0]
    for _ in range(3):
        path = unquote_to_bytes(path)
    path = path.replace(b"\\", b"/").partition(b"\0")[0]
    kept: list[bytes] = []
    for part in path.split(b"/"):
        named = part.partition(b";")[0]
        if named == b"..":
            kept = kept[:-1]
        elif named not in {b"", b"."}:
            kept.append(named)
    return b"/" + b"/".join(kept)


async def test_paths(front: Standing) -> None:
    """No spelling of a path leads to a place that the gateway would not open."""
    ana = await front.ana()
    for target in CONFUSIONS:
        for cookie in ("", front.cookie(ana)):
            seen = len(front.portal.received)
            await front.raw_get(target, cookie=cookie)
            for received in front.portal.received[seen:]:
                read = as_read_loosely(received.target)
                assert not read.startswith(b"/trezor"), (target, received.target)
                assert cookie or read.startswith(b"/odprto"), (target, received.target)


def _tidied(target: str) -> str:
    """As RFC 3986 normalises what is percent-encoded: the same address in another spelling."""
    return re.sub(
        "%..",
        lambda found: named if (named := unquote(found[0])) in _UNRESERVED else found[0].upper(),
        target,
    )


async def test_same_target(front: Standing) -> None:
    """The target that was judged reaches the portal as it was sent."""
    ana = await front.ana()
    for target in (
        "/a/b",
        "/a//b?x=//y",
        "/a/%C4%8D",
        "/a/%c4%8d",
        "/a%20b",
        "/%C5%A1ola?q=%2F..%2F",
        "/a;v=1/b",
        "/%7Euser/",
        "/a?",
        "/a?b?c&&d=%",
        "/a/?x=a+b%2B&y[]=1",
        "/a.b/..c/...",
    ):
        answer = await front.raw_get(target, cookie=front.cookie(ana))
        assert status_of(answer) == 200, (target, answer)
        arrived = front.portal.last.target
        as_it_stays = _tidied if "same_target" in front.differs else str
        assert as_it_stays(arrived) == as_it_stays(target)


async def test_hosts(front: Standing) -> None:
    """A request with another host, with two or without one, or in absolute form is judged and served as one and
    the same, or refused."""
    ana = await front.ana()
    cookie, own = f"Cookie: {front.cookie(ana)}\r\n", front.host
    other = f"b2b.example.si:{front.place.port}"
    bare = front.place.hosts["acq.example.si"]
    ended = "Connection: close\r\n\r\n"
    for head in (
        f"GET /a HTTP/1.1\r\nHost: {other}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\n{cookie}{ended}",
        f"GET /a HTTP/1.0\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own}\r\nHost: {other}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {other}\r\nHost: {own}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own}, {other}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own} {other}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own}@{other}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own}/x\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own}#.{other}\r\n{cookie}{ended}",
        f"GET https://{other}/a HTTP/1.1\r\nHost: {own}\r\n{cookie}{ended}",
        f"GET https://{own}/a HTTP/1.1\r\nHost: {other}\r\n{cookie}{ended}",
        f"GET //{other}/a HTTP/1.1\r\nHost: {own}\r\nX: y\r\n{ended}",
        f"GET https://{own}/a HTTP/1.1\r\nHost: {own}\r\n{cookie}{ended}",
        f"GET HTTPS://{own.upper()}/a HTTP/1.1\r\nHost: {own}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {own.upper()}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {bare}.:{front.place.port}\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {bare}:1\r\n{cookie}{ended}",
        f"GET /a HTTP/1.1\r\nHost: {bare}\r\n{cookie}{ended}",
    ):
        seen = len(front.portal.received)
        await front.raw(head)
        for received in front.portal.received[seen:]:
            # What came in is a request to this portal by its own name, with Ana's own ticket.
            assert received.target == "/a", head
            [host] = received.all("Host")
            assert host.lower().replace(".:", ":") == own, head
            assert received.all("X-Forwarded-Host") in ([], [host])
            assert received.all("X-Auth-Name") == ["Ana Novak"]


async def test_methods(front: Standing) -> None:
    """The method that is judged is the one that the portal gets; others are refused."""
    ana = await front.ana()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await front.raw_get("/a", "Content-Length: 0", cookie=front.cookie(ana), method=method)
        assert (status_of(answer), front.portal.last.method) == (200, method)
    for method in ("get", "Get", "TRACE", "CONNECT", "GET\tX", "G(T", "PRI", "*"):
        seen = len(front.portal.received)
        await front.raw_get("/a", cookie=front.cookie(ana), method=method)
        assert {received.method for received in front.portal.received[seen:]} <= {method}
        assert method != "TRACE" or len(front.portal.received) == seen
    await front.raw_get(
        "/a",
        "X-HTTP-Method-Override: DELETE",
        "X-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        cookie=front.cookie(ana),
    )
    assert not [value for _, value in front.portal.last.headers if value == "DELETE"]
    # What everybody may read, nobody may change by that.
    assert status_of(await front.raw_get(f"{READABLE}/1")) == 200
    seen = len(front.portal.received)
    for method in ("POST", "PUT", "DELETE", "PATCH", "get", "XGET"):
        for said in (
            "X-HTTP-Method-Override: GET",
            "X-Original-Method: GET",
            "X-Forwarded-Method: GET",
            "A: b",
        ):
            fields = (said, "Content-Length: 0", "Connection: X-Forwarded-Method")
            assert status_of(await front.raw_get(f"{READABLE}/1", *fields, method=method)) >= 400
    never_reached(front, seen)


async def test_long_cookies(front: Standing) -> None:
    """Cookies of 8 KB pass, also split as HTTP/2 allows."""
    ana = await front.ana()
    more = [f"c{number}={'x' * 990}" for number in range(8)]
    whole = "; ".join([*more[:4], front.cookie(ana), *more[4:]])

    assert status_of(await front.raw_get("/a", cookie=whole)) == 200
    assert front.portal.last.all("Cookie") == ["; ".join(more)]

    split = await front.over_http2("/a", {"cookie": [*more[:4], front.cookie(ana), *more[4:]]})
    assert split.status == 200
    assert "; ".join(front.portal.last.all("Cookie")) == "; ".join(more)


async def test_http2(front: Standing) -> None:
    """HTTP/2: with a session, without one and with forged headers, all is as over HTTP/1.1."""
    ana = await front.ana()
    seen = len(front.portal.received)
    script = await front.over_http2("/api", {"accept": "application/json", "sec-fetch-mode": "cors"})
    assert script.status == 401
    never_reached(front, seen)

    forged = {"x-auth-name": "mallory", "remote-user": "mallory", "x-forwarded-for": "192.0.2.7"}
    page = await front.over_http2("/api?x=1", {"cookie": front.cookie(ana)} | forged)

    assert (page.status, page.body) == (200, b"portal")
    received = front.portal.last
    assert (received.target, received.all("Host")) == ("/api?x=1", [front.host])
    assert {name: len(received.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
    assert received.all("X-Auth-Name") == ["Ana Novak"]
    assert received.all("X-Forwarded-For") == ["127.0.0.1"]
    assert "mallory" not in str(received.headers)


async def test_http2_hosts(front: Standing) -> None:
    """HTTP/2: a host that contradicts the authority is never served as another portal's."""
    ana = await front.ana()
    seen = len(front.portal.received)
    for headers, authority in (
        ({"host": "b2b.example.si"}, front.host),
        ({"host": front.host}, "b2b.example.si"),
        ({}, "b2b.example.si"),
    ):
        try:
            await front.over_http2("/a", {"cookie": front.cookie(ana)} | headers, authority=authority)
        except Http2Failed:
            continue
    for received in front.portal.received[seen:]:
        assert received.all("Host") == [front.host]


async def test_http3(front: Standing) -> None:
    """HTTP/3 is offered: with a session, without one and with forged headers, all is as over HTTP/1.1."""
    ana = await front.ana()
    offered = (await ana.browser.fetch(f"{front.url}/a")).all("alt-svc")
    if "http3" in front.cannot:
        assert offered == []
        return
    assert f'h3=":{front.place.port}"' in " ".join(offered)
    asked = functools.partial(front.world.over_http3().ask, "GET", front.host, port=front.place.port)
    seen = len(front.portal.received)
    status, _, said = await asked("/api", [("Accept", "application/json"), ("Sec-Fetch-Mode", "cors")])
    assert (status, json.loads(said)["reason"]) == (401, "no_session")
    never_reached(front, seen)

    forged = [("X-Auth-Name", "mallory"), ("Remote-User", "mallory"), ("X-Forwarded-For", "192.0.2.7")]
    status, _, said = await asked("/api?x=1", [("Cookie", front.cookie(ana)), *forged])

    assert (status, said) == (200, b"portal")
    received = front.portal.last
    assert (received.target, received.all("Host")) == ("/api?x=1", [front.host])
    assert {name: len(received.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
    assert received.all("X-Auth-Name") == ["Ana Novak"]
    assert received.all("X-Forwarded-For") == ["127.0.0.1"]
    assert "mallory" not in str(received.headers)


@pytest.mark.parametrize("size", [64 * MEGABYTE, pytest.param(1024 * MEGABYTE, marks=pytest.mark.rehearsal)])
async def test_upload(front: Standing, size: int) -> None:
    """An upload of a gigabyte streams to the portal; an upload without a session is refused at once."""
    ana = await front.ana()
    piece = bytes(range(256)) * 4096
    expected = sha256()
    head = (
        f"POST /datoteke HTTP/1.1\r\nHost: {front.host}\r\nContent-Length: {size}\r\nConnection: close\r\n"
        "Content-Type: application/octet-stream\r\n"
    )
    async with asyncio.timeout(100), front.connection() as (reader, writer):
        writer.write(f"{head}Cookie: {front.cookie(ana)}\r\n\r\n".encode())
        began = most = front.running.memory
        for turn in range(size // len(piece)):
            expected.update(piece)
            writer.write(piece)
            await writer.drain()
            most = max(most, front.running.memory) if turn % 16 == 15 else most
        answer = await reader.read()
    assert status_of(answer) == 200
    assert (front.portal.last.body_size, front.portal.last.body_sha256) == (size, expected.hexdigest())
    assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
    assert most - began < 24 * MEGABYTE

    seen = len(front.portal.received)
    async with asyncio.timeout(10), front.connection() as (reader, writer):
        as_a_page = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n" if "upload" in front.differs else ""
        writer.write(f"{head}{as_a_page}\r\n".encode())
        assert status_of(await reader.readuntil(b"\r\n")) == (303 if as_a_page else 401)
    never_reached(front, seen)


async def test_kept_connection(front: Standing) -> None:
    """Requests on one connection are each judged by their own cookie, and answered in order."""
    ana = await front.ana()
    head = "GET /{} HTTP/1.1\r\nHost: " + front.host + "\r\nAccept: application/json\r\n{}\r\n"
    cookie = f"Cookie: {front.cookie(ana)}\r\n"
    asked = [(f"turn-{turn}", cookie if turn % 2 else "") for turn in range(7)]
    seen = len(front.portal.received)

    answer = await front.raw(
        "".join(head.format(path, sent) for path, sent in asked)
        + head.format("last", cookie + "Connection: close\r\n"),
        answers=len(asked) + 1,
    )

    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [401, 200] * 3 + [401, 200]
    targets = [received.target for received in front.portal.received[seen:]]
    assert targets == ["/turn-1", "/turn-3", "/turn-5", "/last"]


async def test_body_beside_question(front: Standing) -> None:
    """A body never becomes the next question to the gateway."""
    ana = await front.ana()
    smuggled = f"GET /.authproxy/session HTTP/1.1\r\nHost: {front.host}\r\n\r\n"
    for framing, body in (
        (f"Content-Length: {len(smuggled)}", smuggled),
        ("Transfer-Encoding: chunked", f"{len(smuggled):x}\r\n{smuggled}\r\n0\r\n\r\n"),
        (f"Content-Length: {len(smuggled)}\r\nExpect: 100-continue", smuggled),
    ):
        for cookie, statuses in ((f"Cookie: {front.cookie(ana)}\r\n", {200}), ("", {401})):
            seen = len(front.portal.received)
            answer = await front.raw(
                f"POST /a HTTP/1.1\r\nHost: {front.host}\r\nConnection: close\r\n{cookie}{framing}\r\n\r\n{body}"
            )
            answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "chunked" in framing and "body_beside_question" in front.differs:
                assert status_of(answer) == 411
                never_reached(front, seen)
                continue
            assert status_of(answer) in statuses, (framing, answer)
            assert len(front.portal.received) - seen == bool(cookie)
    for _ in range(4):
        assert status_of(await front.raw_get("/after", cookie=front.cookie(ana))) == 200
        assert status_of(await front.raw_get("/after")) == 401


async def test_several_cookie_fields(front: Standing) -> None:
    """Several Cookie fields are read as one, or refused; the portal gets none of the gateway's cookies."""
    ana = await front.ana()
    own = front.cookie(ana)
    for cookies in (("a=1", own), (own, "a=1"), ("a=1", f"{own}; b=2", "c=3"), (own, own)):
        seen = len(front.portal.received)
        answer = await front.raw_get("/a", *(f"Cookie: {cookie}" for cookie in cookies))
        assert status_of(answer) in {200, 400, 401}
        for received in front.portal.received[seen:]:
            assert "__Host-authproxy" not in str(received.headers)
            assert received.all("X-Auth-Name") == ["Ana Novak"]
    for fake in ("__Host-authproxy=", "__Host-authproxy=1.x.y", "__Host-authproxy=%00", "; ; =; ="):
        assert status_of(await front.raw_get("/a", cookie=fake)) == 401


async def test_errors_of_portal(front: Standing) -> None:
    """Errors of the portal, and its cookies, are passed on as they are."""
    ana = await front.ana()
    for status in (401, 403, 404, 500, 503):
        answer = await ana.browser.navigate(f"{front.url}/status/{status}?set-cookie=look%3Dblue")
        assert (answer.status, answer.text, answer.all("x-portal")) == (status, "portal", ["here"])
        assert answer.all("set-cookie") == ["look=blue"]


async def signs_out(person: Person, portal: str) -> None:
    page = await person.opens(f"{portal}/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.startswith(f"{portal}/.authproxy/logout")]
    assert (await person.browser.submit(page, form)).status == 303


async def test_sign_out(front: Standing) -> None:
    """After a sign-out the ticket opens nothing any more."""
    ana = await front.signed_in()
    cookie = front.cookie(ana)
    assert status_of(await front.raw_get("/a", cookie=cookie)) == 200

    await signs_out(ana, front.url)

    seen = len(front.portal.received)
    assert status_of(await front.raw_get("/a", cookie=cookie)) == 401
    never_reached(front, seen)


async def test_revocation(front: Standing) -> None:
    """A session that is revoked ends within a second."""
    ana = await front.signed_in()
    [*_, started] = front.world.house.events("session.started")

    assert await revoke_session(front.world.house.settings, started["session"])

    async def refused() -> bool:
        return status_of(await front.raw_get("/a", cookie=front.cookie(ana))) == 401

    await front.world.house.at_once(refused)


async def test_store_down(front: Standing) -> None:
    """Without the store everybody gets 503 and stays signed in."""
    ana = await front.ana()
    front.world.store.kill()
    try:

        async def refused() -> bool:
            return (await ana.browser.fetch(f"{front.url}/x")).status == 503

        await until(refused)
        seen = len(front.portal.received)
        page, script = (
            await ana.browser.navigate(f"{front.url}/x"),
            await ana.browser.fetch(f"{front.url}/x"),
        )
        assert (page.status, script.status) == (503, 503)
        assert "vaša prijava še velja" in page.text.lower()
        assert page.all("retry-after") == script.all("retry-after") == ["5"]
        assert script.header("content-type").startswith("application/problem+json")
        for answer in (page, script):
            assert not answer.all("set-cookie") + answer.all("location")
            is_personal(answer)
        never_reached(front, seen)
    finally:
        front.world.store.start()

    async def served() -> bool:
        return (await ana.browser.fetch(f"{front.url}/x")).status == 200

    await until(served)


async def test_gateway_down(front: Standing) -> None:
    """Without the gateway everybody gets 503 in our style, and nobody comes in."""
    ana = await front.ana()
    async with front.world.without_gateway():
        seen = len(front.portal.received)
        page, script = (
            await ana.browser.navigate(f"{front.url}/x"),
            await ana.browser.fetch(f"{front.url}/x"),
        )
        assert (page.status, script.status) == (503, 503)
        assert page.header("content-type").startswith("text/html")
        assert "Če ste prijavljeni, vaša prijava še velja" in page.text
        assert "style-src 'sha256-" in page.header("content-security-policy")
        assert script.header("content-type").startswith("application/problem+json")
        assert (script.json["status"], script.json["reason"]) == (503, "unexpected")
        for answer in (page, script):
            assert not answer.all("set-cookie") + answer.all("location")
            assert "no-store" in answer.header("cache-control")
        for target in (f"{OPEN}/a", "/.authproxy/session", "/.authproxy/login"):
            own = await ana.browser.navigate(front.url + target)
            assert (own.status, "Trenutno ni na voljo" in own.text) == (503, True), (target, own.text[:300])
        never_reached(front, seen)
    assert (await ana.browser.fetch(f"{front.url}/x")).status == 200


async def test_signed_question(front: Standing, tmp_path: Path) -> None:
    """For a gateway on another machine, each question is signed, and the gateway believes no other key."""
    if "signed_question" in front.cannot:
        assert front.kind.name not in SIGNING
        return
    kind, files = SIGNING[front.kind.name]
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(QUESTION_KEY + "\n")
    wrong.write_text(secrets.token_hex(32))
    with front.world.broken(kind, files(front.world.house.ports["gateway"], right)) as behind:
        cookie = f"{behind.cookie(await behind.signed_in())}; x=\xe8{'y' * 3000}"
        for target in ("/a", "/a?b=c&d=%2F", "/" + "ž".encode().hex()):
            assert status_of(await behind.raw_get(target, cookie=cookie)) == 200, behind.running.errors
            assert behind.portal.last.target == target
        # A proof of the client's own is no part of the question.
        assert status_of(await behind.raw_get("/a", "X-Authproxy-Question: t=1;h=00", cookie=cookie)) == 200
        assert status_of(await behind.raw_get("/a")) == 401
    with front.world.broken(kind, files(front.world.house.ports["gateway"], wrong)) as behind:
        seen = len(behind.portal.received)
        answer = await behind.raw_get("/a", cookie=cookie)
        assert (status_of(answer), b"untrusted_peer" in answer) == (403, True)
        never_reached(behind, seen)


async def test_six_portals(front: Standing) -> None:
    """Six portals behind one: each is itself, and the ticket of one opens no other."""
    [six] = [kind for kind in SIX if kind.name == front.kind.name]
    with front.world.broken(six, six.files()) as behind:
        urls = [f"https://{host}:{behind.place.port}" for host in behind.place.hosts.values()]
        for url in urls:
            refused = await behind.browser().fetch(f"{url}/x")
            assert refused.json["login_url"] == f"{url}/.authproxy/login?rt=/x", behind.running.errors
        ana = behind.person()

        page = await ana.signs_in(f"{urls[3]}/izpisi")

        assert (page.status, page.text) == (200, "portal")
        assert behind.portal.last.all("Host") == [urls[3].removeprefix("https://")]
        assert behind.portal.last.all("X-Auth-Name") == ["Ana Novak"]
        seen = len(behind.portal.received)
        # A ticket of one portal opens no other, and a name in Host leads to none but that of the handshake.
        ticket = f"__Host-authproxy={ana.ticket(urls[3])}"
        for url in (urls[0], urls[5]):
            host = url.removeprefix("https://")
            assert status_of(await behind.raw_get("/x", cookie=ticket, host=host)) in {401, 421}
        assert status_of(await behind.raw_get("/x", cookie=ticket, host="potrdila.example.si")) == 421
        answer = await behind.raw_get("/x", cookie=ticket, host="elsewhere.example.si")
        assert answer == b"" or status_of(answer) in {400, 401, 403, 404, 421}
        never_reached(behind, seen)


WRONG_ANSWERS = [
    b"",
    b"\0\1\2\r\n\r\n",
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Auth-Name: mal",
    b"HTTP/1.1 200",
    b"HTTP/2 999 x\r\n\r\n",
]


async def test_wrong_answers(front: Standing) -> None:
    """Whatever stands in the gateway's place and answers wrongly, nobody comes in."""
    nobody = SilentGateway(socket=front.world.folder / f"{front.kind.name}.sock", port=free_port())
    with front.world.tap.heard() as heard:
        async with nobody.running():
            with front.world.broken(front.kind, front.kind.files(), nobody) as behind:
                for nobody.says in WRONG_ANSWERS:
                    for answer in (
                        await behind.browser().navigate(f"{behind.url}/a"),
                        await behind.browser().fetch(f"{behind.url}/a"),
                    ):
                        assert answer.status >= 300, nobody.says
    assert heard == []


@pytest.mark.rehearsal
async def test_silent_gateway(front: Standing) -> None:
    """A gateway that hangs keeps nobody waiting longer than some seconds, and lets nobody in."""
    nobody = SilentGateway(socket=front.world.folder / f"{front.kind.name}-hangs.sock", port=free_port())
    with front.world.tap.heard() as heard:
        async with nobody.running():
            with front.world.broken(front.kind, front.kind.files(), nobody) as behind:
                async with asyncio.timeout(10):
                    page = await behind.browser().navigate(f"{behind.url}/a")
                assert page.status == 503
                assert "vaša prijava še velja" in page.text.lower()
    assert heard == []
