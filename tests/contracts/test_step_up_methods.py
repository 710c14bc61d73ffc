"""What every step-up method promises to the flow."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.message import Delivered
from authproxy.challenges.method import ChallengeDetails, ProofRequest, TooOften, Verdict
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.push import PushMethod, PushRules
from authproxy.challenges.recovery import RecoveryMethod
from authproxy.challenges.sms import CodeRules, SmsMethod
from authproxy.challenges.totp import TotpMethod, secret_of
from authproxy.flows.register.phone_numbers import PhoneNumbers
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.storage.memory import MemoryChallenges, MemoryEnrolments, MemoryLimits, MemoryPeople
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import issued_challenge
from tests.support.push_service import CarryingService, PhoneKey
from tests.support.recovery_sheets import QUICK, sheet_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
METHODS = ["sms", "totp", "push", "recovery"]


def person(name: str, **more: Any) -> Person:
    return Person(
        issuer=Issuer("https://idp.example/"), subject=Subject(name), name=name.capitalize(), **more
    )


@dataclass
class Outbox:
    sent: list[Any] = field(default_factory=list)
    is_down: bool = False

    async def send(self, sms: Any) -> Delivered:
        if self.is_down:
            raise CannotAsk(Reason.SENDER_UNAVAILABLE, "no gateway takes messages")
        self.sent.append(sms)
        return Delivered(gateway="outbox")


class Subjects:
    """A method, Ana and Bor who have it, and Cene who has no method."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ana, self.bor, self.cene = (
            person("ana", phone="+38640123456"),
            person("bor", phone="+38640123457"),
            person("cene"),
        )
        self.enrolments, self.challenges = MemoryEnrolments(), MemoryChallenges()
        self.limits = MemoryLimits(people=RULES, addresses=RULES)
        self.outbox, self.service, self.phone = Outbox(), CarryingService(), PhoneKey()
        self.hashes = CodeHashes((b"k" * 32,))
        self.secrets = {"ana": secret_of(b"a" * 20), "bor": secret_of(b"b" * 20)}
        self.sheets: dict[str, tuple[str, ...]] = {}
        self.method: Any = {
            "sms": self._sms,
            "totp": self._totp,
            "push": self._push,
            "recovery": self._recovery,
        }[name]()

    def _sms(self) -> SmsMethod:
        return SmsMethod(
            sender=self.outbox,
            numbers=PhoneNumbers(MemoryPeople()),
            limits=self.limits,
            hashes=self.hashes,
            rules=CodeRules(),
            random_below=secrets.randbelow,
            text=lambda **said: said["code"],
        )

    def _totp(self) -> TotpMethod:
        return TotpMethod(enrolments=self.enrolments, lives_for=timedelta(minutes=5))

    def _push(self) -> PushMethod:
        return PushMethod(
            service=self.service,
            enrolments=self.enrolments,
            pending=self.challenges,
            limits=self.limits,
            rules=PushRules(),
            random_below=secrets.randbelow,
        )

    def _recovery(self) -> RecoveryMethod:
        return RecoveryMethod(enrolments=self.enrolments, lives_for=timedelta(minutes=5), cost=QUICK)

    async def prepared(self) -> Subjects:
        for one in (self.ana, self.bor):
            owner = owner_of(one)
            if self.name == "totp":
                enrolment = Enrolment(
                    enrolment_id=one.subject,
                    method="totp",
                    label="telefon",
                    enrolled_at=NOW,
                    secret=self.secrets[one.subject],
                )
                await self.enrolments.add(owner, enrolment)
            elif self.name == "push":
                phone = self.phone if one is self.ana else PhoneKey()
                await self.enrolments.add(owner, phone.enrolment(f"{one.name}'s", enrolled_at=NOW))
            elif self.name == "recovery":
                self.sheets[one.subject], kept = await sheet_of(owner)
                await self.enrolments.put_recovery(owner, kept)
        return self

    async def issue(self, one: Person, name: str = "c1") -> ChallengeDetails:
        asked = ProofRequest(
            person=one,
            portal_id="acq",
            portal_name="Acquiring",
            origin="https://acq.example",
            path="/pay",
            browser="Firefox",
            address="192.0.2.1",
            locale="sl",
        )
        return await self.method.issue(asked, ChallengeId(name), now=NOW)

    async def challenged(self, one: Person, name: str = "c1") -> Challenge:
        return issued_challenge(name, self.method.name, await self.issue(one, name), NOW)

    def right(self, challenge: Challenge) -> str:
        """What Ana types; her phone answers by itself."""
        match self.name:
            case "sms":
                return self.outbox.sent[-1].text
            case "totp":
                return pyotp.TOTP(self.secrets["ana"]).at(NOW)
            case "recovery":
                return self.sheets["ana"][0]
        self.service.answers[challenge.challenge_id] = self.phone.answer(self.service.sent[-1])
        return ""


