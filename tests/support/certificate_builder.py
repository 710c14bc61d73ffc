"""Certificate authorities for tests: chains, lists and OCSP answers with any property that a rule looks at,
right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PERSON, SEAL = "1.3.6.1.4.1.7597.1.5.11", "1.3.6.1.4.1.7597.1.5.15"
CLIENT_AUTH, SERVER_AUTH, ANY_USAGE = (
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)
ABSENT: Any = object()
"""Leaves an extension out that would be there by default."""


@cache
def rsa_key(bits: int = 2048, name: str = "") -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str, **more: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SI"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test d.d."),
            *(x509.NameAttribute(getattr(NameOID, key.upper()), value) for key, value in more.items()),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def person(common_name: str = "Ana Novak", serial: str | None = None) -> x509.Name:
    """A multi-valued RDN, as Entrust's software makes it."""
    values = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if serial is not None:
        values.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "SI")]),
            x509.RelativeDistinguishedName(values),
        ]
    )


def usage(**on: bool) -> x509.KeyUsage:
    every = (
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
    return x509.KeyUsage(**{key: on.get(key, False) for key in every})


def policies(*oids: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    )


def key_id(key: Any) -> bytes:
    """Eight octets, as AC NLB's are (RFC 5280 §4.2.1.2, method 2)."""
    digest = x509.SubjectKeyIdentifier.from_public_key(key).digest
    return bytes([0x40 | digest[12] & 0x0F]) + digest[13:20]


def at(days: float = 0, seconds: float = 0) -> datetime:
    return NOW + timedelta(days=days, seconds=seconds)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@dataclass
class Authority:
    """A CA with its key. What it signs is right unless told otherwise."""

    certificate: x509.Certificate
    key: Any
    issued: int = 0

    @classmethod
    def root(
        cls,
        common_name: str = "Test RootCA",
        *,
        key: Any = None,
        start: datetime | None = None,
        end: datetime | None = None,
        **extensions: Any,
    ) -> Authority:
        key = key or ec_key()
        subject = name(common_name)
        stated = _authority_extensions(key, key.public_key(), pathlen=None) | extensions
        stated["aki"] = extensions.get("aki", ABSENT)
        return cls(
            _signed(subject, subject, key.public_key(), key, start or at(-900), end or at(3000), 1, stated),
            key,
        )

    def authority(
        self,
        common_name: str = "Test SubCA",
        *,
        key: Any = None,
        start: datetime | None = None,
        end: datetime | None = None,
        pathlen: int | None = 0,
        hash_algorithm: Any = None,
        **extensions: Any,
    ) -> Authority:
        key = key or ec_key()
        stated = _authority_extensions(self.key, key.public_key(), pathlen=pathlen) | extensions
        certificate = _signed(
            name(common_name),
            self.certificate.subject,
            key.public_key(),
            self.key,
            start or at(-800),
            end or at(2000),
            self._serial(),
            stated,
            hash_algorithm,
        )
        return Authority(certificate, key)

    def person(
        self,
        subject: x509.Name | None = None,
        *,
        key: Any = None,
        start: datetime | None = None,
        end: datetime | None = None,
        serial: int | None = None,
        hash_algorithm: Any = None,
        **extensions: Any,
    ) -> x509.Certificate:
        """A leaf of AC NLB's profile. Extensions by name (`usage`, `usages`, `policies`, `email`, `lists`,
        `responder`, `others`); ABSENT leaves one out."""
        stated = {
            "aki": x509.AuthorityKeyIdentifier(key_id(self.certificate.public_key()), None, None),
            "usage": usage(digital_signature=True, content_commitment=True, key_encipherment=True),
            "policies": policies(PERSON),
            "email": x509.SubjectAlternativeName([x509.RFC822Name("ana.novak@example.si")]),
        } | extensions
        public = (key or ec_key()).public_key()
        return _signed(
            person() if subject is None else subject,
            self.certificate.subject,
            public,
            self.key,
            start or at(-30),
            end or at(300),
            serial or self._serial(),
            stated,
            hash_algorithm,
        )

    def responder(
        self, *, nocheck: bool = True, usages: Any = (ExtendedKeyUsageOID.OCSP_SIGNING,), **more: Any
    ) -> Authority:
        """A delegated OCSP responder."""
        key = ec_key()
        others = [(x509.OCSPNoCheck(), False)] if nocheck else []
        certificate = self.person(
            name("Test OCSP"),
            key=key,
            usage=usage(digital_signature=True),
            policies=ABSENT,
            email=ABSENT,
            usages=x509.ExtendedKeyUsage(usages) if usages else ABSENT,
            others=others,
            **more,
        )
        return Authority(certificate, key)

    def crl(
        self,
        *revoked: x509.Certificate,
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        number: int = 1,
        point: x509.IssuingDistributionPoint | None = None,
        reason: x509.ReasonFlags | None = None,
        key: Any = None,
        issuer: x509.Name | None = None,
        others: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        entry_others: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        hash_algorithm: Any = None,
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer or self.certificate.subject)
            .last_update(this_update or at(seconds=-60))
            .next_update(next_update or at(1))
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        if point is not None:
            builder = builder.add_extension(point, critical=True)
        for extension, critical in others:
            builder = builder.add_extension(extension, critical=critical)
        for certificate in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(at(-2))
            )
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            for extension, critical in entry_others:
                entry = entry.add_extension(extension, critical=critical)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key or self.key, hash_algorithm or hashes.SHA256())

    def answer(
        self,
        certificate: x509.Certificate,
        *,
        issuer: Authority | None = None,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        this_update: datetime | None = None,
        next_update: datetime | None = ABSENT,
        nonce: bytes | None = None,
        by_name: bool = False,
        enclosed: tuple[x509.Certificate, ...] = (),
        key: Any = None,
        hash_algorithm: Any = None,
        id_hash: Any = None,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    ) -> bytes:
        """An OCSP answer that this CA (or responder, then with `issuer`) has signed."""
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=(issuer or self).certificate,
                algorithm=id_hash or hashes.SHA1(),
                cert_status=status,
                this_update=this_update or at(seconds=-10),
                next_update=at(0.1) if next_update is ABSENT else next_update,
                revocation_time=at(-1) if is_revoked else None,
                revocation_reason=reason if is_revoked else None,
            )
            .responder_id(
                ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH,
                self.certificate,
            )
        )
        if issuer is not None or enclosed:
            builder = builder.certificates([*(enclosed or [self.certificate])])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(key or self.key, hash_algorithm or hashes.SHA256()).public_bytes(Encoding.DER)

    def _serial(self) -> int:
        """Four octets, four of nought, four of time: the shape of Entrust's numbers."""
        self.issued += 1
        return (0xEE61ADE0 + self.issued) << 64 | int(NOW.timestamp()) + self.issued


