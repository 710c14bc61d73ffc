"""PURE: an OCSP responder (RFC 6960, nonces by RFC 9654): the bytes of a question to the bytes of an
answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from authproxy.sandbox.certificate_authority.crl import Revoked
from authproxy.sandbox.certificate_authority.issuing import CertifiedKey

_LONGEST_NONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Answers for one CA: `signer` in the name of `issuer`. `of` knows what was issued: None for a serial
    number that never was."""

    issuer: x509.Certificate
    signer: CertifiedKey
    of: Callable[[int], Status | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    revoked: Revoked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How to answer: truly, unless somebody has broken it."""

    this_update: datetime
    next_update: datetime
    signer: CertifiedKey | None = None
    """Who signs instead."""
    is_always_unknown: bool = False
    serial_offset: int = 0
    """Added to the serial number that was asked about."""
    nonce: Callable[[bytes], bytes | None] = lambda asked: asked
    """Of the answer; None: the answer has none."""


def answer(question: bytes, responders: Iterable[Responder], behaviour: Behaviour) -> bytes:
    """A signed answer to a question about one certificate: good, revoked, or unknown where it was never
    issued.

    Without a signature: malformed for what cannot be read or asks about several certificates, unauthorized
    for those of other issuers.
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
    """RFC 9654 §2.1: from 1 to 128 octets. Raises ValueError for any other."""
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


def _reason(revoked: Revoked | None) -> x509.ReasonFlags | None:
    return None if revoked is None or revoked.reason is x509.ReasonFlags.unspecified else revoked.reason
