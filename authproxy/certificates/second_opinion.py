"""PURE: the same path once more, by `pyhanko-certvalidator`: RFC 5280 §6 with policies and §6.3, RFC 6960.

Its own search for paths is never used: crafted chains keep it busy for seconds. It fetches nothing and sees no root of the system.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import x509 as asn1
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import InsufficientRevinfoError, RevokedError
from pyhanko_certvalidator.ltv.poe import POEManager
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    NonRevokedStatusAssertion,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import CertificateRegistry, SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import process_legacy_crl_input, process_legacy_ocsp_input
from pyhanko_certvalidator.revinfo.manager import RevinfoManager
from pyhanko_certvalidator.validate import async_validate_path

from authproxy.access.decision import Reason
from authproxy.certificates.path_validation import Path
from authproxy.certificates.profiles import Profile
from authproxy.certificates.status import Good, Source
from authproxy.certificates.verdict import Refused

# Its messages name the holders of certificates; what it finds is returned.
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL + 1)

_LARGE = 128 * 1024
"""A list beyond this size keeps this library busy for too long (measured: 1.5 s for each MiB): there our own reading has to do."""


def opinion(path: Path, status: Sequence[Good | None], profile: Profile, *, now: datetime) -> Refused | None:
    """None if the path holds here, too. `status` is what was found out for each pair of the path; None where nothing was, and that is let
    pass. A failure of the library itself refuses."""
    try:
        _examine(path, status, profile, now)
    except RevokedError:
        return Refused(reason=Reason.CERTIFICATE_REVOKED, detail="the second examination finds a certificate of the path revoked")
    except InsufficientRevinfoError:
        return _untrusted("the second examination does not accept what was found out about revocation")
    except Exception as error:  # noqa: BLE001  (its own errors, and TypeError and others for crafted certificates: all refuse)
        return _untrusted(f"the second examination refuses the path: {type(error).__name__}")
    return None


def _examine(path: Path, status: Sequence[Good | None], profile: Profile, now: datetime) -> None:
    leaf, *above, anchor = certificates = [asn1.Certificate.load(der) for der in path.der]
    validation = async_validate_path(
        _context(certificates, status, now),
        ValidationPath(CertTrustAnchor(anchor), above[::-1], leaf),
        parameters=_parameters(profile),
    )
    finish(validation)


def _parameters(profile: Profile) -> PKIXValidationParams:
    if not profile.accepted_policies:
        return PKIXValidationParams()
    return PKIXValidationParams(
        user_initial_policy_set=profile.accepted_policies, initial_explicit_policy=True, initial_policy_mapping_inhibit=True
    )


def _context(certificates: list[asn1.Certificate], status: Sequence[Good | None], now: datetime) -> ValidationContext:
    anchors = SimpleTrustManager.build(trust_roots=[certificates[-1]])
    registry = CertificateRegistry.build(certificates)
    passed_on = [good for subject, good in zip(certificates, status, strict=False) if good and _can_be_read(good, subject)]
    evidence = RevinfoManager(
        registry,
        POEManager(),
        crls=process_legacy_crl_input([good.evidence for good in passed_on if good.source is Source.CRL]),
        ocsps=process_legacy_ocsp_input([good.evidence for good in passed_on if good.source is not Source.CRL]),
        assertions=[
            NonRevokedStatusAssertion(subject.sha256, now)
            for subject, good in zip(certificates, status, strict=False)
            if good and good not in passed_on
        ],
    )
    return ValidationContext(
        trust_manager=anchors,
        certificate_registry=registry,
        revinfo_manager=evidence,
        moment=now,
        revinfo_policy=_policy(status),
        time_tolerance=timedelta(0),
    )


def _can_be_read(good: Good, subject: asn1.Certificate) -> bool:
    """Whether this library can judge the evidence: it looks at OCSP only for certificates that name a responder, knows no `max_stale`,
    and reads large lists slowly."""
    if good.is_stale or len(good.evidence) > _LARGE:
        return False
    return good.source is Source.CRL or bool(subject.ocsp_urls)


def _policy(status: Sequence[Good | None]) -> CertRevTrustPolicy:
    leaf, *above = (*status, None)
    return CertRevTrustPolicy(
        RevocationCheckingPolicy(
            ee_certificate_rule=_rule(leaf is not None),
            intermediate_ca_cert_rule=_rule(bool(above[:-1]) and all(above[:-1])),
        ),
        # A responder whose clock is some seconds ahead of ours is not refused: our own reading has bounded that.
        retroactive_revinfo=True,
    )


def _rule(is_known: bool) -> RevocationCheckingRule:  # noqa: FBT001
    return RevocationCheckingRule.CRL_OR_OCSP_REQUIRED if is_known else RevocationCheckingRule.NO_CHECK


def _untrusted(found: str) -> Refused:
    return Refused(reason=Reason.CERTIFICATE_UNTRUSTED, detail=found)


def finish(validation: Coroutine[Any, Any, object]) -> None:
    """Runs the coroutine without an event loop: everything has been fetched before, so that there is nothing to wait for."""
    try:
        validation.send(None)
    except StopIteration:
        return
    validation.close()
    raise RuntimeError("the second examination waits for something")
