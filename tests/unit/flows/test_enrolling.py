"""Adding and removing methods, on the stores of one process: what proof comes first, what counts when, and who is told."""

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from authproxy.access.decision import Reason
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.push import EnrolmentFailed
from authproxy.challenges.recovery import RecoveryMethod
from authproxy.challenges.totp import TotpMethod
from authproxy.flows.enrolling import Enrolled, Enrolling, NotEnrolled, ProofNeeded, PushBegun, RecoveryMade, Removed, TotpBegun, Waiting
from authproxy.flows.phone_numbers import PhoneNumbers
from authproxy.flows.step_up import Visit
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.limits import BlockRules
from authproxy.storage.memory import MemoryEnrolments, MemoryKept, MemoryLimits, MemoryPeople, MemorySessions

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Told:
    """Messages about changes, as they went out."""

    def __init__(self):
        self.changes = []

    async def tell(self, person, *, change, method, portal_id, locale):
        self.changes.append((change, method))


class Phones:
    """A service with one phone, which comes when the test lets it."""

    def __init__(self):
        self.has_come = False
        self.is_wrong = False
        self.forgotten = []

    async def begin(self, person, *, now):
        return "phone-1", "ABCD-EFGH", now + timedelta(minutes=10)

    async def finish(self, enrolment_id, *, label, now):
        if self.is_wrong:
            raise EnrolmentFailed("not the code")
        return Enrolment(enrolment_id=enrolment_id, method="push", label=label or "Anin telefon", enrolled_at=now, secret="pem", device_id="d1") if self.has_come else None

    async def forget(self, enrolment):
        self.forgotten.append(enrolment.device_id)


RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))


class House:
    def __init__(self, *, proof="rekono", proved_at=NOW):
        self.now = NOW
        self.sessions, self.store, self.kept = MemorySessions(), MemoryEnrolments(), MemoryKept(clock=lambda: self.now)
        self.told, self.phones = Told(), Phones()
        self.limits = MemoryLimits(people=RULES, addresses=RULES)
        self.ticket = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
        event = AuthenticationEvent(method=proof, at=proved_at, source="x", is_step_up=True, level=Level.MEDIUM)
        person = Person(issuer=Issuer("https://idp.example/"), subject=Subject("a1"), name="Ana", email="ana@example.si", phone="+38640123456")
        self.session = Session(
            session_id=self.ticket.session_id, portal="acq", method="rekono", level=Level.MEDIUM, events=(event,), started_at=NOW, person=person,
            expires_at=NOW + timedelta(hours=8), idle_for=timedelta(hours=1),
        )  # fmt: skip
        self.owner = owner_of(person)

    async def open(self):
        await self.sessions.create(self.ticket, self.session, browser="Firefox", now=NOW)
        return self

    def enrolling(self, **changed):
        parts = {
            "sessions": self.sessions, "store": self.store, "begun": self.kept, "limits": self.limits, "push": self.phones, "numbers": PhoneNumbers(MemoryPeople()),
            "notices": self.told, "proof_for": timedelta(minutes=5), "issuer_name": "Bankart Varni Spletni Prehod",
            "fresh": secrets.token_urlsafe, "random_bytes": secrets.token_bytes, "below": secrets.randbelow,
        }  # fmt: skip
        return Enrolling(**parts | changed)

    def visit(self, ticket=None):
        return Visit(portal_id="acq", ticket_text=ticket or self.ticket.text, browser="f", user_agent="", address="192.0.2.1", locale="sl", now=self.now)

    async def begins(self, method, label="moj telefon"):
        return await self.enrolling().begin(self.visit(), method, label)

    async def finishes(self, begun, typed=""):
        return await self.enrolling().finish(self.visit(), begun.name, typed)

    def code(self, begun, seconds=0):
        return pyotp.TOTP(begun.secret).at(self.now + timedelta(seconds=seconds))


@pytest.fixture
async def house():
    return await House().open()


async def test_an_application_counts_from_its_first_code_on(house):
    begun = await house.begins("totp")
    assert isinstance(begun, TotpBegun)
    assert pyotp.parse_uri(begun.uri).secret == begun.secret
    assert await house.store.of(house.owner) == ()
    done = await house.finishes(begun, house.code(begun))
    assert isinstance(done, Enrolled)
    assert done.enrolment.label == "moj telefon"
    assert house.told.changes == [("enrolled", "totp")]
    listed = await house.enrolling().listed(house.visit())
    assert [each.method for each in listed.enrolments] == ["totp"]
    assert listed.phone == "••• 456"


