"""What certificate sign-in needs beside the authority: a TLS certificate for localhost, and people in the
register."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authproxy.identity.member import EVERY_PORTAL, CertificateName, PortalRole
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.sandbox import private_files
from authproxy.sandbox.accounts import ProviderAccount

ENROLLED = ("ana.novak", "cvetka.zupan")
"""The people whose certificates are in the register. The other certificates show what a refusal looks
like."""
ROLES = {"ana.novak": (PortalRole("bws", "skrbnik"),)}
HOST_CERTIFICATE, HOST_KEY = "certificate-host.pem", "certificate-host.key"
_LIVES_FOR = timedelta(days=397)  # the longest lifetime that browsers accept


def host_certificate(folder: Path, *, now: datetime) -> None:
    """Makes `certificate-host.pem` and its key in the folder, if they are missing or expire soon. The
    certificate is self-signed, so browsers show a warning once."""
    file, key_file = folder / HOST_CERTIFICATE, folder / HOST_KEY
    if file.exists() and x509.load_pem_x509_certificate(
        file.read_bytes()
    ).not_valid_after_utc > now + timedelta(days=7):
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    alternatives: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIVES_FOR - timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file.unlink(missing_ok=True)
    private_files.create(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.write_bytes(certificate.public_bytes(Encoding.PEM))


def enrolled(accounts: Iterable[ProviderAccount], authority: Path) -> list[ListedPerson]:
    """The people with a certificate in the register, as a bank would list them. `authority` is the
    authority's folder."""
    return [
        _listed(account, authority) for account in accounts if account.email.partition("@")[0] in ENROLLED
    ]


def certificate_of(name: str, authority: Path) -> x509.Certificate:
    """The certificate of one of the people who have one."""
    return x509.load_pem_x509_certificates((authority / "private" / f"{name}.pem").read_bytes())[0]


def _listed(account: ProviderAccount, authority: Path) -> ListedPerson:
    name = account.email.partition("@")[0]
    certificate = certificate_of(name, authority)
    return ListedPerson(
        member_id=MemberId(name),
        name=account.name or name,
        email=account.email,
        phone=account.phone,
        portals=(EVERY_PORTAL,),
        roles=ROLES.get(name, ()),
        tax_number=None if account.tax_number is None else TaxNumber(account.tax_number),
        certificates=(CertificateName(fingerprint=certificate.fingerprint(hashes.SHA256()).hex()),),
    )
