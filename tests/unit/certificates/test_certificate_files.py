"""Recognising files that operators take for certificates."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from authproxy.certificates.files import FileContents, FileKind, contents
from tests.support.certificate_builder import Authority, der, ec_key, name, pem

SUB = Authority.root().authority()
KEY = ec_key()
LEAF = SUB.person(key=KEY)
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(name("Ana")).sign(KEY, hashes.SHA256())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def bundle(encoding):
    return pkcs7.serialize_certificates([SUB.certificate, LEAF], encoding)


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (der(LEAF), FileKind.CERTIFICATE),
        (b"Bag Attributes\n" + pem(SUB.certificate).encode() + pem(LEAF).encode(), FileKind.CERTIFICATE),
        (PRIVATE + pem(LEAF).encode(), FileKind.CERTIFICATE),
        (bundle(Encoding.DER), FileKind.BUNDLE),
        (bundle(Encoding.PEM), FileKind.BUNDLE),
    ],
)
def test_the_certificate_of_a_person_comes_first(octets, kind):
    found = contents(octets)
    assert (found.kind, found.certificates[0]) == (kind, der(LEAF))
    assert set(found.certificates[1:]) <= {der(SUB.certificate)}


def test_an_authority_alone_is_named_as_one():
    assert contents(pem(SUB.certificate).encode()) == FileContents(
        kind=FileKind.AUTHORITY, certificates=(der(SUB.certificate),)
    )


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (
            pkcs12.serialize_key_and_certificates(
                b"ana", KEY, LEAF, None, BestAvailableEncryption(b"secret")
            ),
            FileKind.WITH_KEY,
        ),
        (pkcs12.serialize_key_and_certificates(b"ana", KEY, LEAF, None, NoEncryption()), FileKind.WITH_KEY),
        (REQUEST.public_bytes(Encoding.DER), FileKind.REQUEST),
        (REQUEST.public_bytes(Encoding.PEM), FileKind.REQUEST),
        (SUB.crl().public_bytes(Encoding.DER), FileKind.REVOCATION_LIST),
        (SUB.crl().public_bytes(Encoding.PEM), FileKind.REVOCATION_LIST),
        (PRIVATE, FileKind.KEY),
        (b"", FileKind.UNKNOWN),
        (b"Dear bank", FileKind.UNKNOWN),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", FileKind.UNKNOWN),
        (b"\x30\x82\xff\xff" + bytes(20), FileKind.UNKNOWN),
    ],
)
def test_other_files_are_named_as_what_they_are(octets, kind):
    assert contents(octets) == FileContents(kind=kind)
