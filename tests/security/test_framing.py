"""Request smuggling: whatever could be framed in two ways is refused, and nothing of it reaches the portal
(RFC 9112 §6, §9.6, §11.2).

Every case is sent by somebody who is signed in, so that only the framing stands between it and the portal; a
well-formed request of another client on the same upstream connection comes after it, and must get its own
answer.
"""

from __future__ import annotations

import pytest

from tests.support.edge import COOKIE, HOST, Edge, request, running_edge

H = f"Host: {HOST}\r\n".encode() + COOKIE.encode()
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: acq.localhost\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SMUGGLED
CRLF = b"\r\n"


def post(*fields: bytes, body: bytes = CHUNKED, version: bytes = b"HTTP/1.1", head: bytes = H) -> bytes:
    return b"POST /attack " + version + CRLF + head + b"".join(field + CRLF for field in fields) + CRLF + body


CL, TE = b"Content-Length: 5", b"Transfer-Encoding: chunked"

LENGTHS = [
    b"+5",
    b"-5",
    b" +5",
    b"5 5",
    b"5,5",
    b"5, 5",
    b"5,6",
    b"0x5",
    b"5.0",
    b"5e0",
    b"5;",
    b"05 ,",
    b"\x0b5",
    b"5\x0b",
    b"\xef\xbc\x95",
    b"",
    b" ",
    b"five",
    b"1_0",
    b"99999999999999999999",
    b"18446744073709551616",
    b"18446744073709551621",
    b"5\t5",
    b'"5"',
    b"(5)",
    b"5 5 ",
]
CODINGS = [
    b"identity",
    b"gzip",
    b"gzip, chunked",
    b"chunked, gzip",
    b"chunked, identity",
    b"identity, chunked",
    b"chunked, chunked",
    b"chunked,",
    b",chunked",
    b"xchunked",
    b"chunkedx",
    b"chunk",
    b"chunked;q=1",
    b'"chunked"',
    b"chunked chunked",
    b"\x0bchunked",
    b"chunked\x0b",
    b"chu\x00nked",
    b"",
    b"cow",
    b"trailers",
    b"deflate",
    b"compress",
    b"chunked\x00",
    b"\xe9chunked",
    b"chunked, cow",
    b"chunked, ",
    b"chunked\t",  # a blank that RFC 9110 allows and llhttp takes for another coding
]
SIZES = [
    b"",
    b" ",
    b"-1",
    b"+1",
    b"0x1",
    b"1 ",
    b" 1",
    b"1\t",
    b"g",
    b"1g",
    b"1 1",
    b"1,",
    b"1_0",
    b"ffffffffffffffffff",
    b"10000000000000000",
    b"\xef\xbc\x91",
    b"1\x00",
    b"1\x0b",
    b"%31",
    b"1.0",
]

