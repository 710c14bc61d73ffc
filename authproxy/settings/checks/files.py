"""Checks of the files that settings name: they exist, can be read and are of the right kind, and nobody else
can read private keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from authproxy.settings import own_certificates
from authproxy.settings.checks import logos
from authproxy.settings.checks.logos import UnfitLogo
from authproxy.settings.findings import KeyPath, Remark, Severity
from authproxy.settings.machine import Machine
from authproxy.settings.schema import AssertionSettings, PageSettings, StoreSettings
from authproxy.settings.settings_file import octets_of
from authproxy.settings.sms import SmsGatewaySettings
from authproxy.settings.validation import Sections

_WOFF2 = b"wOF2"
_LARGEST_FONT = 64 * 1024
_LARGEST = 4 * 1024 * 1024
_HOW = {
    "ES256": "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`",
    "EdDSA": "`openssl genpkey -algorithm ED25519`",
    "RS256": "`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`",
}


class _Unusable(ValueError):  # noqa: N818
    """The file cannot be used; the message says why."""


def remarks(sections: Sections, machine: Machine) -> Iterator[Remark]:
    """Remarks about every file, each at its key."""
    yield from _own_certificates(sections, machine)
    if sections.store:
        yield from _store(sections.store)
    if sections.rekono:
        yield from _authorities(("rekono", "ca_file"), sections.rekono.ca_file)
        if sections.rekono.client_key_file and sections.rekono.client_authentication == "private_key_jwt":
            yield from _key(("rekono", "client_key_file"), sections.rekono.client_key_file)
    if sections.machines:
        yield from _authorities(("machines", "ca_file"), sections.machines.ca_file)
    if sections.assertions:
        yield from _ring(sections.assertions)
    for portal_id, portal in sections.portals.items():
        path = ("portals", portal_id, "upstream_tls")
        yield from _authorities((*path, "ca_file"), portal.upstream_tls.ca_file)
        if portal.upstream_tls.certificate_file and portal.upstream_tls.key_file:
            yield from _pair(path, portal.upstream_tls.certificate_file, portal.upstream_tls.key_file)
        yield from _logo(("portals", portal_id, "logo_file"), portal.logo_file)
        yield from _look(("portals", portal_id, "pages"), portal.pages)
    if sections.pages:
        yield from _look(("pages",), sections.pages)
    for name, gateway in (
        sections.step_up.sms.gateways.items() if sections.step_up and sections.step_up.sms else ()
    ):
        yield from _sms_gateway(("step_up", "sms", "gateways", name), gateway)
    if sections.telemetry and sections.telemetry.audit_file:
        yield from _appendable(("telemetry", "audit_file"), Path(sections.telemetry.audit_file))


def _store(store: StoreSettings) -> Iterator[Remark]:
    yield from _authorities(("store", "ca_file"), store.ca_file)
    if store.client_cert_file and store.client_key_file:
        yield from _pair(
            ("store",),
            store.client_cert_file,
            store.client_key_file,
            names=("client_cert_file", "client_key_file"),
        )


def _own_certificates(sections: Sections, machine: Machine) -> Iterator[Remark]:
    for name, tls, hosts in own_certificates.shown(sections.server, sections.acnlb, sections.portals):
        faults = list(_pair((name, "tls"), tls.certificate_file, tls.key_file))
        yield from faults
        if not any(fault.severity == "error" and fault.path[-1] == "certificate_file" for fault in faults):
            chain = x509.load_pem_x509_certificates(_octets(tls.certificate_file))
            for trouble in own_certificates.troubles(chain, hosts, now=machine.now):
                yield Remark(
                    path=(name, "tls", "certificate_file"),
                    problem=trouble,
                    read=tls.certificate_file,
                    severity="warning",
                )


def _sms_gateway(path: KeyPath, gateway: SmsGatewaySettings) -> Iterator[Remark]:
    if gateway.http is not None:
        yield from _authorities((*path, "http", "ca_file"), gateway.http.ca_file)
        if gateway.http.certificate_file and gateway.http.key_file:
            yield from _pair((*path, "http"), gateway.http.certificate_file, gateway.http.key_file)
    if gateway.smpp is not None:
        yield from _authorities((*path, "smpp", "ca_file"), gateway.smpp.ca_file)


def _ring(ring: AssertionSettings) -> Iterator[Remark]:
    yield from _key(("assertions", "current_key_file"), ring.current_key_file, algorithm=ring.algorithm)
    for name, file in (("next_key_file", ring.next_key_file), ("retiring_key_file", ring.retiring_key_file)):
        # The files may be missing: `authproxy keys rotate` writes them.
        if file and Path(file).exists():
            yield from _key(("assertions", name), file, algorithm="any")


def _look(path: KeyPath, look: PageSettings) -> Iterator[Remark]:
    yield from _logo((*path, "logo_file"), look.logo_file)
    if look.font_file is None:
        return
    try:
        octets = _octets(look.font_file)
    except _Unusable as error:
        yield Remark(path=(*path, "font_file"), problem=str(error), read=look.font_file)
        return
    if not octets.startswith(_WOFF2) or len(octets) > _LARGEST_FONT:
        problem = (
            f"has {len(octets)} bytes" if octets.startswith(_WOFF2) else "is no font in the format WOFF2"
        )
        yield Remark(
            path=(*path, "font_file"),
            problem=problem,
            read=look.font_file,
            valid="a WOFF2 file of at most 64 KiB",
        )


def _logo(path: KeyPath, file: str | None) -> Iterator[Remark]:
    if file is None:
        return
    try:
        logos.check(_octets(file))
    except (_Unusable, UnfitLogo) as error:
        yield Remark(path=path, problem=str(error), read=file, valid="an SVG or PNG file of at most 16 KiB")


def _pair(
    path: KeyPath,
    certificate_file: str,
    key_file: str,
    *,
    names: tuple[str, str] = ("certificate_file", "key_file"),
) -> Iterator[Remark]:
    certificate_name, key_name = names
    certificates = list(_authorities((*path, certificate_name), certificate_file))
    key_faults = list(_key((*path, key_name), key_file))
    yield from certificates
    yield from key_faults
    if not certificates and not any(fault.severity == "error" for fault in key_faults):
        leaf = x509.load_pem_x509_certificates(Path(certificate_file).read_bytes())[0]
        if leaf.public_key() != _private_key(key_file).public_key():
            yield Remark(
                path=(*path, key_name), problem="is not the key of the (first) certificate", read=key_file
            )


def _authorities(path: KeyPath, file: str | None) -> Iterator[Remark]:
    if file is None:
        return
    try:
        x509.load_pem_x509_certificates(_octets(file))
    except _Unusable as error:
        yield Remark(path=path, problem=str(error), read=file)
    except ValueError:
        yield Remark(path=path, problem="holds no certificate in PEM form", read=file)


def _key(path: KeyPath, file: str, *, algorithm: str = "") -> Iterator[Remark]:
    """`algorithm` is the one of assertions, `any` for any of these, or empty for a key of another use."""
    try:
        key = _private_key(file)
    except _Unusable as error:
        yield Remark(
            path=path,
            problem=str(error),
            read=file,
            valid=f"make one with {_HOW[algorithm]}" if algorithm in _HOW else "",
        )
        return
    if algorithm:
        actual = _algorithm(key)
        if actual is None or algorithm not in {"any", actual}:
            wanted = f"for `{algorithm}`" if algorithm != "any" else "that can sign assertions"
            how = _HOW.get(algorithm, "P-256, Ed25519, or RSA with 3072 bits or more")
            yield Remark(path=path, problem=f"is no key {wanted}", read=file, valid=how)
    elif isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        yield Remark(
            path=path,
            problem=f"is an RSA key of only {key.key_size} bits",
            read=file,
            valid="2048 bits or more",
        )
    mode = Path(file).stat().st_mode & 0o777
    if mode & 0o077:
        whom = "every user" if mode & 0o007 else "a group"
        # Container platforms give secrets to a group, so a group that may read is a warning only.
        severity: Severity = "error" if mode & 0o037 else "warning"
        yield Remark(
            path=path,
            problem=f"is open to {whom} (mode {mode:03o})",
            read=file,
            valid=f"`chmod 0600 {file}`",
            severity=severity,
        )


def _private_key(file: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_octets(file), password=None)
    except TypeError:
        raise _Unusable("is encrypted: the gateway has no password to ask for") from None
    except UnsupportedAlgorithm:
        raise _Unusable("holds a key of a kind that is not supported") from None
    except _Unusable:
        raise
    except ValueError:
        raise _Unusable("holds no private key in PEM form") from None


def _algorithm(key: PrivateKeyTypes) -> str | None:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 3072:
        return "RS256"
    return None


def _octets(file: str) -> bytes:
    try:
        return octets_of(Path(file), _LARGEST)
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}") from None


def _appendable(path: KeyPath, file: Path) -> Iterator[Remark]:
    if not file.parent.is_dir():
        yield Remark(path=path, problem="is in a directory that does not exist", read=str(file))
    elif not os.access(file if file.exists() else file.parent, os.W_OK) or file.is_dir():
        yield Remark(path=path, problem="cannot be written", read=str(file))
