"""PURE: the path that `path_validation` has found, examined by two libraries of other makers. Both must
accept it.

The work is divided so that every question has one answer, wherever a certificate is shown:

- `profiles` has the rules of the authority and those whose failure a person is told.
- `path_validation` (`cryptography`) finds the path and checks signatures, times, CAs, usages, lengths and
  names. It is the strictest of the three, and does not know certificate policies.
- `pyhanko-certvalidator` checks the policies (RFC 5280 §6.1, the whole tree), which no other library does,
  and everything else a second time. Its own path search is never used, because crafted chains keep it busy
  for seconds. It gets no system roots.
- OpenSSL is written in another language by other people, and it checks host names in common names, as the
  others do not. It examines this exact path, whoever terminated TLS. It is not strict
  (X509_V_FLAG_X509_STRICT): that demands of a person's certificate the identifier of the issuer's key, which
  the profile does not, and of anchors things that nobody promised; `path_validation` demands the identifiers
  of intermediates. It gets no purpose, because `profiles` has judged the usages. It checks no times, because
  it treats the last second of a certificate as expired, and two others have checked them.
- Only `revocation` judges revocation, with `crl` and `ocsp`. The libraries would decide otherwise because of
  size (seconds per megabyte), because of what they do not know (RFC 6960 hashes other than SHA-1 and SHA-256,
  a responder that the certificate does not name), or because they demand more than RFC 5280 (the delta list,
  which §5.2.6 leaves to the reader).
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import CertificateRegistry, SimpleTrustManager
from pyhanko_certvalidator.validate import async_validate_path

from authproxy.access.decision import Reason
from authproxy.certificates.path_validation import CertificatePath
from authproxy.certificates.profiles import Profile, to_the_second
from authproxy.certificates.verdict import CertificateRefused

# Its log messages name the holders of certificates. Its findings are returned anyway.
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL + 1)

Parsed = dict[bytes, asn1.Certificate]
"""Certificates by their DER."""

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, for which pyOpenSSL has no name."""
_REVOCATION_IS_JUDGED_ELSEWHERE = CertRevTrustPolicy(
    RevocationCheckingPolicy(
        ee_certificate_rule=RevocationCheckingRule.NO_CHECK,
        intermediate_ca_cert_rule=RevocationCheckingRule.NO_CHECK,
    )
)


def opinion(
    path: CertificatePath, profile: Profile, *, now: datetime, known: Parsed | None = None
) -> CertificateRefused | None:
    """None if both libraries accept the path. A library that fails to read the path refuses it. The profile's
    authorities are kept in `known`, which must be this thread's own: a certificate is parsed bit by bit as it
    is read, and two threads must not do that with one object."""
    return pyhanko_refusal(path, profile, now, {} if known is None else known) or openssl_refusal(path)


def pyhanko_refusal(
    path: CertificatePath, profile: Profile, now: datetime, known: Parsed
) -> CertificateRefused | None:
    try:
        leaf, *above, anchor = certificates = [_parsed(each, profile, known) for each in path.certificates]
        finish(
            async_validate_path(
                _context(certificates, now),
                ValidationPath(CertTrustAnchor(anchor), above[::-1], leaf),
                parameters=_parameters(profile),
            )
        )
    except ValidationError as error:
        return _untrusted(f"the second examination refuses the path: {type(error).__name__}")
    except Exception as error:  # noqa: BLE001  (TypeError, NotImplementedError and others for crafted certificates)
        return _untrusted(f"the second examination cannot judge the path: {type(error).__name__}")
    return None


def _parsed(certificate: x509.Certificate, profile: Profile, known: Parsed) -> asn1.Certificate:
    der = certificate.public_bytes(Encoding.DER)
    if certificate not in profile.authorities:
        return asn1.Certificate.load(der)
    # Reading the authorities anew took 5 of the 8 ms of this examination.
    if der not in known:
        known[der] = asn1.Certificate.load(der)
    return known[der]


def openssl_refusal(path: CertificatePath) -> CertificateRefused | None:
    store = crypto.X509Store()
    # An anchor is trusted as configured, even if another authority has signed it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME)
    try:
        # OpenSSL reads names at once, and fails on text that is not what its type says.
        leaf, *above, anchor = (
            crypto.X509.from_cryptography(certificate) for certificate in path.certificates
        )
        store.add_cert(anchor)
        crypto.X509StoreContext(store, leaf, above).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, problem = error.errors
        return _untrusted(
            f"OpenSSL refuses the path: {problem} (code {code}, certificate {depth} of the path)"
        )
    except crypto.Error:
        return _untrusted("OpenSSL cannot judge the path")
    return None


def _parameters(profile: Profile) -> PKIXValidationParams:
    if not profile.accepted_policies:
        return PKIXValidationParams()
    return PKIXValidationParams(
        user_initial_policy_set=profile.accepted_policies,
        initial_explicit_policy=True,
        initial_policy_mapping_inhibit=True,
    )


def _context(certificates: list[asn1.Certificate], now: datetime) -> ValidationContext:
    return ValidationContext(
        trust_manager=SimpleTrustManager.build(trust_roots=[certificates[-1]]),
        certificate_registry=CertificateRegistry.build(certificates),
        moment=to_the_second(now),
        revinfo_policy=_REVOCATION_IS_JUDGED_ELSEWHERE,
        time_tolerance=timedelta(0),
    )


def _untrusted(problem: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_UNTRUSTED, detail=problem)


def finish(validation: Coroutine[Any, Any, object]) -> None:
    """Runs the coroutine without an event loop. It has nothing to wait for, because everything has been
    fetched."""
    try:
        validation.send(None)
    except StopIteration:
        return
    validation.close()
    raise RuntimeError("the second examination waits for something")
