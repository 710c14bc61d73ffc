"""PURE: the examination of a certificate as lines for an operator: each check, its outcome, and the key of
the sentence that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authproxy.certificates.path_validation import Examination
from authproxy.certificates.profiles import CertificateCheck
from authproxy.certificates.verdict import CertificateRefused


class CheckOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not_reached"
    UNKNOWN = "unknown"
    """No source could tell. Each portal's `RevocationMode` decides what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """`sentence` is a key of the catalogues. `detail` explains a failure in English, without personal
    data."""

    check: CertificateCheck
    outcome: CheckOutcome
    sentence: str
    detail: str | None = None


def lines(examination: Examination, *, unchecked: str | None = None) -> tuple[CheckLine, ...]:
    """One line for every check, in the order of the examination. Checks after the last one that was made are
    NOT_REACHED. `unchecked` is why revocation could not be determined, if it could not."""
    made = dict(examination.checks)
    made_lines = [
        _line(check, made[check]) if check in made else _not_reached(check) for check in CertificateCheck
    ]
    return tuple(
        _unknown(line.check, unchecked) if unchecked and line.check is CertificateCheck.REVOCATION else line
        for line in made_lines
    )


def _line(check: CertificateCheck, refused: CertificateRefused | None) -> CheckLine:
    outcome = CheckOutcome.FAILED if refused else CheckOutcome.PASSED
    return CheckLine(
        check=check,
        outcome=outcome,
        sentence=_sentence(check, outcome),
        detail=refused.detail if refused else None,
    )


def _unknown(check: CertificateCheck, why: str) -> CheckLine:
    return CheckLine(
        check=check, outcome=CheckOutcome.UNKNOWN, sentence=_sentence(check, CheckOutcome.UNKNOWN), detail=why
    )


def _not_reached(check: CertificateCheck) -> CheckLine:
    return CheckLine(
        check=check, outcome=CheckOutcome.NOT_REACHED, sentence=_sentence(check, CheckOutcome.NOT_REACHED)
    )


def _sentence(check: CertificateCheck, outcome: CheckOutcome) -> str:
    return f"certificate.{check}.{outcome}"
