"""RTSP is told from HTTP wherever its request line begins and however it is cut."""

from __future__ import annotations

import pytest

from authproxy.edge.client.rtsp import RtspDetector

REQUEST = b"GET /a HTTP/1.1\r\nHost: acq.example\r\n\r\n"
RTSP = b"GET /a RTSP/1.0\r\nHost: acq.example\r\n\r\n"


def reads(detector: RtspDetector, *pieces: bytes, target: bytes = b"/a") -> None:
    """What a reader reports of one request that arrives in these pieces, up to the end of its head."""
    detector.request_begins(pieces[0])
    for piece in pieces[:-1]:
        detector.read_begins(piece)
        detector.read_ends(unfinished=target)
    detector.read_begins(pieces[-1])


@pytest.mark.parametrize(("data", "is_rtsp"), [(REQUEST, False), (RTSP, True)])
def test_a_line_at_the_beginning_of_a_read_is_judged(data, is_rtsp):
    detector = RtspDetector()
    reads(detector, data)
    assert detector.is_rtsp("GET", b"/a") is is_rtsp


@pytest.mark.parametrize(("data", "is_rtsp"), [(REQUEST, False), (RTSP, True)])
@pytest.mark.parametrize("cut", range(1, len(b"GET /a RTSP/1.0\r\n")))
def test_a_line_in_two_pieces_is_judged(data, is_rtsp, cut):
    detector = RtspDetector()
    reads(detector, data[:cut], data[cut:])
    assert detector.is_rtsp("GET", b"/a") is is_rtsp


def test_a_line_behind_another_request_is_judged_for_itself():
    detector = RtspDetector()
    reads(detector, REQUEST + RTSP.replace(b"/a", b"/b") + RTSP.replace(b"/a", b"/c"))
    assert not detector.is_rtsp("GET", b"/a")
    detector.request_ends()
    assert detector.is_rtsp("GET", b"/b")
    assert detector.is_rtsp("GET", b"/c")
    assert not detector.is_rtsp("GET", b"/d")


def test_more_than_one_blank_before_the_version_changes_nothing():
    detector = RtspDetector()
    reads(detector, RTSP.replace(b" RTSP", b"   RTSP"))
    assert detector.is_rtsp("GET", b"/a")


def test_a_long_first_piece_is_remembered_by_its_end():
    target = b"/" + b"a" * 200
    line = b"GET %s RTSP/1.0\r\n\r\n" % target
    detector = RtspDetector()
    reads(detector, line[:-8], line[-8:], target=target)
    assert detector.is_rtsp("GET", target)


def test_what_an_earlier_request_brought_is_forgotten():
    detector = RtspDetector()
    reads(detector, RTSP[:-2], b"\r\n")
    detector.request_ends()
    detector.read_ends(unfinished=None)
    detector.read_begins(b"Host: acq.example\r\n\r\n")
    assert not detector.is_rtsp("GET", b"/a")


def test_a_line_is_remembered_through_a_head_that_is_longer_than_what_is_kept():
    detector = RtspDetector()
    reads(detector, RTSP[:-2], b"X: " + b"y" * 100 + b"\r\n", b"\r\n")
    assert detector.is_rtsp("GET", b"/a")
    detector.request_ends()
    assert not detector.is_rtsp("GET", b"/a2")


def test_an_empty_line_in_front_moves_nothing():
    detector = RtspDetector()
    reads(detector, b"\r\n" + RTSP.replace(b"/a", b"/aHHHHHH"))
    assert detector.is_rtsp("GET", b"/aHHHHHH")


def test_blanks_before_the_version_may_be_more_than_what_is_kept():
    detector = RtspDetector()
    reads(detector, b"GET /a" + b" " * 100, b" RTSP/1.0\r\n\r\n")
    assert detector.is_rtsp("GET", b"/a")
    detector = RtspDetector()
    reads(detector, REQUEST[:-2] + b"X: y", b" RTSP/1.0\r\n\r\n")
    assert not detector.is_rtsp("GET", b"/a")
