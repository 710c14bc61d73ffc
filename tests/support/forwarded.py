"""Certificates in header fields, as each terminator of TLS writes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.gateway import House


def written_by(product: str, house: House, name: str) -> dict[str, str]:
    """What a terminator in that form (a value of `acnlb.presented_by`) sends for the person of that name."""
    chain = x509.load_pem_x509_certificates(
        (house.certificates.folder / "private" / f"{name}.pem").read_bytes()
    )
    return _WRITTEN[product](chain)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _base64(certificate: x509.Certificate) -> str:
    return base64.b64encode(_der(certificate)).decode()


def _envoy(chain: list[x509.Certificate]) -> dict[str, str]:
    digest, cert = hashlib.sha256(_der(chain[0])).hexdigest(), quote(_pem(chain[0]), safe="")
    return {
        "X-Forwarded-Client-Cert": (
            f'Hash={digest};Cert="{cert}";Chain="{quote("".join(map(_pem, chain)), safe="")}"'
        )
    }


_WRITTEN: dict[str, Callable[[list[x509.Certificate]], dict[str, str]]] = {
    # RFC 9440 §2.1, §2.2: the chain is without the leaf.
    "rfc9440": lambda chain: {
        "Client-Cert": f":{_base64(chain[0])}:",
        "Client-Cert-Chain": ", ".join(f":{_base64(each)}:" for each in chain[1:]),
    },
    "nginx": lambda chain: {
        "X-SSL-Client-Cert": quote(_pem(chain[0]), safe=""),
        "X-SSL-Client-Verify": "SUCCESS",
    },
    "ingress_nginx": lambda chain: {
        "ssl-client-cert": quote(_pem(chain[0]), safe=""),
        "ssl-client-verify": "SUCCESS",
    },
    # `pem: true`: without the lines around, without line ends, separated by commas.
    "traefik": lambda chain: {"X-Forwarded-Tls-Client-Cert": ",".join(map(_base64, chain))},
    "envoy": _envoy,
    # `%{SSL_CLIENT_CERT}s`: mod_headers makes spaces of line ends.
    "apache": lambda chain: {
        "X-SSL-Client-Cert": _pem(chain[0]).strip().replace("\n", " "),
        "X-SSL-Client-Verify": "SUCCESS",
    },
    "haproxy": lambda chain: {"X-SSL-Client-Cert": _base64(chain[0]), "X-SSL-Client-Verify": "0"},
}
