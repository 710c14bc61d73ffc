"""PURE: the path that `path_validation` has found, judged by two readers of other makers. Both must agree,
and nobody else is asked.

How the work is divided, so that every question has one answer wherever a certificate is shown:

- `profiles` has the rules of the authority and those whose failure people are told.
- `path_validation` (`cryptography`) finds the path: signatures, time, CAs, usages, lengths, names. It is the
  strictest of the three, and knows no certificate policies.
- `pyhanko-certvalidator` is here for the policies (RFC 5280 §6.1, the whole tree), which no other library
  reads, and as a second reader of the rest. Its own search for paths is never used: crafted chains keep it
  busy for seconds. It sees no root of the system.
- OpenSSL is here because it is written in another language by other people, and because it reads host names
  in common names, as the others do not. It takes the exact path, no matter who ended TLS. It is not asked to
  be strict (X509_V_FLAG_X509_STRICT): that demands of a person's certificate what the profile does not, the
  identifier of the issuer's key, and of anchors what nobody has promised; `path_validation` demands it of
  intermediates. It is given no purpose, because `profiles` has judged the usages, and no time: it takes the
  last second of a certificate for over, and two have looked at the clock.
- Revocation is judged by `revocation` alone, from `crl` and `ocsp`. A second reading of lists and answers
  would decide by their size (it takes seconds for each megabyte), by what a library does not know (hashes of
  RFC 6960 other than SHA-1 and SHA-256, a responder that the certificate does not name), or by what it
  demands beyond RFC 5280 (the delta list that §5.2.6 leaves to the reader).
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import x509 as asn1
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

# Its messages name the holders of certificates; what it finds is returned.
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL + 1)

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, for which pyOpenSSL has no name."""
_REVOCATION_IS_JUDGED_ELSEWHERE = CertRevTrustPolicy(
    RevocationCheckingPolicy(
        ee_certificate_rule=RevocationCheckingRule.NO_CHECK,
        intermediate_ca_cert_rule=RevocationCheckingRule.NO_CHECK,
    )
)


def opinion(path: CertificatePath, profile: Profile, *, now: datetime) -> CertificateRefused | None:
    """None if the path holds for both readers. One that cannot read the path at all refuses it, too."""
    return _of_pyhanko(path, profile, now) or _of_openssl(path)


def _of_pyhanko(path: CertificatePath, profile: Profile, now: datetime) -> CertificateRefused | None:
    try:
        leaf, *above, anchor = certificates = [asn1.Certificate.load(der) for der in path.der]
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


def _of_openssl(path: CertificatePath) -> CertificateRefused | None:
    leaf, *above, anchor = (crypto.X509.from_cryptography(certificate) for certificate in path.certificates)
    store = crypto.X509Store()
    # An anchor is trusted as configured, also where another authority has signed it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME)
    store.add_cert(anchor)
    try:
        crypto.X509StoreContext(store, leaf, above).verify_certificate()
    except crypto.X509StoreContextError as found:
        code, depth, said = found.errors
        return _untrusted(f"OpenSSL refuses the path: {said} (code {code}, certificate {depth} of the path)")
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


def _untrusted(found: str) -> CertificateRefused:
    return CertificateRefused(reason=Reason.CERTIFICATE_UNTRUSTED, detail=found)


def finish(validation: Coroutine[Any, Any, object]) -> None:
    """Runs the coroutine without an event loop: everything has been fetched before, so that there is nothing
    to wait for."""
    try:
        validation.send(None)
    except StopIteration:
        return
    validation.close()
    raise RuntimeError("the second examination waits for something")
