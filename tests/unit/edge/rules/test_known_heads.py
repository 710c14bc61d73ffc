"""Which reads are taken for a head that was read before, and that llhttp would read them in the same way."""

from __future__ import annotations

import gc
import tracemalloc

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.edge.rules import known_heads, request_head
from authproxy.edge.rules.known_heads import KnownHeads

FIELDS = b"Host: acq.example\r\nUser-Agent: Firefox\r\nCookie: __Host-authproxy=1.ticket; a=1\r\nAccept: image/*\r\n"
TO_PORTAL = b"GET /a.png HTTP/1.1\r\n" + FIELDS + b"\r\n"
URL = b"X-Original-URL: https://acq.example/a?b=c\r\n"
ID = b"X-Request-Id: 0123abcd\r\n"
QUESTION = (
    b"GET /.authproxy/auth/nginx HTTP/1.1\r\n" + FIELDS + URL + b"X-Original-Method: GET\r\n" + ID + b"\r\n"
)

FORWARDED = QUESTION.replace(b"nginx", b"caddy").replace(URL, b"X-Forwarded-Uri: /a?b=c\r\n")
"""A question of a proxy that describes the request in parts."""
SMALL = FORWARDED.replace(b"X-Forwarded-Uri", b"x-forwarded-uri").replace(b"X-Request-Id", b"x-request-id")
OF_ENVOY = QUESTION.replace(b"nginx", b"envoy/a?b=c").replace(URL, b"content-length: 0\r\n")


