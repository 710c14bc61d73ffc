"""Requests and answers, byte for byte."""

from __future__ import annotations

import pytest

from authproxy.doctor import raw_http


def answer(data: bytes, method: str = "GET") -> raw_http.Message:
    message, _ = raw_http.read(data, is_answer=True, to_method=method)
    assert message is not None
    return message


def test_a_request_is_written_as_it_is_given():
    written = raw_http.request("get", "/a b", [("X_A", "1"), ("X_A", "2")], body=b"x", version="1.0")

    assert written == b"get /a b HTTP/1.0\r\nX_A: 1\r\nX_A: 2\r\n\r\nx"


def test_what_was_written_is_read_again():
    written = raw_http.request("POST", "/a b", [("Host", "h"), ("Content-Length", "2")], body=b"xy")

    message, rest = raw_http.read(written + b"GET", is_answer=False)

    assert message is not None
    assert (message.method, message.target, message.body, message.is_whole) == ("POST", "/a b", b"xy", True)
    assert (message.all("hOST"), message.get("host"), message.get("cookie")) == (["h"], "h", "")
    assert rest == b"GET"


def test_a_request_without_a_length_ends_with_its_head():
    message, rest = raw_http.read(b"GET / HTTP/1.1\r\n\r\nmore", is_answer=False)

    assert message is not None
    assert (message.body, message.is_whole, rest) == (b"", True, b"more")


def test_half_a_head_is_nothing():
    assert raw_http.read(b"HTTP/1.1 200 OK\r\nA: b\r\n", is_answer=True) == (
        None,
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
    )


@pytest.mark.parametrize(
    ("start", "status"), [("HTTP/1.1 404 Not", 404), ("SSH-2.0-x", 0), ("HTTP/1.1", 0), ("HTTP/1.1 x", 0)]
)
def test_the_status_is_that_of_http(start, status):
    assert raw_http.Message(start=start, fields=()).status == status


@pytest.mark.parametrize(
    ("head", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "GET"),
    ],
)
def test_some_answers_have_no_body_whatever_they_say(head, method):
    message = answer(head + b"HTTP/1.1 ", method)

    assert (message.body, message.is_whole) == (b"", True)


def test_an_answer_in_between_is_left_out():
    assert answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n").status == 204


def test_an_answer_without_a_length_ends_where_the_bytes_do():
    message = answer(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    assert (message.body, message.is_whole) == (b"all of it", False)


def test_half_a_body_is_not_whole():
    assert not answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").is_whole


def test_a_chunked_body_is_read_with_its_trailers():
    written = raw_http.chunked([b"ab", b"c"], [("X-A", "1")])
    message, rest = raw_http.read(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + written + b"next", is_answer=False
    )

    assert message is not None
    assert (message.body, message.trailers, message.is_whole) == (b"abc", (("X-A", "1"),), True)
    assert rest == b"next"


@pytest.mark.parametrize(
    "chunks", [b"", b"2\r\na", b"zz\r\n", b"2\r\nab\r\n", b"0\r\n", b"0\r\nX-A: 1\r\n", b"0"]
)
def test_a_chunked_body_that_does_not_end_is_not_whole(chunks):
    assert not answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks).is_whole


def test_a_server_that_says_odd_things_ends_no_examination():
    long = answer(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc")
    assert (long.body, long.is_whole) == (b"abc", False)
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000
    assert answer(hints + b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").status == 404
    assert raw_http.read(hints, is_answer=True) == (None, b"")
    assert not answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx").is_whole


def test_a_megabyte_in_chunks_of_one_byte_is_read():
    chunks = b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n"
    read = answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert (len(read.body), read.is_whole) == (200_000, True)
