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
"""The register's id of a person. Portals see it, so it is never reused for another person."""

_WEIGHTS = (8, 7, 6, 5, 4, 3, 2)
_EIGHT_DIGITS = re.compile(r"[1-9][0-9]{7}", re.ASCII)
_SEVEN_DIGITS = re.compile(r"[0-9]{7}", re.ASCII)


class InvalidTaxNumber(ValueError):  # noqa: N818  (the exception is named after what is wrong)
    """The text cannot be a tax number. The message never repeats the number."""


class IncompleteTaxNumber(InvalidTaxNumber):
    """A digit is missing: software that stores the number as an integer drops a leading zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A signed-in person. Issuer and subject together identify them at the provider, and nothing else does
    (OpenID Connect Core §5.7)."""

    issuer: Issuer
    subject: Subject
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    tax_number: TaxNumber | None = field(default=None, repr=False)
    member: MemberId | None = None
    """Their id in the register; None for somebody who is not in it."""
    phone: str | None = field(default=None, repr=False)
    """E.164. Verified by the provider or taken from the register; codes are sent to it. Portals never see
    it."""
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""

    @property
    def subject_for_portals(self) -> str:
        """The `sub` that portals see. A member of the register has the same one for every sign-in method."""
        return self.member or self.subject

    @property
    def known_as(self) -> str:
        """The text by which people recognise their own account, for pages that only they see."""
        return ", ".join(filter(None, (self.name, self.email))) or self.subject


def tax_number(text: str) -> TaxNumber:
    """The eight digits of a tax number or VAT identifier (`SI` and separators are dropped).

    Raises InvalidTaxNumber. It is an IncompleteTaxNumber if seven digits suggest that a leading one was lost.
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
