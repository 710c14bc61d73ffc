"""Bytes become heads, pieces of bodies and ends of requests, however they are cut into reads."""

from __future__ import annotations

import pytest

from authproxy.edge.client.request_reader import RequestEnd, RequestReader
from authproxy.edge.rules.known_heads import KnownHeads
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import EdgeLimits

GET = b"GET /a HTTP/1.1\r\nHost: acq.example\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: acq.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"
H2C = b"POST /c HTTP/1.1\r\nHost: acq.example\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
WEBSOCKET = b"GET /d HTTP/1.1\r\nHost: acq.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def told(part: RequestHead | bytes | RequestEnd) -> bytes:
    if isinstance(part, RequestHead):
        return b"head of " + part.target.encode()
    return b"end " + part.trailers if isinstance(part, RequestEnd) else part


def read(reader: RequestReader, *pieces: bytes) -> list[bytes]:
    parts: list[bytes] = []
    for piece in pieces:
        unread = piece
        reader.read_begins(piece)
        while unread and reader.refusal is None:
            unread = reader.feed(unread)
            parts += map(told, reader.take_parts())
    return parts


def test_parts_come_in_order_and_are_handed_out_once():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert read(reader, GET + POST) == [b"head of /a", b"end ", b"head of /b", b"abc", b"end X: y\r\n"]
    assert reader.take_parts() == []
    assert not reader.is_in_request


@pytest.mark.parametrize("request_bytes", [GET, POST, H2C])
def test_a_request_in_single_bytes_is_the_same_request(request_bytes):
    whole = read(RequestReader(EdgeLimits(), KnownHeads()), request_bytes)
    single = read(RequestReader(EdgeLimits(), KnownHeads()), *(bytes([byte]) for byte in request_bytes))
    assert (single[0], b"".join(single[1:-1]), single[-1]) == (whole[0], b"".join(whole[1:-1]), whole[-1])


def test_the_body_behind_a_declined_upgrade_is_read_and_the_next_request_too():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert read(reader, H2C + GET) == [b"head of /c", b"abc", b"end ", b"head of /a", b"end "]
    assert reader.refusal is None


def test_what_stands_behind_a_websocket_handshake_is_not_read():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert reader.feed(WEBSOCKET + b"frames") == b"frames"
    assert [told(part) for part in reader.take_parts()] == [b"head of /d", b"end "]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (GET + b"BREW /pot HTTP/1.1\r\n\r\n", 405),
        (GET + b"nonsense\r\n\r\n", 405),
        (GET + b"GET / HTTP/1.1\r\nHost acq.example\r\n\r\n", 400),
        (GET + b"GET / HTTP/2.7\r\nHost: acq.example\r\n\r\n", 400),
        (GET + b"GET / RTSP/1.0\r\nHost: acq.example\r\n\r\n", 505),
        (GET + GET.replace(b"/a", b"/" + b"a" * 100), 414),
        (GET + GET.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 300 + b"\r\n\r\n"), 431),
        (GET + WEBSOCKET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc"), 400),
    ],
)
def test_what_is_refused_is_noted_and_what_stood_before_it_is_handed_out(data, status):
    reader = RequestReader(EdgeLimits(target_size=50, head_size=200), KnownHeads())
    assert read(reader, data)[:2] == [b"head of /a", b"end "]
    assert reader.refusal is not None
    assert reader.refusal.status == status


def test_a_field_that_never_ends_counts_from_the_second_read_on():
    reader = RequestReader(EdgeLimits(head_size=200), KnownHeads())
    assert read(reader, GET[:-2] + b"X: y", b"y" * 100, b"y" * 101) == []
    assert reader.refusal is not None
    assert reader.refusal.status == 431


def test_a_refused_trailer_has_no_end_before_it():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert read(reader, POST.replace(b"X: y", b"Content-Length: 9")) == [b"head of /b", b"abc"]
    assert reader.refusal is not None
    assert reader.refusal.status == 400


def test_the_target_is_known_also_while_a_declined_upgrade_is_read_on():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    read(reader, H2C[:-1])
    assert (reader.target, reader.is_in_request) == (b"/c", True)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / RTSP/1.0\r\nHost: a\r\n", b"X: " + b"y" * 100 + b"\r\n", b"\r\n"],
        [GET + b"GET / RTSP/1.0\r\nHost: a\r\n", b"X: " + b"y" * 100 + b"\r\n", b"\r\n"],
        [b"\r\nGET /aHHHHHH RTSP/1.0\r\nHost: a\r\n\r\n"],
        [H2C + b"\r\nGET /aHHHHHH RTSP/1.0\r\nHost: a\r\n\r\n"],
        [H2C + GET + b"GET /a RTSP/1.0\r\nHost: a\r\n\r\n"],
    ],
)
def test_rtsp_is_refused_wherever_it_begins(pieces):
    reader = RequestReader(EdgeLimits(), KnownHeads())
    read(reader, *pieces)
    assert reader.refusal is not None
    assert reader.refusal.status == 505


