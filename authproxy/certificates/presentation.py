"""PURE: reads the client certificate that a trusted TLS terminator forwards: as RFC 9440, or in the form of
nginx, ingress-nginx, Traefik, Envoy, Apache or HAProxy that the settings name. A header that can be read in
two ways is refused.

Whether the peer is trusted is decided before; whether the certificate is valid is decided afterwards.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from cryptography import x509

from authproxy.access.decision import Reason
from authproxy.certificates.verdict import CertificateRefused

MAX_CERTIFICATES = 5
MAX_CERTIFICATE_BYTES = 8 * 1024
MAX_HEADER_CHARACTERS = 16 * 1024

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+?)\s?-----END CERTIFICATE-----\s*", re.ASCII
)
_ENVOY_PAIR = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))', re.ASCII)
_NOTHING = frozenset({"", "(null)", "-"})
"""What Apache and nginx write if there is no value."""


class TerminatorForm(StrEnum):
    """The TLS terminator, which determines the form of the header."""

    RFC9440 = "rfc9440"
    NGINX = "nginx"
    INGRESS_NGINX = "ingress_nginx"
    TRAEFIK = "traefik"
    ENVOY = "envoy"
    APACHE = "apache"
    HAPROXY = "haproxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What was shown in the handshake: DER that can be parsed; nothing more has been checked. `chain` is
    without the leaf."""

    leaf: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminator:
    """The form in which certificates arrive. The names are those configured at the terminator. A verify
    header that is named must be present."""

    form: TerminatorForm
    certificate_header: str
    chain_header: str | None = None
    verify_header: str | None = None


class _Unreadable(ValueError):  # noqa: N818
    """Becomes a refusal within this module. The message quotes nothing of the header."""


def terminator(form: TerminatorForm) -> Terminator:
    """The terminator with the header names of its own documentation, or with ours if that names none."""
    certificate, chain, verify = _NAMES[form]
    return Terminator(form=form, certificate_header=certificate, chain_header=chain, verify_header=verify)


_NAMES: dict[TerminatorForm, tuple[str, str | None, str | None]] = {
    TerminatorForm.RFC9440: ("Client-Cert", "Client-Cert-Chain", None),
    TerminatorForm.NGINX: ("X-SSL-Client-Cert", None, "X-SSL-Client-Verify"),
    TerminatorForm.INGRESS_NGINX: ("ssl-client-cert", None, "ssl-client-verify"),
    TerminatorForm.TRAEFIK: ("X-Forwarded-Tls-Client-Cert", None, None),
    TerminatorForm.ENVOY: ("x-forwarded-client-cert", None, None),
    TerminatorForm.APACHE: ("X-SSL-Client-Cert", None, "X-SSL-Client-Verify"),
    TerminatorForm.HAPROXY: ("X-SSL-Client-Cert", None, "X-SSL-Client-Verify"),
}


def from_headers(headers: Iterable[tuple[str, str]], by: Terminator) -> Presented | CertificateRefused:
    """The certificate in the header fields of a request. It is refused as missing if none was shown, as
    untrusted if the terminator did not verify it, and as unreadable otherwise."""
    fields = list(headers)
    try:
        return _read(fields, by)
    except _Unreadable as unreadable:
        return _unreadable(str(unreadable))


def _read(fields: list[tuple[str, str]], by: Terminator) -> Presented | CertificateRefused:
    certificate = _only(fields, by.certificate_header)
    chain = _joined(fields, by.chain_header) if by.chain_header else None
    if by.verify_header and (refused := _verdict(_only(fields, by.verify_header), by.form)):
        return refused
    if certificate is None or certificate.strip() in _NOTHING:
        if chain:
            raise _Unreadable("a chain without a certificate")
        return _missing()
    return presented(*_READERS[by.form](certificate), *(_list(chain) if chain else ()))


def presented(*certificates: bytes) -> Presented | CertificateRefused:
    """Accepts the certificates of a handshake or a header, the leaf first, if they are few, small and can be
    parsed."""
    if not certificates:
        return _missing()
    if len(certificates) > MAX_CERTIFICATES:
        return _unreadable(f"more than {MAX_CERTIFICATES} certificates")
    if max(map(len, certificates)) > MAX_CERTIFICATE_BYTES:
        return _unreadable(f"a certificate of more than {MAX_CERTIFICATE_BYTES} bytes")
    for der in certificates:
        try:
            x509.load_der_x509_certificate(der)
        except Exception:  # noqa: BLE001  (ValueError mostly, UnsupportedAlgorithm and others for what is crafted)
            return _unreadable("not an X.509 certificate in DER")
    return Presented(leaf=certificates[0], chain=tuple(certificates[1:]))


def _missing() -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_MISSING, detail="no certificate was shown")


def _unreadable(problem: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_UNREADABLE, detail=problem)


def _only(fields: list[tuple[str, str]], name: str) -> str | None:
    """The value of the only field of that name."""
    values = _values(fields, name)
    if len(values) > 1:
        raise _Unreadable(f"{name} occurs twice, or under another spelling")
    return _bounded(values[0], name) if values else None


def _joined(fields: list[tuple[str, str]], name: str) -> str | None:
    """The list in all fields of that name (RFC 8941 §4.2: several lines are one list, joined by commas)."""
    values = _values(fields, name)
    return _bounded(", ".join(values), name) if values else None


def _values(fields: list[tuple[str, str]], name: str) -> list[str]:
    """The values of the fields of that name. A spelling that other software takes for the same name is
    refused: a terminator that sets `X-SSL-Client-Cert` does not remove a client's `X_SSL_Client_Cert`."""
    same_name = [(spelled, value) for spelled, value in fields if _folded(spelled) == _folded(name)]
    if any(spelled.lower() != name.lower() for spelled, _ in same_name):
        raise _Unreadable(f"{name} occurs twice, or under another spelling")
    return [value for _, value in same_name]


