"""PURE: certificates with the names, extensions, key identifiers and serial numbers of AC NLB's, as far as
these are known.

Keys, random bytes and times are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from authproxy.sandbox.certificate_authority import names, statements
from authproxy.sandbox.certificate_authority.orders import Order

_A_YEAR = timedelta(days=365.25)
# As at AC NLB at the end of 2026: the CAs are nine years old; people's certificates were issued until 2023
# and are valid for five years.
_CA_AGE, _ROOT_LIFE, _SUB_LIFE = timedelta(days=3450), 20 * _A_YEAR, 18 * _A_YEAR + timedelta(days=304)
_AGE, _LIFE = (
    {"now": timedelta(days=1277), "past": timedelta(days=1900), "future": timedelta(days=-400)},
    5 * _A_YEAR,
)
_SHA256_WITH_RSA, _SHA1_WITH_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedKey:
    """A private key, its certificate, and the certificates between it and the root, the issuer first."""

    certificate: x509.Certificate
    key: RSAPrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAddresses:
    """The addresses in certificates."""

    base: str

    @property
    def ocsp(self) -> str:
        return f"{self.base}/ocsp"

    def certificate(self, of: str) -> str:
        return f"{self.base}/ca/{of}.cer"

    def crl(self, of: str, partition: int) -> str:
        return f"{self.base}/crl/{of}-{partition}.crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The time at which a certificate is made, and four random bytes for its serial number."""

    now: datetime
    random: bytes

    def serial(self, not_before: datetime) -> int:
        """A serial number as Entrust's software makes it: four random bytes, four zero bytes, the Unix
        time."""
        return int.from_bytes(self.random + bytes(4) + int(not_before.timestamp()).to_bytes(4, "big"), "big")


def root(key: RSAPrivateKey, stamp: Stamp) -> CertifiedKey:
    name = names.authority(names.ROOT)
    builder = _begun(name, name, key.public_key(), stamp, age=_CA_AGE, life=_ROOT_LIFE)
    return CertifiedKey(
        certificate=_signed(_authority(builder, path_length=None), key.public_key(), key), key=key
    )


def sub(key: RSAPrivateKey, by: CertifiedKey, stamp: Stamp, addresses: CertificateAddresses) -> CertifiedKey:
    """The issuing CA."""
    name, issuer = names.authority(names.SUB), by.certificate.subject
    builder = _begun(name, issuer, key.public_key(), stamp, age=_CA_AGE, life=_SUB_LIFE)
    any_policy = x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), [f"{addresses.base}/"])
    builder = _authority(builder, path_length=0).add_extension(
        x509.CertificatePolicies([any_policy]), critical=False
    )
    builder = _whose_status_is_told(builder, addresses, of="root", common_name=names.ROOT, partition=1)
    return CertifiedKey(
        certificate=_signed(builder, key.public_key(), by.key), key=key, chain=(by.certificate,)
    )


def responder(key: RSAPrivateKey, by: CertifiedKey, stamp: Stamp) -> CertifiedKey:
    """The certificate that signs OCSP answers for the CA `by`. Nobody needs to ask for its own status
    (id-pkix-ocsp-nocheck)."""
    issuer = by.certificate.subject
    common_name = str(issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    name = names.authority(common_name, "OCSP")
    builder = _begun(name, issuer, key.public_key(), stamp, age=_AGE["now"], life=_LIFE)
    builder = builder.add_extension(_key_usage(["digital_signature"]), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
    builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return CertifiedKey(
        certificate=_signed(builder, key.public_key(), by.key), key=key, chain=(by.certificate, *by.chain)
    )


def personal(
    order: Order, key: RSAPrivateKey, by: CertifiedKey, stamp: Stamp, addresses: CertificateAddresses
) -> CertifiedKey:
    """The certificate of an order, issued by `by`."""
    name = names.subject(
        common_name=order.common_name,
        serial_number=order.serial_number,
        given_name=order.given_name,
        family_name=order.family_name,
        organization=order.organization,
        kind=order.names_in,
        is_multi_valued=order.is_multi_valued,
    )
    builder = _begun(name, by.certificate.subject, key.public_key(), stamp, age=_AGE[order.valid], life=_LIFE)
    builder = builder.add_extension(_key_usage(order.usages), critical=True)
    if order.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(order.purposes), critical=False)
    if order.email:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.RFC822Name(order.email)]), critical=False
        )
    builder = builder.add_extension(_policies(order, addresses), critical=False)
    builder = builder.add_extension(
        statements.qualified(is_seal=order.is_seal, disclosure=f"{addresses.base}/"), critical=False
    )
    builder = _whose_status_is_told(
        builder, addresses, of="sub", common_name=names.SUB, partition=order.partition
    )
    certificate = _signed(builder, key.public_key(), by.key)
    return CertifiedKey(
        certificate=_with_sha1(certificate, by.key) if order.is_sha1 else certificate,
        key=key,
        chain=(by.certificate, *by.chain),
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: RSAPublicKey, stamp: Stamp, *, age: timedelta, life: timedelta
) -> x509.CertificateBuilder:
    not_before = stamp.now - age
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(stamp.serial(not_before))
        .not_valid_before(not_before)
        .not_valid_after(not_before + life)
    )


