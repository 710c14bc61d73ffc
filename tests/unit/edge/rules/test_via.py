from __future__ import annotations

import pytest

from authproxy.edge.rules.request_head import RequestHead, parse
from authproxy.edge.rules.via import Via, forwards_left, with_one_forward_less


@pytest.mark.parametrize(
    ("values", "is_loop"),
    [
        ((), False),
        ((b"1.1 authproxy",), False),
        ((b"1.1 authproxy, 1.1 authproxy",), True),
        ((b"1.1 AuthProxy", b"1.0 cdn.example (a comment), 2 authproxy (another)"), True),
        ((b"1.1 authproxy", b"HTTP/1.1\tauthproxy"), True),
        ((b"1.1 authproxy.example, 1.1 my-authproxy, authproxy authproxy2, authproxy",), False),
        ((b",,", b" ", b"1.1 authproxy,"), False),
    ],
)
def test_a_request_goes_in_circles_when_it_has_been_here_more_than_once(values, is_loop):
    assert Via("authproxy").is_loop(values) is is_loop


def test_without_a_name_nothing_is_said_and_nothing_noticed():
    via = Via("")
    assert (via.line, via.line_of_1_0, via.is_loop((b"1.1 , 1.1 ", b"1.1 a, 1.1 a"))) == (b"", b"", False)


@pytest.mark.parametrize(
    ("method", "values", "left"),
    [
        ("OPTIONS", (b"0",), 0),
        ("TRACE", (b"007",), 7),
        ("OPTIONS", (b"3", b"2"), 2),
        ("OPTIONS", (), None),
        ("OPTIONS", (b"-1",), None),
        ("OPTIONS", (b"many",), None),
        ("OPTIONS", (b"9" * 40,), None),
        ("GET", (b"0",), None),
    ],
)
def test_only_options_and_trace_are_limited_and_by_the_smallest_number(method, values, left):
    assert (
        forwards_left(
            RequestHead(method, "/", is_http_1_0=False, fields=[(b"max-Forwards", value) for value in values])
        )
        == left
    )


def test_a_forwarded_request_may_be_forwarded_once_less():
    fields = [(b"MAX-FORWARDS", b"5"), (b"Accept", b"*/*"), (b"Max-Forwards", b"3")]
    assert with_one_forward_less(fields, 3) == [(b"Accept", b"*/*"), (b"Max-Forwards", b"2")]


@pytest.mark.parametrize(
    ("name", "is_relayed"), [(b"VIA", True), (b"Max-forwards", True), (b"Viable", False)]
)
def test_a_head_tells_whether_it_speaks_of_intermediaries(name, is_relayed):
    assert parse(b"GET", b"/", "1.1", [(b"Host", b"h"), (name, b"x")]).is_relayed is is_relayed
