"""Identity is said by the gateway only: no spelling of a client's header, cookie or address is believed by,
or reaches, the portal."""

from __future__ import annotations

import re

import pytest

from tests.support.edge import COOKIE, GOOD, IDENTITY, REQUEST_ID, Conversation, request, running_edge
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES

FRAMING_NAMES = [
    "Content_Length",
    "Transfer_Encoding",
    "Content.Length",
    "_Host",
    "Expect_",
    "_Cookie",
    "Keep_Alive",
    "Proxy_Connection",
]


def spellings(name: str) -> list[str]:
    """Names that some server makes the same variable of."""
    dashes = name.replace("_", "-")
    return [
        name,
        name.lower(),
        name.upper(),
        dashes.replace("-", "_"),
        dashes.lower().replace("-", "_"),
        dashes.replace("-", "."),
        dashes.replace("-", "~"),
        dashes.replace("-", "--"),
        dashes.replace("-", "-_"),
        dashes.replace("-", "!"),
        "HTTP_" + dashes.upper().replace("-", "_"),
        "HTTP-" + dashes,
        "_" + dashes,
        dashes + "_",
        "-" + dashes,
    ]


MARK = "spoofed-by-the-client"


@pytest.mark.parametrize("name", IDENTITY_NAMES + FORWARDING_NAMES + FRAMING_NAMES)
async def test_no_spelling_of_a_header_that_we_own_reaches_the_portal(name):
    async with running_edge() as edge:
        client = await edge.client()
        for spelling in dict.fromkeys(spellings(name)):
            answer = await client.ask(
                "GET /", f"{spelling}: {MARK}", f"{spelling}: {MARK}-again", "X-Harmless: passes"
            )
            assert answer.status == 200
        assert MARK.encode() not in edge.portal.received
        assert edge.portal.received.count(b"X-Harmless: passes") == len(dict.fromkeys(spellings(name)))
        assert edge.portal.received.count(IDENTITY) == len(dict.fromkeys(spellings(name)))


@pytest.mark.parametrize("name", ["X-Portal-User", "x_portal_user", "X.PORTAL.USER", "HTTP_X_PORTAL_USER"])
async def test_names_that_a_portal_maps_identity_to_are_ours_too(name):
    async with running_edge(own_headers=["X-Portal-User"]) as edge:
        await (await edge.client()).ask("GET /", f"{name}: {MARK}")
        assert MARK.encode() not in edge.portal.received


@pytest.mark.parametrize(
    "name", ["EMPLOYEE_ID", "employee-id", "Employee.Id", "BANKSSO_USER", "bankSSO-Groups", "HTTP_BANKSSO_X"]
)
async def test_what_the_portal_must_not_get_is_removed_before_and_after_the_body(name):
    async with running_edge(own_headers=["EMPLOYEE_ID", "BANKSSO_*"]) as edge:
        client = await edge.client()
        await client.ask("GET /", f"{name}: {MARK}", "BankSSOther: passes")
        assert MARK.encode() not in edge.portal.received
        assert b"BankSSOther: passes\r\n" in edge.portal.received
        trailers = f"{name}: {MARK}\r\nX-Checksum: passes\r\n\r\n".encode()
        await client.send(
            request("POST /", "Transfer-Encoding: chunked", body=b"2\r\nhi\r\n0\r\n" + trailers)
        )
        assert (await client.answer()).status == 200
        assert MARK.encode() not in edge.portal.received
        assert edge.portal.received.endswith(b"0\r\nX-Checksum: passes\r\n\r\n")


@pytest.mark.parametrize(
    "connection",
    [
        "close, X-Auth-Subject, X-Auth-Assertion",
        "X-Auth-Subject",
        "x-auth-subject,x-auth-name,x-auth-level,x-auth-assertion,x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-request-id,traceparent",
        "keep-alive, Cookie, Host, Content-Length",
        "X_Auth_Subject, Client-Cert",
    ],
)
async def test_a_client_cannot_have_our_headers_dropped_by_naming_them_in_connection(connection):
    async with running_edge() as edge:
        answer = await (await edge.client()).ask(
            "POST /", f"Connection: {connection}", "Content-Length: 2", "X-Auth-Subject: spoofed", body=b"hi"
        )
        assert answer.status == 200
        for line in (
            *IDENTITY.split(b"\r\n")[:-1],
            b"X-Forwarded-For: 127.0.0.1",
            b"X-Forwarded-Proto: http",
            b"X-Request-Id: %s" % REQUEST_ID.encode(),
        ):
            assert edge.portal.received.count(b"\r\n" + line + b"\r\n") == 1
        assert b"spoofed" not in edge.portal.received
        assert edge.portal.received.endswith(b"\r\nContent-Length: 2\r\n\r\nhi")


