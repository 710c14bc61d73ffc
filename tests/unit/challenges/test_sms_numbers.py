"""A code by text message counts only as long as the person has the number that it was sent to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.message import Delivered
from authproxy.challenges.method import ProofRequest, Verdict
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.sms import CodeRules, SmsMethod
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId

NOW = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
ANA = Person(issuer=Issuer("https://idp.example.si/"), subject=Subject("ana"))


class Vouched:
    number = "+38640123456"

    async def number_of(self, _person):
        return self.number


class Outbox:
    sent = ()

    async def send(self, sms):
        self.sent = (*self.sent, sms)
        return Delivered(gateway="test", message_id="1")

    async def reserve(self, _name, **_rule):
        return None


ASKED = ProofRequest(
    person=ANA,
    portal_id="acq",
    portal_name="ACQ",
    origin="https://acq.example.si",
    path="/",
    browser="",
    address="",
    locale="sl",
)


def method_of(vouched, outbox):
    return SmsMethod(
        sender=outbox,
        numbers=vouched,
        limits=outbox,
        text=lambda **said: said["code"],
        hashes=CodeHashes((b"k" * 32,)),
        rules=CodeRules(),
        random_below=lambda most: most // 2,
    )


async def test_nothing_is_sent_to_a_person_who_has_no_number_any_more():
    vouched, outbox = Vouched(), Outbox()
    vouched.number = None
    assert await method_of(vouched, outbox).offer(ANA) is None
    with pytest.raises(CannotAsk, match="no number"):
        await method_of(vouched, outbox).issue(ASKED, ChallengeId("c"), now=NOW)
    assert outbox.sent == ()


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("+38640123456", Verdict.RIGHT),
        ("+38641999456", Verdict.WRONG),
        ("+386401234560", Verdict.WRONG),
        (None, Verdict.WRONG),
    ],
    ids=["the same", "one with the same last digits", "a longer one", "none any more"],
)
async def test_a_code_is_right_for(number, verdict):
    vouched, outbox = Vouched(), Outbox()
    method = method_of(vouched, outbox)
    issue = await method.issue(ASKED, ChallengeId("c"), now=NOW)
    challenge = Challenge(
        challenge_id=ChallengeId("c"),
        method="sms",
        session_id=SessionId("s"),
        portal="acq",
        route="acq",
        return_to="/",
        answer=issue.answer,
        destination=issue.destination,
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    )
    vouched.number = number
    assert await method.verify(challenge, ANA, outbox.sent[0].text, now=NOW) is verdict
