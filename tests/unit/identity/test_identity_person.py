"""The tax number: python-stdnum is the second opinion on which numbers can have been issued."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from stdnum.si import ddv

from authproxy.identity.person import (
    IncompleteTaxNumber,
    InvalidTaxNumber,
    Issuer,
    Person,
    Subject,
    tax_number,
)


@given(some.from_regex(r"[0-9]{8}", fullmatch=True))
def test_a_tax_number_is_accepted_exactly_when_it_can_have_been_issued(digits):
    try:
        accepted = tax_number(digits) == digits
    except InvalidTaxNumber:
        accepted = False
    assert accepted == ddv.is_valid(digits)


@pytest.mark.parametrize("last", range(10))
@pytest.mark.parametrize("first", ["1500006", "1500001"])
def test_a_remainder_of_zero_gives_no_number_and_a_check_digit_of_ten_is_written_as_zero(first, last):
    """The weighted sums of these two leave 0 and 1 when divided by 11."""
    if (first, last) == ("1500001", 0):
        assert tax_number("15000010") == "15000010"
        assert ddv.is_valid("15000010")
    else:
        with pytest.raises(InvalidTaxNumber, match="check digit"):
            tax_number(f"{first}{last}")


@pytest.mark.parametrize("written", ["99990008", "SI99990008", "si 9999 0008", " 9999-00-08 ", "SI-99990008"])
def test_all_spellings_of_a_tax_number_give_the_same_number(written):
    assert tax_number(written) == "99990008"


def test_a_lost_leading_digit_is_named():
    with pytest.raises(IncompleteTaxNumber, match="seven"):
        tax_number("9999000")


@pytest.mark.parametrize(
    "text", ["", "SI", "09990008", "999900088", "9999000a", "٩٩٩٩٠٠٠٨", "99990008\n1", "SISI99990008"]
)
def test_a_text_that_is_not_a_tax_number_is_refused(text):
    with pytest.raises(InvalidTaxNumber, match="eight digits"):
        tax_number(text)


@pytest.mark.parametrize("text", ["99990009", "10000010", "12345670"])
def test_a_wrong_check_digit_is_refused_without_repeating_the_number(text):
    with pytest.raises(InvalidTaxNumber, match="check digit") as refused:
        tax_number(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "email", "known_as"),
    [
        ("Ana Novak", "ana@example.si", "Ana Novak, ana@example.si"),
        ("Ana Novak", None, "Ana Novak"),
        (None, "ana@example.si", "ana@example.si"),
        (None, None, "90342.A"),
    ],
)
def test_people_recognise_their_account_by_name_and_email_or_else_by_the_subject(name, email, known_as):
    person = Person(issuer=Issuer("https://idp/"), subject=Subject("90342.A"), name=name, email=email)
    assert person.known_as == known_as
