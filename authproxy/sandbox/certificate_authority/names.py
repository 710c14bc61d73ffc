"""PURE: distinguished names as the issuing CA of AC NLB writes them: PrintableString, an
organizationIdentifier, numbered CRLs."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

StringType = _ASN1Type  # the library has no public name for it
PRINTABLE, UTF8, BMP = StringType.PrintableString, StringType.UTF8String, StringType.BMPString
ROOT, SUB = "ACNLB RootCA", "ACNLB SubCA"


def attribute(oid: x509.ObjectIdentifier, text: str, kind: StringType = PRINTABLE) -> x509.NameAttribute[str]:
    """One attribute in the given string type. By default the library writes UTF8String, but names are
    compared byte by byte."""
    return x509.NameAttribute(oid, text, _type=kind)


def authority(common_name: str, *further: str) -> x509.Name:
    """The name of a CA; with a further common name, of its CRL or responder."""
    return x509.Name(
        [
            attribute(NameOID.COUNTRY_NAME, "SI"),
            attribute(NameOID.ORGANIZATION_NAME, "NLB d.d."),
            attribute(NameOID.ORGANIZATION_IDENTIFIER, "VATSI-91132550"),
            *(attribute(NameOID.COMMON_NAME, each) for each in (common_name, *further)),
        ]
    )


def partition(common_name: str, number: int) -> x509.Name:
    """The name of the CA's CRL number `number`."""
    return authority(common_name, f"CRL{number}")


def subject(
    *,
    common_name: str,
    serial_number: str,
    given_name: str | None,
    family_name: str | None,
    organization: tuple[str, str] | None,
    kind: StringType,
    is_multi_valued: bool,
) -> x509.Name:
    """The subject of a person's or a seal's certificate. `organization` is a name and its tax number.
    `is_multi_valued` puts common name and serial number into one RDN."""
    last = [
        attribute(NameOID.COMMON_NAME, common_name, kind),
        attribute(NameOID.SERIAL_NUMBER, serial_number),
    ]
    return x509.Name(
        [
            *_single([attribute(NameOID.COUNTRY_NAME, "SI")]),
            *_single(_of_organization(organization)),
            *_single([attribute(NameOID.GIVEN_NAME, given_name, kind)] if given_name else []),
            *_single([attribute(NameOID.SURNAME, family_name, kind)] if family_name else []),
            *([x509.RelativeDistinguishedName(last)] if is_multi_valued else _single(last)),
        ]
    )


def _of_organization(organization: tuple[str, str] | None) -> list[x509.NameAttribute[str]]:
    if organization is None:
        return []
    name, tax_number = organization
    return [
        attribute(NameOID.ORGANIZATION_NAME, name, UTF8),
        attribute(NameOID.ORGANIZATION_IDENTIFIER, f"VATSI-{tax_number}"),
    ]


def _single(attributes: Iterable[x509.NameAttribute[str]]) -> list[x509.RelativeDistinguishedName]:
    return [x509.RelativeDistinguishedName([each]) for each in attributes]
