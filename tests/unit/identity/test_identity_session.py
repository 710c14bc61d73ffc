from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session, SessionId, StoredSession

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def event(minutes: int) -> AuthenticationEvent:
    return AuthenticationEvent(
        method="rekono",
        at=START + timedelta(minutes=minutes),
        source="https://idp.example",
        is_step_up=minutes > 0,
    )


SESSION = Session(
    session_id=SessionId("id"),
    portal="acq",
    person=Person(issuer=Issuer("https://idp.example"), subject=Subject("ana")),
    method="rekono",
    level=Level.MEDIUM,
    events=(event(0), event(90), event(30)),
    started_at=START,
    expires_at=START + timedelta(hours=8),
    idle_for=timedelta(minutes=15),
)


def test_the_latest_proof_is_when_the_person_authenticated():
    assert SESSION.authenticated_at == START + timedelta(minutes=90)


@pytest.mark.parametrize(
    ("active", "now", "over"),
    [
        (timedelta(0), timedelta(minutes=14, seconds=59), False),
        (timedelta(0), timedelta(minutes=15), True),
        (timedelta(hours=7, minutes=59), timedelta(hours=7, minutes=59, seconds=59), False),
        (timedelta(hours=7, minutes=59), timedelta(hours=8), True),
        (timedelta(hours=9), timedelta(hours=8), True),
        (timedelta(minutes=20), timedelta(minutes=10), False),
    ],
)
def test_a_session_is_over_at_its_idle_or_absolute_end_whatever_the_clock_did(active, now, over):
    assert SESSION.is_over(last_active_at=START + active, now=START + now) is over


def test_levels_are_ordered_by_trust():
    assert Level.LOW < Level.MEDIUM < Level.HIGH


def test_an_attempt_does_not_show_its_secrets():
    attempt = Attempt(
        portal="acq", return_to="/", browser="browser-x", secret="secret-x", held="held-x", opened_at=START
    )
    shown = repr(attempt)
    assert "acq" in shown
    assert not any(
        secret in shown
        for secret in ("browser-x", "secret-x", "held-x", attempt.nonce, attempt.code_verifier)
    )


def test_idleness_ends_a_session_later_by_what_is_forgiven():
    stored = StoredSession(session=SESSION, last_active_at=START, forgiven=timedelta(minutes=2))
    assert stored.idle_end == START + timedelta(minutes=17)