async def test_the_code_of_the_enrolment_is_used_up_by_it(house):
    begun = await house.begins("totp")
    code = house.code(begun)
    await house.finishes(begun, code)
    challenge = None
    verdict = await TotpMethod(enrolments=house.store, lives_for=timedelta(minutes=5)).verify(challenge, house.session.person, code, now=house.now)
    assert verdict.name == "WRONG"


async def test_a_wrong_first_code_enrols_nothing_and_may_be_put_right(house):
    begun = await house.begins("totp")
    wrong = await house.finishes(begun, "000000" if house.code(begun) != "000000" else "111111")
    assert isinstance(wrong, NotEnrolled)
    assert wrong.reason is Reason.CODE_WRONG
    assert wrong.begun.secret == begun.secret
    assert isinstance(await house.finishes(begun, house.code(begun)), Enrolled)


async def test_a_second_click_enrols_once(house):
    begun = await house.begins("totp")
    await house.finishes(begun, house.code(begun))
    again = await house.finishes(begun, house.code(begun, 30))
    assert again.reason is Reason.CHALLENGE_OVER
    assert len(await house.store.of(house.owner)) == 1


@pytest.mark.parametrize("method", ["totp", "push", "recovery"])
async def test_without_a_fresh_proof_nothing_is_added(method):
    house = await House(proved_at=NOW - timedelta(minutes=5, seconds=1)).open()
    needed = await house.begins(method)
    assert isinstance(needed, ProofNeeded)
    assert needed.route == f":{method}"


async def test_a_fresh_proof_by_the_same_method_adds_none_of_it():
    house = await House(proof="totp").open()
    assert isinstance(await house.begins("totp"), ProofNeeded)
    assert isinstance(await house.begins("push"), PushBegun)


async def test_a_sign_in_that_is_no_step_up_is_no_proof():
    house = House(proof="acnlb")
    house.session = replace(house.session, events=(replace(house.session.events[0], is_step_up=False),))
    await house.open()
    assert isinstance(await house.begins("totp"), ProofNeeded)


async def test_what_was_begun_in_another_session_is_not_finished_in_this_one(house):
    begun = await house.begins("totp")
    other = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
    await house.sessions.create(other, replace(house.session, session_id=other.session_id), browser="", now=NOW)
    done = await house.enrolling().finish(house.visit(other.text), begun.name, house.code(begun))
    assert done.reason is Reason.CHALLENGE_OVER


async def test_what_was_begun_is_over_after_ten_minutes(house):
    begun = await house.begins("totp")
    house.now += timedelta(minutes=10)
    assert (await house.finishes(begun, house.code(begun))).reason is Reason.CHALLENGE_OVER


async def test_what_lies_in_the_store_in_another_shape_is_over(house):
    await house.kept.put("enrolment:n", json.dumps({"owner": ["x"]}).encode(), timedelta(minutes=1))
    done = await house.enrolling().finish(house.visit(), "n", "123456")
    assert done.reason is Reason.CHALLENGE_OVER


async def test_a_phone_is_waited_for_and_counts_once_it_has_come(house):
    begun = await house.begins("push", label="")
    waiting = await house.finishes(begun)
    assert isinstance(waiting, Waiting)
    assert waiting.begun.activation_code == "ABCD-EFGH"
    house.phones.has_come = True
    done = await house.finishes(begun)
    assert (done.enrolment.method, done.enrolment.label) == ("push", "Anin telefon")


async def test_a_phone_that_did_not_know_the_code_ends_the_enrolment(house):
    begun = await house.begins("push")
    house.phones.is_wrong = True
    assert (await house.finishes(begun)).reason is Reason.CHALLENGE_OVER
    house.phones.is_wrong, house.phones.has_come = False, True
    assert (await house.finishes(begun)).reason is Reason.CHALLENGE_OVER
    assert await house.store.of(house.owner) == ()