def _bounded(value: str, name: str) -> str:
    if len(value) > MAX_HEADER_CHARACTERS:
        raise _Unreadable(f"{name} is longer than {MAX_HEADER_CHARACTERS} characters")
    return value


def _folded(name: str) -> str:
    return re.sub(r"[_.]", "-", name).lower()


def _verdict(verify: str | None, form: TerminatorForm) -> CertificateRefused | None:
    success = "0" if form is TerminatorForm.HAPROXY else "SUCCESS"
    if verify == success:
        return None
    if verify == "NONE":
        return _missing()
    if verify is None:
        raise _Unreadable("the terminator's verdict is missing")
    return CertificateRefused(
        reason=Reason.CERTIFICATE_UNTRUSTED,
        detail="the terminator's own verdict on the certificate is not a success",
    )


def _item(value: str) -> list[bytes]:
    """RFC 9440 §2.1: the field is an item, a byte sequence of RFC 8941 §3.3.5. It defines no parameters, and
    they are refused here."""
    text = value.strip(" ")
    if len(text) < 2 or text[0] != ":" or text[-1] != ":":
        raise _Unreadable("not a byte sequence of RFC 8941")
    return [_base64(text[1:-1])]


def _list(value: str) -> list[bytes]:
    """RFC 9440 §2.2: a list of byte sequences."""
    return [_item(member.strip(" \t"))[0] for member in value.split(",")]


def _escaped_pem(value: str) -> list[bytes]:
    """nginx, `$ssl_client_escaped_cert`: one PEM block, percent-encoded. A `+` is a plus sign."""
    return [_pem(_unescaped(value))]


def _spaced_pem(value: str) -> list[bytes]:
    """Apache, `SSL_CLIENT_CERT`: one PEM block with spaces instead of line ends."""
    return [_pem(value)]


def _bare_base64(value: str) -> list[bytes]:
    return [_base64(value.strip(" "))]


def _traefik(value: str) -> list[bytes]:
    """Traefik: PEM without its first and last line and without line ends. Commas separate certificates.
    Versions before 3 percent-encode the value."""
    return [_base64(part) for part in _unescaped(value).split(",")]


def _envoy(value: str) -> list[bytes]:
    """Envoy: one element of `x-forwarded-client-cert`. `Cert` is the leaf, `Chain` the leaf and what follows
    it, `Hash` must be that of the leaf.

    Two elements mean that Envoy appended to a client's header. It must be configured with `SANITIZE_SET`.
    """
    pairs = _envoy_pairs(value)
    chain = [_pem(block) for block in _blocks(_unescaped(pairs["chain"]))] if pairs.get("chain") else []
    leaf = _pem(_unescaped(pairs["cert"])) if pairs.get("cert") else None
    if leaf is None and not chain:
        raise _Unreadable("Envoy forwards no certificate, only words about it")
    if leaf is not None and chain and leaf != chain[0]:
        raise _Unreadable("Cert and Chain begin with different certificates")
    certificates = chain or [leaf or b""]
    if (
        pairs.get("hash", hashlib.sha256(certificates[0]).hexdigest()).lower()
        != hashlib.sha256(certificates[0]).hexdigest()
    ):
        raise _Unreadable("Hash belongs to another certificate")
    return certificates


def _envoy_pairs(value: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    position = 0
    while position < len(value):
        match = _ENVOY_PAIR.match(value, position)
        if match is None:
            raise _Unreadable("not one element of x-forwarded-client-cert")
        name = match[1].lower()
        if name in pairs and name in {"cert", "chain", "hash"}:
            raise _Unreadable("x-forwarded-client-cert states a certificate twice")
        pairs[name] = match[2] if match[2] is not None else match[3]
        position = match.end()
        if position < len(value):
            if value[position] != ";":
                raise _Unreadable("more than one element of x-forwarded-client-cert")
            position += 1
    return pairs


def _blocks(pem: str) -> list[str]:
    parts = re.split(r"(?<=-----END CERTIFICATE-----)", pem)
    return [part for part in parts if part.strip()]


def _unescaped(value: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", value):
        raise _Unreadable("a percent sign that escapes nothing")
    if not value.isascii():
        # Bytes that are not UTF-8 arrive as lone surrogates, which cannot be encoded again.
        raise _Unreadable("characters outside of ASCII")
    try:
        return unquote_to_bytes(value).decode("ascii")
    except UnicodeDecodeError:
        raise _Unreadable("escaped characters outside of ASCII") from None


def _pem(text: str) -> bytes:
    match = _PEM.fullmatch(text)
    if match is None:
        raise _Unreadable("not exactly one certificate in PEM")
    return _base64(re.sub(r"\s", "", match[1]))


def _base64(text: str) -> bytes:
    if not _BASE64.fullmatch(text):
        raise _Unreadable("not base64")
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _Unreadable("not base64") from None
    if base64.b64encode(octets).decode("ascii") != text:
        raise _Unreadable("base64 with bits left over")
    return octets


_READERS: dict[TerminatorForm, Callable[[str], list[bytes]]] = {
    TerminatorForm.RFC9440: _item,
    TerminatorForm.NGINX: _escaped_pem,
    TerminatorForm.INGRESS_NGINX: _escaped_pem,
    TerminatorForm.TRAEFIK: _traefik,
    TerminatorForm.ENVOY: _envoy,
    TerminatorForm.APACHE: _spaced_pem,
    TerminatorForm.HAPROXY: _bare_base64,
}
