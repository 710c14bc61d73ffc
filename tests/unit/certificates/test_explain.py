"""Lines for `authproxy certificate explain`."""

from __future__ import annotations

from authproxy.access.decision import Reason
from authproxy.certificates.explain import CheckOutcome, lines
from authproxy.certificates.path_validation import CertificatePath, Examination
from authproxy.certificates.profiles import CertificateCheck
from authproxy.certificates.verdict import CertificateRefused


def test_every_check_has_a_line_and_says_how_it_ended():
    refused = CertificateRefused(reason=Reason.CERTIFICATE_EXPIRED, detail="valid until yesterday")
    found = lines(
        Examination(
            checks=(
                (CertificateCheck.READABLE, None),
                (CertificateCheck.STRENGTH, None),
                (CertificateCheck.TIME, refused),
            ),
            outcome=refused,
        )
    )
    assert [line.check for line in found] == list(CertificateCheck)
    assert [line.outcome for line in found[:4]] == [
        CheckOutcome.PASSED,
        CheckOutcome.PASSED,
        CheckOutcome.NOT_REACHED,
        CheckOutcome.FAILED,
    ]
    assert (found[3].sentence, found[3].detail) == ("certificate.time.failed", "valid until yesterday")
    assert {line.detail for line in found if line.outcome is not CheckOutcome.FAILED} == {None}
    assert found[-1].sentence == "certificate.second_opinion.not_reached"


def test_later_checks_are_added():
    refused = CertificateRefused(reason=Reason.CERTIFICATE_REVOKED, detail="since yesterday")
    examination = Examination(
        checks=((CertificateCheck.READABLE, None),), outcome=CertificatePath(leaf=None, certificates=())
    ).after(CertificateCheck.REVOCATION, None)
    assert isinstance(examination.outcome, CertificatePath)
    assert examination.after(CertificateCheck.SECOND_OPINION, refused).outcome is refused
    assert {line.check for line in lines(examination) if line.outcome is CheckOutcome.PASSED} == {
        CertificateCheck.READABLE,
        CertificateCheck.REVOCATION,
    }


def test_an_unknown_status_is_neither_passed_nor_failed():
    examination = Examination(
        checks=(
            (CertificateCheck.READABLE, None),
            (CertificateCheck.REVOCATION, None),
            (CertificateCheck.SECOND_OPINION, None),
        ),
        outcome=CertificatePath(leaf=None, certificates=()),
    )
    told = {
        line.check: (line.outcome, line.detail) for line in lines(examination, unchecked="nobody answers")
    }
    assert told[CertificateCheck.REVOCATION] == (CheckOutcome.UNKNOWN, "nobody answers")
    assert told[CertificateCheck.SECOND_OPINION] == (CheckOutcome.PASSED, None)
