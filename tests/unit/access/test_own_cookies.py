from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.own_cookies import ticket_in, values_in


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        (b"__Host-authproxy=t", "t"),
        (b" __Host-authproxy= t ", "t"),
        (b"a=1; __Host-authproxy=t ;b", "t"),
        (b"a=1;\t__Host-authproxy=t", "t"),
        (b"x__Host-authproxy=p; __Host-authproxy=t", "t"),
        (b"__Host-authproxy=\xff", "\ufffd"),
        (b"__Host-authproxy=\x0bt", "\x0bt"),
        (b"a=1; __Host-authproxy=t\x0b", "t\x0b"),
        (b"__Host-authproxy=t; __Host-authproxy=t", None),
        (b"__Host-authproxy=; __Host-authproxy=t", None),
        (b"a,__Host-authproxy=t", None),
        (b"a=1,__Host-authproxy=t; b=2", None),
        (b"__Host-authproxy =t", None),
        (b"a=1; __Host-authproxy =t", None),
        (b"a=1; __Host-authproxy\t=t", None),
        (b"\xc2\xa0__Host-authproxy=t", None),
        (b"a=1; \xc2\xa0__Host-authproxy=t", None),
        (b"a=1; \x0b__Host-authproxy=t", None),
        (b"\x0b__Host-authproxy=t", None),
        (b"a=1; __HOST-authproxy=t", None),
        (b"__Host-authproxy-flow=t", None),
        (b"", None),
        (b"__Host-authproxy", None),
    ],
)
def test_the_ticket_is_read_from_one_cookie_of_our_name(cookies, value):
    assert ticket_in(cookies) == value


@pytest.mark.parametrize(
    "cookies",
    [
        b"__Host-authproxy=t",
        b" __Host-authproxy=t ",
        b"__Host-authproxy =t",
        b"\x0b__Host-authproxy=t",
        b"a=1",
    ],
)
def test_a_cookie_is_read_the_same_way_alone_and_among_others(cookies):
    assert ticket_in(cookies) == ticket_in(cookies + b"; x=1")


def test_a_long_cookie_is_cut():
    assert ticket_in(b"__Host-authproxy=" + b"x" * 8000) == "x" * 160
    assert ticket_in(b"__Host-authproxy=t" + b" " * 200 + b"x; a=1") != "t"


def test_every_cookie_of_a_name_is_found():
    assert values_in(b"a=1; b=2;a=3", b"a=") == ["1", "3"]


PIECES = st.sampled_from(
    [
        b"__Host-authproxy=",
        b"__Host-authproxy",
        b";",
        b"; ",
        b" ",
        b"\t",
        b"=",
        b",",
        b"a",
        b"a=1",
        b"\x0b",
        b"\xc2\xa0",
        b"t",
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_the_fast_reading_of_the_ticket_equals_the_general_one(cookies):
    values = values_in(cookies, b"__Host-authproxy=")
    assert ticket_in(cookies) == (values[0] if len(values) == 1 else None)