class Llhttp:
    """What llhttp says about a read: its messages, or None if it refuses."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self):
        self.target, self.fields, self.body = b"", [], b""

    def on_url(self, piece):
        self.target += piece

    def on_header(self, name, value):
        self.fields.append((name, value))

    def on_body(self, piece):
        self.body += piece

    def on_message_complete(self):
        self.messages.append((self.parser.get_method(), self.target, self.body, self.fields))


def by_llhttp(data):
    told = Llhttp()
    told.parser.feed_data(data)
    return told


def head_of(data):
    told = by_llhttp(data)
    [(method, target, _, fields)] = told.messages
    head = request_head.parse(method, target, told.parser.get_http_version(), fields)
    head.keeps_alive = told.parser.should_keep_alive()
    return head


def learned(data, *, is_from_proxy=False, known=None):
    known = known or KnownHeads()
    known.learn(known_heads.read(data, is_from_proxy=is_from_proxy), head_of(data))
    return known


def found(known, data, *, is_from_proxy=False):
    read = known_heads.read(data, is_from_proxy=is_from_proxy)
    return None if read is None else known.find(read)


def of(head):
    return (
        head.method,
        head.target,
        head.host,
        head.cookies,
        head.ticket,
        head.connection,
        head.is_relayed,
        sorted(head.fields),
        head.index(),
        head.has_body,
        head.keeps_alive,
        head.upgrade,
        head.is_http_1_0,
    )


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (TO_PORTAL, TO_PORTAL),
        (TO_PORTAL, TO_PORTAL.replace(b"/a.png", b"/b?c=d&e")),
        (TO_PORTAL, TO_PORTAL.replace(b"GET", b"HEAD")),
        (TO_PORTAL.replace(b"Accept", b"Via: 1.1 a\r\nConnection: x, y\r\nAccept"),) * 2,
        (QUESTION, QUESTION),
        (QUESTION, QUESTION.replace(b"/a?b=c", b"/quite/another").replace(b"0123abcd", b"f" * 32)),
        (QUESTION.replace(ID, b""), QUESTION.replace(ID, b"").replace(b"/a?b=c", b"/")),
        (QUESTION.replace(URL, b"").replace(ID, URL + ID), QUESTION.replace(b"/a?b=c", b"/d")),
        (FORWARDED, FORWARDED.replace(b"/a?b=c", b"/quite/another").replace(b"0123abcd", b"f" * 32)),
        (SMALL, SMALL.replace(b"/a?b=c", b"/quite/another").replace(b"0123abcd", b"f" * 32)),
        (SMALL, SMALL.replace(b"x-request-id", b"X-Request-Id")),
        (FORWARDED, SMALL),
        (OF_ENVOY, OF_ENVOY.replace(b"/a?b=c", b"/quite/another").replace(b"0123abcd", b"f" * 32)),
        (QUESTION, FORWARDED),
        (FORWARDED, QUESTION),
        (
            TO_PORTAL.replace(b"Accept", ID + b"Accept"),
            TO_PORTAL.replace(b"Accept", b"X-Request-Id: 2\r\nAccept"),
        ),
    ],
)
def test_a_head_with_known_fields_is_the_one_that_llhttp_reads(first, again):
    known = learned(first, is_from_proxy=True)
    assert of(found(known, again, is_from_proxy=True)) == of(head_of(again))


def test_nobody_but_a_proxy_is_compared_without_the_lines_that_differ():
    assert found(learned(QUESTION), QUESTION.replace(b"0123", b"4567")) is None
    assert of(found(learned(QUESTION), QUESTION)) == of(head_of(QUESTION))


@pytest.mark.parametrize(
    "other",
    [
        TO_PORTAL.replace(b"1.ticket", b"1.TICKET"),
        TO_PORTAL.replace(b"Accept: ", b"Accept:"),
        TO_PORTAL.replace(b"GET", b"POST"),
        TO_PORTAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        TO_PORTAL.replace(b"HTTP/1.1", b"RTSP/1.0"),
        TO_PORTAL.replace(b"/a.png", b"/a.png#b"),
        TO_PORTAL.replace(b"/a.png", b"/a b"),
        TO_PORTAL.replace(b"/a.png", b"/\xc4\x8d"),
        TO_PORTAL.replace(b"/a.png", b"http://acq.example/a.png"),
        TO_PORTAL.replace(b"/a.png", b"/a.png "),
        b"\r\n" + TO_PORTAL,
        TO_PORTAL + b"\r\n",
        TO_PORTAL + TO_PORTAL,
        TO_PORTAL[:-1],
        TO_PORTAL.replace(b"\r\n", b"\n", 1),
        TO_PORTAL.replace(b"/a.png", b"/" + b"a" * 8192),
        b"GET / HTTP/1.1",
        b"GET /\r\n\r\n",
        b"G\r\n\r\n",
        b"",
    ],
)
def test_what_differs_elsewhere_is_left_to_llhttp(other):
    assert found(learned(TO_PORTAL), other) is None


def test_a_target_that_stands_twice_is_left_to_llhttp():
    twice = FORWARDED.replace(b"Accept", b"x-forwarded-uri: /b\r\nAccept")
    known = learned(twice, is_from_proxy=True)
    assert found(known, twice, is_from_proxy=True) is None
    learned(twice.replace(b"X-Forwarded-Uri: /a?b=c\r\n", b""), is_from_proxy=True, known=known)
    assert found(known, twice, is_from_proxy=True) is None


def test_of_others_nobody_need_say_that_there_is_no_body():
    data = TO_PORTAL.replace(b"Accept", b"Content-Length: 0\r\nAccept")
    assert found(learned(data, is_from_proxy=True), data, is_from_proxy=True) is None
    with_body = OF_ENVOY.replace(b"content-length: 0", b"content-length: 1") + b"x"
    assert found(learned(with_body, is_from_proxy=True), with_body, is_from_proxy=True) is None


def test_a_question_with_a_proof_is_not_remembered():
    proved = FORWARDED.replace(b"Accept", b"X-Authproxy-Question: t=1;h=2\r\nAccept")
    assert found(learned(proved, is_from_proxy=True), proved, is_from_proxy=True) is None


def test_a_question_without_url_has_none():
    data = QUESTION.replace(URL, b"")
    assert of(found(learned(QUESTION, is_from_proxy=True), data, is_from_proxy=True)) == of(head_of(data))


@pytest.mark.parametrize(
    "other",
    [
        QUESTION.replace(URL, b"X-Original-URL: https://acq.example/a\x01\r\n"),
        QUESTION.replace(URL, b"X-Original-URL: https://acq.example/a b\r\n"),
        QUESTION.replace(URL, b"X-Original-URL: \r\n"),
        QUESTION.replace(URL, URL + URL),
        QUESTION.replace(URL, URL + URL.lower()),
        QUESTION.replace(ID, ID + ID),
        QUESTION.replace(URL, b"").replace(b"\r\n\r\n", b"\r\n\r\n" + URL),
        QUESTION.replace(URL, b"").replace(b"\r\n\r\n", b"\r\n\r\n" + URL + b"\r\n"),
        QUESTION.replace(URL, b"").replace(b"Firefox", b"Fire" + URL + b"fox"),
        QUESTION.replace(b"/auth/nginx", b"/auth"),
    ],
)
def test_a_question_whose_lines_can_be_read_in_another_way_is_left_to_llhttp(other):
    assert found(learned(QUESTION, is_from_proxy=True), other, is_from_proxy=True) is None


@pytest.mark.parametrize(
    "data",
    [
        TO_PORTAL.replace(b"Accept", b"Content-Length: 0\r\nAccept"),
        TO_PORTAL.replace(b"Accept", b"Upgrade: h2c\r\nAccept"),
        TO_PORTAL.replace(b"Accept", b"Expect: 100-continue\r\nAccept"),
        TO_PORTAL.replace(b"Accept", b"Authorization: NTLM abc\r\nAccept"),
        TO_PORTAL.replace(b"Accept", b"Transfer-Encoding: chunked\r\nAccept"),
    ],
)
def test_heads_that_are_not_a_whole_request_by_themselves_are_not_remembered(data):
    read = known_heads.read(data, is_from_proxy=False)
    told = by_llhttp(data + b"0\r\n\r\n" if b"chunked" in data else data)
    [(method, target, _, fields)] = told.messages
    known = KnownHeads()
    known.learn(read, request_head.parse(method, target, "1.1", fields))
    assert known.find(read) is None


def test_a_read_with_more_than_a_head_is_not_remembered():
    read = known_heads.read(TO_PORTAL + b"GET", is_from_proxy=False)
    known = KnownHeads()
    known.learn(read, head_of(TO_PORTAL))
    assert known.find(read) is None


def test_a_head_of_another_version_is_not_remembered():
    read, head = known_heads.read(TO_PORTAL, is_from_proxy=False), head_of(TO_PORTAL)
    head.is_http_1_0 = True
    known = KnownHeads()
    known.learn(read, head)
    assert known.find(read) is None


@pytest.mark.parametrize("twice", [URL.lower(), ID.lower()])
def test_a_question_with_such_a_line_in_another_spelling_is_not_remembered(twice):
    data = QUESTION.replace(b"X-Original-Method", twice + b"X-Original-Method")
    assert found(learned(data, is_from_proxy=True), data, is_from_proxy=True) is None


@pytest.mark.parametrize("line", [URL, ID])
@pytest.mark.parametrize("second", [bytes, bytes.lower])
def test_a_line_that_stands_twice_is_not_overlooked_when_the_second_was_read_alone(line, second):
    alone, both = QUESTION.replace(line, second(line)), QUESTION.replace(line, line + second(line))
    known = KnownHeads()
    for data in (alone, alone.replace(URL, b""), alone.replace(ID, b"")):
        learned(data, known=known)  # nothing is taken out of what is no proxy's
        learned(data, is_from_proxy=True, known=known)
    assert found(known, both, is_from_proxy=True) is None


def test_what_is_done_to_one_head_does_not_reach_the_next():
    known = learned(TO_PORTAL)
    one = found(known, TO_PORTAL)
    one.fields = one.fields[1:]
    assert one.shared is None
    other = found(known, TO_PORTAL)
    other.cookies = b"a=1"
    assert (other.shared, other.ticket) == (None, None)
    third = found(known, TO_PORTAL)
    assert of(third) == of(head_of(TO_PORTAL))
    assert third.shared is not None


def test_however_many_heads_come_what_is_remembered_stays_small():
    """Two generations of half a MiB, and about five times as much in memory."""
    known = KnownHeads()
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3_000):
            learned(
                TO_PORTAL.replace(b"\r\n\r\n", b"\r\nCookie: %d%s\r\n\r\n" % (number, b"x" * 400)),
                known=known,
            )
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5 * 2 * 512 * 1024


def test_what_nobody_sends_is_forgotten_after_two_generations():
    known = learned(TO_PORTAL)
    known.forget_old(100.0)
    known.forget_old(101.0)
    assert found(known, TO_PORTAL) is not None  # which brings it into this generation
    known.forget_old(110.0)
    known.forget_old(120.0)
    assert found(known, TO_PORTAL) is None


def test_what_is_remembered_is_bounded():
    known = learned(TO_PORTAL)
    for number in range(300):
        learned(TO_PORTAL.replace(b"Firefox", b"F" * 6000 + b"%d" % number), known=known)
    assert found(known, TO_PORTAL) is None
    remembered = [
        number
        for number in range(300)
        if found(known, TO_PORTAL.replace(b"Firefox", b"F" * 6000 + b"%d" % number)) is not None
    ]
    assert remembered
    assert len(remembered) <= 2 * 512 * 1024 // 6000
    assert max(remembered) == 299


TEXT = some.text(some.characters(min_codepoint=0, max_codepoint=255), max_size=20).map(
    lambda text: text.encode("latin-1")
)


@given(
    method=some.sampled_from([b"GET", b"HEAD", b"POST", b"get"]),
    target=TEXT,
    version=some.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"]),
)
def test_whatever_the_request_line_is_llhttp_accepts_what_is_found(method, target, version):
    data = b"%s /%s %s\r\n%s\r\n" % (method, target, version, FIELDS)
    head = found(learned(TO_PORTAL), data)
    if head is not None:
        assert of(head) == of(head_of(data))


@given(
    url=TEXT,
    request_id=TEXT,
    at=some.integers(0, QUESTION.count(b"\r\n")),
    id_at=some.integers(0, QUESTION.count(b"\r\n")),
)
def test_wherever_a_proxys_lines_stand_llhttp_reads_what_is_found(url, request_id, at, id_at):
    lines = QUESTION.replace(URL, b"").replace(ID, b"").split(b"\r\n")
    lines.insert(at, b"X-Original-URL: " + url)
    lines.insert(id_at, b"X-Request-Id: " + request_id)
    data = b"\r\n".join(lines)
    head = found(learned(QUESTION, is_from_proxy=True), data, is_from_proxy=True)
    if head is not None:
        assert of(head) == of(head_of(data))
