"""What people type: every shape that is meant, and every problem that is named."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.si import ddv

from authproxy.sandbox.identity_provider.front_end import entered
from authproxy.sandbox.identity_provider.front_end.entered import Reader, UnusableInput

TODAY = date(2026, 11, 22)
TEMPLATES = Path(entered.__file__).parents[1] / "templates"


def problem(read, *typed, **more):
    with pytest.raises(UnusableInput) as caught:
        read(*typed, **more)
    assert str(caught.value) == caught.value.problem
    return caught.value.problem


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (" Eva.Cuk@example.si ", "Eva.Cuk@example.si"),
        ("ž@primer.čšž.si", "ž@primer.čšž.si"),
        ("a+b@xn--e1a.example", "a+b@xn--e1a.example"),
    ],
)
def test_an_address_is_taken_as_it_is_without_blanks_around(typed, meant):
    assert entered.email(typed) == meant


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "missing"),
        ("  ", "missing"),
        ("eva", "email"),
        ("eva@example", "email"),
        ("eva@@example.si", "email"),
        ("e va@example.si", "email"),
        ("@example.si", "email"),
        ("eva@.si", "email"),
        ("e" * 250 + "@example.si", "long"),
        ("e" * 65 + "@example.si", "email"),
        ("eva\u202e@example.si", "characters"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(typed, word):
    assert problem(entered.email, typed) == word


def test_a_password_needs_length_and_nothing_else():
    assert entered.password("aaaaaaaaaaaa", email="eva@example.si") == "aaaaaaaaaaaa"
    assert entered.password("c\u030c" * 12, email="") == "č" * 12
    assert problem(entered.password, "", email="") == "missing"
    assert problem(entered.password, "a" * 11, email="") == "short"
    assert problem(entered.password, "a" * 201, email="") == "long"
    assert problem(entered.password, "EVA@example.si", email="eva@example.si") == "same"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("040 123 456", "+38640123456"),
        ("+386 40 123 456", "+38640123456"),
        ("00386 40/123-456", "+38640123456"),
        ("+386 (0)40 123 456", "+38640123456"),
        ("065 712 345", "+38665712345"),
        ("+43 660 1234567", "+436601234567"),
        ("0039 333 1234567", "+393331234567"),
    ],
)
def test_a_number_is_put_into_the_international_form(typed, meant):
    assert entered.phone(typed) == meant


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "missing"),
        (" - ", "missing"),
        ("40123456", "phone"),
        ("abc", "phone"),
        ("+38640", "phone"),
        ("٠٤٠١٢٣٤٥٦", "phone"),
        ("+1234567890123456", "phone"),
        ("01 234 56 78", "not_mobile"),
        ("040 123 45", "not_mobile"),
        ("+386 1 234 56 78", "not_mobile"),
    ],
)
def test_a_number_that_no_text_message_reaches_is_refused(typed, word):
    assert problem(entered.phone, typed) == word


@pytest.mark.parametrize(
    "name",
    [
        "Živa",
        "Đurđa",
        "Łukasz",
        "Nguyễn Thị Ánh",
        "Иван",
        "O’Connor",
        "d'Arc",
        "Ana-Marija",
        "J. R.",
        "李小龍",
        "Mac\N{MIDDLE DOT}Leod",
    ],
)
def test_names_of_the_whole_world_are_names(name):
    assert entered.name(f"  {name} ") == name


def test_a_name_is_composed_and_its_blanks_are_single():
    assert entered.name("Z\u030civa \t  Ana") == "Živa Ana"


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "missing"),
        ("A" * 101, "long"),
        ("A" * 300, "long"),
        ("Ana1", "name"),
        ("<b>", "name"),
        ("-", "name"),
        ("Ana\x07", "characters"),
        ("Ana\u202e", "characters"),
        ("Ana\ud800", "characters"),
    ],
)
def test_what_is_no_name_is_refused(typed, word):
    assert problem(entered.name, typed) == word


def test_a_line_of_an_address_may_hold_anything_printable():
    assert entered.line(" Čopova  ulica 12/a ") == "Čopova ulica 12/a"
    assert problem(entered.line, "") == "missing"


@pytest.mark.parametrize("typed", ["99990008", " SI 9999-0008 ", "si99990008", "10000020"])
def test_a_tax_number_is_its_eight_digits(typed):
    assert re.fullmatch("[0-9]{8}", entered.tax_number(typed))


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "missing"),
        ("SI", "missing"),
        ("9999000", "tax_length"),
        ("９９９９０００８", "tax_length"),
        ("abcdefgh", "tax_length"),
        ("99990009", "tax_number"),
        ("00000000", "tax_number"),
        ("10000071", "tax_number"),
    ],
)
def test_a_tax_number_that_was_never_issued_is_refused(typed, word):
    assert problem(entered.tax_number, typed) == word


@given(st.integers(10_000_000, 99_999_999).map(str))
def test_the_check_digit_is_that_of_the_tax_administration(number):
    # python-stdnum takes numbers of rest 0 with a check digit of 0, which are not issued.
    rest = sum(weight * int(digit) for weight, digit in zip(range(8, 1, -1), number, strict=False)) % 11
    if ddv.is_valid(number) and rest:
        assert entered.tax_number(number) == number
    else:
        assert problem(entered.tax_number, number) == "tax_number"


@pytest.mark.parametrize(
    "typed", ["15. 6. 1985", "15.6.1985", "15.06.1985.", "15/6/1985", "1985-06-15", " 15.  6. 1985 "]
)
def test_a_date_may_be_typed_in_several_ways(typed):
    assert entered.birthdate(typed, today=TODAY) == "1985-06-15"


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "missing"),
        ("junij 1985", "date"),
        ("31. 2. 1985", "date"),
        ("6/15/1985", "date"),
        ("1. 1. 1899", "date_range"),
        ("23. 11. 2026", "date_range"),
    ],
)
def test_a_date_that_is_none_or_not_of_a_living_person_is_refused(typed, word):
    assert problem(entered.birthdate, typed, today=TODAY) == word


def test_postal_codes_of_slovenia_have_four_digits_and_others_what_they_have():
    assert entered.postal_code("1000", country="SI") == "1000"
    assert entered.postal_code("SW1A 1AA", country="GB") == "SW1A 1AA"
    for typed in ("0100", "100", "10000", "１０００"):
        assert problem(entered.postal_code, typed, country="SI") == "postal_code"
    assert problem(entered.postal_code, "1" * 13, country="GB") == "long"


def test_a_country_is_one_of_the_list():
    assert entered.country("AT") == "AT"
    assert problem(entered.country, "at") == problem(entered.country, "") == "country"


def test_every_country_has_a_name_and_every_problem_its_words():
    named = re.findall(r'"([A-Z]{2})": t\(', (TEMPLATES / "countries.html").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(entered.COUNTRIES)
    worded = set(
        re.findall(
            r'^  "([a-z_]+)": t\(', (TEMPLATES / "forms.html").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    raised = set(
        re.findall(r'UnusableInput\("([a-z_]+)"\)', Path(entered.__file__).read_text(encoding="utf-8"))
    )
    assert worded == raised


def test_a_reader_gathers_what_is_wrong_in_the_order_of_the_form():
    reader = Reader({"name": "1", "email": "eva@example.si"})
    assert (
        reader.read("name", entered.name),
        reader.read("email", entered.email),
        reader.read("phone", entered.phone),
    ) == ("", "eva@example.si", "")
    assert list(reader.problems.items()) == [("name", "name"), ("phone", "missing")]
