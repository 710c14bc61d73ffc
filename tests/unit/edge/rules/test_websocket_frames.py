"""Borders between WebSocket frames (RFC 6455 §5.2), however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from authproxy.edge.rules.websocket import (
    GOING_AWAY,
    POLICY_VIOLATION,
    Frames,
    close_frame,
    masked_close_frame,
)

OPCODES = [Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG]


def serialized(opcode: Opcode, size: int, *, masked: bool, last: bool = True) -> bytes:
    return Frame(opcode, b"x" * size, fin=last).serialize(mask=masked)


def frames(masked: bool):
    control = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.integers(0, 125), st.just(True))
    message = st.tuples(
        st.sampled_from([Opcode.CONT, Opcode.TEXT, Opcode.BINARY]),
        st.sampled_from([0, 1, 125, 126, 300, 65535, 65536]),
        st.booleans(),
    )
    return st.lists(
        (control | message).map(lambda frame: serialized(frame[0], frame[1], masked=masked, last=frame[2])),
        min_size=1,
        max_size=5,
    )


@given(st.data(), st.booleans())
def test_borders_are_found_however_the_bytes_are_cut(data, masked):
    sent = data.draw(frames(masked))
    stream = b"".join(sent)
    borders = {sum(map(len, sent[:count])) for count in range(len(sent) + 1)}
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    followed = Frames(are_masked=masked)
    for begin, end in itertools.pairwise(cuts):
        followed.pass_on(stream[begin:end])
        assert followed.is_at_border == (end in borders)
    assert (followed.are_lost, followed.has_closed) == (False, False)


@given(st.data())
def test_the_next_border_is_where_the_frame_that_has_begun_ends(data):
    sent = data.draw(frames(False))
    stream = b"".join(sent)
    cut = data.draw(st.integers(0, len(stream)))
    borders = [sum(map(len, sent[:count])) for count in range(len(sent) + 1)]
    followed = Frames(are_masked=False)
    followed.pass_on(stream[:cut])
    assert cut + followed.to_border(stream[cut:]) == min(border for border in borders if border >= cut)
    assert followed.is_at_border


@pytest.mark.parametrize("masked", [True, False])
def test_a_close_frame_counts_when_all_of_it_has_passed(masked):
    close = Frame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=masked)
    followed = Frames(are_masked=masked)
    for byte in close[:-1]:
        followed.pass_on(bytes([byte]))
        assert not followed.has_closed
    followed.pass_on(close[-1:])
    assert followed.has_closed


def test_a_close_frame_without_a_word_counts_too():
    followed = Frames(are_masked=False)
    followed.pass_on(b"\x88\x00")
    assert followed.has_closed


@pytest.mark.parametrize(
    "data",
    [
        b"\x83\x00",
        b"\x8b\x00",
        b"\x81\x80abcd",
        b"\x09\x00",
        b"\x89\x7e\x00\x80",
        b"HTTP/1.1 200 OK\r\n",
        b"first message",
    ],
    ids=[
        "reserved data",
        "reserved control",
        "masked",
        "a control frame in parts",
        "a long control frame",
        "http",
        "text",
    ],
)
def test_what_is_no_frame_of_a_server_has_no_borders(data):
    followed = Frames(are_masked=False)
    followed.pass_on(data)
    assert (followed.are_lost, followed.is_at_border) == (True, False)
    followed.pass_on(b"\x81\x00")
    assert followed.to_border(b"\x81\x00") == 2
    assert (followed.is_at_border, followed.has_closed) == (False, False)


def test_pings_and_their_answers_are_no_messages():
    followed = Frames(are_masked=False)
    followed.pass_on(b"\x89\x00\x8a\x02ok")
    assert followed.messages == 0
    followed.pass_on(b"\x81\x02hi\x02\x01a\x89\x00\x80\x01b")
    assert followed.messages == 3
    followed.pass_on(b"\x88\x00")
    assert followed.messages == 3


def test_what_a_client_does_not_mask_has_no_borders():
    followed = Frames(are_masked=True)
    followed.pass_on(b"\x81\x01x")
    assert followed.are_lost


@pytest.mark.parametrize("code", [GOING_AWAY, POLICY_VIOLATION])
@pytest.mark.parametrize(("side", "said"), [(CLIENT, close_frame), (SERVER, masked_close_frame)])
def test_the_close_frames_are_what_others_read_them_as(code, side, said):
    reader = Protocol(side)
    reader.receive_data(said(code))
    assert (reader.close_rcvd.code, reader.close_rcvd.reason) == (code, "")
