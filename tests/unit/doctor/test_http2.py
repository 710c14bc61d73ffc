"""HTTP/2, byte for byte. The examples of fields are those of RFC 7541, appendix C."""

from __future__ import annotations

import struct

import pytest

from authproxy.doctor import http2

REDIRECT = bytes.fromhex(
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"
)
ANOTHER = bytes.fromhex("4883640effc1c0bf")
LOCATION = ("location", "https://www.example.com")
OK = b"\x88"


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 1) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(block: bytes, flags: int = 4) -> bytes:
    return frame(1, flags, block)


def heard(*frames: bytes) -> http2.Conversation:
    conversation = http2.Conversation()
    for each in frames:
        conversation.taken(each)
    return conversation


def answer(*frames: bytes):
    message = heard(*frames).answer
    assert message is not None
    return message


def frames_in(data: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def test_a_request_is_written_as_it_is_given():
    _, _, (kind, flags, block) = frames_in(http2.request([(":path", "/\xff b"), ("X_A", "1")])[24:])

    assert (kind, flags) == (1, 5), "the head is complete, and so is the request"
    assert block == b"\x00\x05:path\x04/\xff b\x00\x03X_A\x011"


def test_a_body_and_what_comes_after_it_have_their_own_frames():
    with_body = frames_in(http2.request([("a", "b")], body=b"x")[24:])[2:]
    with_trailers = frames_in(http2.request([("a", "b")], body=b"x", trailers=[("c", "d")])[24:])[2:]

    assert [(kind, flags) for kind, flags, _ in with_body] == [(1, 4), (0, 1)]
    assert [(kind, flags) for kind, flags, _ in with_trailers] == [(1, 4), (0, 0), (1, 5)]
    assert with_trailers[2][2] == b"\x00\x01c\x01d"


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 9000])
def test_texts_of_every_length_are_read_as_they_were_written(size):
    block = http2.request([("a", "x" * size)])[24:]
    read = answer(headers(OK + frames_in(block)[2][2], 5))

    assert read.fields == (("a", "x" * size),)


def test_an_answer_has_status_fields_and_body():
    message = answer(headers(REDIRECT), frame(0, 0, b"ab"), frame(0, 1, b"c"))

    assert (message.status, message.body, message.is_whole) == (302, b"abc", True)
    assert message.fields == (
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        LOCATION,
    )


def test_fields_are_remembered_for_later_blocks():
    # What comes before the final answer is forgotten, but not the fields to which the final one refers.
    early = b"\x08\x03103" + REDIRECT[4:]

    message = answer(headers(early), headers(ANOTHER, 5))

    assert message.status == 307
    assert LOCATION in message.fields


def test_what_has_no_room_is_forgotten():
    with pytest.raises(http2.Unreadable):
        # As above, after the table was made as small as it can be.
        heard(headers(b"\x20" + REDIRECT), headers(ANOTHER))


def test_a_block_may_come_in_parts_and_with_padding():
    message = answer(
        frame(1, 8, b"\x02" + OK[:0] + REDIRECT[:7] + b"\0\0"),
        frame(9, 4, REDIRECT[7:]),
        frame(0, 9, b"\x01x\0"),
    )

    assert (message.status, message.body, message.get("location")) == (302, b"x", LOCATION[1])


def test_a_priority_is_passed_over():
    assert answer(headers(bytes(5) + OK, 0x20 | 5)).status == 200


def test_trailers_change_nothing():
    message = answer(headers(OK), headers(b"\0\x01a\x01b", 5))

    assert (message.status, message.fields, message.is_whole) == (200, (), True)


def test_half_a_frame_is_nothing_yet():
    conversation = heard(headers(OK)[:8])
    assert conversation.answer is None
    conversation.taken(headers(OK)[8:9])
    assert conversation.answer is None
    conversation.taken(headers(OK)[9:])
    assert conversation.answer is not None
    assert not conversation.is_over


def test_settings_and_pings_are_acknowledged_once():
    conversation = http2.Conversation()

    assert conversation.taken(frame(4, 0, bytes(6), 0)) == frame(4, 1, b"", 0)
    assert conversation.taken(frame(6, 0, b"12345678", 0)) == frame(6, 1, b"12345678", 0)
    assert conversation.taken(frame(4, 1, b"", 0) + frame(6, 1, bytes(8), 0) + frame(8, 0, bytes(4))) == b""


@pytest.mark.parametrize(
    ("ending", "is_over"),
    [
        (frame(3, 0, bytes(4)), True),
        (frame(7, 0, bytes(4) + b"\0\0\0\x01", 0), True),
        # The server only says that it takes nothing further.
        (frame(7, 0, bytes(8), 0), False),
    ],
    ids=["reset", "gone", "going"],
)
def test_a_refused_stream_has_no_answer(ending, is_over):
    conversation = heard(ending)

    assert (conversation.answer, conversation.is_over) == (None, is_over)


@pytest.mark.parametrize("status", ["", "20", "1000", "2x0", "²00"])
def test_a_status_that_is_none_is_no_answer(status):
    raw = status.encode("latin-1")
    assert heard(headers(b"\x08" + bytes([len(raw)]) + raw, 5)).answer is None


@pytest.mark.parametrize(
    "frames",
    [
        frame(0, 0, bytes(16385)),
        frame(5, 4, bytes(8)),
        b"".join(frame(9, 0, bytes(16000)) for _ in range(5)),
        headers(b"\x80"),
        headers(b"\xbe"),
        headers(b"\0\x03a"),
        headers(b"\0"),
        headers(b"\xff\xff\xff\xff\xff\xff\xff"),
        headers(b"\x3f\xe2\x1f"),
        headers(b"\0\x01a\x81\x60"),
        headers(b"\0\x01a\x82\xff\xff"),
    ],
    ids=[
        "too large", "pushed", "endless block", "index 0", "index of nothing", "short text", "no text",
        "endless number", "larger table", "text that ends with zeros", "text without an end",
    ],
)  # fmt: skip
def test_nonsense_is_refused(frames):
    with pytest.raises(http2.Unreadable):
        heard(frames)


def test_a_text_is_read_no_further_than_its_first_code_that_is_none():
    # Otherwise each of its bits takes longer than the last one, and a text of 64 KiB takes a quarter of a minute.
    with pytest.raises(http2.Unreadable, match="a character that there is not"):
        heard(headers(b"\0\x01a\x85" + b"\xff" * 5))


def test_fields_that_refer_to_a_long_one_have_an_end_too():
    long = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
    again = b"\xbe"

    assert len(answer(headers(OK + long + again * 15, 5)).fields) == 16
    with pytest.raises(http2.Unreadable, match="the fields have no end"):
        heard(headers(OK + long + again * 16, 5))


def test_padding_that_is_longer_than_its_frame_is_all_there_is():
    assert answer(headers(OK), frame(0, 9, b"\x09ab")).body == b""
    assert answer(headers(OK), frame(0, 9, b"")).body == b""
