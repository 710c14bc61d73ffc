"""PURE: the contents of a client certificate, read tolerantly, for the register and for display. Nothing here
is verified. A person is never recognised by a name: names are T61, BMP or UTF-8 text in any order, and an RDN
may have several values (RFC 5280 §4.1.2.4)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.identity.person import InvalidTaxNumber, TaxNumber, tax_number

_SHOWN_CHARACTERS = 300
_TAX_NUMBER = re.compile(r"TINSI-[0-9]{8}", re.ASCII)
# Control and format characters (a bidirectional override makes one name look like another), lone surrogates,
# line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class UnreadableLeaf(ValueError):  # noqa: N818
    """A part of the certificate cannot be parsed. The message never quotes the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The contents of a client certificate. It is identified by `fingerprint`, or by `issuer` and
    `serial_number`. All names are for display only."""

    fingerprint: str
    """SHA-256 of the DER, 64 hexadecimal digits."""
    issuer: str
    """The issuer's name in the form of RFC 4514. The same octets always give the same text."""
    serial_number: int
    not_before: datetime
    not_after: datetime
    policies: tuple[str, ...]
    common_name: str | None = field(repr=False)
    given_name: str | None = field(repr=False)
    surname: str | None = field(repr=False)
    organization: str | None = field(repr=False)
    email: str | None = field(repr=False)
    tax_number: TaxNumber | None = field(repr=False)
    """The number in a `TINSI-` serial number (ETSI EN 319 412-1 §5.1.3), if it is valid. The profile decides
    whether it is believed."""

    @property
    def known_as(self) -> str | None:
        """The holder's name as people write it."""
        full = " ".join(filter(None, (self.given_name, self.surname)))
        return self.common_name or full or None


def read(certificate: x509.Certificate) -> Leaf:
    """Reads the certificate. Raises UnreadableLeaf if a part that identifies the person, or that rules need,
    cannot be read or is ambiguous. Unreadable names are left out."""
    try:
        der = certificate.public_bytes(Encoding.DER)
        stated = _attributes(der)
        issuer, serial, subject = issuer_name(certificate), certificate.serial_number, _shown_first(stated)
        validity = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        policies = _policies(certificate)
    except Exception as error:  # noqa: BLE001  (two parsers, each with exceptions of its own for what is crafted)
        raise UnreadableLeaf(f"a part of the certificate cannot be read: {type(error).__name__}") from None
    return Leaf(
        fingerprint=hashlib.sha256(der).hexdigest(),
        issuer=issuer,
        serial_number=serial,
        not_before=validity[0],
        not_after=validity[1],
        policies=policies,
        common_name=subject.get("common_name"),
        given_name=subject.get("given_name"),
        surname=subject.get("surname"),
        organization=subject.get("organization_name"),
        email=_email(certificate) or subject.get("email_address"),
        tax_number=_tax_number([value for name, value in stated if name == "serial_number"]),
    )


def issuer_name(certificate: x509.Certificate) -> str:
    """The issuer's name in one spelling (RFC 4514). It can be read, because the trusted CA's own certificate
    has the same octets."""
    return certificate.issuer.rfc4514_string()


def _tax_number(serial_numbers: Iterable[str]) -> TaxNumber | None:
    """Reads the exact text of the certificate, not the cleaned text for display."""
    stated = {serial_number for serial_number in serial_numbers if serial_number.startswith("TINSI-")}
    if len(stated) > 1:
        raise UnreadableLeaf("it states two tax numbers")
    for only in stated:
        with suppress(InvalidTaxNumber):
            return tax_number(only.removeprefix("TINSI-")) if _TAX_NUMBER.fullmatch(only) else None
    return None


def _shown_first(stated: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first value of each attribute that has visible characters."""
    shown_values: dict[str, str] = {}
    for name, value in stated:
        if text := shown(value):
            shown_values.setdefault(name, text)
    return shown_values


def _attributes(der: bytes) -> list[tuple[str, str]]:
    """The attribute names and texts of the subject. asn1crypto reads T61 text byte by byte; `cryptography`
    refuses it."""
    attributes: list[tuple[str, str]] = []
    for several in asn1.Certificate.load(der).subject.chosen:
        for attribute in several:
            with suppress(Exception):
                value = attribute["value"].native
                if isinstance(value, str):
                    attributes.append((attribute["type"].native, value))
    return attributes


def shown(text: str) -> str:
    """The text in NFC, without invisible characters, cut to 300 characters."""
    composed = unicodedata.normalize("NFC", text[: 4 * _SHOWN_CHARACTERS])
    return "".join(c for c in composed if unicodedata.category(c) not in _INVISIBLE).strip()[
        :_SHOWN_CHARACTERS
    ]


def _policies(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return ()
    return tuple(policy.policy_identifier.dotted_string for policy in extension.value)


def _email(certificate: x509.Certificate) -> str | None:
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return next((shown(address) for address in names.get_values_for_type(x509.RFC822Name)), None)
    return None
