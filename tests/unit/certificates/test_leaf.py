"""Reading the contents of ordinary and odd certificates."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from authproxy.certificates.leaf import Leaf, UnreadableLeaf, read, shown
from tests.support.certificate_builder import (
    ABSENT,
    CLIENT_AUTH,
    NOW,
    PERSON,
    Authority,
    at,
    der,
    name,
    person,
)

SUB = Authority.root().authority()


def with_name(*attributes):
    return SUB.person(x509.Name([x509.RelativeDistinguishedName(list(attributes))]))


def test_identity_is_issuer_serial_number_and_fingerprint():
    certificate = SUB.person(serial=77)
    leaf = read(certificate)
    assert leaf.fingerprint == hashlib.sha256(der(certificate)).hexdigest()
    assert (leaf.issuer, leaf.serial_number) == ("CN=Test SubCA,O=Test d.d.,C=SI", 77)
    assert (leaf.not_before, leaf.not_after, leaf.policies) == (at(-30), at(300), (PERSON,))


def test_a_multivalued_name_is_read_in_any_order():
    leaf = read(SUB.person(person("Žan Čehovin", serial="12345")))
    assert (leaf.common_name, leaf.known_as) == ("Žan Čehovin", "Žan Čehovin")


@pytest.mark.parametrize("kind", [_ASN1Type.BMPString, _ASN1Type.UTF8String, _ASN1Type.UniversalString])
def test_text_in_any_of_the_encodings_is_read(kind):
    assert (
        read(with_name(x509.NameAttribute(NameOID.COMMON_NAME, "Špela Žagar", _type=kind))).common_name
        == "Špela Žagar"
    )


def test_teletex_text_that_is_not_utf8_is_read():
    certificate = with_name(x509.NameAttribute(NameOID.COMMON_NAME, "Zigb", _type=_ASN1Type.T61String))
    odd = x509.load_der_x509_certificate(der(certificate).replace(b"Zigb", b"\x8eig\xe8"))
    with pytest.raises(ValueError):
        odd.subject  # noqa: B018  (what `cryptography` makes of it)
    assert read(odd).common_name == "Žigè"


def test_given_name_and_surname_replace_a_missing_common_name():
    leaf = read(
        with_name(x509.NameAttribute(NameOID.GIVEN_NAME, "Ana"), x509.NameAttribute(NameOID.SURNAME, "Novak"))
    )
    assert leaf.known_as == "Ana Novak"


def test_a_certificate_without_any_name_has_no_display_name():
    leaf = read(SUB.person(x509.Name([]), email=ABSENT, policies=ABSENT))
    assert (leaf.known_as, leaf.email, leaf.policies, leaf.tax_number) == (None, None, (), None)


def test_an_attribute_that_is_not_text_is_ignored():
    number = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\x01", _type=_ASN1Type.BitString)
    assert read(with_name(number, x509.NameAttribute(NameOID.COMMON_NAME, "Ana"))).known_as == "Ana"


def test_a_name_without_visible_characters_is_ignored():
    assert read(SUB.person(person("\u200b\u202e"))).common_name is None


def test_the_first_of_two_values_is_used():
    leaf = read(
        SUB.person(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "Prva"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "Druga"),
                ]
            )
        )
    )
    assert leaf.common_name == "Prva"


def test_the_address_is_that_of_the_alternative_name_or_else_of_the_subject():
    assert read(SUB.person()).email == "ana.novak@example.si"
    other = SUB.person(email=x509.SubjectAlternativeName([x509.DNSName("example.si")]))
    assert read(other).email is None
    assert (
        read(SUB.person(name("Ana", email_address="ana@example.si"), email=ABSENT)).email == "ana@example.si"
    )


@pytest.mark.parametrize(
    ("serial", "tax_number"),
    [
        ("TINSI-99990008", "99990008"),
        ("TINSI-99990009", None),
        ("PNOSI-0101006500006", None),
        ("99990008", None),
        ("XTINSI-99990008", None),
        (None, None),
        ("TINSI-99990008 ", None),
        (" TINSI-99990008", None),
        ("TINSI-SI99990008", None),
        ("TINSI-9999-0008", None),
    ],
)
def test_a_tax_number_is_read_from_its_own_form_only(serial, tax_number):
    assert read(SUB.person(person(serial=serial))).tax_number == tax_number


@pytest.mark.parametrize(
    "serial",
    [
        "TINSI-9999\u200b0008",
        "TINSI-\uff19\uff19\uff19\uff19\uff10\uff10\uff10\uff18",
        "\u200bTINSI-99990008",
    ],
)
def test_a_tax_number_is_read_exactly(serial):
    assert (
        read(
            with_name(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial, _type=_ASN1Type.UTF8String))
        ).tax_number
        is None
    )


@pytest.mark.parametrize("other", ["TINSI-99990016", "TINSI-9999\u200b0008", "TINSI-"])
def test_two_tax_numbers_are_refused(other):
    two = with_name(
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "TINSI-99990008"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, other, _type=_ASN1Type.UTF8String),
    )
    with pytest.raises(UnreadableLeaf, match="two tax numbers"):
        read(two)


def test_other_serial_numbers_besides_a_tax_number_are_ignored():
    several = [
        x509.NameAttribute(NameOID.SERIAL_NUMBER, each)
        for each in ("12345", "TINSI-99990008", "PNOSI-0101006500006")
    ]
    assert read(SUB.person(x509.Name(several))).tax_number == "99990008"
    assert read(SUB.person(x509.Name([several[1], several[1]]))).tax_number == "99990008"


def test_shown_text_has_no_invisible_characters_and_a_limited_length():
    assert shown("Ana\u202e kavoN\n\x00 ") == "Ana kavoN"
    assert shown("C\u030c") == "Č"
    assert len(shown("a" * 5000)) == 300


def test_personal_data_is_not_in_the_representation():
    text = repr(read(SUB.person(person("Ana Novak", serial="TINSI-99990008"))))
    assert not any(part in text for part in ("Ana", "99990008", "example.si"))


def test_a_certificate_with_an_extension_twice_is_unreadable():
    octets = der(SUB.person(usages=x509.ExtendedKeyUsage([CLIENT_AUTH])))
    twice = octets.replace(
        bytes.fromhex("0603551d25"), bytes.fromhex("0603551d11"), 1
    )  # the usages become a second list of names
    assert twice != octets
    with pytest.raises(UnreadableLeaf):
        read(x509.load_der_x509_certificate(twice))


def test_records_are_equal_by_value():
    certificate = SUB.person()
    assert read(certificate) == read(certificate)
    assert isinstance(dataclasses.replace(read(certificate), common_name=None), Leaf)
    assert read(certificate).not_before < NOW