async def test_without_a_push_service_no_phone_is_possible(house):
    enrolling = house.enrolling(push=None)
    assert (await enrolling.listed(house.visit())).possible == ("totp", "recovery")
    assert (await enrolling.begin(house.visit(), "push", "")).reason is Reason.STEP_UP_IMPOSSIBLE
    assert (await enrolling.begin(house.visit(), "carrier pigeon", "")).reason is Reason.STEP_UP_IMPOSSIBLE


async def test_a_new_sheet_of_recovery_codes_takes_the_place_of_the_old_one(house):
    first = await house.begins("recovery")
    second = await house.begins("recovery")
    assert isinstance(second, RecoveryMade)
    assert len(set(second.codes)) == 10
    method = RecoveryMethod(codes=house.store, lives_for=timedelta(minutes=5))
    verdicts = [(await method.verify(None, house.session.person, code, now=NOW)).name for code in (first.codes[0], second.codes[0], second.codes[0])]
    assert verdicts == ["WRONG", "RIGHT", "WRONG"]
    listed = await house.enrolling().listed(house.visit())
    assert (len(listed.enrolments), listed.recovery_left) == (1, 9)


async def test_removing_takes_a_fresh_proof_and_is_told(house):
    begun = await house.begins("push")
    house.phones.has_come = True
    enrolment = (await house.finishes(begun)).enrolment
    house.now += timedelta(minutes=6)
    needed = await house.enrolling().remove(house.visit(), enrolment.enrolment_id)
    assert isinstance(needed, ProofNeeded)
    assert needed.route == ":any"
    house.now = NOW
    assert isinstance(await house.enrolling().remove(house.visit(), enrolment.enrolment_id), Removed)
    assert (house.phones.forgotten, house.told.changes[-1]) == (["d1"], ("removed", "push"))
    assert await house.store.of(house.owner) == ()


async def test_removing_recovery_codes_leaves_none_of_them(house):
    await house.begins("recovery")
    [enrolment] = await house.store.of(house.owner)
    await house.enrolling().remove(house.visit(), enrolment.enrolment_id)
    assert await house.store.recovery_left(house.owner) == 0


async def test_nobody_removes_what_is_not_theirs(house):
    await house.store.add(("account", "https://idp.example/", "another"), Enrolment(enrolment_id="theirs", method="totp", label="", enrolled_at=NOW, secret="A" * 32))
    assert (await house.enrolling().remove(house.visit(), "theirs")).reason is Reason.CHALLENGE_OVER


async def test_after_ten_methods_there_is_no_room_for_another(house):
    for number in range(10):
        await house.store.add(house.owner, Enrolment(enrolment_id=str(number), method="totp", label="", enrolled_at=NOW, secret="A" * 32))
    begun = await house.begins("totp")
    assert isinstance(await house.finishes(begun, house.code(begun)), NotEnrolled)


async def test_a_name_for_a_phone_is_one_line_that_a_list_can_show(house):
    begun = await house.begins("totp", label="  Anin\n\u202etelefon \x00" + "x" * 100)
    done = await house.finishes(begun, house.code(begun))
    assert done.enrolment.label.startswith("Anin telefon x")
    assert len(done.enrolment.label) == 40


async def test_nobody_enrols_without_a_session(house):
    stranger = house.visit(ticket="1.no")
    enrolling = house.enrolling()
    assert await enrolling.listed(stranger) is None
    assert await enrolling.begin(stranger, "totp", "") is None
    assert await enrolling.finish(stranger, "n", "") is None
    assert await enrolling.remove(stranger, "e") is None


async def test_secrets_show_in_no_log(house):
    begun, codes = await house.begins("totp"), await house.begins("recovery")
    assert begun.secret not in repr(begun)
    assert begun.name not in repr(begun)
    assert codes.codes[0] not in repr(codes)


async def test_a_script_that_begins_without_end_is_stopped_and_leaves_bounded_room(house):
    """Whatever was begun is kept for ten minutes, finished or not."""
    outcomes = [await house.begins("totp") for _ in range(40)]
    assert [isinstance(outcome, TotpBegun) for outcome in outcomes] == [True] * 30 + [False] * 10
    assert (outcomes[-1].reason, outcomes[-1].until) == (Reason.STEP_UP_TOO_OFTEN, NOW + timedelta(hours=1))
    assert len(house.kept._kept) == 30
