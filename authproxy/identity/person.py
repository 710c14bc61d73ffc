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
MemberId = NewType("MemberId", str)
"""The name that the register of people has for somebody. Portals see it, so it is never given to anybody
else."""

_WEIGHTS = (8, 7, 6, 5, 4, 3, 2)
_EIGHT_DIGITS = re.compile(r"[1-9][0-9]{7}", re.ASCII)
_SEVEN_DIGITS = re.compile(r"[0-9]{7}", re.ASCII)


class InvalidTaxNumber(ValueError):  # noqa: N818  (the exception is named after what is wrong)
    """The text is no tax number that can have been issued. The message never repeats the number."""


class IncompleteTaxNumber(InvalidTaxNumber):
    """A digit has been lost on the way, as happens to what is stored as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as they have signed in. To the provider identity is (issuer, subject) and nothing else (OpenID
    Connect Core §5.7)."""

    issuer: Issuer
    subject: Subject
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    tax_number: TaxNumber | None = field(default=None, repr=False)
    member: MemberId | None = None
    """Who this is in the register of people; None for somebody who is not in it."""
    phone: str | None = field(default=None, repr=False)
    """E.164, as the provider has verified it or the register has it: where a code may be sent. Portals never
    see it."""

    @property
    def subject_for_portals(self) -> str:
        """The name under which portals know the person: for somebody in the register the same one however
        they have signed in."""
        return self.member or self.subject

    @property
    def known_as(self) -> str:
        """The words by which people recognise their own account: for their own pages."""
        return ", ".join(filter(None, (self.name, self.email))) or self.subject


def tax_number(text: str) -> TaxNumber:
    """The eight digits of a tax number or VAT identifier (`SI` and separators are dropped).

    Raises InvalidTaxNumber, and the more precise IncompleteTaxNumber where a number format has eaten a
    leading digit.
    """
    digits = re.sub(r"[ \-]", "", text.strip())
    if digits[:2].upper() == "SI":
        digits = digits[2:]
    if _SEVEN_DIGITS.fullmatch(digits):
        raise IncompleteTaxNumber(
            "a tax number has eight digits; this has seven, as if a leading digit had been lost"
        )
    if not _EIGHT_DIGITS.fullmatch(digits):
        raise InvalidTaxNumber("a tax number has eight digits and does not begin with 0")
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False)) % 11
    if remainder == 0 or (11 - remainder) % 10 != int(digits[7]):
        raise InvalidTaxNumber("the check digit of the tax number is wrong")
    return TaxNumber(digits)
