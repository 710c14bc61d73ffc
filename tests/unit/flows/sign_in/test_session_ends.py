"""When a new session ends for good: with its own time, and no later than what proved who its person is."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.flows.sign_in.attempts import ProvedSignIn, SignInDemand, SignIns
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.storage.memory import MemoryAttempts, MemorySessions
from tests.support.session_builders import visit_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEMAND = SignInDemand(
    portal_id="acq",
    origin="https://acq.example",
    required_claims=(),
    level=Level.LOW,
    idle_for=timedelta(minutes=15),
    absolute_lifetime=timedelta(hours=8),
)


@pytest.mark.parametrize(
    ("certificate_ends", "session_ends"),
    [
        (timedelta(minutes=20), timedelta(minutes=20)),
        (timedelta(days=300), timedelta(hours=8)),
        (None, timedelta(hours=8)),
    ],
)
async def test_a_session_ends_with_the_certificate_that_it_was_opened_with(certificate_ends, session_ends):
    sessions = MemorySessions()
    sign_ins = SignIns(
        attempts=MemoryAttempts(),
        sessions=sessions,
        attempt_for=timedelta(minutes=30),
        random_bytes=secrets.token_bytes,
        random_text=secrets.token_urlsafe,
        describe_browser=str.upper,
    )
    event = AuthenticationEvent(
        method="acnlb", at=NOW, source="sha256:ab", is_step_up=False, level=Level.MEDIUM
    )
    proved = ProvedSignIn(
        person=Person(issuer=Issuer("https://gateway.example"), subject=Subject("ana")),
        method="acnlb",
        level=Level.MEDIUM,
        event=event,
        ends_at=None if certificate_ends is None else NOW + certificate_ends,
    )
    attempt = Attempt(portal="acq", return_to="/", browser="b", secret="s", opened_at=NOW, method="acnlb")
    signed_in = await sign_ins.start(proved, attempt, DEMAND, visit_of("b"), now=NOW)
    assert signed_in.session.expires_at == NOW + session_ends
