"""The states of a challenge, and who owns an enrolment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.method import TooOften
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import SessionId

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHALLENGE = Challenge(
    challenge_id=ChallengeId("c" * 22),
    method="sms",
    session_id=SessionId("s" * 24),
    portal="acq",
    route="acq",
    return_to="/",
    answer="hash-of-code",
    number="47",
    held="held-name",
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=5),
)


def test_a_pending_challenge_ends_by_itself_at_its_end_and_not_before():
    standing = Standing(challenge=CHALLENGE, state=State.PENDING, tries_left=5)
    assert standing.state_at(CHALLENGE.expires_at - timedelta(microseconds=1)) is State.PENDING
    assert standing.state_at(CHALLENGE.expires_at) is State.EXPIRED


@pytest.mark.parametrize("state", [State.APPROVED, State.REFUSED, State.EXHAUSTED, State.EXPIRED])
def test_an_answered_challenge_keeps_its_state_after_its_end(state):
    standing = Standing(challenge=CHALLENGE, state=state, tries_left=0)
    assert standing.state_at(CHALLENGE.expires_at + timedelta(days=1)) is state


def test_no_log_shows_what_answers_a_challenge():
    assert not {"hash-of-code", "47", "held-name"} & set(
        repr(CHALLENGE).replace("'", " ").replace(",", " ").split()
    )


def test_an_enrolment_belongs_to_the_person_in_the_register_however_they_signed_in():
    by_rekono = Person(issuer=Issuer("https://idp/"), subject=Subject("a1"), member=MemberId("ana"))
    by_certificate = Person(issuer=Issuer("https://gateway"), subject=Subject("ana"), member=MemberId("ana"))
    assert owner_of(by_rekono) == owner_of(by_certificate) == ("member", "ana")


def test_an_enrolment_of_somebody_outside_the_register_belongs_to_the_account():
    one, other = (
        Person(issuer=Issuer(issuer), subject=Subject("a1")) for issuer in ("https://idp/", "https://other/")
    )
    assert owner_of(one) == ("account", "https://idp/", "a1")
    assert owner_of(one) != owner_of(other)


def test_an_account_cannot_be_named_like_a_person_of_the_register():
    assert owner_of(Person(issuer=Issuer("member"), subject=Subject("ana"))) != owner_of(
        Person(issuer=Issuer("x"), subject=Subject("y"), member=MemberId("ana"))
    )


def test_an_answer_of_too_often_says_until_when():
    assert TooOften(NOW).until == NOW


def test_only_a_push_is_answered_on_the_phone():
    assert replace(CHALLENGE, method="push", number=None).is_answered_on_phone
    assert not replace(CHALLENGE, method="sms").is_answered_on_phone
