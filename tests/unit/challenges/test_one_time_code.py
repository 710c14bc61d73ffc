"""Short codes: how they are made, typed and hashed."""

import secrets
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.challenges import one_time_code
from authproxy.challenges.one_time_code import CodeHashes, as_typed

HASHES = CodeHashes((b"1" * 32, b"2" * 32))


def test_a_code_has_its_digits_leading_zeros_too():
    assert one_time_code.digits(6, lambda _: 7) == "000007"
    assert one_time_code.digits(8, lambda bound: bound - 1) == "99999999"


def test_every_digit_is_as_likely_as_any_other():
    counted = Counter("".join(one_time_code.digits(6, secrets.randbelow) for _ in range(5_000)))
    expected = 3_000
    # Chi-square with 9 degrees of freedom: above 40 once in a hundred thousand runs.
    assert sum((counted[digit] - expected) ** 2 / expected for digit in "0123456789") < 40


def test_a_recovery_code_has_49_bits_in_characters_that_nobody_confuses():
    codes = {one_time_code.recovery_code(secrets.randbelow) for _ in range(2_000)}
    assert len(codes) == 2_000
    assert not set("".join(codes)) & set("01ilo")
    assert {len(code) for code in codes} == {11}


@pytest.mark.parametrize(
    "typed", ["123456", " 123 456 ", "123-456", "123\u00a0456", "123\u2013456\n", "１２３４５６", "12.34.56"]
)
def test_a_code_may_be_typed_or_pasted_as_people_do(typed):
    assert as_typed(typed) == "123456"
    assert HASHES.matches("c", typed, HASHES.of("c", "123456"))


def test_a_recovery_code_may_be_typed_in_capitals_and_without_its_dash():
    assert as_typed("7MPQ2X9FHK") == as_typed("7mpq2-x9fhk")


@pytest.mark.parametrize(
    "typed", ["", "123457", "12345", "1234567", "1" * 100, "123456" + " " * 100, "\ud800"]
)
def test_whatever_else_is_typed_is_wrong(typed):
    assert not HASHES.matches("c", typed, HASHES.of("c", "123456"))


@given(st.text(max_size=80))
def test_nothing_that_can_be_typed_is_an_error(typed):
    assert HASHES.matches("c", typed, HASHES.of("c", typed))


def test_the_same_code_has_another_hash_in_another_challenge():
    assert HASHES.of("a", "123456") != HASHES.of("b", "123456")


def test_the_stored_hash_does_not_contain_the_code_and_cannot_be_made_without_the_key():
    kept = HASHES.of("c", "123456")
    assert "123456" not in kept
    assert not CodeHashes((b"3" * 32,)).matches("c", "123456", kept)


def test_instances_with_their_keys_in_another_order_accept_each_others_codes():
    turned = CodeHashes((b"2" * 32, b"1" * 32))
    assert turned.matches("c", "123456", HASHES.of("c", "123456"))
    assert HASHES.of("c", "123456") in turned.under_each_key("c", "123456")