async def test_a_header_that_connection_names_ends_here():
    async with running_edge() as edge:
        await (await edge.client()).ask(
            "GET /", "Connection: X-Hop", "X-Hop: one", "x-hop: two", "X-Stays: three"
        )
        assert b"hop" not in edge.portal.received.lower()
        assert b"X-Stays: three\r\n" in edge.portal.received


@pytest.mark.parametrize(
    "name",
    ["TE", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Proxy-Authenticate", "HTTP2-Settings"],
)
async def test_hop_by_hop_headers_end_here(name):
    async with running_edge() as edge:
        await (await edge.client()).ask("GET /", f"{name}: {MARK}")
        assert MARK.encode() not in edge.portal.received


# Cookies

OURS = f"__Host-authproxy={GOOD}"


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (OURS, None),
        (f"a=1; {OURS}", b"a=1"),
        (f"{OURS}; a=1", b"a=1"),
        (f"a=1; {OURS}; b=2", b"a=1; b=2"),
        (f"a=1;{OURS};b=2", b"a=1;b=2"),
        (f"a=1; {OURS}; __Host-authproxy-flow=x; b=2", b"a=1; b=2"),
        (f'{OURS}; q="x; y"; e=; novalue; =noname; u=\xe9', b'q="x; y"; e=; novalue; =noname; u=\xe9'),
        (f"{OURS}; a=1,2; b=x=y==", b"a=1,2; b=x=y=="),
        (f"{OURS}; prefix__Host=1; __Host-auth=2", b"prefix__Host=1; __Host-auth=2"),
        (f"{OURS}; __Host-authproxyx=3; a=1", b"a=1"),
        (f"{OURS}; a=1, __Host-authproxy-flow=f, b=2", b"a=1; b=2"),
        (f"{OURS}; a=1,__Host-authproxy-flow=f", b"a=1"),
        (f'{OURS}; "__Host-authproxy-flow=f"; a=1', b"a=1"),
        (f"{OURS}; a=b __Host-authproxy-flow=f; c=1", b"c=1"),
        (f"{OURS} ;   ; a=1 ", b"; a=1"),
    ],
)
async def test_our_cookies_never_reach_the_portal_and_others_arrive_as_they_were(sent, arrives):
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /", cookie=f"cookie: {sent}\r\n"))
        assert (await client.answer()).status == 200
        assert b"__Host-authproxy" not in edge.portal.received
        assert GOOD.encode() not in edge.portal.received
        lines = [line for line in edge.portal.received.split(b"\r\n") if line.lower().startswith(b"cookie:")]
        assert lines == ([] if arrives is None else [b"Cookie: " + arrives])


async def test_cookies_in_several_fields_are_read_and_passed_as_one():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /", "cookie: b=2", "COOKIE: c=3", cookie=f"Cookie: a=1\r\n{COOKIE}"))
        assert (await client.answer()).status == 200
        assert b"\r\nCookie: a=1; b=2; c=3\r\n" in edge.portal.received


@pytest.mark.parametrize(
    "cookies",
    [
        f"{OURS}; {OURS}",
        f"{OURS}; __Host-authproxy=planted",
        f"__Host-authproxy=planted; {OURS}",
        f"x=1,{OURS}",
        f"x=1, {OURS}",
        f"x=y {OURS}",
        f'"{OURS}"',
        f'x="; {OURS}"',
        f"x{OURS}",
        f"__host-authproxy={GOOD}",
        f"__Host-authproxy ={GOOD}",
        f"__Host-authproxy= {GOOD}x",
        f'__Host-authproxy="{GOOD}"',
        f"__Host-authproxy={GOOD}, a=1",
        "; ; ;",
        "=",
        "",
        "__Host-authproxy=" + "%" * 8000,
        "__Host-authproxy",
        "__Host-authproxy=",
    ],
)
async def test_what_only_looks_like_our_cookie_signs_nobody_in(cookies):
    async with running_edge() as edge:
        answer = await (await edge.client()).ask("GET /", cookie=f"Cookie: {cookies}\r\n")
        assert answer.status == 401
        assert edge.portal.conversations == []


