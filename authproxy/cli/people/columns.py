"""PURE: the columns of a list of people: in which form each value is written. No other form is accepted.

Every function takes the text of a cell and returns a valid value, or raises ValueError with a sentence for
the operator. The sentence never repeats the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from cryptography import x509

from authproxy.identity.member import EVERY_PORTAL, ROLE, CertificateName, PortalRole
from authproxy.identity.person import InvalidTaxNumber, MemberId, TaxNumber, tax_number

NOTHING: Final = "-"
_LONGEST: Final = 200
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SERIAL: Final = re.compile(r"[0-9a-f]{1,40}", re.ASCII)
_YES, _NO = frozenset({"yes", "true", "1", "da"}), frozenset({"no", "false", "0", "ne", NOTHING})
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAMES_OF_ATTRIBUTES: Final = {
    "organizationIdentifier": x509.NameOID.ORGANIZATION_IDENTIFIER,
    "serialNumber": x509.NameOID.SERIAL_NUMBER,
    "emailAddress": x509.NameOID.EMAIL_ADDRESS,
    "E": x509.NameOID.EMAIL_ADDRESS,
}
VALID: Final = {
    "id": "letters, digits and `. _ @ -`, at most 64, beginning with a letter or digit",
    "tax_number": "eight digits with a right check digit, with or without `SI`",
    "name": "one line of at most 200 characters",
    "email": "one address, `name@example.si`",
    "phone": "E.164: `+38640123456`",
    "roles": (
        "PORTAL:ROLE with spaces between several; `*` as the portal for every one that the person may enter; "
        "a role has letters, digits and `. _ -`, at most 64; `-` for none"
    ),
    "certificates": (
        "SHA-256 as 64 hexadecimal digits, or SERIAL@ISSUER with the serial in hexadecimal; `|` between "
        "several; `-` for none"
    ),
    "blocked": "yes or no (da, ne); empty: as it is",
}


def member_id(text: str) -> MemberId:
    if not _ID.fullmatch(text):
        raise ValueError("is no id")
    try:
        tax_number(text)
    except InvalidTaxNumber:
        return MemberId(text)
    raise ValueError("is a tax number: an id stands in logs and is shown to portals")


def name(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if len(composed) > _LONGEST or any(
        unicodedata.category(character) in _INVISIBLE for character in composed
    ):
        raise ValueError("is too long or has characters that cannot be seen")
    return composed


def number(text: str) -> TaxNumber | None:
    return None if text in ("", NOTHING) else tax_number(text)


def email(text: str) -> str | None:
    if text in ("", NOTHING):
        return None
    if len(text) > _LONGEST or not _EMAIL.fullmatch(text) or not text.isprintable():
        raise ValueError("is no e-mail address")
    return text


def phone(text: str) -> str | None:
    if text in ("", NOTHING):
        return None
    digits = re.sub(r"[ ()/.\-]", "", text)
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    if digits.startswith("0"):
        raise ValueError("has no country: a Slovenian number begins with `+386` in the place of the 0")
    if not _PHONE.fullmatch(digits):
        raise ValueError("is no telephone number")
    return digits


def portals(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Ids with spaces, commas or `|` between them; `*` for every portal, also those of the future."""
    if text == NOTHING:
        return ()
    named = tuple(dict.fromkeys(re.split(r"[\s,|]+", text.strip(" ,|\t")))) if text else ()
    unknown = [portal_id for portal_id in named if portal_id not in {*known, EVERY_PORTAL}]
    if unknown:
        raise ValueError("names a portal that the settings do not have")
    return named


def roles(text: str, known: Collection[str]) -> tuple[PortalRole, ...] | None:
    """`PORTAL:ROLE` with spaces, commas or `|` between several; None for an empty cell."""
    if not text:
        return None
    if text == NOTHING:
        return ()
    items = dict.fromkeys(re.split(r"[\s,|]+", text.strip(" ,|\t")))
    return tuple(role(item, known) for item in items)


def role(text: str, known: Collection[str]) -> PortalRole:
    """A role at one portal, or at every one (`*`)."""
    portal_id, _, name_of_role = text.partition(":")
    if not ROLE.fullmatch(name_of_role):
        raise ValueError("is no role at a portal")
    if portal_id not in {*known, EVERY_PORTAL}:
        raise ValueError("names a portal that the settings do not have")
    return PortalRole(portal_id, name_of_role)


def certificates(text: str) -> tuple[CertificateName, ...] | None:
    """None for an empty cell."""
    if not text:
        return None
    return (
        () if text == NOTHING else tuple(dict.fromkeys(certificate(item.strip()) for item in text.split("|")))
    )


def certificate(text: str) -> CertificateName:
    """A certificate by its fingerprint, or by serial and issuer."""
    serial, at, issuer_text = text.partition("@")
    if not at:
        fingerprint = _hexadecimal(text)
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError("is no SHA-256 fingerprint of a certificate")
        return CertificateName(fingerprint=fingerprint)
    digits = _hexadecimal(serial)
    if not _SERIAL.fullmatch(digits):
        raise ValueError("has no serial number in hexadecimal before the `@`")
    return CertificateName(issuer=issuer(issuer_text.strip()), serial=int(digits, 16))


def issuer(text: str) -> str:
    """The issuer's name in the spelling by which certificates are found."""
    try:
        # OpenSSL writes a space after each comma, which is no part of a value.
        name_of_issuer = x509.Name.from_rfc4514_string(
            re.sub(r",\s+", ",", text), _NAMES_OF_ATTRIBUTES
        ).rfc4514_string()
    except ValueError:
        name_of_issuer = ""
    if not name_of_issuer:
        raise ValueError("has no issuer as RFC 4514 writes it after the `@` (`CN=…,O=…,C=SI`)")
    return name_of_issuer


def blocked(text: str) -> bool | None:
    """None for an empty cell."""
    word = text.lower()
    if word and word not in _YES | _NO:
        raise ValueError("is neither yes nor no")
    return word in _YES if word else None


def _hexadecimal(text: str) -> str:
    return re.sub(r"[\s:]", "", text).lower().removeprefix("0x")
