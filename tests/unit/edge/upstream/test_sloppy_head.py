from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.edge.upstream.sloppy_head import SloppyHead

ALL = ("bare_lf", "equal_content_lengths", "control_characters")
GOOD = b"HTTP/1.1 200 OK\r\nX: a\tb\r\nContent-Length: 2\r\n\r\n"


def mended(data, *tolerated):
    head = SloppyHead(tolerated)
    return head.mended(data), head.has_mended, head.is_over


@pytest.mark.parametrize("tolerated", [(), ALL, *((each,) for each in ALL)])
def test_a_good_head_and_what_follows_it_stay_as_they_are(tolerated):
    assert mended(GOOD + b"a\n\x01\r\n\r\n", *tolerated) == (GOOD + b"a\n\x01\r\n\r\n", False, True)


@pytest.mark.parametrize(
    ("fault", "sent", "read_as"),
    [
        ("bare_lf", b"HTTP/1.1 200 OK\nX: y\nZ: z\n\n\n", b"HTTP/1.1 200 OK\r\nX: y\r\nZ: z\r\n\r\n\n"),
        ("bare_lf", b"HTTP/1.1 200 OK\r\nX: y\n\r\nbody", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody"),
        ("bare_lf", b"HTTP/1.1 200 OK\nX: y\r\n\nbody", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody"),
        (
            "equal_content_lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\ncontent-LENGTH:2 \r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "equal_content_lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2 , 2,2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "control_characters",
            b"HTTP/1.1 200 OK\r\nX: a\x0bb\x01\x7f\tc\r\n\r\n\x0b",
            b"HTTP/1.1 200 OK\r\nX: a b  \tc\r\n\r\n\x0b",
        ),
        (
            "control_characters",
            b"HTTP/1.1 100 Continue\r\nX: \x0b\r\n\r\nHTTP/1.1 200 OK\r\nX: \x0b\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\nX:  \r\n\r\nHTTP/1.1 200 OK\r\nX:  \r\n\r\n",
        ),
    ],
)
def test_each_fault_is_mended_where_it_is_tolerated_and_stays_elsewhere(fault, sent, read_as):
    assert mended(sent, fault) == (read_as, True, True)
    assert mended(sent, *ALL) == (read_as, True, True)
    assert mended(sent, *(other for other in ALL if other != fault)) == (sent, False, True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\nContent-Length: +2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 2, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \x0b2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : \x0bchunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: \x0bclose\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 O\x0bK\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\x0b: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_stays_for_the_parser_to_refuse(head):
    assert mended(head, *ALL) == (head, False, True)


def test_a_bare_lf_that_is_not_tolerated_is_handed_on_at_once():
    assert mended(b"HTTP/1.1 200 OK\nX: y", "control_characters") == (b"HTTP/1.1 200 OK\nX: y", False, True)
    assert mended(b"HTTP/1.1 101 Switching\r\n\r\n\nframes", *ALL) == (
        b"HTTP/1.1 101 Switching\r\n\r\n\nframes",
        False,
        True,
    )


@pytest.mark.parametrize("written", [GOOD, GOOD.replace(b"\r\n", b"\n")])
def test_a_head_in_single_bytes_is_the_same_head(written):
    interim = b"HTTP/1.1 103 Early Hints\r\nX: \x0b\r\n\r\n"
    data = interim + written.replace(b"a\tb", b"a\x0bb")
    head = SloppyHead(ALL)
    pieces = [head.mended(data[at : at + 1]) for at in range(len(data))]
    assert (
        b"".join(pieces)
        == mended(data, *ALL)[0]
        == (interim.replace(b"\x0b", b" ") + GOOD.replace(b"a\tb", b"a b"))
    )
    assert (head.is_over, head.waiting, pieces[0], SloppyHead(ALL).waiting) == (True, 0, b"", 0)


def test_what_waits_is_counted():
    head = SloppyHead(ALL)
    assert (head.mended(GOOD[:20]), head.waiting, head.is_over) == (b"", 20, False)
    assert (head.mended(GOOD[20:] + b"hi"), head.waiting, head.is_over) == (GOOD + b"hi", 0, True)


@given(
    some.lists(
        some.binary(max_size=12) | some.sampled_from([b"\r\n", b"\n", b"\r\n\r\n", b"HTTP/1.1 100 \r\n\r\n"])
    ),
    some.sets(some.sampled_from(ALL)),
)
def test_however_it_is_cut_the_same_comes_of_it_and_the_body_is_never_touched(pieces, tolerated):
    head = SloppyHead(tolerated)
    passed = b""
    for piece in pieces:
        passed += piece if head.is_over else head.mended(piece)
    whole = SloppyHead(tolerated)
    together = whole.mended(b"".join(pieces))
    assert (passed, head.is_over, head.has_mended, head.waiting) == (
        together,
        whole.is_over,
        whole.has_mended,
        whole.waiting,
    )
