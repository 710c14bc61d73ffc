"""Adding and removing methods, on stores in memory: which proof comes first, when a method counts, and who is
told."""

import asyncio
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
from authproxy.flows.register.phone_numbers import PhoneNumbers
from authproxy.flows.step_up.enrolling import (
    Enrolled,
    Enrolling,
    NotEnrolled,
    PhoneAwaited,
    ProofNeeded,
    PushBegun,
    RecoveryMade,
    Removed,
    TotpBegun,
)
from authproxy.flows.step_up.method_changes import MethodChanges
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import STEP_UP_METHODS, AuthenticationEvent, Level
from authproxy.identity.member import CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import Session
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.memory import (
    MemoryEnrolments,
    MemoryLimits,
    MemoryPeople,
    MemorySessions,
    MemorySharedOctets,
)
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import challenge_of
from tests.support.recovery_sheets import QUICK

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Told:
    """The messages about changes that were sent."""

    def __init__(self):
        self.changes = []

    async def tell(self, person, *, change, method, portal_id, locale):
        self.changes.append((change, method))


class Phones:
    """A service with one phone, which is activated when the test says so."""

    def __init__(self):
        self.has_come = False
        self.is_wrong = False
        self.forgotten = []
        self.code_for = timedelta(minutes=10)

    async def begin(self, person, *, now):
        return "phone-1", "ABCD-EFGH", now + self.code_for

    async def finish(self, enrolment_id, *, label, now):
        await asyncio.sleep(0)
        if self.is_wrong:
            raise EnrolmentFailed("not the code")
        return (
            Enrolment(
                enrolment_id=enrolment_id,
                method="push",
                label=label or "Anin telefon",
                enrolled_at=now,
                secret="pem",
                device_id="d1",
            )
            if self.has_come
            else None
        )

    async def forget(self, enrolment):
        self.forgotten.append(enrolment.device_id)


RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))


SIGN_IN = AuthenticationEvent(
    method="rekono", at=NOW, source="https://idp.example/", is_step_up=True, level=Level.MEDIUM
)


class EnrollingFixture:
    """A person who has just signed in at Rekono, and has then given a proof on the page where methods are
    changed."""

    def __init__(self, *, proof="rekono", proved_at=NOW, asked_for=":any"):
        self.now = NOW
        self.sessions, self.store, self.kept = (
            MemorySessions(),
            MemoryEnrolments(),
            MemorySharedOctets(clock=lambda: self.now),
        )
        self.told, self.phones = Told(), Phones()
        self.limits = MemoryLimits(people=RULES, addresses=RULES)
        self.ticket = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
        event = replace(SIGN_IN, method=proof, at=proved_at, source="x", asked_for=asked_for)
        self.people = MemoryPeople()
        person = Person(
            issuer=Issuer("https://idp.example/"),
            subject=Subject("a1"),
            name="Ana",
            email="ana@example.si",
            phone="+38640123456",
        )
        self.session = Session(
            session_id=self.ticket.session_id,
            portal="acq",
            method="rekono",
            level=Level.MEDIUM,
            events=(SIGN_IN, event),
            started_at=NOW,
            person=person,
            expires_at=NOW + timedelta(hours=8),
            idle_for=timedelta(hours=1),
        )
        self.owner = owner_of(person)

    async def open(self):
        await self.sessions.create(self.ticket, self.session, browser="Firefox", now=NOW)
        return self

    async def proves(self, method, *, level=Level.MEDIUM, asked_for=None):
        """Adds a proof at this moment."""
        event = replace(
            SIGN_IN, method=method, at=self.now, source="gateway", level=level, asked_for=asked_for
        )
        self.session = replace(self.session, events=(*self.session.events, event))
        await self.open()

    async def has(self, method, **changes):
        """Adds a method that was enrolled long ago."""
        enrolment = Enrolment(
            enrolment_id=f"old {method}",
            method=method,
            label="",
            enrolled_at=NOW,
            secret="A" * 32,
            level=Level.MEDIUM,
        )
        if method == "recovery":
            assert await self.store.make_recovery(self.owner, ["hash"], enrolment, instead_of=None)
        else:
            assert await self.store.add(self.owner, replace(enrolment, **changes))

    def enrolling(self, **changed):
        changes = MethodChanges(
            enrolments=self.store,
            people=self.people,
            available=frozenset(STEP_UP_METHODS),
            enrolment_proof_for=timedelta(minutes=5),
        )
        parts = {
            "sessions": self.sessions,
            "enrolments": self.store,
            "unfinished": self.kept,
            "limits": self.limits,
            "push": self.phones,
            "numbers": PhoneNumbers(self.people),
            "notices": self.told,
            "method_changes": changes,
            "issuer_name": "Bankart Varni Spletni Prehod",
            "random_text": secrets.token_urlsafe,
            "random_bytes": secrets.token_bytes,
            "random_below": secrets.randbelow,
            "sheet_cost": QUICK,
        }
        return Enrolling(**parts | changed)

    def visit(self, ticket=None):
        return Visit(
            portal_id="acq",
            ticket_text=ticket or self.ticket.text,
            browser="f",
            user_agent="",
            address="192.0.2.1",
            locale="sl",
            now=self.now,
        )

    async def begins(self, method, label="moj telefon"):
        return await self.enrolling().begin(self.visit(), method, label)

    async def finishes(self, begun, typed=""):
        return await self.enrolling().finish(self.visit(), begun.name, typed)

    def code(self, begun, seconds=0):
        return pyotp.TOTP(begun.secret).at(self.now + timedelta(seconds=seconds))


