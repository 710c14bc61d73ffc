from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.delivery.sms import Unsendable, encoded, joined, written


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("@", b"\x00"),
        ("Koda 1", b"Koda 1"),
        ("a\nb", b"a\nb"),
        ("£$_", b"\x01\x02\x11"),
        ("€[]", b"\x1b\x65\x1b\x3c\x1b\x3e"),
        ("à§¿", b"\x7f\x5f\x60"),
        ("^\f~", b"\x1b\x14\x1b\x0a\x1b\x3d"),
        ("ÆÉ ", b"\x1c\x1f "),
    ],
)
def test_text_that_telephones_can_write_has_their_alphabet(text, octets):
    found = encoded(text)
    assert (found.alphabet, found.octets, found.parts) == ("gsm", octets, (octets,))


@pytest.mark.parametrize("text", ["č", "š in ž", "😀", "ç", "`", "\x1b"])
def test_one_character_outside_of_the_alphabet_makes_the_whole_text_ucs2(text):
    found = encoded(text)
    assert (found.alphabet, found.octets) == ("ucs2", text.encode("utf-16-be"))


def test_a_message_centre_of_another_alphabet_gets_ucs2_whatever_the_text():
    assert encoded("Koda", only_ucs2=True).octets == "Koda".encode("utf-16-be")


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("x" * 160, [160]),
        ("x" * 161, [153, 8]),
        ("x" * 307, [153, 153, 1]),
        ("č" * 70, [140]),
        ("č" * 71, [134, 8]),
        ("€" * 80, [160]),
        ("€" * 81, [152, 10]),
        ("😀" * 36, [132, 12]),
    ],
)
def test_a_text_is_cut_between_characters(text, sizes):
    assert [len(part) for part in encoded(text).parts] == sizes


@given(st.text(min_size=1, max_size=600))
def test_parts_are_the_text_and_each_can_be_read_alone(text):
    found = encoded(text)
    assert b"".join(found.parts) == found.octets
    if found.alphabet == "ucs2":
        shown = text.encode("utf-16-be", "replace").decode("utf-16-be")
        assert "".join(part.decode("utf-16-be") for part in found.parts) == shown
    else:
        assert not any(part.endswith(b"\x1b") for part in found.parts)


def test_parts_carry_the_header_by_which_telephones_join_them():
    assert joined((b"a", b"b"), 0x107) == (b"\x05\x00\x03\x07\x02\x01a", b"\x05\x00\x03\x07\x02\x02b")


def test_a_single_part_has_no_header():
    assert joined((b"a",), 7) == (b"a",)


@pytest.mark.parametrize("text", ["", "x" * (153 * 255 + 1)])
def test_a_text_of_no_message_or_of_too_many_is_refused(text):
    with pytest.raises(Unsendable):
        encoded(text)


def test_the_longest_text_of_all_is_sent():
    assert len(encoded("x" * (153 * 255)).parts) == 255


@pytest.mark.parametrize(
    ("form", "number"), [("+", "+38640123456"), ("00", "0038640123456"), ("digits", "38640123456")]
)
def test_a_number_is_written_as_the_gateway_wants_it(form, number):
    assert written("+38640123456", form) == number


@pytest.mark.parametrize(
    "recipient",
    [
        "040123456",
        "38640123456",
        "+0123456789",
        "+386 40 123 456",
        "+38640123456\n",
        "+３８６40123456",
        "+12345",
        "",
    ],
)
def test_a_number_in_another_form_is_refused_and_not_repeated(recipient):
    with pytest.raises(Unsendable) as refused:
        written(recipient, "+")
    assert "123456" not in str(refused.value)


def test_the_repr_has_no_text():
    assert "123456" not in repr(encoded("Koda 123456"))
