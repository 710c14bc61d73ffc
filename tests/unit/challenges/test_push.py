"""Notifications to a phone: a lying service, a stranger's phone and an impatient person achieve nothing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import ChallengeId, State
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.method import Offer, ProofRequest, TooOften, Verdict
from authproxy.challenges.notification import Sent, Unanswered
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.push import EnrolmentFailed, PushEnrolling, PushMethod, PushRules
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.storage.memory import MemoryChallenges, MemoryEnrolments, MemoryLimits
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import issued_challenge
from tests.support.push_service import SERVICE_PART, CarryingService, PhoneKey

NOW = datetime(2026, 11, 22, 10, 0, 12, 345678, tzinfo=UTC)
RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
ANA = Person(
    issuer=Issuer("https://provider.example/"),
    subject=Subject("ana"),
    name="Ana Novak",
    email="ana.novak@example.si",
)
BOR = Person(
    issuer=Issuer("https://provider.example/"), subject=Subject("bor"), name="Bor", member=MemberId("b-1")
)
EVA = Person(issuer=Issuer("https://provider.example/"), subject=Subject("eva"))
NAME = "Bankart Varni Spletni Prehod"


def asked_of(person, level=Level.LOW):
    return ProofRequest(
        person=person,
        portal_id="bips",
        portal_name="Plačila",
        origin="https://bips.example",
        path="/placila/nov",
        browser="Firefox, Windows",
        address="192.0.2.7",
        locale="sl",
        level=level,
    )


class PushFixture:
    """The method with stores in memory, Ana's phone, and a service."""

    def __init__(self):
        self.service, self.phone = CarryingService(), PhoneKey()
        self.enrolments, self.challenges = MemoryEnrolments(), MemoryChallenges()
        self.method = PushMethod(
            service=self.service,
            enrolments=self.enrolments,
            pending=self.challenges,
            limits=MemoryLimits(people=RULES, addresses=RULES),
            rules=PushRules(),
            random_below=secrets.randbelow,
        )

    async def enrol(self, phone, name="Anin telefon", person=ANA, at=NOW):
        assert await self.enrolments.add(owner_of(person), phone.enrolment(name, enrolled_at=at))

    async def ask(self, name="c1", *, person=ANA, at=NOW, **changed):
        """The challenge as the flow makes and stores it."""
        issue = await self.method.issue(replace(asked_of(person), **changed), ChallengeId(name), now=at)
        challenge = issued_challenge(name, "push", issue, at)
        await self.challenges.open(challenge, tries=5, now=at)
        return challenge

    async def judged(self, challenge, answer, *, person=ANA, at=NOW):
        self.service.answers[challenge.challenge_id] = answer
        return await self.method.verify(challenge, person, "", now=at)

    @property
    def shown(self):
        return self.service.sent[-1]


@pytest.fixture
async def house():
    house = PushFixture()
    await house.enrol(house.phone)
    await house.enrol(PhoneKey(), "Telefon v predalu", at=NOW - timedelta(days=400))
    await house.enrol(PhoneKey(), "Evin telefon", person=EVA)
    await house.ask("of Eva", person=EVA)
    house.service.sent.clear()
    return house


async def test_a_phone_is_offered_by_its_name_to_whoever_has_one(house):
    assert await house.method.offer(ANA) == Offer(method="push", destination="Anin telefon", level=Level.LOW)
    assert await house.method.offer(BOR) is None


async def test_no_phone_is_offered_while_the_service_is_down(house):
    house.service.is_away = True
    assert await house.method.offer(ANA) is None


async def test_the_newest_phone_that_is_trusted_enough_is_asked(house):
    for name, level, age in (("old", Level.HIGH, 30), ("new", Level.MEDIUM, 10)):
        enrolled = house.phone.enrolment(name, enrolled_at=NOW - timedelta(days=age))
        assert await house.enrolments.add(owner_of(BOR), replace(enrolled, level=level))
    assert (await house.method.offer(BOR)).level is Level.HIGH
    issued = [
        await house.method.issue(asked_of(BOR, level), ChallengeId(level.name), now=NOW) for level in Level
    ]
    assert [(issue.destination, issue.level) for issue in issued] == [
        ("new", Level.MEDIUM),
        ("new", Level.MEDIUM),
        ("old", Level.HIGH),
    ]
    await house.enrolments.remove(owner_of(BOR), "enrolment-old")
    with pytest.raises(CannotAsk, match="no phone"):
        await house.method.issue(
            asked_of(BOR, Level.HIGH), ChallengeId("none"), now=NOW + timedelta(minutes=10)
        )


