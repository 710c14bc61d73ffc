from __future__ import annotations

import pytest

from authproxy.access import problems
from authproxy.access.decision import Reason


def test_a_problem_tells_what_happened_and_how_the_operator_finds_it():
    assert problems.members(403, Reason.LEVEL_TOO_LOW, "r1", levels=(10, 20)) == {
        "type": "about:blank",
        "title": "Not allowed",
        "status": 403,
        "reason": "level_too_low",
        "request_id": "r1",
        "code": "level_too_low-r1",
        "level": 10,
        "level_needed": 20,
    }


@pytest.mark.parametrize(
    ("status", "reason", "title"),
    [
        (401, Reason.NO_SESSION, "Sign-in required"),
        (401, Reason.STEP_UP_REQUIRED, "Step-up required"),
        (502, Reason.PORTAL_UNREACHABLE, "The portal does not answer"),
        (502, Reason.PROVIDER_ANSWER_INVALID, "The OpenID provider's answer is invalid"),
        (400, Reason.REQUEST_UNREADABLE, "Bad Request"),
    ],
)
def test_the_title_says_what_kind_of_refusal_it_is(status, reason, title):
    assert problems.members(status, reason, "r")["title"] == title


def test_the_challenge_of_a_missing_proof_is_that_of_rfc_9470():
    assert problems.challenge("acq", Reason.NO_SESSION) == 'Bearer realm="acq"'
    assert problems.challenge("acq", Reason.STEP_UP_REQUIRED, max_age=300) == (
        'Bearer realm="acq", error="insufficient_user_authentication", error_description="a fresh proof is '
        'required", max_age="300"'
    )
    assert "max_age" not in problems.challenge("acq", Reason.STEP_UP_REQUIRED)
