"""PURE: a question to an OCSP responder, and whether its answer may be believed (RFC 6960; nonce: RFC
9654)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from authproxy.certificates import profiles
from authproxy.certificates.crl import CLOCK_SKEW, CRITICAL, check_usage
from authproxy.certificates.status import Good, IssuedCertificate, Revoked, StatusSource, UnusableEvidence

NONCE_OCTETS = 32
"""RFC 9654 §2.1: clients use 32 bytes."""
WITHOUT_NEXT_UPDATE = timedelta(minutes=5)
"""An answer without `nextUpdate` means that newer information is always available (RFC 6960 §4.2.2.1), so it
is accepted only for a short time."""
_KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.OCSP_NO_CHECK,
    }
)
_ENCLOSED_AT_MOST = 5
"""How many enclosed certificates are examined. Each costs a signature check, and an answer could contain
hundreds."""
_GRAVITY = {ocsp.OCSPCertStatus.GOOD: 0, ocsp.OCSPCertStatus.UNKNOWN: 1, ocsp.OCSPCertStatus.REVOKED: 2}
_HASHES = {
    algorithm.name: algorithm
    for algorithm in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512())  # noqa: S303
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspQuestion:
    """A question about one certificate."""

    subject: IssuedCertificate
    nonce: bytes = field(default=b"", repr=False)
    """Empty if the answer was not made for this question, but is stapled or stored."""

    def octets(self) -> bytes:
        """The request in DER. SHA-1 only identifies the issuer here, and every responder knows it (RFC 5019
        §2.1.1)."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            self.subject.certificate,
            self.subject.issuer,
            hashes.SHA1(),  # noqa: S303
        )
        return (
            builder.add_extension(x509.OCSPNonce(self.nonce), critical=False)
            .build()
            .public_bytes(Encoding.DER)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspTerms:
    """The conditions that an answer must meet. `max_age` counts from `thisUpdate`, even if `nextUpdate` is
    later."""

    max_age: timedelta
    requires_nonce: bool = False


def status(
    octets: bytes,
    question: OcspQuestion,
    terms: OcspTerms,
    *,
    now: datetime,
    source: StatusSource = StatusSource.OCSP,
) -> Good | Revoked:
    """What the answer says about the certificate. Raises UnusableEvidence if it must not be believed, or if
    its status is `unknown`."""
    try:
        answer = _successful(ocsp.load_der_ocsp_response(octets))
        _check_signature(answer, question.subject.issuer, now)
        _check_nonce(answer, question, terms)
        _check_extensions(octets)
        return _judged(_single(answer, question), octets, terms, now, source)
    except UnusableEvidence:
        raise
    except Exception as error:  # noqa: BLE001  (ValueError and others for crafted octets)
        raise UnusableEvidence(f"not an answer that can be read: {type(error).__name__}") from None


def _successful(answer: ocsp.OCSPResponse) -> ocsp.OCSPResponse:
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise UnusableEvidence(f"the responder answers {answer.response_status.name.lower()}")
    return answer


def _judged(
    single: ocsp.OCSPSingleResponse, octets: bytes, terms: OcspTerms, now: datetime, source: StatusSource
) -> Good | Revoked:
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise UnusableEvidence("the responder does not know the certificate")
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        reason = single.revocation_reason
        at = single.revocation_time_utc or single.this_update_utc
        return Revoked(source=source, at=at, reason="unspecified" if reason is None else reason.value)
    this_update, next_update = single.this_update_utc, single.next_update_utc
    if now + CLOCK_SKEW < this_update:
        raise UnusableEvidence("the answer is of the future")
    if now - this_update > (terms.max_age if next_update else min(terms.max_age, WITHOUT_NEXT_UPDATE)):
        raise UnusableEvidence("the answer is too old")
    if next_update is not None and now > next_update:
        raise UnusableEvidence("the answer is out of date")
    return Good(source=source, this_update=this_update, next_update=next_update, evidence=octets)


def _single(answer: ocsp.OCSPResponse, question: OcspQuestion) -> ocsp.OCSPSingleResponse:
    """The part of the answer about this certificate: it has its serial number and the hashes of its issuer's
    name and key (RFC 6960 §4.1.1). If there are several such parts, the most serious one counts."""
    certificate, issuer = question.subject.certificate, question.subject.issuer
    matching = []
    for single in answer.responses:
        algorithm = _HASHES.get(single.hash_algorithm.name)
        if algorithm is None or single.serial_number != certificate.serial_number:
            continue
        asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
        if (single.issuer_name_hash, single.issuer_key_hash) == (
            asked.issuer_name_hash,
            asked.issuer_key_hash,
        ):
            matching.append(single)
    if not matching:
        raise UnusableEvidence("the answer is about another certificate")
    return max(matching, key=lambda single: _GRAVITY[single.certificate_status])


def _check_nonce(answer: ocsp.OCSPResponse, question: OcspQuestion, terms: OcspTerms) -> None:
    if not question.nonce:
        return
    try:
        returned = answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        # Pre-produced answers have no nonce (RFC 5019 §4). Their age is limited instead.
        if terms.requires_nonce:
            raise UnusableEvidence("the answer carries no nonce") from None
        return
    if not hmac.compare_digest(returned, question.nonce):
        raise UnusableEvidence("the nonce is that of another question")


def _check_extensions(octets: bytes) -> None:
    """RFC 6960 §4.4: an answer with an unknown critical extension must not be used."""
    if CRITICAL not in octets:
        return
    response = asn1.OCSPResponse.load(octets).response_data
    stated = [
        *(response["response_extensions"] or ()),
        *(extension for single in response["responses"] for extension in single["single_extensions"] or ()),
    ]
    if any(extension["critical"].native and extension["extn_id"].native != "nonce" for extension in stated):
        raise UnusableEvidence("the answer has a critical extension that is not known")


def _check_signature(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    """RFC 6960 §4.2.2.2: the answer must be signed by the issuer itself, or by a responder whose certificate
    the same issuer key has signed for this purpose. A responder may enclose several certificates, such as the
    last one and its successor."""
    if not profiles.is_strong_hash(answer.signature_hash_algorithm):
        raise UnusableEvidence("the answer is signed with a weak hash")
    if _is_named(answer, issuer) and _has_signed(issuer.public_key(), answer):
        return
    failure = None
    for responder in answer.certificates[:_ENCLOSED_AT_MOST]:
        if _is_named(answer, responder):
            try:
                _check_responder(responder, issuer, now)
            except UnusableEvidence as found:
                failure = failure or found
            else:
                if _has_signed(responder.public_key(), answer):
                    return
    raise failure or UnusableEvidence("neither the issuer nor a responder of its own has signed the answer")


def _is_named(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    if answer.responder_name is not None:
        return answer.responder_name.public_bytes() == signer.subject.public_bytes()
    return answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest


def _check_responder(responder: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    if not profiles.issued(issuer, responder):
        raise UnusableEvidence("the issuer has not issued the responder's certificate")
    if profiles.weakness(responder):
        raise UnusableEvidence("the responder's certificate is weak")
    if not responder.not_valid_before_utc <= profiles.to_the_second(now) <= responder.not_valid_after_utc:
        raise UnusableEvidence("the responder's certificate is not valid now")
    check_usage(responder, crl=False)
    stated = {extension.oid: extension for extension in responder.extensions}
    if any(extension.critical and oid not in _KNOWN for oid, extension in stated.items()):
        raise UnusableEvidence("the responder's certificate has a critical extension that is not known")
    usages = stated.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages.value:
        raise UnusableEvidence("the responder's certificate is not for OCSP")
    if ExtensionOID.OCSP_NO_CHECK not in stated:
        # RFC 6960 §4.2.2.2.1: without it the responder's own certificate would have to be checked for
        # revocation, and that would need another responder.
        raise UnusableEvidence(
            "the responder's certificate could itself be revoked: it lacks id-pkix-ocsp-nocheck"
        )


def _has_signed(key: object, answer: ocsp.OCSPResponse) -> bool:
    signature, message, algorithm = (
        answer.signature,
        answer.tbs_response_bytes,
        answer.signature_hash_algorithm,
    )
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, message, ec.ECDSA(algorithm))
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, message)
        else:
            return False
    except Exception:  # noqa: BLE001  (InvalidSignature, ValueError, UnsupportedAlgorithm: all of them mean no)
        return False
    return profiles.is_strong(key)