def signed_with_sha1(octets: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """The certificate, list or answer once more, as CAs signed twenty years ago. `cryptography` does not make
    such things any more."""
    algorithm, old = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    outer = asn1.Certificate.load(octets.replace(algorithm, old))
    signed = outer["tbs_certificate"].dump()
    return octets.replace(algorithm, old).replace(
        outer["signature_value"].native, key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    )


def lists_at(*urls: str, directory: x509.Name | None = None) -> x509.CRLDistributionPoints:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(url) for url in urls]
    if directory is not None:
        names.insert(0, x509.DirectoryName(directory))
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])


def responder_at(url: str) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))]
    )


def partition(*names: x509.GeneralName, **more: bool) -> x509.IssuingDistributionPoint:
    stated = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    } | more
    return x509.IssuingDistributionPoint(full_name=list(names) or None, relative_name=None, **stated)


_CRITICAL = {"usage", "constraints", "names"}
_ORDER = ("aki", "ski", "constraints", "usage", "usages", "policies", "email", "names", "lists", "responder")


def _authority_extensions(signer: Any, public: Any, *, pathlen: int | None) -> dict[str, Any]:
    return {
        "aki": x509.AuthorityKeyIdentifier(key_id(signer.public_key()), None, None),
        "ski": x509.SubjectKeyIdentifier(key_id(public)),
        "constraints": x509.BasicConstraints(ca=True, path_length=pathlen),
        "usage": usage(key_cert_sign=True, crl_sign=True),
        "policies": policies("2.5.29.32.0"),
    }


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: Any,
    key: Any,
    start: datetime,
    end: datetime,
    serial: int,
    stated: dict[str, Any],
    hash_algorithm: Any = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for kind in _ORDER:
        if stated.get(kind, ABSENT) is not ABSENT:
            builder = builder.add_extension(stated[kind], critical=kind in _CRITICAL)
    for extension, critical in stated.get("others", ()):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hash_algorithm or hashes.SHA256())