@pytest.mark.parametrize(
    "pieces",
    [
        [H2C + GET.replace(b"Host", b"X: RTSP/1.0\r\nHost")],
        [GET[:-2], b"X: /a RTSP/1.0\r\n", b"\r\n"],
        [H2C + b"\r\n"],
    ],
)
def test_what_only_looks_like_rtsp_or_like_a_request_is_neither(pieces):
    reader = RequestReader(EdgeLimits(), KnownHeads())
    read(reader, *pieces)
    assert reader.refusal is None
    assert not reader.is_in_request


RAW = b"GET /s?q=\xc8epi\xe8&r=%C4 HTTP/1.1\r\nHost: acq.example\r\nX-Name: \xc8\r\n\r\n"
READ_AS = b"head of /s?q=%C8epi%E8&r=%C4"


def test_raw_bytes_in_a_query_are_percent_encoded_and_fields_stay_as_they_are():
    reader = RequestReader(EdgeLimits(), KnownHeads())
    reader.read_begins(RAW)
    reader.feed(RAW)
    head, _ = reader.take_parts()
    assert (told(head), reader.target) == (READ_AS, READ_AS.removeprefix(b"head of "))
    assert head.fields == [(b"Host", b"acq.example"), (b"X-Name", b"\xc8")]
    assert read(reader, b"\r\n" + RAW, GET) == [READ_AS, b"end ", b"head of /a", b"end "]


def test_wherever_a_line_with_raw_bytes_is_cut_it_is_the_same_line_or_refused():
    refused = []
    for cut in range(1, len(RAW)):
        reader = RequestReader(EdgeLimits(), KnownHeads())
        parts = read(reader, RAW[:cut], RAW[cut:])
        if reader.refusal is None:
            assert parts == [READ_AS, b"end "], cut
        else:
            assert (reader.refusal.status, parts) == (400, [])
            refused.append(cut)
    assert refused == [1, 2, 3, 4]  # within the method, or before the first byte of the target
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert read(
        reader, *(RAW[at : at + 1] for at in range(6)), *(RAW[at : at + 1] for at in range(6, len(RAW)))
    ) == [READ_AS, b"end "]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (RAW.replace(b"/s?", b"/\xe9?"), []),
        (RAW.replace(b"?", b""), []),
        (RAW.replace(b"q=", b"q=\x01"), []),
        (RAW.replace(b"q=", b"q=\x7f"), []),
        (GET + RAW, [b"head of /a", b"end "]),
        (RAW.replace(b"HTTP/1.1", b"HTTP/1.1\xe9"), []),
        (RAW.replace(b" HTTP/1.1", b""), []),
    ],
    ids=["path", "no query", "control", "delete", "pipelined", "version", "HTTP/0.9"],
)
def test_raw_bytes_elsewhere_are_refused_as_before(data, parts):
    reader = RequestReader(EdgeLimits(), KnownHeads())
    assert read(reader, data) == parts
    assert reader.refusal is not None
    assert reader.refusal.status == (505 if b"HTTP/1.1" not in data else 400)


def test_raw_bytes_hide_nothing_from_other_refusals():
    rtsp = RAW.replace(b"HTTP/1.1", b"RTSP/1.0")
    for pieces in ((rtsp,), (b"\r\n", rtsp), (rtsp[:20], rtsp[20:]), (rtsp[:12], rtsp[12:])):
        reader = RequestReader(EdgeLimits(), KnownHeads())
        assert read(reader, *pieces) == []
        assert reader.refusal is not None
        assert reader.refusal.status == 505
    reader = RequestReader(EdgeLimits(target_size=50), KnownHeads())
    assert read(reader, RAW.replace(b"epi", b"\xe8" * 15)) == []
    assert reader.refusal is not None
    assert reader.refusal.status == 414


def test_a_websocket_with_raw_bytes_in_its_query_is_one():
    data = WEBSOCKET.replace(b"/d", b"/d?\xe9") + b"frames"
    reader = RequestReader(EdgeLimits(), KnownHeads())
    reader.read_begins(data)
    assert reader.feed(data) == b"frames"
    assert [told(part) for part in reader.take_parts()] == [b"head of /d?%E9", b"end "]
