"""Certificates that servers show: for which hosts, from when to when, issued by whom."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from tests.support.machine import NOW


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def host_certificate(
    *hosts: str,
    key: Any = None,
    name: str = "gateway",
    issuer: tuple[str, Any] | None = None,
    begins: datetime = NOW - timedelta(days=30),
    ends: datetime = NOW + timedelta(days=335),
    says_where_its_issuer_is: bool = False,
) -> x509.Certificate:
    """`issuer` is a name and a key; without one the certificate is its own issuer."""
    key = key or new_key()
    above, signing = issuer or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(above))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if hosts:
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if says_where_its_issuer_is:
        where = x509.UniformResourceIdentifier("http://ca.example.si/sub.cer")
        access = [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)]
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    return builder.sign(signing, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
