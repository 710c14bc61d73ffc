"""PURE: reads the input of registration and dashboard: normalises it, or refuses it with the name of the
problem.

Every function takes the typed text and returns its normal form, or raises Unusable.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date

LONGEST_EMAIL = 254  # RFC 5321 §4.5.3.1.3
LONGEST_NAME = 100
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
COUNTRIES = (
    "SI",
    "AT",
    "IT",
    "HU",
    "HR",
    "AL",
    "AR",
    "AU",
    "BE",
    "BA",
    "BG",
    "CA",
    "CY",
    "CZ",
    "DK",
    "EE",
    "FI",
    "FR",
    "DE",
    "GR",
    "IS",
    "IE",
    "XK",
    "LV",
    "LI",
    "LT",
    "LU",
    "MT",
    "ME",
    "NL",
    "MK",
    "NO",
    "PL",
    "PT",
    "RO",
    "RS",
    "SK",
    "ES",
    "SE",
    "CH",
    "TR",
    "UA",
    "GB",
    "US",
)
"""ISO 3166-1 codes. The templates have the names."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# Mobile ranges of the Slovenian numbering plan (libphonenumber): eight digits after the country code.
_SLOVENIAN_MOBILE = re.compile(
    r"\+386(?:65(?:[178]\d|5[56]|6[01])\d{4}|(?:[37][01]|4[0139]|51|6[489])\d{6})", re.ASCII
)
_SLOVENE_DATE = re.compile(r"(\d{1,2})[./] ?(\d{1,2})[./] ?(\d{4})\.?", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TAX_WEIGHTS = (8, 7, 6, 5, 4, 3, 2)
_IN_A_NAME = " -'’.·"


class UnusableInput(ValueError):  # noqa: N818
    """`problem` names what is wrong; the templates have the words for it. The value is not repeated."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Reader:
    """Reads the fields of one form and collects their problems, in the order of the form."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = form
        self.problems: dict[str, str] = {}

    def read(self, field: str, means: Callable[[str], str]) -> str:
        """The result of `means` for the field; an empty text if it is unusable."""
        try:
            return means(self._form.get(field, ""))
        except UnusableInput as fault:
            self.problems[field] = fault.problem
            return ""


def email(typed: str) -> str:
    """Problems: missing, long, email."""
    text = _text(typed, longest=LONGEST_EMAIL)
    if _EMAIL.fullmatch(text) is None:
        raise UnusableInput("email")
    return text


def password(typed: str, *, email: str) -> str:
    """At least twelve characters of any kind, because length helps more than rules about kinds (NIST SP
    800-63B). Problems: missing, short, long, same."""
    text = unicodedata.normalize("NFC", typed)
    if not text:
        raise UnusableInput("missing")
    if len(text) < SHORTEST_PASSWORD:
        raise UnusableInput("short")
    if len(text) > LONGEST_PASSWORD:
        raise UnusableInput("long")
    if email and text.casefold() == email.casefold():
        raise UnusableInput("same")
    return text


def phone(typed: str) -> str:
    """In E.164. A number without a country is Slovenian, and a Slovenian one must be mobile. Problems:
    missing, phone, not_mobile."""
    text = re.sub(r"[\s\-/.()\u2011\u2013]", "", typed)
    if not text:
        raise UnusableInput("missing")
    if text.startswith("00"):
        text = f"+{text[2:]}"
    elif text.startswith("0"):
        text = f"+386{text[1:]}"
    text = re.sub(r"^\+3860", "+386", text)  # typed as +386 (0)40 …
    if _INTERNATIONAL.fullmatch(text) is None:
        raise UnusableInput("phone")
    if text.startswith("+386") and _SLOVENIAN_MOBILE.fullmatch(text) is None:
        raise UnusableInput("not_mobile")
    return text


def name(typed: str) -> str:
    """Letters of any script, with blanks, hyphens and the like between them. Problems: missing, long,
    name."""
    text = _text(typed, longest=LONGEST_NAME)
    if (
        not all(unicodedata.category(character)[0] in "LM" or character in _IN_A_NAME for character in text)
        or not text[0].isalpha()
    ):
        raise UnusableInput("name")
    return text


def line(typed: str) -> str:
    """One line of an address. Problems: missing, long."""
    return _text(typed, longest=LONGEST_NAME)


def tax_number(typed: str) -> str:
    """Eight digits with a valid check digit, without `SI` and separators. Problems: missing, tax_length,
    tax_number."""
    text = re.sub(r"[\s-]", "", typed).upper().removeprefix("SI")
    if not text:
        raise UnusableInput("missing")
    if re.fullmatch(r"[0-9]{8}", text, re.ASCII) is None:
        raise UnusableInput("tax_length")
    rest = sum(weight * int(digit) for weight, digit in zip(_TAX_WEIGHTS, text, strict=False)) % 11
    # Numbers whose sum has no remainder are not issued.
    if text[0] == "0" or rest == 0 or (11 - rest) % 10 != int(text[7]):
        raise UnusableInput("tax_number")
    return text


def birthdate(typed: str, *, today: date) -> str:
    """YYYY-MM-DD, typed like this or as `15. 6. 1985`. Problems: missing, date, date_range."""
    text = " ".join(typed.split())
    if not text:
        raise UnusableInput("missing")
    if date_parts := _SLOVENE_DATE.fullmatch(text):
        day, month, year = (int(part) for part in date_parts.groups())
    elif date_parts := _ISO_DATE.fullmatch(text):
        year, month, day = (int(part) for part in date_parts.groups())
    else:
        raise UnusableInput("date")
    try:
        read = date(year, month, day)
    except ValueError:
        raise UnusableInput("date") from None
    if not date(1900, 1, 1) <= read <= today:
        raise UnusableInput("date_range")
    return read.isoformat()


def postal_code(typed: str, *, country: str) -> str:
    """Four digits in Slovenia. Problems: missing, long, postal_code."""
    text = _text(typed, longest=12)
    if country == "SI" and re.fullmatch(r"[1-9][0-9]{3}", text, re.ASCII) is None:
        raise UnusableInput("postal_code")
    return text


def country(typed: str) -> str:
    """Problem: country."""
    if typed not in COUNTRIES:
        raise UnusableInput("country")
    return typed


def _text(typed: str, *, longest: int) -> str:
    """One line in Unicode NFC, without blanks around it. Problems: missing, long, characters."""
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if not text:
        raise UnusableInput("missing")
    if len(text) > longest:
        raise UnusableInput("long")
    # Control, format (direction marks), surrogate, private and unassigned characters.
    if any(unicodedata.category(character)[0] == "C" for character in text):
        raise UnusableInput("characters")
    return text