async def test_a_neighbour_that_plants_a_cookie_with_our_name_inside_locks_nobody_out():
    async with running_edge() as edge:
        for planted in ("x__Host-authproxy=1", "x=1,__Host-authproxy=2", "x=a __Host-authproxy=3"):
            answer = await (await edge.client()).ask("GET /", cookie=f"Cookie: {planted}; {OURS}\r\n")
            assert answer.status == 200


@pytest.mark.parametrize(
    "value",
    [
        "__Host-authproxy=evil; Path=/; Secure",
        "__Host-authproxy-flow=evil",
        " \t__Host-authproxy=evil",
        "=__Host-authproxy=evil",
        "= __Host-authproxy=evil",
        "==__Host-authproxy=evil",
        "__Host-authproxy",
        "__Host-authproxy-anything=1",
    ],
)
@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "SET-COOKIE"])
async def test_a_portal_cannot_set_our_cookies(name, value):
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer(fields=f"{name}: {value}\r\n{name}: theirs=1; Path=/\r\n".encode())

    async with running_edge(script=script) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert answer.all("set-cookie") == [b"theirs=1; Path=/"]


async def test_hop_by_hop_headers_of_a_portal_end_here():
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.answer(
            fields=b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: "
            b"Basic\r\nX-Stays: 1\r\n"
        )

    async with running_edge(script=script) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert [name for name, _ in answer.headers] == [b"x-stays", b"content-length", b"date", b"via"]


# Addresses


@pytest.mark.parametrize(
    "value", ["203.0.113.9", "a", "", "1.2.3.4, 5.6.7.8", "127.0.0.1", ", ".join(["9.9.9.9"] * 500)]
)
async def test_a_stranger_is_not_believed_about_its_address(value):
    async with running_edge() as edge:
        await (await edge.client()).ask(
            "GET /",
            f"X-Forwarded-For: {value}",
            "X-Real-IP: 9.9.9.9",
            "Forwarded: for=9.9.9.9",
            "X-Request-Id: chosen",
        )
        assert edge.portal.received.count(b"X-Forwarded-For:") == 1
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in edge.portal.received
        assert edge.observed[0]["client"] == "127.0.0.1"
        assert b"chosen" not in edge.portal.received


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9", "10.0.0.7"], "203.0.113.9"),
        (["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        (["203.0.113.9, nonsense"], "127.0.0.1"),
        (["nonsense, 10.0.0.7"], "10.0.0.7"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        ([], "127.0.0.1"),
    ],
)
async def test_the_chain_of_a_trusted_proxy_is_read_from_the_right(fields, client):
    async with running_edge(trusted=["127.0.0.1", "10.0.0.0/8"]) as edge:
        await (await edge.client()).ask("GET /", *(f"X-Forwarded-For: {value}" for value in fields))
        assert b"\r\nX-Forwarded-For: %s\r\n" % client.encode() in edge.portal.received
        assert edge.observed[0]["client"] == client


async def test_a_trusted_proxy_names_the_request_unless_it_does_so_oddly():
    async with running_edge(trusted=["127.0.0.1"]) as edge:
        client = await edge.client()
        await client.ask("GET /", "X-Request-Id: from-the-proxy_1")
        await client.ask("GET /", "X-Request-Id: with space")
        await client.ask("GET /", "X-Request-Id: one", "X-Request-Id: two")
        await client.ask("GET /", "X-Request-Id: " + "x" * 65)
        found = [line for line in edge.portal.received.split(b"\r\n") if line.startswith(b"X-Request-Id")]
        given, *ours = found
        assert given == b"X-Request-Id: from-the-proxy_1"
        assert len(set(ours)) == 3
        assert all(re.fullmatch(rb"X-Request-Id: [0-9a-f]{16}", line) for line in ours)