@pytest.fixture
async def house():
    return await EnrollingFixture().open()


async def test_an_application_counts_from_its_first_code_on(house):
    begun = await house.begins("totp")
    assert isinstance(begun, TotpBegun)
    told = pyotp.parse_uri(begun.uri)
    assert (told.secret, told.name, told.issuer) == (
        begun.secret,
        "ana@example.si",
        "Bankart Varni Spletni Prehod",
    )
    assert await house.store.of(house.owner) == ()
    done = await house.finishes(begun, house.code(begun))
    assert isinstance(done, Enrolled)
    assert done.enrolment.label == "moj telefon"
    assert house.told.changes == [("enrolled", "totp")]
    listed = await house.enrolling().listed(house.visit())
    assert [each.method for each in listed.enrolments] == ["totp"]
    assert (listed.phone, listed.possible) == ("••• 456", ("totp", "push", "recovery"))


async def test_the_list_of_a_person_without_a_number_shows_none(house):
    house.session = replace(house.session, person=replace(house.session.person, phone=None))
    await house.open()
    assert (await house.enrolling().listed(house.visit())).phone is None


async def test_the_code_of_the_enrolment_is_used_up_by_it(house):
    begun = await house.begins("totp")
    code = house.code(begun)
    await house.finishes(begun, code)
    verdict = await TotpMethod(enrolments=house.store, lives_for=timedelta(minutes=5)).verify(
        challenge_of(), house.session.person, code, now=house.now
    )
    assert verdict.name == "WRONG"


async def test_a_wrong_first_code_enrols_nothing_and_another_may_be_typed(house):
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
    house = await EnrollingFixture(proved_at=NOW - timedelta(minutes=5, seconds=1)).open()
    needed = await house.begins(method)
    assert isinstance(needed, ProofNeeded)
    assert needed.route == f":{method}"
    house.now -= timedelta(seconds=1)
    assert not isinstance(await house.begins(method), ProofNeeded)


async def test_a_method_does_not_vouch_for_a_second_of_its_kind_if_the_person_has_another(house):
    await house.has("totp")
    await house.proves("totp")
    assert isinstance(await house.begins("totp"), TotpBegun)
    assert isinstance(await house.begins("push"), PushBegun)
    await house.has("push")
    assert isinstance(await house.begins("totp"), ProofNeeded)
    assert isinstance(await house.begins("push"), PushBegun)


@pytest.mark.parametrize("method", ["rekono", "acnlb"])
async def test_the_sign_in_that_opened_the_session_adds_no_first_method(house, method):
    house.session = replace(house.session, events=(replace(SIGN_IN, method=method),))
    await house.open()
    assert isinstance(await house.begins("totp"), ProofNeeded)


@pytest.mark.parametrize("method", ["rekono", "certificate", "sms"])
async def test_the_first_method_takes_a_proof_that_was_asked_for_where_methods_are_changed(method):
    house = await EnrollingFixture(proof=method, asked_for=None).open()
    assert isinstance(await house.begins("totp"), ProofNeeded)
    await house.proves(method, asked_for=":totp")
    assert isinstance(await house.begins("totp"), TotpBegun)


