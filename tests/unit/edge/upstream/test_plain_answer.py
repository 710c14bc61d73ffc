"""The short way through an answer: what it takes, how it hands it on, and that it leaves everything doubtful
to the parser."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.edge.upstream import plain_answer

BODY = b"four"
FIELDS = b'Server: s\r\nContent-Length: 4\r\nETag: "x"\r\n'


def wire(fields=FIELDS, line=b"HTTP/1.1 200 OK", body=BODY):
    return line + b"\r\n" + fields + b"\r\n" + body


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS,
        b"Connection: keep-alive\r\n" + FIELDS,
        FIELDS + b"Connection: keep-alive\r\n",
        b'Server: s\r\nconnection: Keep-Alive\r\ncontent-length:4\r\nETag: "x"\r\n',
        b'CONTENT-LENGTH: 4\r\nServer: s\r\nETag: "x"\r\n',
    ],
)
def test_a_plain_answer_keeps_its_fields_but_for_length_and_connection(fields):
    answer = plain_answer.read(wire(fields))
    assert answer is not None
    assert (answer.status, answer.phrase, answer.lines, answer.length) == (
        200,
        b"OK",
        b'Server: s\r\nETag: "x"\r\n',
        4,
    )
    assert wire(fields)[answer.body_at :] == BODY


@pytest.mark.parametrize(
    ("field", "has_one"),
    [
        (b"Location: http://inner/next", True),
        (b"CONTENT-LOCATION: /here", True),
        (b"X-Location: http://inner", False),
    ],
)
def test_it_tells_whether_the_answer_may_name_the_portals_own_address(field, has_one):
    answer = plain_answer.read(wire(field + b"\r\n" + FIELDS))
    assert answer is not None
    assert answer.has_address is has_one
    assert answer.lines.startswith(field + b"\r\n")


def test_the_body_may_still_be_coming():
    answer = plain_answer.read(wire(body=b"fou"))
    assert answer is not None
    assert answer.length == 4


@pytest.mark.parametrize(
    "data",
    [
        wire()[:20],
        wire(line=b"HTTP/1.0 200 OK"),
        wire(line=b"HTTP/1.1 204 No Content"),
        wire(line=b"HTTP/1.1 304 Not Modified"),
        wire(line=b"HTTP/1.1 100 Continue"),
        wire(line=b"HTTP/1.1 999 Odd"),
        wire(line=b"HTTP/1.1 200"),
        wire(line=b"HTTP/1.1  200 OK"),
        wire(b"Server: s\r\n"),
        wire(b"Content-Length: 4\r\nContent-Length: 4\r\n"),
        wire(b"Content-Length: +4\r\n"),
        wire(b"Content-Length:\r\n"),
        wire(b"Content-Length: 4, 4\r\n"),
        wire(b"Content-Length: 9999999999999999\r\n"),
        wire(b"Content-Length: 3\r\n"),
        *(
            wire(FIELDS + line)
            for line in (
                b"Transfer-Encoding: chunked\r\n",
                b"Set-Cookie: a=1\r\n",
                b"Connection: close\r\n",
                b"Connection: ETag\r\n",
                b"Keep-Alive: 5\r\n",
                b"Connection: keep-alive\r\nConnection: keep-alive\r\n",
                b"Upgrade: h2c\r\n",
                b"TE: x\r\n",
                b"Trailer: x\r\n",
                b"Proxy-Authenticate: x\r\n",
                b" folded\r\n",
                b"A : b\r\n",
                b"A: b\x00\r\n",
                b"A: b\rc\r\n",
                b"A: b\n",
                b": b\r\n",
                b"A\r\n",
                b"content-length: 4\r\n",
                b"Content-Length:\r\n",
                b"Connection:\r\nConnection: keep-alive\r\n",
            )
        ),
        b"\x16\x03\x01" + wire(),
    ],
)
def test_whatever_is_not_plain_is_left_to_the_parser(data):
    assert plain_answer.read(data) is None


def test_the_inventions_of_a_strange_portal_are_read_and_not_all_remembered():
    for number in range(1200):
        answer = plain_answer.read(wire(FIELDS + b"X-%d: a\r\n" % number, line=b"HTTP/1.1 200 %d" % number))
        assert answer is not None
        assert answer.lines.endswith(b"X-%d: a\r\n" % number)
    assert len(plain_answer._meanings) <= 1024
    assert len(plain_answer._status_lines) <= 256


class Oracle:
    """llhttp's reading. It forgets how the message was framed when that is over, so persistence is asked at
    the end of the head."""

    def __init__(self, data):
        self.fields, self.body, self.is_complete, self.keeps_alive = [], b"", False, None
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(data)
        self.status = self._parser.get_status_code()

    def on_header(self, name, value):
        self.fields.append((name.lower(), value))

    def on_headers_complete(self):
        self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, piece):
        self.body += piece

    def on_message_complete(self):
        self.is_complete = True


names = st.sampled_from(
    [b"Server", b"content-type", b"X-A", b"Content-Length", b"Connection", b"Date", b"Set-Cookie", b"te"]
)
values = st.sampled_from([b"4", b"0", b"keep-alive", b"close", b"a b", b"", b"x: y", b"\xe8", b"text/html"])
bodies = st.sampled_from([b"", b"fou", b"four", b"fourfive"])


def agrees_with_llhttp(data):
    plain = plain_answer.read(data)
    if plain is None:
        return
    llhttp = Oracle(data)
    assert llhttp.status == plain.status
    passed = [tuple(line.split(b": ", 1)) for line in plain.lines.split(b"\r\n")[:-1]]
    expected = [
        (name, value) for name, value in llhttp.fields if name not in {b"content-length", b"connection"}
    ]
    assert [(name.lower(), value) for name, value in passed] == expected
    assert llhttp.body == data[plain.body_at :]
    assert llhttp.is_complete == (len(llhttp.body) == plain.length)
    assert llhttp.keeps_alive
    assert plain.has_date == (b"date" in dict(expected))


@given(st.lists(st.tuples(names, values), max_size=6), bodies)
def test_what_is_plain_reads_as_llhttp_reads_it(fields, body):
    agrees_with_llhttp(wire(b"".join(b"%s: %s\r\n" % field for field in fields), body=body))


@given(
    st.lists(st.tuples(st.sampled_from([b"Server", b"X-A", b"Date"]), values), max_size=4),
    st.integers(0, 4),
    bodies,
    st.booleans(),
)
def test_what_is_nearly_always_plain_reads_as_llhttp_reads_it(fields, at, body, says_keep_alive):
    fields.insert(at, (b"Content-Length", b"%d" % len(body)))
    if says_keep_alive:
        fields.insert(4 - at, (b"connection", b"Keep-Alive"))
    agrees_with_llhttp(wire(b"".join(b"%s: %s\r\n" % field for field in fields), body=body))


def test_lines_are_read_alike_however_many_were_read_before():
    for number in range(600):
        date = b"Date: Mon, 30 Nov 2026 09:%02d:%02d GMT\r\n" % divmod(number, 60)
        for _ in range(2):
            answer = plain_answer.read(wire(date + b"Connection: keep-alive\r\n" + FIELDS))
            assert answer is not None
            assert (answer.has_date, answer.lines) == (True, date + b'Server: s\r\nETag: "x"\r\n')
    assert plain_answer.read(wire(b"Connection: keep-alive\r\n" * 2 + FIELDS)) is None
