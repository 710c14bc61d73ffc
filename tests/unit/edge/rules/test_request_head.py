from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.edge.rules import request_head
from authproxy.edge.rules.request_head import HeadRefused, parse

HOST = (b"Host", b"acq.example")


def read(*fields: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/", version: str = "1.1"):
    return parse(method, target, version, [HOST, *fields])


def refusal(*fields: tuple[bytes, bytes], **options) -> int:
    with pytest.raises(HeadRefused) as refused:
        read(*fields, **options)
    return refused.value.status


def test_the_fields_that_matter_are_read_under_every_spelling():
    head = read(
        (b"COOKIE", b"a=1"),
        (b"cookie", b"b=2"),
        (b"content-LENGTH", b"5"),
        (b"CONNECTION", b"a"),
        (b"connection", b"b"),
        (b"EXPECT", b"100-Continue"),
        (b"X", b"y"),
    )
    assert (head.host, head.cookies, head.content_length, head.connection, head.expects_continue) == (
        b"acq.example",
        b"a=1; b=2",
        5,
        b"a,b",
        True,
    )
    assert head.has_body
    assert not head.is_chunked


def test_chunks_are_a_body_and_length_zero_is_none():
    assert read((b"Transfer-Encoding", b"Chunked")).has_body
    assert not read((b"Content-Length", b"0")).has_body
    assert not read().has_body


@pytest.mark.parametrize("value", [b"", b"+5", b"-5", b"5 ", b"5,5", b"0x5", b"5.0", b"\xb2", b"1" * 19])
def test_a_length_that_is_no_number_is_refused(value):
    assert refusal((b"Content-Length", value)) == 400


@pytest.mark.parametrize("value", [b"", b"identity", b"gzip, chunked", b"chunked,", b"chunked "])
def test_a_coding_that_is_not_chunked_is_refused(value):
    assert refusal((b"Transfer-Encoding", value)) == 400


LENGTH, CHUNKED = (b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize("pair", [(LENGTH, LENGTH), (CHUNKED, CHUNKED), (LENGTH, CHUNKED), (CHUNKED, LENGTH)])
def test_two_statements_about_framing_are_refused(pair):
    assert refusal(*pair) == 400


def test_http_1_0_knows_no_chunks_and_no_expectations():
    assert refusal(CHUNKED, version="1.0") == 400
    assert not read((b"Expect", b"100-continue"), version="1.0").expects_continue


def test_other_expectations_cannot_be_met():
    assert refusal((b"Expect", b"99-continue")) == 417


@pytest.mark.parametrize("version", ["2.0", "0.9", "1.2"])
def test_other_versions_are_not_spoken(version):
    assert refusal(version=version) == 505


def test_exactly_one_host_is_needed_and_http_1_0_may_have_none():
    assert refusal(HOST) == 400
    with pytest.raises(HeadRefused):
        parse(b"GET", b"/", "1.1", [])
    assert parse(b"GET", b"/", "1.0", []).host == b""
    assert parse(b"GET", b"/", "1.0", [HOST]).host == b"acq.example"
    with pytest.raises(HeadRefused):
        parse(b"GET", b"/", "1.0", [HOST, HOST])


@pytest.mark.parametrize("options", [{"target": b"/\xc3\xa9"}, {"method": b"G\xcbT"}])
def test_raw_non_ascii_is_refused_in_the_request_line(options):
    assert refusal(**options) == 400


@pytest.mark.parametrize(
    ("options", "offers"),
    [({}, True), ({"method": b"POST"}, False), ({"version": "1.0"}, False)],
)
def test_only_a_get_of_http_1_1_opens_a_websocket(options, offers):
    assert read((b"Upgrade", b"WebSocket"), **options).offers_websocket is offers
    assert not read((b"Upgrade", b"websocket"), (b"Upgrade", b"h2c"), **options).offers_websocket


def test_a_field_is_found_under_every_spelling_and_refused_when_it_stands_twice():
    head = read((b"X-One", b"1"), (b"x-two", b"2"), (b"X-TWO", b"3"))
    assert head.get(b"x-one") == b"1"
    assert head.get(b"x-none") is None
    assert list(head.all(b"x-two")) == [b"2", b"3"]
    with pytest.raises(HeadRefused):
        head.get(b"x-two")


def test_the_memory_of_spellings_has_an_end():
    request_head._readers.clear()
    request_head._lower.clear()
    long = b"X-" + b"y" * 30_000
    assert read((long, b"y")).get(long.lower()) == b"y"
    assert not {long} & (request_head._readers.keys() | request_head._lower.keys())
    for number in range(5000):
        assert read((b"X-%d" % number, b"y")).host == b"acq.example"
    assert len(request_head._readers) == 4096
    for number in range(5000):
        assert read((b"X-%d" % number, b"y")).get(b"x-%d" % number) == b"y"
    assert len(request_head._lower) == 4096
    assert read((b"cOOkie", b"a=1")).cookies == b"a=1"


@given(
    some.lists(
        some.tuples(
            some.sampled_from(
                [b"Host", b"Cookie", b"Content-Length", b"Transfer-Encoding", b"Upgrade", b"Expect", b"X"]
            ),
            some.binary(max_size=12),
        ),
        max_size=6,
    )
)
def test_whatever_is_accepted_has_one_framing(fields):
    try:
        head = parse(b"POST", b"/", "1.1", fields)
    except HeadRefused:
        return
    assert not (head.is_chunked and head.content_length is not None)
    assert [name for name, _ in fields].count(b"Host") == 1


@pytest.mark.parametrize(
    ("value", "authenticates"),
    [(b"NTLM TlRM", True), (b"Negotiate YII", True), (b"Basic YTpi", False), (b"Bearer ntlmx", False)],
)
@pytest.mark.parametrize("name", [b"Authorization", b"Proxy-Authorization"])
def test_ntlm_and_negotiate_authenticate_the_connection(name, value, authenticates):
    assert read((name, value)).authenticates_connection is authenticates


def test_one_field_that_authenticates_the_connection_is_enough():
    assert read((b"Authorization", b"NTLM x"), (b"Proxy-Authorization", b"Basic x")).authenticates_connection