async def test_the_phone_shows_the_question_and_three_numbers(house):
    challenge = await house.ask()
    shown = house.shown
    assert (shown.push_id, shown.device_id, shown.portal, shown.place, shown.browser, shown.address) == (
        "c1",
        "device-Anin telefon",
        "Plačila",
        "/placila/nov",
        "Firefox, Windows",
        "192.0.2.7",
    )
    assert (shown.issued_at, shown.expires_at) == (
        NOW.replace(microsecond=0),
        NOW.replace(microsecond=0) + timedelta(minutes=2),
    )
    assert shown.number == challenge.number
    assert challenge.number in shown.choices
    assert (challenge.destination, challenge.enrolment_id, challenge.expires_at) == (
        "Anin telefon",
        "enrolment-Anin telefon",
        NOW + timedelta(minutes=2),
    )


async def test_the_phone_shows_the_values_of_the_form_and_signs_them(house):
    amount = (("amount", "120,50"), ("payee", "Bor\nNovak"))
    challenge = await house.ask(shown=amount)
    assert house.shown.shows == (("amount", "120,50"), ("payee", "Bor Novak"))
    other = replace(house.shown, shows=(("amount", "1,00"), ("payee", "Bor Novak")))
    for seen, verdict in (
        (replace(house.shown, shows=()), Verdict.WRONG),
        (other, Verdict.WRONG),
        (house.shown, Verdict.RIGHT),
    ):
        assert await house.judged(challenge, house.phone.answer(seen)) is verdict


async def test_the_numbers_are_three_different_ones_of_two_digits_and_any_may_be_the_right_one(house):
    places = set()
    for turn in range(60):
        await house.ask(f"c{turn}", at=NOW + turn * timedelta(minutes=10))
        assert len(set(house.shown.choices)) == 3
        assert all(number.isdigit() and 10 <= int(number) <= 99 for number in house.shown.choices)
        places.add(house.shown.choices.index(house.shown.number))
    assert places == {0, 1, 2}


async def test_an_approval_is_right_and_before_it_the_challenge_waits(house):
    challenge = await house.ask()
    assert await house.method.verify(challenge, ANA, "whatever", now=NOW) is Verdict.WAITING
    assert (
        await house.judged(challenge, house.phone.answer(house.shown), at=NOW + timedelta(seconds=119))
        is Verdict.RIGHT
    )


async def test_a_refusal_on_the_phone_is_a_refusal(house):
    challenge = await house.ask()
    assert await house.judged(challenge, house.phone.answer(house.shown, "refuse")) is Verdict.REFUSED


async def test_another_number_than_the_browser_shows_is_wrong(house):
    challenge = await house.ask()
    for number in {*house.shown.choices, "100", "-", ""} - {challenge.number}:
        assert await house.judged(challenge, house.phone.answer(house.shown, number=number)) is Verdict.WRONG


async def test_the_service_cannot_replace_the_chosen_number_by_the_right_one(house):
    challenge = await house.ask()
    chosen = house.phone.answer(house.shown, number="7")
    assert await house.judged(challenge, replace(chosen, number=challenge.number)) is Verdict.WRONG


async def test_a_refusal_that_the_phone_has_not_signed_is_no_refusal_and_no_approval(house):
    challenge = await house.ask()
    approved = house.phone.answer(house.shown)
    assert await house.judged(challenge, replace(approved, action="refuse", number="")) is Verdict.WRONG
    refused = house.phone.answer(house.shown, "refuse")
    assert (
        await house.judged(challenge, replace(refused, action="approve", number=challenge.number))
        is Verdict.WRONG
    )


@pytest.mark.parametrize(
    "signature", ["", "A", "AAAA", "A" * 86, "A" * 85 + "=", "!" * 86, "_" * 86, "č" * 86, "A" * 87]
)
async def test_a_forged_signature_is_wrong(house, signature):
    challenge = await house.ask()
    assert (
        await house.judged(challenge, replace(house.phone.answer(house.shown), signature=signature))
        is Verdict.WRONG
    )