@pytest.mark.parametrize("method", ["rekono", "sms"])
@pytest.mark.parametrize("own", ["totp", "push", "recovery"])
async def test_people_with_a_factor_cannot_change_methods_by_signing_in_again_or_by_their_number(
    house, own, method
):
    await house.has(own)
    await house.proves(method, asked_for=":any")
    added = [await house.begins(other) for other in ("totp", "push", "recovery")]
    removed = await house.enrolling().remove(house.visit(), f"old {own}")
    assert [type(outcome) for outcome in (*added, removed)] == [ProofNeeded] * 4
    await house.proves(own)
    assert isinstance(await house.enrolling().remove(house.visit(), f"old {own}"), Removed)


async def test_the_certificate_that_the_register_links_is_a_factor_of_ones_own(house):
    member = Member(
        member_id=MemberId("ana"), name="Ana", certificates=(CertificateName(fingerprint="ab" * 32),)
    )
    await house.people.take_over([member], revision=(await house.people.every()).revision, departures=())
    house.session = replace(house.session, person=replace(house.session.person, member=MemberId("ana")))
    await house.open()
    assert isinstance(await house.begins("totp"), ProofNeeded)
    await house.proves("certificate")
    assert isinstance(await house.begins("totp"), TotpBegun)


@pytest.mark.parametrize(
    "listed",
    [(), (Member(member_id=MemberId("ana"), name="Ana"),)],
    ids=["not in the register", "without a certificate"],
)
async def test_people_without_a_linked_certificate_add_a_first_method_by_signing_in_again(house, listed):
    await house.people.take_over(listed, revision=(await house.people.every()).revision, departures=())
    house.session = replace(house.session, person=replace(house.session.person, member=MemberId("ana")))
    await house.open()
    assert isinstance(await house.begins("totp"), TotpBegun)


async def test_a_proof_that_was_given_for_one_request_changes_no_methods(house):
    await house.has("totp")
    bound = replace(SIGN_IN, method="totp", is_step_up=False, bound_to="request.1")
    house.session = replace(house.session, events=(*house.session.events, bound))
    await house.open()
    assert isinstance(await house.begins("push"), ProofNeeded)
    assert isinstance(await house.enrolling().remove(house.visit(), "old totp"), ProofNeeded)


async def test_a_method_that_this_gateway_does_not_have_is_asked_of_nobody(house):
    await house.has("push")
    without = MethodChanges(
        enrolments=house.store,
        people=house.people,
        available=frozenset({"rekono", "totp"}),
        enrolment_proof_for=timedelta(minutes=5),
    )
    assert (await without.demand(house.session.person, ":totp")).is_first
    assert not (await house.enrolling()._method_changes.demand(house.session.person, ":totp")).is_first


async def test_recovery_codes_that_are_used_up_are_no_factor(house):
    await house.has("recovery")
    assert await house.store.spend_recovery(house.owner, "hash")
    assert isinstance(await house.begins("totp"), TotpBegun)


async def test_an_added_method_has_the_lower_level_of_session_and_proof(house):
    begun = await house.begins("totp")
    assert (await house.finishes(begun, house.code(begun))).enrolment.level is Level.MEDIUM
    await house.proves("totp", level=Level.LOW)
    house.phones.has_come = True
    assert (await house.finishes(await house.begins("push"))).enrolment.level is Level.LOW
    assert isinstance(await house.begins("recovery"), RecoveryMade)
    levels = {each.method: each.level for each in await house.store.of(house.owner)}
    assert levels == {"totp": Level.MEDIUM, "push": Level.LOW, "recovery": Level.LOW}


@pytest.mark.parametrize("levels", [(Level.LOW, Level.MEDIUM), (Level.MEDIUM, Level.LOW)])
async def test_of_several_proofs_the_one_that_is_worth_most_counts(house, levels):
    await house.has("totp")
    for method, level in zip(("totp", "certificate"), levels, strict=True):
        await house.proves(method, level=level)
    house.phones.has_come = True
    assert (await house.finishes(await house.begins("push"))).enrolment.level is Level.MEDIUM


async def test_a_sheet_of_recovery_codes_carries_the_level_at_which_it_was_made(house):
    await house.begins("recovery")
    [sheet] = await house.store.of(house.owner)
    assert sheet.level is Level.MEDIUM


