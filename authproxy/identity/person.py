"""PURE: the person behind a session, and the Slovenian tax number (`davčna številka`).

The check digit is that of the Slovenian tax administration: weights 8…2, modulus 11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NewType

Issuer = NewType("Issuer", str)
Subject = NewType("Subject", str)
TaxNumber = NewType("TaxNumber", str)

_WEIGHTS = (8, 7, 6, 5, 4, 3, 2)
_EIGHT_DIGITS = re.compile(r"[1-9][0-9]{7}", re.ASCII)
_SEVEN_DIGITS = re.compile(r"[0-9]{7}", re.ASCII)


class InvalidTaxNumber(ValueError):  # noqa: N818  (the exception is named after what is wrong)
    """The text is no tax number that can have been issued. The message never repeats the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as the portal will see them. Identity is (issuer, subject) and nothing else (OpenID Connect Core §5.7)."""

    issuer: Issuer
    subject: Subject
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    tax_number: TaxNumber | None = field(default=None, repr=False)


def tax_number(text: str) -> TaxNumber:
    """The eight digits of a tax number or VAT identifier (`SI` and separators are dropped).

    Raises InvalidTaxNumber, with a word of its own where a number format has eaten a leading digit.
    """
    digits = re.sub(r"[ \-]", "", text.strip())
    if digits[:2].upper() == "SI":
        digits = digits[2:]
    if _SEVEN_DIGITS.fullmatch(digits):
        raise InvalidTaxNumber("a tax number has eight digits; this has seven, as if a leading digit had been lost")
    if not _EIGHT_DIGITS.fullmatch(digits):
        raise InvalidTaxNumber("a tax number has eight digits and does not begin with 0")
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False)) % 11
    if remainder == 0 or (11 - remainder) % 10 != int(digits[7]):
        raise InvalidTaxNumber("the check digit of the tax number is wrong")
    return TaxNumber(digits)