def _signed(
    builder: x509.CertificateBuilder, key: RSAPublicKey, issuer_key: RSAPrivateKey
) -> x509.Certificate:
    return (
        builder.add_extension(
            x509.AuthorityKeyIdentifier(key_identifier(issuer_key.public_key()), None, None), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(key)), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def key_identifier(key: RSAPublicKey) -> bytes:
    """RFC 5280 §4.2.1.2, method 2: the bits 0100, then the last 60 bits of the key's SHA-1."""
    last = hashlib.sha1(key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).digest()[-8:]  # noqa: S324  (a name, not a protection)
    return bytes([0x40 | last[0] & 0x0F]) + last[1:]


def _authority(builder: x509.CertificateBuilder, *, path_length: int | None) -> x509.CertificateBuilder:
    return builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    ).add_extension(_key_usage(["key_cert_sign", "crl_sign"]), critical=True)


def _whose_status_is_told(
    builder: x509.CertificateBuilder,
    addresses: CertificateAddresses,
    *,
    of: str,
    common_name: str,
    partition: int,
) -> x509.CertificateBuilder:
    """Adds the addresses at which the CA `of` publishes the certificate's status."""
    access = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier(addresses.certificate(of)),
        ),
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(addresses.ocsp)
        ),
    ]
    full, directory = distribution_point(addresses, of=of, common_name=common_name, partition=partition)
    ldap = x509.UniformResourceIdentifier(
        f"ldap://localhost/cn={common_name.replace(' ', '%20')}"
        ",organizationIdentifier=VATSI-91132550,o=NLB%20d.d.,c=SI"
        "?certificateRevocationList"
    )
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint([full, ldap], None, None, None),
            x509.DistributionPoint([directory], None, None, None),
        ]
    )
    return builder.add_extension(x509.AuthorityInformationAccess(access), critical=False).add_extension(
        points, critical=False
    )


def distribution_point(
    addresses: CertificateAddresses, *, of: str, common_name: str, partition: int
) -> tuple[x509.UniformResourceIdentifier, x509.DirectoryName]:
    """The two names of one CRL. They stand in the certificates that it covers and in the CRL."""
    address = x509.UniformResourceIdentifier(addresses.crl(of, partition))
    return address, x509.DirectoryName(names.partition(common_name, partition))


def _policies(order: Order, addresses: CertificateAddresses) -> x509.CertificatePolicies:
    european = "0.4.0.194112.1.1" if order.is_seal else "0.4.0.194112.1.0"
    return x509.CertificatePolicies(
        [
            x509.PolicyInformation(
                x509.ObjectIdentifier(f"1.3.6.1.4.1.7597.1.5.{order.policy}"), [f"{addresses.base}/"]
            ),
            x509.PolicyInformation(x509.ObjectIdentifier(european), None),
        ]
    )


def _key_usage(wanted: Iterable[str]) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    allowed = set(wanted)
    return x509.KeyUsage(**{usage: usage in allowed for usage in known})


def _with_sha1(certificate: x509.Certificate, issuer_key: RSAPrivateKey) -> x509.Certificate:
    """The certificate signed with SHA-1, as in 2010. The library no longer does this, so the signature is
    replaced by one of the same length."""
    to_sign = certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    unsigned = certificate.public_bytes(Encoding.DER)[: -len(certificate.signature)].replace(
        _SHA256_WITH_RSA, _SHA1_WITH_RSA
    )
    return x509.load_der_x509_certificate(unsigned + issuer_key.sign(to_sign, PKCS1v15(), hashes.SHA1()))  # noqa: S303  (meant to be weak)