async def test_recovery_codes_are_listed_beside_ten_methods(house):
    for number in range(10):
        await house.has("totp", enrolment_id=str(number))
    await house.proves("totp")
    made = await house.begins("recovery")
    assert isinstance(made, RecoveryMade)
    listed = await house.enrolling().listed(house.visit())
    [recovery] = [each for each in listed.enrolments if each.method == "recovery"]
    assert (len(listed.enrolments), listed.recovery_left) == (11, 10)
    assert isinstance(await house.enrolling().remove(house.visit(), recovery.enrolment_id), Removed)
    assert await house.store.recovery_left(house.owner) == 0


async def test_of_six_who_ask_for_recovery_codes_at_once_one_sees_a_sheet_and_it_works(house):
    outcomes = await asyncio.gather(*(house.begins("recovery") for _ in range(6)))
    [made] = [outcome for outcome in outcomes if isinstance(outcome, RecoveryMade)]
    assert [outcome.reason for outcome in outcomes if outcome is not made] == [Reason.CHALLENGE_OVER] * 5
    method = RecoveryMethod(enrolments=house.store, lives_for=timedelta(minutes=5), cost=QUICK)
    assert (await method.verify(challenge_of(), house.session.person, made.codes[9], now=NOW)).name == "RIGHT"


async def test_an_enrolment_that_was_begun_in_another_session_cannot_be_finished_in_this_one(house):
    begun = await house.begins("totp")
    other = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
    await house.sessions.create(
        other, replace(house.session, session_id=other.session_id), browser="", now=NOW
    )
    done = await house.enrolling().finish(house.visit(other.text), begun.name, house.code(begun))
    assert done.reason is Reason.CHALLENGE_OVER


async def test_an_unfinished_enrolment_is_over_after_ten_minutes(house):
    begun = await house.begins("totp")
    house.now += timedelta(minutes=10)
    assert (await house.finishes(begun, house.code(begun))).reason is Reason.CHALLENGE_OVER


async def test_two_clicks_at_one_moment_enrol_one_phone_and_are_told_once(house):
    begun = await house.begins("push")
    house.phones.has_come = True
    outcomes = await asyncio.gather(house.finishes(begun), house.finishes(begun))
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, NotEnrolled)] == [
        Reason.CHALLENGE_OVER
    ]
    assert house.told.changes == [("enrolled", "push")]


async def test_a_phone_that_comes_after_its_code_has_ended_is_not_enrolled(house):
    house.phones.code_for = timedelta(minutes=2)
    begun = await house.begins("push")
    assert begun.expires_at == NOW + timedelta(minutes=2)
    house.now += timedelta(minutes=2)
    house.phones.has_come = True
    assert (await house.finishes(begun)).reason is Reason.CHALLENGE_OVER
    assert await house.store.of(house.owner) == ()


async def test_an_unfinished_enrolment_in_another_format_is_over(house):
    await house.kept.put("enrolment:n", json.dumps({"owner": ["x"]}).encode(), timedelta(minutes=1))
    done = await house.enrolling().finish(house.visit(), "n", "123456")
    assert done.reason is Reason.CHALLENGE_OVER


async def test_a_phone_is_awaited_and_counts_once_it_has_been_activated(house):
    begun = await house.begins("push", label="")
    waiting = await house.finishes(begun)
    assert isinstance(waiting, PhoneAwaited)
    assert waiting.begun.activation_code == "ABCD-EFGH"
    house.phones.has_come = True
    done = await house.finishes(begun)
    assert (done.enrolment.method, done.enrolment.label, done.enrolment.level) == (
        "push",
        "Anin telefon",
        Level.MEDIUM,
    )


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
    assert isinstance(await enrolling.begin(house.visit(), "totp", ""), TotpBegun)


async def test_a_phone_is_removed_and_none_finished_where_the_push_service_is_gone(house):
    begun = await house.begins("push")
    assert (
        await house.enrolling(push=None).finish(house.visit(), begun.name, "")
    ).reason is Reason.STEP_UP_IMPOSSIBLE
    await house.has("push")
    await house.proves("push")
    assert isinstance(await house.enrolling(push=None).remove(house.visit(), "old push"), Removed)
    assert await house.store.of(house.owner) == ()


async def test_the_push_service_hears_of_no_method_but_phones(house):
    await house.has("totp")
    await house.proves("totp")
    assert isinstance(await house.enrolling().remove(house.visit(), "old totp"), Removed)
    assert house.phones.forgotten == []


