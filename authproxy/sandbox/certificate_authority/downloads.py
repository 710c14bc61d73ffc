"""A certificate and its key in the file formats of browsers and scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

from authproxy.sandbox.certificate_authority.certified_keys import pem
from authproxy.sandbox.certificate_authority.issuing import CertifiedKey

PEM_TYPE = "application/x-pem-file"
PASSWORD = "sandbox"  # noqa: S105  (printed on the page)


def modern(certified_key: CertifiedKey, friendly_name: str) -> bytes:
    """PKCS #12 with PBES2 (PBKDF2, AES-256-CBC) and an HMAC with SHA-256: Firefox, Chrome, Windows since
    1709, macOS since 15."""
    return _packed(certified_key, friendly_name, PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256())


def legacy(certified_key: CertifiedKey, friendly_name: str) -> bytes:
    """PKCS #12 with triple DES and SHA-1, for old systems. It needs no protection: the password is public."""
    return _packed(certified_key, friendly_name, PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1())  # noqa: S303


def leaf(certified_key: CertifiedKey, _: str) -> bytes:
    """The certificate alone, in PEM."""
    return certified_key.certificate.public_bytes(Encoding.PEM)


def _packed(
    certified_key: CertifiedKey, friendly_name: str, encryption: PBES, mac: hashes.HashAlgorithm
) -> bytes:
    protection = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(10_000)
        .key_cert_algorithm(encryption)
        .hmac_hash(mac)
        .build(PASSWORD.encode())
    )
    return serialize_key_and_certificates(
        friendly_name.encode(), certified_key.key, certified_key.certificate, certified_key.chain, protection
    )


FILES: Mapping[str, tuple[str, Callable[[CertifiedKey, str], bytes]]] = {
    ".legacy.p12": ("application/x-pkcs12", legacy),
    ".p12": ("application/x-pkcs12", modern),
    ".pem": (PEM_TYPE, lambda certified_key, _: pem(certified_key)),
    ".crt": (PEM_TYPE, leaf),
}
"""Media type and content by the end of a file's name, longer ends first."""
