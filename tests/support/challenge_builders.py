"""Challenges and enrolments as tests want them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment
from authproxy.challenges.method import ChallengeDetails
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.session import SessionId
from tests.support.session_builders import NOW

ANAS = ("member", "ana")
BORS = ("account", "https://provider.example/", "bor")


def challenge_of(challenge_id: str = "challenge-1", **changes) -> Challenge:
    challenge = Challenge(
        challenge_id=ChallengeId(challenge_id),
        method="sms",
        session_id=SessionId("a-session"),
        portal="bips",
        route="payments",
        return_to="/payments?draft=7",
        held="name-of-a-held-request",
        answer="keyed-hash-of-the-code",
        destination="••• 456",
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        again_at=NOW + timedelta(minutes=1),
    )
    return replace(challenge, **changes)


def issued_challenge(
    challenge_id: str, method: StepUpMethod, issue: ChallengeDetails, at: datetime
) -> Challenge:
    """As the flow makes it from what a method has issued."""
    return challenge_of(
        challenge_id,
        method=method,
        answer=issue.answer,
        number=issue.number,
        enrolment_id=issue.enrolment_id,
        destination=issue.destination,
        issued_at=at,
        expires_at=at + issue.lives_for,
    )


def enrolment_of(enrolment_id: str = "enrolment-1", **changes) -> Enrolment:
    enrolment = Enrolment(
        enrolment_id=enrolment_id,
        method="totp",
        label="Anin telefon",
        enrolled_at=NOW,
        secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    )
    return replace(enrolment, **changes)