async def test_an_unknown_action_is_wrong(house):
    challenge = await house.ask()
    assert await house.judged(challenge, house.phone.answer(house.shown, "maybe")) is Verdict.WRONG


@pytest.mark.parametrize(
    "altered",
    [
        {"push": "c2"},
        {"device": "device-other"},
        {"portal": "BWS"},
        {"place": "/placila/vsa"},
        {"browser": "Chrome"},
        {"address": "192.0.2.8"},
        {"issued": "2026-11-22T10:00:13Z"},
        {"expires": "2026-11-22T10:09:12Z"},
        {"action": "refuse"},
        {"number": "-"},
    ],
    ids=lambda altered: next(iter(altered)),
)
async def test_an_approval_of_a_question_that_was_altered_is_wrong(house, altered):
    challenge = await house.ask()
    assert await house.judged(challenge, house.phone.answer(house.shown, seen=altered)) is Verdict.WRONG


async def test_an_answer_to_one_notification_is_wrong_for_the_next(house):
    await house.ask("c1")
    answer = house.phone.answer(house.shown)
    for turn in range(2, 40):  # until the number is the same by chance
        later = await house.ask(f"c{turn}", at=NOW + turn * timedelta(minutes=10))
        assert (
            await house.judged(
                later, replace(answer, number=later.number), at=NOW + turn * timedelta(minutes=10)
            )
            is Verdict.WRONG
        )


async def test_no_other_phone_of_the_person_or_of_a_stranger_can_answer(house):
    second = PhoneKey()
    await house.enrol(second, "Novi telefon", at=NOW + timedelta(days=1))
    challenge = await house.ask()
    assert (house.shown.device_id, challenge.destination) == ("device-Novi telefon", "Novi telefon")
    assert await house.judged(challenge, house.phone.answer(house.shown)) is Verdict.WRONG
    assert await house.judged(challenge, PhoneKey().answer(house.shown)) is Verdict.WRONG
    assert await house.judged(challenge, second.answer(house.shown)) is Verdict.RIGHT


async def test_another_person_s_phone_cannot_answer(house):
    challenge = await house.ask()
    assert await house.judged(challenge, house.phone.answer(house.shown), person=BOR) is Verdict.WRONG


async def test_a_phone_that_was_removed_meanwhile_approves_nothing(house):
    challenge = await house.ask()
    assert await house.enrolments.remove(owner_of(ANA), "enrolment-Anin telefon")
    assert await house.judged(challenge, house.phone.answer(house.shown)) is Verdict.WRONG


async def test_a_late_answer_is_wrong_however_well_signed(house):
    challenge = await house.ask()
    assert (
        await house.judged(challenge, house.phone.answer(house.shown), at=challenge.expires_at)
        is Verdict.WRONG
    )


async def test_a_notification_that_the_service_has_lost_is_over_and_no_wrong_answer(house):
    challenge = await house.ask()
    assert await house.judged(challenge, Unanswered.GONE) is Verdict.REFUSED


async def test_a_new_notification_ends_the_earlier_one_here_and_at_the_service(house):
    first = await house.ask("c1")
    second = await house.ask("c2", at=NOW + timedelta(seconds=5))
    assert house.service.withdrawn == ["c1"]
    assert (await house.challenges.find(first.challenge_id, now=NOW)).state is State.EXPIRED
    assert (await house.challenges.find(second.challenge_id, now=NOW)).state is State.PENDING
    assert not await house.challenges.resolve(
        first.challenge_id, State.APPROVED, now=NOW + timedelta(seconds=6)
    )


async def test_a_notification_that_is_over_is_not_withdrawn_again(house):
    first = await house.ask("c1")
    await house.challenges.resolve(first.challenge_id, State.APPROVED, now=NOW)
    await house.ask("c2")
    assert house.service.withdrawn == []


async def test_people_do_not_end_each_other_s_notifications(house):
    await house.enrol(PhoneKey(), "Borov telefon", person=BOR)
    await house.ask("c1")
    await house.ask("c2", person=BOR)
    assert house.service.withdrawn == []