async def test_a_new_sheet_of_recovery_codes_replaces_the_old_one(house):
    first = await house.begins("recovery")
    await house.proves("recovery")
    second = await house.begins("recovery")
    assert isinstance(second, RecoveryMade)
    assert len(set(second.codes)) == 10
    method = RecoveryMethod(enrolments=house.store, lives_for=timedelta(minutes=5), cost=QUICK)
    verdicts = [
        (await method.verify(challenge_of(), house.session.person, code, now=NOW)).name
        for code in (first.codes[0], second.codes[0], second.codes[0])
    ]
    assert verdicts == ["WRONG", "RIGHT", "WRONG"]
    listed = await house.enrolling().listed(house.visit())
    assert (len(listed.enrolments), listed.recovery_left) == (1, 9)
    assert house.told.changes == [("enrolled", "recovery")] * 2


async def test_removing_needs_a_fresh_proof_and_is_told_to_the_person(house):
    begun = await house.begins("push")
    house.phones.has_come = True
    enrolment = (await house.finishes(begun)).enrolment
    house.now += timedelta(minutes=6)
    needed = await house.enrolling().remove(house.visit(), enrolment.enrolment_id)
    assert isinstance(needed, ProofNeeded)
    assert needed.route == ":any"
    await house.proves("rekono", asked_for=":any")
    assert isinstance(await house.enrolling().remove(house.visit(), enrolment.enrolment_id), ProofNeeded)
    await house.proves("push")
    assert isinstance(await house.enrolling().remove(house.visit(), enrolment.enrolment_id), Removed)
    assert (house.phones.forgotten, house.told.changes[-1]) == (["d1"], ("removed", "push"))
    assert await house.store.of(house.owner) == ()


async def test_removing_recovery_codes_leaves_none_of_them(house):
    await house.begins("recovery")
    [enrolment] = await house.store.of(house.owner)
    await house.proves("recovery")
    await house.enrolling().remove(house.visit(), enrolment.enrolment_id)
    assert await house.store.recovery_left(house.owner) == 0


async def test_nobody_removes_what_is_not_theirs(house):
    await house.store.add(
        ("account", "https://idp.example/", "another"),
        Enrolment(enrolment_id="theirs", method="totp", label="", enrolled_at=NOW, secret="A" * 32),
    )
    assert (await house.enrolling().remove(house.visit(), "theirs")).reason is Reason.CHALLENGE_OVER


async def test_after_ten_methods_there_is_no_room_for_another(house):
    for number in range(10):
        await house.has("totp", enrolment_id=str(number))
    await house.proves("totp")
    begun = await house.begins("totp")
    assert isinstance(await house.finishes(begun, house.code(begun)), NotEnrolled)


async def test_the_label_of_a_phone_is_one_line_that_a_list_can_show(house):
    begun = await house.begins("totp", label="  Anin\n\u202etelefon \x00" + "x" * 100)
    done = await house.finishes(begun, house.code(begun))
    assert done.enrolment.label.startswith("Anin telefon x")
    assert len(done.enrolment.label) == 40


@pytest.mark.parametrize("elsewhere", [{"ticket_text": "1.no"}, {"ticket_text": None}, {"portal_id": "b2b"}])
async def test_nobody_enrols_without_a_session_at_this_portal(house, elsewhere):
    stranger = replace(house.visit(), **elsewhere)
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


async def test_a_script_that_makes_sheets_again_and_again_is_stopped(house):
    for _ in range(30):
        assert isinstance(await house.begins("totp"), TotpBegun)
    refused = await house.begins("recovery")
    assert (refused.reason, await house.store.recovery_left(house.owner)) == (Reason.STEP_UP_TOO_OFTEN, 0)


async def test_a_script_that_begins_again_and_again_is_stopped_and_fills_no_store(house):
    """An unfinished enrolment stays in the store for ten minutes, finished or not."""
    outcomes = [await house.begins("totp") for _ in range(40)]
    assert [isinstance(outcome, TotpBegun) for outcome in outcomes] == [True] * 30 + [False] * 10
    assert (outcomes[-1].reason, outcomes[-1].until) == (Reason.STEP_UP_TOO_OFTEN, NOW + timedelta(hours=1))
    assert len(house.kept._octets) == 30