@pytest.fixture(params=METHODS)
async def subjects(request):
    return await Subjects(request.param).prepared()


async def test_a_method_is_offered_to_people_who_have_it_and_to_nobody_else(subjects):
    assert (await subjects.method.offer(subjects.ana)).method == subjects.name
    assert await subjects.method.offer(subjects.cene) is None


async def test_the_shown_destination_is_not_a_number_that_can_be_called(subjects):
    offer = await subjects.method.offer(subjects.ana)
    assert "40123456" not in offer.destination
    assert "40123456" not in (await subjects.issue(subjects.ana)).destination


async def test_no_challenge_lives_longer_than_ten_minutes(subjects):
    assert timedelta(0) < (await subjects.issue(subjects.ana)).lives_for <= timedelta(minutes=10)


async def test_the_right_answer_is_right(subjects):
    challenge = await subjects.challenged(subjects.ana)
    assert (
        await subjects.method.verify(challenge, subjects.ana, subjects.right(challenge), now=NOW)
        is Verdict.RIGHT
    )


async def test_the_stored_challenge_does_not_contain_its_answer(subjects):
    challenge = await subjects.challenged(subjects.ana)
    assert (subjects.right(challenge) or "no code") not in challenge.answer
    for kept in (
        challenge.answer,
        challenge.number or "",
        challenge.enrolment_id or "",
        challenge.challenge_id,
    ):
        assert await subjects.method.verify(challenge, subjects.bor, kept, now=NOW) is not Verdict.RIGHT


async def test_the_right_answer_of_one_person_is_wrong_for_another(subjects):
    of_ana = await subjects.challenged(subjects.ana, "of-ana")
    answer = subjects.right(of_ana)
    of_bor = await subjects.challenged(subjects.bor, "of-bor")
    if subjects.name == "push":
        subjects.service.answers["of-bor"] = subjects.service.answers["of-ana"]
    # Two codes of six digits are equal once in a million runs.
    assert await subjects.method.verify(of_bor, subjects.bor, answer, now=NOW) is not Verdict.RIGHT


@pytest.mark.parametrize(
    "typed",
    ["", " ", "000000", "0" * 5000, "\x00", "\ud800", "１２３４５６", "null", "-1", "1e5", "' OR 1=1"],
)
async def test_nothing_that_is_typed_is_an_error_and_nothing_made_up_is_right(subjects, typed):
    challenge = await subjects.challenged(subjects.ana)
    if subjects.name in {"sms", "totp"} and subjects.right(challenge) == "000000":
        return
    assert await subjects.method.verify(challenge, subjects.ana, typed, now=NOW) in {
        Verdict.WRONG,
        Verdict.WAITING,
    }


async def test_a_code_that_works_once_is_used_up_by_the_first_right_answer(subjects):
    challenge = await subjects.challenged(subjects.ana)
    answer = subjects.right(challenge)
    await subjects.method.verify(challenge, subjects.ana, answer, now=NOW)
    second = await subjects.method.verify(challenge, subjects.ana, answer, now=NOW)
    # A message and a notification belong to their challenge, which is resolved once. Codes of other methods
    # must be used up by themselves.
    assert second is (Verdict.RIGHT if subjects.name in {"sms", "push"} else Verdict.WRONG)


async def test_a_method_that_the_person_no_longer_has_proves_nothing(subjects):
    challenge = await subjects.challenged(subjects.ana)
    answer = subjects.right(challenge)
    assert await subjects.method.verify(challenge, subjects.cene, answer, now=NOW) is not Verdict.RIGHT


async def test_withdrawing_never_fails(subjects):
    challenge = await subjects.challenged(subjects.ana)
    await subjects.method.withdraw(challenge)
    await subjects.method.withdraw(challenge)
    assert (await subjects.method.offer(subjects.ana)) is not None


@pytest.mark.parametrize("name", ["sms", "push"])
async def test_messages_are_limited(name):
    subjects = await Subjects(name).prepared()
    with pytest.raises(TooOften) as told:
        for number in range(20):
            await subjects.issue(subjects.ana, f"c{number}")
    assert NOW < told.value.until <= NOW + timedelta(hours=1)
    assert len(subjects.outbox.sent) + len(subjects.service.sent) <= 3
    await subjects.issue(subjects.bor, "another person")


async def test_a_message_that_cannot_be_sent_is_reported():
    subjects = await Subjects("sms").prepared()
    subjects.outbox.is_down = True
    with pytest.raises(CannotAsk) as told:
        await subjects.issue(subjects.ana)
    assert told.value.reason is Reason.SENDER_UNAVAILABLE