async def test_the_fourth_notification_within_any_ten_minutes_is_not_sent(house):
    for minute in (0, 4, 8):
        await house.ask(f"c{minute}", at=NOW + timedelta(minutes=minute))
    with pytest.raises(TooOften) as refused:
        await house.ask("c9", at=NOW + timedelta(minutes=9))
    assert refused.value.until == NOW + timedelta(minutes=10)
    assert len(house.service.sent) == 3
    await house.ask("c10", at=NOW + timedelta(minutes=10, seconds=1))
    with pytest.raises(TooOften):
        await house.ask("c11", at=NOW + timedelta(minutes=11))
    await house.ask("c14", at=NOW + timedelta(minutes=14, seconds=1))


async def test_a_service_that_wants_a_pause_gets_it(house):
    house.service.sends = timedelta(seconds=40)
    with pytest.raises(TooOften) as refused:
        await house.ask()
    assert refused.value.until == NOW + timedelta(seconds=40)


async def test_a_phone_that_the_service_does_not_know_is_reported_as_an_outage_of_the_sender(house):
    house.service.sends = Sent.UNKNOWN_DEVICE
    with pytest.raises(CannotAsk) as failure:
        await house.ask()
    assert failure.value.reason is Reason.SENDER_UNAVAILABLE


async def test_somebody_without_a_phone_cannot_be_asked(house):
    with pytest.raises(CannotAsk) as failure:
        await house.ask(person=BOR)
    assert failure.value.reason is Reason.SENDER_UNAVAILABLE
    assert house.service.sent == []


async def test_a_service_that_is_down_is_no_answer(house):
    challenge = await house.ask()
    house.service.is_down = True
    with pytest.raises(CannotAsk):
        await house.method.verify(challenge, ANA, "", now=NOW)
    with pytest.raises(CannotAsk):
        await house.ask("c2")


async def test_withdrawing_ends_the_notification_at_the_service_and_does_not_fail_if_that_is_down(house):
    challenge = await house.ask()
    await house.method.withdraw(challenge)
    assert house.service.withdrawn == ["c1"]
    house.service.is_down = True
    await house.method.withdraw(challenge)
    assert house.service.withdrawn == ["c1"]


async def test_texts_are_changed_so_that_a_phone_can_show_them_and_signed_like_that(house):
    challenge = await house.ask(
        path="/a\nnumber: 42\u202e" + "b" * 500, browser="Fire\tfox", portal_name=" Plačila \r\n"
    )
    assert house.shown.portal == "Plačila"
    assert house.shown.browser == "Fire fox"
    assert house.shown.place.startswith("/a number: 42 bbb")
    assert len(house.shown.place) == 200
    assert challenge.answer.count("\n") == 9
    assert await house.judged(challenge, house.phone.answer(house.shown)) is Verdict.RIGHT


async def test_no_repr_shows_the_number_or_the_path(house):
    challenge = await house.ask()
    for printed in (repr(house.shown), repr(house.phone.answer(house.shown)), repr(challenge)):
        assert f"'{challenge.number}'" not in printed
        assert "placila" not in printed.replace("return_to='/placila/nov'", "")


# Enrolling


class Office:
    def __init__(self, *keys):
        self.service, self.phone = CarryingService(), PhoneKey()
        self.enrolling = PushEnrolling(
            service=self.service,
            hashes=CodeHashes(keys),
            relying_party=NAME,
            random_text=secrets.token_urlsafe,
        )

    async def begins(self):
        enrolment_id, code, until = await self.enrolling.begin(ANA, now=NOW)
        assert until == NOW.replace(microsecond=0) + timedelta(minutes=10)
        return enrolment_id, code

    async def finishes(self, enrolment_id, comer, label="", at=NOW):
        self.service.comers[enrolment_id] = comer
        return await self.enrolling.finish(enrolment_id, label=label, now=at)


def secret_in(code):
    return code.replace("-", "").removeprefix(SERVICE_PART)


@pytest.fixture
def office():
    return Office(b"k" * 32)


async def test_half_of_an_activation_code_is_ours_and_the_service_never_sees_it(office):
    enrolment_id, code = await office.begins()
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert len(secret_in(code)) == 10
    assert office.service.enrolments == [
        (enrolment_id, NAME, "ana.novak@example.si", NOW.replace(microsecond=0) + timedelta(minutes=10))
    ]