AMBIGUOUS = {
    "length and coding": post(CL, TE),
    "coding and length": post(TE, CL),
    "zero length and coding": post(b"Content-Length: 0", TE),
    "two lengths": post(CL, b"Content-Length: 6"),
    "two equal lengths": post(CL, CL),
    "two codings": post(TE, TE),
    "coding twice, one other": post(TE, b"Transfer-Encoding: identity"),
    "other coding first": post(b"Transfer-Encoding: identity", TE),
    "coding of HTTP/1.0": post(TE, version=b"HTTP/1.0"),
    "coding and keep-alive of HTTP/1.0": post(TE, b"Connection: keep-alive", version=b"HTTP/1.0"),
    "length folded": post(b"Content-Length:\r\n 5"),
    "coding folded": post(b"Transfer-Encoding:\r\n chunked"),
    "coding folded by a tab": post(b"Transfer-Encoding:\r\n\tchunked"),
    "space before the colon of length": post(b"Content-Length : 5"),
    "space before the colon of coding": post(b"Transfer-Encoding : chunked"),
    "tab before the colon of coding": post(b"Transfer-Encoding\t: chunked"),
    "space before the name of coding": post(b" Transfer-Encoding: chunked"),
    "control before the name of coding": post(b"\x0bTransfer-Encoding: chunked"),
    "NUL in the name": post(b"Transfer\x00-Encoding: chunked"),
    "non-ASCII name": post(b"Transfer-Encod\xc4\xb1ng: chunked"),
    "no colon": post(b"Transfer-Encoding chunked"),
    "empty name": post(b": chunked"),
    "coding behind a bare LF": post(b"X-Field: a\nTransfer-Encoding: chunked"),
    "coding behind a bare CR": post(b"X-Field: a\rTransfer-Encoding: chunked"),
    "length behind a bare LF": post(b"X-Field: a\nContent-Length: 5"),
    "head that ends with bare LFs": b"POST /attack HTTP/1.1\n"
    + H.replace(CRLF, b"\n")
    + b"Content-Length: 5\n\n"
    + CHUNKED,
    "head whose end is a bare LF": post(CL)[: -len(CHUNKED) - 2] + b"\n" + CHUNKED,
    "request line with a bare LF": post(CL).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n", 1),
    "request line with a bare CR": post(CL).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r", 1),
    "NUL in a value": post(CL, b"X-Field: a\x00b"),
    "control in a value": post(CL, b"X-Field: a\x01b"),
    "DEL in a value": post(CL, b"X-Field: a\x7fb"),
    "bare CR in a value": post(CL, b"X-Field: a\rb"),
    "folded field": post(CL, b"X-Field: a\r\n b"),
    "folded first field": b"POST /attack HTTP/1.1\r\n X: y\r\n" + H + CL + CRLF + CRLF + CHUNKED,
    "two hosts": post(CL, b"Host: other.example"),
    "two equal hosts": post(CL, f"Host: {HOST}".encode()),
    "no host": post(CL, head=COOKIE.encode()),
    "empty host": post(CL, head=b"Host:\r\n" + COOKIE.encode()),
    "folded host": post(CL, head=b"Host:\r\n acq.localhost\r\n" + COOKIE.encode()),
    "host with a space before the colon": post(CL, head=b"Host : acq.localhost\r\n" + COOKIE.encode()),
    "host with user information": post(CL, head=b"Host: a@acq.localhost\r\n" + COOKIE.encode()),
    "host with a path": post(CL, head=b"Host: acq.localhost/x\r\n" + COOKIE.encode()),
    "host list": post(CL, head=b"Host: acq.localhost, other.example\r\n" + COOKIE.encode()),
    "host with parameters": post(CL, head=b"Host: acq.localhost;for=1.2.3.4\r\n" + COOKIE.encode()),
    "host with an impossible port": post(CL, head=b"Host: acq.localhost:99999\r\n" + COOKIE.encode()),
    "host with raw non-ASCII": post(CL, head=b"Host: acq.localhost\xc3\xa9\r\n" + COOKIE.encode()),
    "no host in HTTP/1.0": post(CL, head=COOKIE.encode(), version=b"HTTP/1.0"),
    "HTTP/0.9": b"GET /attack\r\n\r\n",
    "HTTP/0.9 with fields": b"GET /attack\r\n" + H + CRLF,
    "HTTP/1.2": post(CL, version=b"HTTP/1.2"),
    "HTTP/2.0": post(CL, version=b"HTTP/2.0"),
    "HTTP/1.10": post(CL, version=b"HTTP/1.10"),
    "HTTP/01.1": post(CL, version=b"HTTP/01.1"),
    "http/1.1": post(CL, version=b"http/1.1"),
    "ICE/1.1": post(CL, version=b"ICE/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tab in the request line": post(CL).replace(b"POST ", b"POST\t", 1),
    "space behind the version": post(CL, version=b"HTTP/1.1 "),
    "space before the method": b" " + post(CL),
    "a declined upgrade with a body framed in two ways": post(
        b"Connection: Upgrade", b"Upgrade: h2c", CL, TE
    ),
    "a declined upgrade with a bad chunk": post(
        b"Connection: Upgrade", b"Upgrade: h2c", TE, body=b"2\r\nhello\r\n0\r\n\r\n" + SMUGGLED
    ),
    "RTSP/1.0": post(CL, version=b"RTSP/1.0"),
    "RTSP/1.1": post(CL, version=b" RTSP/1.1"),
    "websocket with a body": post(
        b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5"
    ).replace(b"POST", b"GET", 1),
    "chunk terminator missing": post(TE, body=b"5\r\nhelloXX0\r\n\r\n" + SMUGGLED),
    "chunk terminator a bare LF": post(TE, body=b"5\r\nhello\n0\r\n\r\n" + SMUGGLED),
    "chunk size ended by a bare LF": post(TE, body=b"5\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk size ended by a bare CR": post(TE, body=b"5\rhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk longer than said": post(TE, body=b"2\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "chunk shorter than said": post(TE, body=b"9\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "last chunk ended by bare LFs": post(TE, body=b"0\n\n" + SMUGGLED),
    "bare LF in a chunk extension": post(TE, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "bare CR in a chunk extension": post(TE, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "NUL in a chunk extension": post(TE, body=b"5;\x00\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "folded trailer": post(TE, body=b"0\r\nX: a\r\n b\r\n\r\n" + SMUGGLED),
    "trailer without a colon": post(TE, body=b"0\r\nX\r\n\r\n" + SMUGGLED),
    "trailer of framing": post(TE, body=b"0\r\nContent-Length: 5\r\n\r\n" + SMUGGLED),
    "trailer of identity": post(TE, body=b"0\r\nX-Auth-Subject: root\r\n\r\n" + SMUGGLED),
} | {f"length {value!r}": post(b"Content-Length: " + value) for value in LENGTHS}
AMBIGUOUS |= {f"coding {value!r}": post(b"Transfer-Encoding: " + value) for value in CODINGS}
AMBIGUOUS |= {
    f"coding {value!r} beside a length": post(CL, b"Transfer-Encoding: " + value) for value in CODINGS
}
AMBIGUOUS |= {
    f"chunk size {value!r}": post(TE, body=value + b"\r\nx\r\n0\r\n\r\n" + SMUGGLED) for value in SIZES
}
AMBIGUOUS |= {
    f"second chunk size {value!r}": post(TE, body=b"1\r\nx\r\n" + value + b"\r\nx\r\n0\r\n\r\n" + SMUGGLED)
    for value in SIZES
}
AMBIGUOUS |= {
    f"byte {byte:#04x} in a field name": post(CL, b"X" + bytes([byte]) + b"Y: z")
    for byte in (*range(0x21), *b'"(),/;<=>?@[\\]{}', 0x7F, 0x80, 0xFF)
    if byte not in b"\r\n"
}
AMBIGUOUS |= {
    f"control {byte:#04x} in a value": post(CL, b"X-Field: a" + bytes([byte]) + b"b")
    for byte in (*range(9), *range(10, 32), 127)
}
AMBIGUOUS |= {
    f"byte {byte:#04x} in the method": post(CL).replace(b"POST", b"PO" + bytes([byte]) + b"ST", 1)
    for byte in (0, 9, 10, 13, 32, 0x7F, 0xE9)
}

# llhttp reads these as the one thing that RFC 9112 lets them be, and the portal is told that reading,
# rewritten.
UNAMBIGUOUS = {
    "two spaces in the request line": post(CL, body=b"hello").replace(b"POST ", b"POST  ", 1),
    "spaces before a length": post(b"Content-Length:  5", body=b"hello"),
    "tab before a coding": post(b"Transfer-Encoding:\tchunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "coding in capitals": post(b"TRANSFER-ENCODING: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "space behind a length": post(b"Content-Length: 5 ", body=b"hello"),
    "blanks behind a length": post(b"Content-Length: 5 \t ", body=b"hello"),
    "space behind a coding": post(b"Transfer-Encoding: chunked  ", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "blanks behind the host": post(CL, head=H.replace(b"localhost\r", b"localhost \t\r"), body=b"hello"),
    "host with an empty port": post(CL, head=H.replace(b"localhost\r", b"localhost:\r"), body=b"hello"),
    "space behind an option": post(CL, b"Connection: keep-alive ", body=b"hello"),
    "a declined upgrade with a body": post(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAQ", CL, body=b"hello"
    ),
    "a declined upgrade with chunks": post(
        b"Connection: Upgrade", b"Upgrade: h2c", TE, body=b"5\r\nhello\r\n0\r\n\r\n"
    ),
    "a POST that offers websocket": post(b"Connection: Upgrade", b"Upgrade: websocket", CL, body=b"hello"),
    "size with leading zeros": post(TE, body=b"0005\r\nhello\r\n000\r\n\r\n"),
    "chunk extension": post(TE, body=b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'),
    "underscore beside a length": post(
        b"Content-Length: 5", b"Content_Length: 9", b"Transfer_Encoding: chunked", body=b"hello"
    ),
}


@pytest.fixture(scope="module")
def asked():
    """Paths that a portal must never see."""
    return b"/attack", b"/smuggled"


async def expect_refusal(edge: Edge, attack: bytes, asked: tuple[bytes, ...]) -> None:
    bystander = await edge.client()
    assert (await bystander.ask("GET /before")).body == b"GET /before HTTP/1.1"
    before = edge.portal.received
    answer = await edge.exchange(attack)
    assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 405", b"HTTP/1.1 505"}, answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer
    assert edge.portal.received == before
    assert (await bystander.ask("GET /after")).body == b"GET /after HTTP/1.1"
    assert len(edge.portal.conversations) == 1
    assert not any(path in edge.portal.received for path in asked)


@pytest.mark.parametrize("attack", [pytest.param(attack, id=name) for name, attack in AMBIGUOUS.items()])
async def test_what_can_be_framed_in_two_ways_is_refused_and_the_connection_closes(attack, asked):
    async with running_edge() as edge:
        await expect_refusal(edge, attack, asked)


@pytest.mark.parametrize(
    "name", ["length and coding", "two hosts", "chunk size '-1'", "second chunk size b'g'", "folded field"]
)
async def test_an_attack_behind_a_good_request_changes_nothing_about_it(name):
    attack = AMBIGUOUS.get(name) or AMBIGUOUS["chunk size b'-1'"]
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(request("GET /good") + attack)
        assert (await client.answer()).body == b"GET /good HTTP/1.1"
        assert (await client.answer()).status == 400
        assert await client.everything() == b""
        assert edge.portal.received.count(b"HTTP/1.1\r\n") == 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_bad_chunk_that_comes_late_ends_the_request_at_the_portal_without_completing_it(size):
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(post(TE, body=b"1\r\nx\r\n"))
        await edge.settled(lambda: b"\r\n1\r\nx\r\n" in edge.portal.received)
        await client.send(size + b"\r\nx\r\n0\r\n\r\n" + SMUGGLED)
        assert (await client.answer("POST")).status == 400
        await edge.settled(edge.portal.conversations[0].is_over.is_set)
        assert not edge.portal.received.endswith(b"0\r\n\r\n")
        assert b"/smuggled" not in edge.portal.received


@pytest.mark.parametrize(
    "accepted", [pytest.param(accepted, id=name) for name, accepted in UNAMBIGUOUS.items()]
)
async def test_what_has_one_meaning_reaches_the_portal_in_one_spelling(accepted):
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(accepted + request("GET /next"))
        assert (await client.answer("POST")).body == b"POST /attack HTTP/1.1"
        assert (await client.answer()).body == b"GET /next HTTP/1.1"
        head, _, rest = edge.portal.received.partition(b"\r\n\r\n")
        framing = [line for line in head.split(CRLF) if b"ength" in line or b"ncoding" in line]
        assert framing in ([b"Content-Length: 5"], [b"Transfer-Encoding: chunked"])
        assert f"Host: {HOST}".encode() in head.split(CRLF)
        assert b"pgrade" not in head
        assert b"HTTP2" not in head
        assert rest.startswith((b"helloGET /next", b"5\r\nhello\r\n0\r\n\r\nGET /next"))


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_a_body_beside_a_declined_upgrade_is_whole_however_it_arrives(framing):
    body = b"hello" if "Length" in framing else b"5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    sent = request(
        "POST /1", framing, "Connection: Upgrade", "Upgrade: h2c", "Expect: 100-continue ", body=body
    ) + request("GET /2")
    async with running_edge() as edge:
        for at in range(1, len(sent), 11):
            client = await edge.client()
            await edge.settled(lambda: edge.listener.connection_count == 1)
            [connection] = edge.listener._connections
            for piece in (sent[:at], sent[at:]):
                connection.data_received(piece)
            assert [(await client.answer(method)).body for method in ("POST", "GET")] == [
                b"POST /1 HTTP/1.1",
                b"GET /2 HTTP/1.1",
            ], at
            client.close()
            await edge.settled(lambda: edge.listener.connection_count == 0)
        end = b"\r\n\r\nhello" if "Length" in framing else b"0\r\nX-Sum: 1\r\n\r\n"
        assert edge.portal.received.count(end) == edge.portal.received.count(b"POST /1 ") > 20


async def test_the_end_of_a_connection_is_asked_for_beside_a_declined_upgrade():
    async with running_edge() as edge:
        wish = request(
            "POST /1", "Connection: close, Upgrade", "Upgrade: h2c", "Content-Length: 5", body=b"hello"
        )
        answer = await edge.exchange(wish)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("protocol", ["RTSP/1.0", " RTSP/1.1"])
async def test_another_protocol_is_refused_wherever_its_line_stands(protocol):
    foreign = request("GET /attack").replace(b"HTTP/1.1", protocol.encode(), 1)
    async with running_edge() as edge:
        for first, rest in (
            (request("GET /before") + foreign, b""),
            (foreign[:9], foreign[9:]),
            (foreign[:17], foreign[17:]),
            (b"\r\n" + foreign, b""),
        ):
            client = await edge.client()
            await edge.settled(lambda: edge.listener.connection_count == 1)
            [connection] = edge.listener._connections
            connection.data_received(first)
            connection.data_received(rest)
            said = await client.everything()
            assert said.count(b"HTTP/1.1 505 ") == 1, said
            client.close()
            await edge.settled(lambda: edge.listener.connection_count == 0)
        assert b"/attack" not in edge.portal.received


async def test_a_field_that_speaks_of_another_protocol_is_none():
    async with running_edge() as edge:
        client = await edge.client()
        await client.send(
            request("GET /1", "User-Agent: player RTSP/1.0")
            + request("GET /2", "User-Agent: player RTSP/1.0")
        )
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "method",
    [
        "CONNECT",
        "TRACE",
        "TRACK",
        "get",
        "Get",
        "GeT",
        "post",
        "FOO",
        "PURGE",
        "LINK",
        "MKACTIVITY",
        "M-SEARCH",
    ],
)
async def test_a_method_that_portals_are_not_asked_with_is_refused(method):
    async with running_edge() as edge:
        answer = await edge.exchange(request(f"{method} /attack"))
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nAllow: " in answer
        assert edge.portal.conversations == []


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9"])
async def test_a_version_that_is_not_spoken_here_is_said_to_be_so(version):
    async with running_edge() as edge:
        answer = await edge.exchange(request("GET /").replace(b"HTTP/1.1", version.encode()))
        assert answer.startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize("value", ["100-continue, x", "200-ok", "x", ""])
async def test_an_expectation_that_nobody_can_meet_is_417(value):
    async with running_edge() as edge:
        answer = await edge.exchange(
            request("POST /attack", "Content-Length: 4", f"Expect: {value}", body=b"body")
        )
        assert answer.startswith(b"HTTP/1.1 417 ")
        assert edge.portal.conversations == []


@pytest.mark.parametrize("offer", ["h2c", "TLS/1.2", "HTTP/2.0", "websocket, h2c"])
async def test_an_upgrade_that_is_not_offered_here_is_declined_by_answering_as_usual(offer):
    async with running_edge() as edge:
        client = await edge.client()
        fields = (
            "Connection: Upgrade, HTTP2-Settings",
            f"Upgrade: {offer}",
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        )
        await client.send(request("GET /1", *fields) + request("DELETE /2", *fields) + request("GET /3"))
        assert [(await client.answer(method)).status for method in ("GET", "DELETE", "GET")] == [
            200,
            200,
            200,
        ]
        assert b"pgrade" not in edge.portal.received
        assert b"HTTP2-Settings" not in edge.portal.received
