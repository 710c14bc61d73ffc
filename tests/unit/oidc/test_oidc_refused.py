from __future__ import annotations

import pytest

from authproxy.access.decision import Reason
from authproxy.oidc.refused import AnswerInvalid, AuthorizationRefused, ClaimsRefused, TokenRefused


def test_a_refusal_carries_its_reason_and_what_was_found():
    refusal = AuthorizationRefused(Reason.CONSENT_REFUSED, "the person said no")

    assert refusal.reason == Reason.CONSENT_REFUSED
    assert str(refusal) == "the person said no"


@pytest.mark.parametrize("refusal", [AnswerInvalid("found"), TokenRefused("found")])
def test_an_answer_that_must_not_be_believed_has_one_reason(refusal):
    assert refusal.reason == Reason.PROVIDER_ANSWER_INVALID


def test_all_refusals_share_one_base_class():
    assert issubclass(TokenRefused, AnswerInvalid)
    assert issubclass(AnswerInvalid, AuthorizationRefused)
    assert issubclass(ClaimsRefused, AuthorizationRefused)