async def test_a_phone_that_knows_the_code_is_enrolled_with_its_key(office):
    enrolment_id, code = await office.begins()
    assert await office.enrolling.finish(enrolment_id, label="", now=NOW) is None
    comer = office.phone.comes(
        enrolment_id, secret_in(code), relying_party=NAME, device_id="d-1", name="Anin telefon"
    )
    enrolled = await office.finishes(enrolment_id, comer)
    assert (enrolled.enrolment_id, enrolled.method, enrolled.label, enrolled.device_id) == (
        enrolment_id,
        "push",
        "Anin telefon",
        "d-1",
    )
    assert (enrolled.secret, enrolled.enrolled_at) == (office.phone.pem, NOW)
    assert (await office.finishes(enrolment_id, comer, label="Službeni")).label == "Službeni"


async def test_two_enrolments_have_nothing_in_common(office):
    codes = {secret_in((await office.begins())[1]) for _ in range(50)}
    assert len(codes) == 50


async def test_the_service_cannot_enrol_a_key_of_its_own(office):
    enrolment_id, code = await office.begins()
    theirs = PhoneKey()
    for guess in ("", "AAAAAAAAAA", SERVICE_PART + "AAAA", code):
        with pytest.raises(EnrolmentFailed):
            await office.finishes(enrolment_id, theirs.comes(enrolment_id, guess, relying_party=NAME))
    honest = office.phone.comes(enrolment_id, secret_in(code), relying_party=NAME)
    own = theirs.comes(enrolment_id, "", relying_party=NAME, device_id=honest.device_id)
    for altered in (
        replace(honest, public_key=own.public_key),
        replace(honest, public_key=own.public_key, proof=own.proof),
        replace(honest, device_id="d-other"),
        replace(honest, device_name="Drug telefon"),
        replace(honest, proof=""),
        replace(honest, device_name="Moj telefon\nkey: x"),
        replace(honest, device_name="\ud800"),
    ):
        with pytest.raises(EnrolmentFailed):
            await office.finishes(enrolment_id, altered)
    assert await office.finishes(enrolment_id, honest)


async def test_a_proof_for_another_enrolment_or_relying_party_is_not_accepted(office):
    first, second = await office.begins(), await office.begins()
    with pytest.raises(EnrolmentFailed):
        await office.finishes(
            second[0], office.phone.comes(first[0], secret_in(first[1]), relying_party=NAME)
        )
    with pytest.raises(EnrolmentFailed):
        await office.finishes(
            first[0], office.phone.comes(first[0], secret_in(first[1]), relying_party="Another")
        )


async def test_a_key_on_another_curve_is_not_accepted(office):
    enrolment_id, code = await office.begins()
    with pytest.raises(EnrolmentFailed):
        await office.finishes(
            enrolment_id, PhoneKey(ec.SECP256K1()).comes(enrolment_id, secret_in(code), relying_party=NAME)
        )


async def test_an_enrolment_that_the_service_does_not_know_any_more_has_failed(office):
    enrolment_id, _ = await office.begins()
    with pytest.raises(EnrolmentFailed):
        await office.finishes(enrolment_id, Unanswered.GONE)


async def test_an_instance_that_has_the_key_as_its_second_one_accepts_the_proof(office):
    enrolment_id, code = await office.begins()
    comer = office.phone.comes(enrolment_id, secret_in(code), relying_party=NAME)
    assert await Office(b"n" * 32, b"k" * 32).finishes(enrolment_id, comer)
    with pytest.raises(EnrolmentFailed):
        await Office(b"n" * 32).finishes(enrolment_id, comer)


async def test_a_long_name_of_a_phone_is_cut(office):
    enrolment_id, code = await office.begins()
    comer = office.phone.comes(enrolment_id, secret_in(code), relying_party=NAME, name="T" * 90)
    assert (await office.finishes(enrolment_id, comer)).label == "T" * 40


async def test_forgetting_a_phone_tells_the_service_if_it_answers(office):
    enrolment = office.phone.enrolment("Anin telefon", enrolled_at=NOW)
    await office.enrolling.forget(enrolment)
    assert office.service.removed == ["device-Anin telefon"]
    office.service.is_down = True
    await office.enrolling.forget(enrolment)
    office.service.is_down = False
    await office.enrolling.forget(replace(enrolment, device_id=None))
    assert office.service.removed == ["device-Anin telefon"]


async def test_nobody_is_enrolled_while_the_service_is_down(office):
    office.service.is_down = True
    with pytest.raises(CannotAsk):
        await office.begins()
    with pytest.raises(CannotAsk):
        await office.enrolling.finish("e", label="", now=NOW)
