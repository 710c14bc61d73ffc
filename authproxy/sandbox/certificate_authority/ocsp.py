"""PURE: an OCSP responder (RFC 6960, nonces by RFC 9654) that turns the bytes of a question into the bytes of
an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from authproxy.sandbox.certificate_authority.crl import Revocation
from authproxy.sandbox.certificate_authority.issuing import CertifiedKey

_LONGEST_NONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Answers for the CA `issuer`; `signer` signs. `of` gives the status of a serial number, and None if it
    was never issued."""

    issuer: x509.Certificate
    signer: CertifiedKey
    of: Callable[[int], Status | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    revoked: Revocation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How to answer. The defaults are the correct behaviour; other values are faults."""

    this_update: datetime
    next_update: datetime
    signer: CertifiedKey | None = None
    """Signs instead of the responder's signer."""
    is_always_unknown: bool = False
    serial_offset: int = 0
    """Added to the serial number in the question."""
    nonce: Callable[[bytes], bytes | None] = lambda asked: asked
    """The answer's nonce for the question's; None: the answer has no nonce."""


def answer(question: bytes, responders: Iterable[Responder], behaviour: Behaviour) -> bytes:
    """A signed answer about one certificate: good, revoked, or unknown if it was never issued.

    Unsigned answers: `malformed` for an unreadable question or several certificates, `unauthorized` for other
    issuers.
    """
    try:
        request = ocsp.load_der_ocsp_request(question)
        asked = _nonce(request)
        fits = [responder for responder in responders if _is_about(request, responder.issuer)]
    except (ValueError, NotImplementedError, KeyError):
        return unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if not fits:
        return unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    responder = fits[0]
    status = None if behaviour.is_always_unknown else responder.of(request.serial_number)
    nonce = behaviour.nonce(asked) if asked is not None else None
    return _signed(request, status, behaviour, behaviour.signer or responder.signer, nonce)


def unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    """An answer without a signature."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def _nonce(request: ocsp.OCSPRequest) -> bytes | None:
    """RFC 9654 §2.1: 1 to 128 octets. Raises ValueError for another length."""
    for extension in request.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            if not 1 <= len(extension.value.nonce) <= _LONGEST_NONCE:
                raise ValueError("nonce")
            return extension.value.nonce
    return None


def _is_about(request: ocsp.OCSPRequest, issuer: x509.Certificate) -> bool:
    name = issuer.subject.public_bytes()
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    hashed = [
        hashlib.new(request.hash_algorithm.name, content, usedforsecurity=False).digest()
        for content in (name, key)
    ]
    return hashed == [request.issuer_name_hash, request.issuer_key_hash]


def _signed(
    request: ocsp.OCSPRequest,
    status: Status | None,
    behaviour: Behaviour,
    signer: CertifiedKey,
    nonce: bytes | None,
) -> bytes:
    revoked = status.revoked if status is not None else None
    state = (
        ocsp.OCSPCertStatus.UNKNOWN
        if status is None
        else ocsp.OCSPCertStatus.REVOKED
        if revoked
        else ocsp.OCSPCertStatus.GOOD
    )
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=request.issuer_name_hash,
        issuer_key_hash=request.issuer_key_hash,
        serial_number=request.serial_number + behaviour.serial_offset,
        algorithm=request.hash_algorithm,
        cert_status=state,
        this_update=behaviour.this_update,
        next_update=behaviour.next_update,
        revocation_time=revoked.at if revoked else None,
        revocation_reason=_reason(revoked),
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate).certificates(
        [signer.certificate]
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _reason(revoked: Revocation | None) -> x509.ReasonFlags | None:
    return None if revoked is None or revoked.reason is x509.ReasonFlags.unspecified else revoked.reason
