"""Lines for `authproxy certificate explain`."""

from __future__ import annotations

from authproxy.access.decision import Reason
from authproxy.certificates.explain import Outcome, lines
from authproxy.certificates.path_validation import Examination, Path
from authproxy.certificates.profiles import Check
from authproxy.certificates.verdict import Refused


def test_every_check_has_a_line_and_says_how_it_ended():
    refused = Refused(reason=Reason.CERTIFICATE_EXPIRED, detail="valid until yesterday")
    found = lines(
        Examination(
            checks=((Check.READABLE, None), (Check.STRENGTH, None), (Check.TIME, refused)), outcome=refused
        )
    )
    assert [line.check for line in found] == list(Check)
    assert [line.outcome for line in found[:4]] == [
        Outcome.PASSED,
        Outcome.PASSED,
        Outcome.NOT_REACHED,
        Outcome.FAILED,
    ]
    assert (found[3].sentence, found[3].detail) == ("certificate.time.failed", "valid until yesterday")
    assert {line.detail for line in found if line.outcome is not Outcome.FAILED} == {None}
    assert found[-1].sentence == "certificate.second_opinion.not_reached"


def test_what_comes_after_is_added():
    refused = Refused(reason=Reason.CERTIFICATE_REVOKED, detail="since yesterday")
    examination = Examination(
        checks=((Check.READABLE, None),), outcome=Path(leaf=None, certificates=())
    ).after(Check.REVOCATION, None)
    assert isinstance(examination.outcome, Path)
    assert examination.after(Check.SECOND_OPINION, refused).outcome is refused
    assert {line.check for line in lines(examination) if line.outcome is Outcome.PASSED} == {
        Check.READABLE,
        Check.REVOCATION,
    }


def test_what_nobody_could_say_is_neither_a_yes_nor_a_no():
    examination = Examination(
        checks=((Check.READABLE, None), (Check.REVOCATION, None), (Check.SECOND_OPINION, None)),
        outcome=Path(leaf=None, certificates=()),
    )
    told = {
        line.check: (line.outcome, line.detail) for line in lines(examination, unchecked="nobody answers")
    }
    assert told[Check.REVOCATION] == (Outcome.UNKNOWN, "nobody answers")
    assert told[Check.SECOND_OPINION] == (Outcome.PASSED, None)
