"""The data units, compared with what smpp34 (by others, in Rust) writes and reads, and against malformed
input."""

from __future__ import annotations

import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from authproxy.delivery import smpp_pdus
from authproxy.delivery.smpp_pdus import Command, Pdu, SmppAddress

WORD, NUMBER = SmppAddress(5, 0, "Bankart"), SmppAddress(1, 1, "38640123456")


def submitted(octets, **options):
    body = smpp_pdus.submission(WORD, NUMBER, octets, **{"data_coding": 0, **options})
    return smpp34.decode(smpp_pdus.written(Command.SUBMIT_SM, 7, body))


def delivered(text=b"", **fields):
    return smpp34.DeliverSm("38640123456", "Bankart", text, **fields).encode()[smpp_pdus.HEADER_SIZE :]


@given(st.binary(max_size=159), st.sampled_from([0, 8]), st.booleans(), st.booleans())
def test_a_submission_is_read_as_it_was_meant(octets, data_coding, is_part, wants_receipt):
    found = submitted(octets, data_coding=data_coding, is_part=is_part, wants_receipt=wants_receipt)
    assert (found.sequence_number, found.short_message, found.data_coding) == (7, octets, data_coding)
    assert (found.source_addr_ton, found.source_addr_npi, found.source_addr) == (5, 0, "Bankart")
    assert (found.dest_addr_ton, found.dest_addr_npi, found.destination_addr) == (1, 1, "38640123456")
    assert (found.esm_class, found.registered_delivery, found.tlvs) == (
        0x40 if is_part else 0,
        int(wants_receipt),
        [],
    )


def test_a_long_message_travels_in_its_own_parameter():
    found = submitted(b"x" * 1000, is_payload=True)
    assert (found.short_message, [(each.tag, each.value) for each in found.tlvs]) == (
        b"",
        [(smpp34.TLV_MESSAGE_PAYLOAD, b"x" * 1000)],
    )


def test_a_bind_says_who_we_are_and_which_version_we_speak():
    assert smpp_pdus.bind("prehod", "geslo-8", "") == b"prehod\0geslo-8\0\0\x34\0\0\0"


@pytest.mark.parametrize(
    "wrong",
    [("x" * 16, "p", ""), ("š", "p", ""), ("s", "p\0q", ""), ("s", "p", "x" * 13), ("s", "p" * 65, "")],
)
def test_a_text_that_does_not_fit_its_field_is_refused(wrong):
    with pytest.raises(ValueError, match="does not fit"):
        smpp_pdus.bind(*wrong)


def test_a_header_states_the_size_of_the_body():
    head = smpp_pdus.written(Command.ENQUIRE_LINK, 3, b"abc")
    assert smpp_pdus.body_size(head[:16]) == 3
    assert smpp_pdus.read(head[:16], head[16:]) == Pdu(Command.ENQUIRE_LINK, 0, 3, b"abc")


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_an_impossible_length_is_refused(length):
    with pytest.raises(ValueError, match="a length that cannot be"):
        smpp_pdus.body_size(length.to_bytes(4, "big") + bytes(12))


def test_an_answer_belongs_to_its_question():
    question = Pdu(Command.ENQUIRE_LINK, 0, 9, b"")
    assert smpp_pdus.answer(question) == bytes.fromhex("00000010 80000015 00000000 00000009")
    assert smpp_pdus.refusal(question) == bytes.fromhex("00000010 80000000 00000003 00000009")
    found = smpp_pdus.read(smpp_pdus.answer(question), b"")
    assert (question.is_answer, found.is_answer) == (False, True)
    assert (found.answers(Command.ENQUIRE_LINK), found.answers(Command.SUBMIT_SM)) == (True, False)
    assert Pdu(Command.GENERIC_NACK, 3, 9, b"").answers(Command.SUBMIT_SM)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"m-1\0", "m-1"),
        (b"", ""),
        (b"\0", ""),
        (b"\xc4\x8d\0", ""),
        (b"a\nb\0", ""),
        (b"x" * 65 + b"\0", ""),
        (b"m", "m"),
    ],
)
def test_a_message_has_the_name_that_the_message_centre_gives_it(body, name):
    assert smpp_pdus.message_id(body) == name


TEXT = b"id:m sub:001 dlvrd:001 submit date:2611221030 done date:2611221031 stat:%s err:000 text:"
RECEIPTS = [
    (delivered(TEXT % b"DELIVRD", esm_class=4), "delivered"),
    (delivered(TEXT % b"delivrd", esm_class=4), "delivered"),
    (delivered(TEXT % b"UNDELIV", esm_class=4), "failed"),
    (delivered(TEXT % b"REJECTD", esm_class=4 | 0x40), "failed"),
    (delivered(TEXT % b"ENROUTE", esm_class=4), None),
    (delivered(esm_class=4, tlvs=[smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x02")]), "delivered"),
    (
        delivered(
            TEXT % b"DELIVRD",
            esm_class=4,
            tlvs=[smpp34.Tlv(0x1400, b"xy"), smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x05")],
        ),
        "failed",
    ),
    (delivered(esm_class=4, tlvs=[smpp34.Tlv(smpp34.TLV_MESSAGE_PAYLOAD, TEXT % b"DELIVRD")]), "delivered"),
    (delivered(esm_class=4, tlvs=[smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x02\x02")]), None),
    (delivered(TEXT % b"DELIVRD"), None),
    (delivered(b"", esm_class=4), None),
]


@pytest.mark.parametrize(("body", "report"), RECEIPTS)
def test_a_receipt_says_what_became_of_a_message(body, report):
    assert smpp_pdus.receipt(body) == report


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\1\1",
        delivered(TEXT % b"DELIVRD", esm_class=4)[:20],
        delivered(esm_class=4) + b"\x04\x27\0",
        delivered(esm_class=4) + b"\x04\x27\0\1",
    ],
)
def test_an_incomplete_receipt_is_ignored(body):
    assert smpp_pdus.receipt(body) is None


@given(st.binary(max_size=200))
def test_no_input_makes_it_fail(body):
    assert smpp_pdus.receipt(body) in {None, "delivered", "failed"}


def test_numbers_are_not_printed():
    assert "38640123456" not in repr((NUMBER, Pdu(4, 0, 1, b"38640123456")))
