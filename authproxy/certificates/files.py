"""PURE: recognises a file that an operator takes for a certificate, and returns the certificates in it, the
person's own first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from asn1crypto import pkcs12
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7


class FileKind(StrEnum):
    CERTIFICATE = "a certificate"
    AUTHORITY = "the certificate of an authority (a CA), not of a person"
    BUNDLE = "a PKCS #7 file (.p7b)"
    WITH_KEY = (
        "a PKCS #12 file (.p12, .pfx) with somebody's private key: only its holder may have it; ask for the "
        "certificate alone"
    )
    REQUEST = "a request for a certificate (.csr), not a certificate"
    REVOCATION_LIST = "a revocation list (.crl), not a certificate"
    KEY = "a key without a certificate"
    UNKNOWN = "no certificate in DER, PEM or PKCS #7"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContents:
    """`certificates` are in DER: a person's certificate first, if there is one, then the others in their
    order. Empty if the file has none."""

    kind: FileKind
    certificates: tuple[bytes, ...] = field(default=(), repr=False)


def contents(octets: bytes) -> FileContents:
    """Recognises the contents of a file. It verifies nothing."""
    certificates, is_bundle = _certificates(octets)
    if certificates:
        ordered = sorted(certificates, key=is_authority)
        kind = (
            FileKind.AUTHORITY
            if is_authority(ordered[0])
            else FileKind.BUNDLE
            if is_bundle
            else FileKind.CERTIFICATE
        )
        return FileContents(
            kind=kind, certificates=tuple(certificate.public_bytes(Encoding.DER) for certificate in ordered)
        )
    return FileContents(kind=next((kind for kind, is_one in _OTHERS if is_one(octets)), FileKind.UNKNOWN))


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _certificates(octets: bytes) -> tuple[Sequence[x509.Certificate], bool]:
    """The certificates, and whether they came from PKCS #7."""
    readers: tuple[tuple[Callable[[bytes], Sequence[x509.Certificate]], bool], ...] = (
        (x509.load_pem_x509_certificates, False),
        (lambda octets: [x509.load_der_x509_certificate(octets)], False),
        (pkcs7.load_pem_pkcs7_certificates, True),
        (pkcs7.load_der_pkcs7_certificates, True),
    )
    for read, is_bundle in readers:
        certificates = _or_nothing(read, octets)
        if certificates:
            return certificates, is_bundle
    return (), False


def _or_nothing(
    read: Callable[[bytes], Sequence[x509.Certificate]], octets: bytes
) -> Sequence[x509.Certificate]:
    try:
        return read(octets)
    except Exception:  # noqa: BLE001  (ValueError, UnsupportedAlgorithm, InternalError and others for what is something else)
        return ()


def _is_with_key(octets: bytes) -> bool:
    try:
        return bool(pkcs12.Pfx.load(octets, strict=True)["version"].native == "v3")
    except (ValueError, TypeError):
        return False


def _is_request(octets: bytes) -> bool:
    if b"CERTIFICATE REQUEST-----" in octets:
        return True
    try:
        x509.load_der_x509_csr(octets)
    except ValueError:
        return False
    return True


def _is_list(octets: bytes) -> bool:
    if b"-----BEGIN X509 CRL-----" in octets:
        return True
    try:
        x509.load_der_x509_crl(octets)
    except ValueError:
        return False
    return True


_OTHERS: tuple[tuple[FileKind, Callable[[bytes], bool]], ...] = (
    (FileKind.WITH_KEY, _is_with_key),
    (FileKind.REQUEST, _is_request),
    (FileKind.REVOCATION_LIST, _is_list),
    (FileKind.KEY, lambda octets: b"KEY-----" in octets),
)
