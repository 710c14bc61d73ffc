"""A step-up from the demand of a route to the session with a proof, on stores in memory: what is offered, how
a challenge is issued, and what an answer does."""

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from authproxy.access.decision import Reason
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import State
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.limits import address_name, person_name
from authproxy.challenges.message import Delivered
from authproxy.challenges.method import ChallengeDetails, Offer, Verdict
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.recovery import RecoveryMethod
from authproxy.challenges.sms import CodeRules, SmsMethod
from authproxy.challenges.totp import TotpMethod, secret_of
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.register.phone_numbers import PhoneNumbers
from authproxy.flows.step_up.bound_requests import BoundRequests
from authproxy.flows.step_up.challenges import StepUpChallenges, StepUpRules
from authproxy.flows.step_up.elevation import Elevations
from authproxy.flows.step_up.elsewhere import ByCertificate
from authproxy.flows.step_up.method_changes import REMOVING, MethodChanges
from authproxy.flows.step_up.outcomes import NotProved, Pending, SentAway, SteppedUp
from authproxy.flows.step_up.repeated_answers import RepeatedAnswers
from authproxy.flows.visit import Visit
from authproxy.identity import ticket as tickets
from authproxy.identity.assurance import STEP_UP_METHODS, AuthenticationEvent, Level
from authproxy.identity.member import Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber
from authproxy.identity.session import Session
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.memory import (
    MemoryChallenges,
    MemoryEnrolments,
    MemoryLimits,
    MemoryPeople,
    MemorySessions,
    MemorySharedOctets,
    MemoryUsedProofs,
)
from authproxy.storage.retention import BlockRules
from tests.support.recovery_sheets import QUICK, sheet_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHONE = "+38640123456"
FORM = "application/x-www-form-urlencoded"


def route(name, path="/", level=Level.LOW, **step_up):
    return Route(
        name=name,
        path=path,
        requirement=Requirement(level=level, methods=("rekono", "acnlb"), step_up=StepUp(**step_up)),
    )


PORTALS = {
    "acq": Portal(
        portal_id="acq",
        origin="https://acq.example",
        host="acq.example",
        routes=(
            route("acq/pay", "/pay", max_age=timedelta(minutes=5)),
            route("acq/paper", "/paper", methods=("recovery",)),
            route("acq/most", "/most", level=Level.HIGH),
            route("acq/trusted", "/trusted", level=Level.MEDIUM),
            route("acq/alone", "/alone", max_age=timedelta(0), shows=("amount",)),
            Route(name="acq/free", path="/free", requirement=Requirement()),
            route("acq"),
        ),
    ),
    "b2b": Portal(portal_id="b2b", origin="https://b2b.example", host="b2b.example", routes=(route("b2b"),)),
}
LEVELS = {
    10: frozenset({"sms", "totp", "recovery"}),
    20: frozenset({"sms", "totp", "push", "recovery"}),
    30: frozenset({"totp", "push", "certificate", "recovery"}),
}


RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))


class Outbox:
    """An SMS gateway that keeps what it takes."""

    def __init__(self):
        self.sent = []
        self.is_down = False

    async def send(self, sms):
        if self.is_down:
            raise CannotAsk(
                Reason.STORE_UNAVAILABLE if self.is_down == "store" else Reason.SENDER_UNAVAILABLE,
                "no gateway takes messages",
            )
        self.sent.append(sms)
        return Delivered(gateway="outbox")

    @property
    def code(self):
        return self.sent[-1].text


class Phone:
    """A phone that answers what the test sets."""

    name = "push"

    def __init__(self):
        self.says = Verdict.WAITING
        self.withdrawn = []

    async def offer(self, person):
        return Offer(method="push", destination="Anin telefon")

    async def issue(self, asked, challenge_id, *, now):
        self.asked = asked
        return ChallengeDetails(
            lives_for=timedelta(minutes=2),
            number="47",
            enrolment_id="p1",
            destination="Anin telefon",
            again_after=timedelta(seconds=30),
        )

    async def verify(self, challenge, person, answer, *, now):
        if isinstance(self.says, CannotAsk):
            raise self.says
        return self.says

    async def withdraw(self, challenge):
        self.withdrawn.append(challenge.challenge_id)


class AtProvider:
    async def offer(self, session):
        return Offer(method="rekono") if session.method == "rekono" else None

    async def begin(self, visit, session, route):
        return f"https://idp.example/authorize?route={route.name}"


class StepUpFixture:
    """A person who signed in with a certificate, at level 20, and has every method."""

    def __init__(self, *, level=Level.MEDIUM, method="acnlb", events=None, portal="acq"):
        self.now = NOW
        self.sessions, self.challenges, self.people = MemorySessions(), MemoryChallenges(), MemoryPeople()
        self.enrolments, self.outbox, self.phone = MemoryEnrolments(), Outbox(), Phone()
        self.limits = MemoryLimits(people=RULES, addresses=replace(RULES, after=30))
        self.hashes = CodeHashes((b"k" * 32,))
        self.ticket = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
        signed_in = AuthenticationEvent(
            method=method, at=NOW, source="sha256:ab", amr=("pop",), is_step_up=False, level=level
        )
        self.session = Session(
            session_id=self.ticket.session_id,
            portal=portal,
            method=method,
            level=level,
            events=events or (signed_in,),
            started_at=NOW,
            person=Person(
                issuer=Issuer("https://idp.example/"), subject=Subject("a1"), name="Ana", phone=PHONE
            ),
            expires_at=NOW + timedelta(hours=8),
            idle_for=timedelta(minutes=15),
        )
        self.owner = owner_of(self.session.person)
        self.told = []
        self.secret = secret_of(b"s" * 20)
        self.used = MemoryUsedProofs(clock=lambda: self.now)
        self.octets = MemorySharedOctets(clock=lambda: self.now)
        self.held = HeldRequests(
            store=self.octets,
            limits=self.limits,
            random_text=secrets.token_urlsafe,
            lives_for=timedelta(minutes=30),
            size=1024,
            types=(FORM,),
        )

    async def open(self):
        await self.sessions.create(self.ticket, self.session, browser="Firefox", now=NOW)
        await self.adds("e1", self.secret)
        self.sheet, kept = await sheet_of(self.owner)
        listing = Enrolment(enrolment_id="r1", method="recovery", label="", enrolled_at=NOW, level=Level.HIGH)
        await self.enrolments.make_recovery(self.owner, kept, listing, instead_of=None)
        return self

    async def adds(self, name, secret, level=Level.HIGH):
        """Adds an application for codes that was enrolled at this level."""
        enrolment = Enrolment(
            enrolment_id=name,
            method="totp",
            label=f"telefon {name}",
            enrolled_at=NOW,
            secret=secret,
            level=level,
        )
        assert await self.enrolments.add(self.owner, enrolment)

    def step_ups(self, **changed):
        numbers = PhoneNumbers(self.people)
        sms = SmsMethod(
            sender=self.outbox,
            numbers=numbers,
            limits=self.limits,
            hashes=self.hashes,
            rules=CodeRules(),
            random_below=secrets.randbelow,
            text=self.text,
        )
        methods = [
            TotpMethod(enrolments=self.enrolments, lives_for=timedelta(minutes=5)),
            RecoveryMethod(enrolments=self.enrolments, lives_for=timedelta(minutes=5), cost=QUICK),
            sms,
            self.phone,
        ]
        elsewhere = {"rekono": AtProvider()} | changed.get("elsewhere", {})
        return StepUpChallenges(
            sessions=self.sessions,
            challenges=self.challenges,
            limits=self.limits,
            repeated_answers=RepeatedAnswers(store=self.octets, sessions=self.sessions),
            portals=PORTALS,
            methods=methods,
            elevations=Elevations(sessions=self.sessions, random_bytes=secrets.token_bytes),
            elsewhere=elsewhere,
            portal_name=lambda portal_id, locale: f"{portal_id} ({locale})",
            describe_browser=lambda _: "Firefox",
            random_text=secrets.token_urlsafe,
            rules=StepUpRules(
                levels=changed.get("levels", LEVELS), tries=5, source="https://gateway.example"
            ),
            method_changes=MethodChanges(
                enrolments=self.enrolments,
                people=self.people,
                available=frozenset(STEP_UP_METHODS),
                enrolment_proof_for=timedelta(minutes=5),
            ),
            notices=self,
            bound_requests=BoundRequests(held_requests=self.held, used_proofs=self.used),
        )

    async def tell(self, person, **what):
        self.told.append((person, what))

    def text(self, **said):
        self.said = said
        return said["code"]

    def visit(self, place="/pay?id=7", *, ticket=None, portal="acq", address="192.0.2.1", **more):
        return Visit(
            portal_id=portal,
            ticket_text=ticket or self.ticket.text,
            browser="flow",
            user_agent="",
            address=address,
            locale="sl",
            now=self.now,
            return_to=place,
            **more,
        )

    async def asked(self, method="sms", **where):
        issued = await self.step_ups().begin(self.visit(**where), method)
        assert isinstance(issued, Pending)
        return issued.standing.challenge

    async def answers(self, challenge, typed, *, page=None, **where):
        return await self.step_ups().answer(self.visit(**where), challenge.challenge_id, typed, page=page)

    def totp(self, seconds=0):
        return pyotp.TOTP(self.secret).at(self.now + timedelta(seconds=seconds))


@pytest.fixture
async def house():
    return await StepUpFixture().open()


def reason(outcome):
    assert isinstance(outcome, NotProved)
    return outcome.reason


# What is offered.


async def test_the_methods_that_route_level_and_person_allow_are_offered(house):
    demand = await house.step_ups().demand(house.visit())
    assert [offer.method for offer in demand.offers] == ["push", "totp", "sms", "recovery"]
    assert demand.route.name == "acq/pay"
    assert not demand.is_met
    assert demand.lacking == ("rekono",)


async def test_at_level_30_no_text_messages_and_at_level_10_no_notifications():
    high, low = await StepUpFixture(level=Level.HIGH).open(), await StepUpFixture(level=Level.LOW).open()
    of_high, of_low = [await house.step_ups().demand(house.visit()) for house in (high, low)]
    assert "sms" not in [offer.method for offer in of_high.offers]
    assert of_high.withheld == ("sms",)
    assert [offer.method for offer in of_low.offers] == ["totp", "sms", "recovery"]
    assert of_low.withheld == ("push",)


async def test_a_method_that_the_level_of_trust_does_not_allow_is_not_called_missing(house):
    ways = {"certificate": ByCertificate(None, house.people, knows_tax_numbers=True, level=Level.HIGH)}
    medium = await house.step_ups(elsewhere=ways).demand(house.visit())
    assert (medium.lacking, medium.withheld) == (("rekono",), ())
    high = await StepUpFixture(level=Level.HIGH).open()
    assert (await high.step_ups(elsewhere=ways).demand(high.visit())).lacking == ("rekono", "certificate")


async def test_only_the_last_digits_of_the_number_are_shown(house):
    demand = await house.step_ups().demand(house.visit())
    assert next(offer.destination for offer in demand.offers if offer.method == "sms") == "••• 456"


async def test_a_method_that_the_route_does_not_accept_cannot_be_begun(house):
    outcome = await house.step_ups().begin(house.visit("/paper"), "sms")
    assert reason(outcome) is Reason.STEP_UP_IMPOSSIBLE
    assert house.outbox.sent == []


async def test_people_who_signed_in_at_the_provider_can_sign_in_there_again():
    house = await StepUpFixture(method="rekono").open()
    outcome = await house.step_ups().begin(house.visit(), "rekono")
    assert isinstance(outcome, SentAway)
    assert outcome.location.endswith("route=acq/pay")


# What a proof is worth.


async def test_a_method_that_was_added_at_a_lower_level_is_not_offered_where_a_higher_one_is_demanded(house):
    await house.enrolments.remove(house.owner, "e1")
    await house.adds("low", house.secret, Level.LOW)
    demand = await house.step_ups().demand(house.visit("/trusted"))
    assert [offer.method for offer in demand.offers] == ["push", "sms", "recovery"]
    assert demand.withheld == ("totp",)
    assert reason(await house.step_ups().begin(house.visit("/trusted"), "totp")) is Reason.STEP_UP_IMPOSSIBLE


async def test_a_proof_is_worth_as_much_as_its_enrolment_wherever_it_was_asked_for(house):
    await house.enrolments.remove(house.owner, "e1")
    await house.adds("low", house.secret, Level.LOW)
    stronger = await house.answers(await house.asked("totp"), house.totp())
    assert stronger.session.events[-1].level is Level.LOW
    assert (await house.step_ups().demand(house.visit(ticket=stronger.ticket_text))).is_met
    assert not (await house.step_ups().demand(house.visit("/trusted", ticket=stronger.ticket_text))).is_met


async def test_only_the_application_of_the_demanded_level_can_answer(house):
    other = secret_of(b"o" * 20)
    await house.adds("low", other, Level.LOW)
    challenge = await house.asked("totp", place="/trusted")
    assert challenge.destination == "telefon e1"
    assert reason(await house.answers(challenge, pyotp.TOTP(other).at(house.now))) is Reason.CODE_WRONG
    assert (await house.answers(challenge, house.totp())).session.events[-1].level is Level.MEDIUM


@pytest.mark.parametrize("name", ["e1", "mid"])
async def test_either_of_two_trusted_applications_answers_and_the_proof_is_worth_the_lower_level(
    name,
):
    house = await StepUpFixture(level=Level.HIGH).open()
    secrets_of = {"e1": house.secret, "mid": secret_of(b"m" * 20)}
    await house.adds("mid", secrets_of["mid"], Level.MEDIUM)
    challenge = await house.asked("totp", place="/trusted")
    assert challenge.destination == "telefon e1, telefon mid"
    stronger = await house.answers(challenge, pyotp.TOTP(secrets_of[name]).at(house.now))
    assert stronger.session.events[-1].level is Level.MEDIUM


async def test_a_sheet_of_recovery_codes_is_worth_what_its_listing_says(house):
    sheet, kept = await sheet_of(house.owner)
    listing = Enrolment(enrolment_id="r2", method="recovery", label="", enrolled_at=NOW)
    assert await house.enrolments.make_recovery(house.owner, kept, listing, instead_of="r1")
    assert "recovery" in (await house.step_ups().demand(house.visit("/trusted"))).withheld
    stronger = await house.answers(await house.asked("recovery"), sheet[0])
    assert stronger.session.events[-1].level is Level.LOW


async def test_recovery_codes_that_were_changed_for_lower_ones_meanwhile_prove_nothing_more(house):
    challenge = await house.asked("recovery", place="/trusted")
    sheet, kept = await sheet_of(house.owner)
    listing = Enrolment(enrolment_id="r2", method="recovery", label="", enrolled_at=NOW)
    assert await house.enrolments.make_recovery(house.owner, kept, listing, instead_of="r1")
    assert reason(await house.answers(challenge, sheet[0])) is Reason.CODE_WRONG


async def test_a_certificate_is_not_offered_where_its_level_is_too_low():
    high = await StepUpFixture(level=Level.HIGH).open()
    ways = {"certificate": ByCertificate(None, high.people, knows_tax_numbers=True, level=Level.MEDIUM)}
    high.session = replace(
        high.session, person=replace(high.session.person, tax_number=TaxNumber("10000009"))
    )
    await high.sessions.create(high.ticket, high.session, browser="", now=NOW)
    step_ups = high.step_ups(elsewhere=ways)
    assert "certificate" in [offer.method for offer in (await step_ups.demand(high.visit("/trusted"))).offers]
    demand = await step_ups.demand(high.visit("/most"))
    assert "certificate" not in [offer.method for offer in demand.offers]
    assert "certificate" in demand.withheld


async def test_a_proof_made_in_time_meets_the_demand_and_one_too_old_does_not(house):
    stronger = await house.answers(await house.asked("totp"), house.totp())
    house.now += timedelta(minutes=5)
    assert (await house.step_ups().demand(house.visit(ticket=stronger.ticket_text))).is_met
    house.now += timedelta(seconds=1)
    assert not (await house.step_ups().demand(house.visit(ticket=stronger.ticket_text))).is_met


async def test_nobody_is_asked_without_a_session_at_this_portal(house):
    elsewhere = house.visit(portal="b2b")
    assert await house.step_ups().demand(elsewhere) is None
    assert await house.step_ups().begin(elsewhere, "sms") is None
    for ticket in ("1.none", None):
        stranger = replace(house.visit(), ticket_text=ticket)
        assert await house.step_ups().standing(stranger, "c") is None
        assert await house.step_ups().again(stranger, "c") is None
        assert await house.step_ups().answer(stranger, "c", "123456") is None


# What is asked.


async def test_a_code_goes_to_the_number_that_is_vouched_for_and_names_the_portal(house):
    assert (await house.asked()).destination == "••• 456"
    [sms] = house.outbox.sent
    assert sms.recipient == PHONE
    assert (house.said["portal_name"], house.said["locale"], house.said["shown"]) == ("acq (sl)", "sl", ())
    assert (house.said["origin"], house.said["minutes"]) == ("https://acq.example", 5)


async def test_the_banks_number_counts_for_the_banks_people(house):
    numbers = PhoneNumbers(house.people)
    listed = Member(member_id=MemberId("ana"), name="Ana", phone="+38641999888")
    await house.people.take_over([listed], revision=(await house.people.every()).revision, departures=())
    person = Person(issuer=Issuer("x"), subject=Subject("y"), member=MemberId("ana"), phone=PHONE)
    assert await numbers.number_of(person) == "+38641999888"
    await house.people.take_over(
        [listed.blocked(NOW, None)], revision=(await house.people.every()).revision, departures=()
    )
    assert await numbers.number_of(person) is None
    assert (
        await numbers.number_of(
            Person(issuer=Issuer("x"), subject=Subject("y"), member=MemberId("gone"), phone=PHONE)
        )
        is None
    )


async def test_two_tabs_and_a_second_click_send_one_message(house):
    first = await house.asked()
    again = await house.step_ups().begin(house.visit(), "sms")
    assert again.standing.challenge.challenge_id == first.challenge_id
    assert not again.is_new
    assert len(house.outbox.sent) == 1


async def test_another_path_gets_a_challenge_of_its_own_but_not_another_message_at_once(house):
    await house.asked()
    outcome = await house.step_ups().begin(house.visit("/pay?id=8"), "sms")
    assert reason(outcome) is Reason.STEP_UP_TOO_OFTEN
    assert outcome.until == NOW + timedelta(seconds=60)


async def test_a_sixth_message_within_an_hour_is_refused(house):
    for number in range(5):
        house.now = NOW + timedelta(minutes=2 * number)
        await house.sessions.touch(house.ticket, now=house.now)
        await house.asked(place=f"/pay?id={number}")
    house.now += timedelta(minutes=2)
    outcome = await house.step_ups().begin(house.visit("/pay?id=9"), "sms")
    assert reason(outcome) is Reason.STEP_UP_TOO_OFTEN
    assert outcome.until == NOW + timedelta(hours=1)


async def test_a_sender_that_is_down_leaves_no_challenge_and_says_so(house):
    house.outbox.is_down = True
    outcome = await house.step_ups().begin(house.visit(), "sms")
    assert (reason(outcome), outcome.detail, outcome.session) == (
        Reason.SENDER_UNAVAILABLE,
        "no gateway takes messages",
        house.session,
    )
    assert await house.challenges.current(house.session.session_id, now=house.now) == ()


async def test_after_a_new_message_the_earlier_code_does_not_work(house):
    first = await house.asked()
    old_code = house.outbox.code
    house.now += timedelta(seconds=61)
    again = await house.step_ups().again(house.visit(), first.challenge_id)
    assert isinstance(again, Pending)
    assert again.standing.challenge.return_to == "/pay?id=7"
    assert reason(await house.answers(first, old_code)) is Reason.CHALLENGE_OVER
    second = again.standing.challenge
    if old_code != house.outbox.code:
        assert reason(await house.answers(second, old_code)) is Reason.CODE_WRONG
    assert isinstance(await house.answers(second, house.outbox.code), SteppedUp)


async def test_if_a_new_message_is_refused_the_earlier_code_still_works(house):
    first = await house.asked()
    outcome = await house.step_ups().again(house.visit("/"), first.challenge_id)
    assert (reason(outcome), outcome.standing.challenge) == (Reason.STEP_UP_TOO_OFTEN, first)
    assert isinstance(await house.answers(first, house.outbox.code), SteppedUp)


async def test_nothing_is_sent_again_where_nothing_was_sent(house):
    challenge = await house.asked("totp")
    again = await house.step_ups().again(house.visit(), challenge.challenge_id)
    assert again.standing.challenge.challenge_id == challenge.challenge_id
    house.now += timedelta(minutes=5)
    assert (
        reason(await house.step_ups().again(house.visit(), challenge.challenge_id)) is Reason.CHALLENGE_OVER
    )


# What an answer does.


@pytest.mark.parametrize("method", ["sms", "totp", "recovery"])
async def test_a_right_answer_makes_the_session_stronger_under_a_new_ticket(house, method):
    challenge = await house.asked(method, held="h" * 43)
    typed = {"sms": lambda: house.outbox.code, "totp": house.totp, "recovery": lambda: house.sheet[3]}[
        method
    ]()
    outcome = await house.answers(challenge, f" {typed} ")
    assert isinstance(outcome, SteppedUp)
    assert (outcome.return_to, outcome.held) == ("/pay?id=7", "h" * 43)
    proof = outcome.session.events[-1]
    assert (proof.method, proof.at, proof.source, proof.is_step_up, proof.level) == (
        method,
        NOW,
        "https://gateway.example",
        True,
        Level.MEDIUM,
    )
    assert proof.amr == (("sms",) if method == "sms" else ("otp",))
    assert (outcome.session.level, outcome.session.expires_at) == (
        house.session.level,
        house.session.expires_at,
    )
    assert await house.sessions.load(house.ticket, now=house.now) is None
    stronger = house.visit(ticket=outcome.ticket_text)
    assert (await house.step_ups().demand(stronger)).is_met
    assert (
        not (await house.step_ups().demand(house.visit("/paper", ticket=outcome.ticket_text))).is_met
        or method == "recovery"
    )


@pytest.mark.parametrize("typed", ["", "000000x", "12345", "1234567", "'; DROP", "\x00"])
async def test_every_wrong_answer_is_told_in_the_same_way(house, typed):
    challenge = await house.asked()
    outcome = await house.answers(challenge, typed)
    assert reason(outcome) is Reason.CODE_WRONG
    assert (await house.sessions.load(house.ticket, now=house.now)).session == house.session


async def test_a_wrong_answer_leads_back_to_where_its_challenge_belongs_wherever_it_was_sent_from(house):
    challenge = await house.asked(held="h" * 43)
    outcome = await house.answers(challenge, "wrong", place="/elsewhere", held="x" * 43)
    assert (outcome.return_to, outcome.held, outcome.method) == ("/pay?id=7", "h" * 43, "sms")


async def test_a_challenge_takes_five_answers_and_then_not_even_the_right_one(house):
    challenge = await house.asked()
    outcomes = [await house.answers(challenge, "wrong") for _ in range(5)]
    assert [reason(outcome) for outcome in outcomes] == [Reason.CODE_WRONG] * 5
    assert outcomes[-1].standing.state is State.EXHAUSTED
    assert [outcome.until for outcome in outcomes] == [None] * 4 + [house.now + timedelta(minutes=15)]
    assert reason(await house.answers(challenge, house.outbox.code)) is Reason.CHALLENGE_OVER


async def test_a_sixth_answer_is_not_judged_while_the_fifth_still_is(house):
    challenge = await house.asked()
    for _ in range(5):
        await house.challenges.count_try(challenge.challenge_id, now=house.now)
    outcome = await house.answers(challenge, house.outbox.code)
    assert (reason(outcome), outcome.state) == (Reason.CHALLENGE_OVER, State.EXHAUSTED)


async def test_an_answer_to_a_challenge_that_is_used_up_forgives_no_wrong_ones(house):
    spent, waiting = await house.asked("totp", place="/pay?id=8"), await house.asked()
    for _ in range(5):
        await house.challenges.count_try(spent.challenge_id, now=house.now)
    for _ in range(4):
        await house.answers(waiting, "wrong")
    assert reason(await house.answers(spent, house.totp())) is Reason.CHALLENGE_OVER
    assert reason(await house.answers(waiting, house.outbox.code)) is Reason.STEP_UP_BLOCKED


async def test_a_challenge_without_tries_is_not_given_again(house):
    spent = await house.asked("totp")
    for _ in range(5):
        await house.challenges.count_try(spent.challenge_id, now=house.now)
    again = await house.asked("totp")
    assert again.challenge_id != spent.challenge_id
    assert isinstance(await house.answers(again, house.totp()), SteppedUp)


async def test_five_wrong_answers_block_the_person_at_every_address_and_for_every_method_that_can_be_guessed(
    house,
):
    challenge = await house.asked()
    for number in range(5):
        await house.answers(challenge, "wrong", address=f"192.0.2.{number}")
    outcome = await house.step_ups().begin(house.visit("/pay?id=8", address="198.51.100.1"), "totp")
    assert reason(outcome) is Reason.STEP_UP_BLOCKED
    assert outcome.until == NOW + timedelta(minutes=15)
    assert (await house.step_ups().demand(house.visit())).blocked_until == NOW + timedelta(minutes=15)
    house.now += timedelta(minutes=14)
    assert reason(await house.answers(challenge, house.outbox.code)) in {
        Reason.STEP_UP_BLOCKED,
        Reason.CHALLENGE_OVER,
    }


async def block(house):
    challenge = await house.asked(place="/pay?id=0")
    for _ in range(5):
        await house.answers(challenge, "wrong")


async def test_people_whose_codes_are_blocked_can_still_use_methods_that_nobody_can_guess(house):
    await block(house)
    demand = await house.step_ups().demand(house.visit())
    assert ([offer.method for offer in demand.offers], demand.blocked_until) == (
        ["push"],
        NOW + timedelta(minutes=15),
    )
    house.phone.says = Verdict.RIGHT
    assert isinstance(await house.answers(await house.asked("push"), ""), SteppedUp)


async def test_people_whose_codes_are_blocked_can_still_sign_in_again_at_the_provider():
    house = await StepUpFixture(method="rekono").open()
    await block(house)
    assert isinstance(await house.step_ups().begin(house.visit(), "rekono"), SentAway)


async def test_a_block_is_not_mentioned_where_it_closes_no_method(house):
    await block(house)
    await house.enrolments.put_recovery(house.owner, ())
    demand = await house.step_ups().demand(house.visit("/paper"))
    assert (demand.blocked_until, demand.lacking) == (None, ("recovery",))


async def test_a_proof_that_nobody_can_guess_gives_no_new_tries_for_codes(house):
    await block(house)
    house.phone.says = Verdict.RIGHT
    stronger = await house.answers(await house.asked("push"), "")
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    assert reason(await house.step_ups().begin(house.visit("/pay?id=9"), "totp")) is Reason.STEP_UP_BLOCKED


async def test_nothing_is_sent_again_while_codes_are_blocked(house):
    sms = await house.asked()
    house.now += timedelta(seconds=61)
    totp = await house.asked("totp", place="/pay?id=8")
    for _ in range(5):
        await house.answers(totp, "wrong")
    outcome = await house.step_ups().again(house.visit(), sms.challenge_id)
    assert (reason(outcome), outcome.standing.challenge, outcome.until) == (
        Reason.STEP_UP_BLOCKED,
        sms,
        house.now + timedelta(minutes=15),
    )
    assert len(house.outbox.sent) == 1


async def test_no_answer_is_judged_during_a_block_even_to_an_older_challenge(house):
    waiting = await house.asked("totp", place="/pay?id=8")
    await block(house)
    outcome = await house.answers(waiting, house.totp())
    assert (reason(outcome), outcome.standing.challenge, outcome.until) == (
        Reason.STEP_UP_BLOCKED,
        waiting,
        NOW + timedelta(minutes=15),
    )
    house.now += timedelta(minutes=4, seconds=59)
    assert reason(await house.answers(waiting, house.totp())) is Reason.STEP_UP_BLOCKED
    assert (await house.sessions.load(house.ticket, now=house.now)).session == house.session


async def test_another_notification_is_sent_while_codes_are_blocked(house):
    push = await house.asked("push")
    await block(house)
    again = await house.step_ups().again(house.visit(), push.challenge_id)
    assert again.is_new
    assert again.standing.challenge.method == "push"


async def test_a_right_answer_forgives_the_wrong_ones_before_it(house):
    challenge = await house.asked()
    for _ in range(4):
        await house.answers(challenge, "wrong")
    stronger = await house.answers(challenge, house.outbox.code)
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    house.now += timedelta(minutes=2)
    challenge = await house.asked("totp", place="/pay?id=8")
    for _ in range(4):
        assert reason(await house.answers(challenge, "wrong")) is Reason.CODE_WRONG


class SlowOutbox(Outbox):
    """An SMS gateway that takes a message only when the test lets it."""

    def __init__(self):
        super().__init__()
        self.has_been_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def send(self, sms):
        self.has_been_asked.set()
        await self.may_answer.wait()
        return await super().send(sms)


@pytest.fixture
def slow(house):
    house.outbox = SlowOutbox()
    return house.outbox


async def two_clicks(slow, clicks_first, clicks_second, clicks_elsewhere):
    """What the two get. The second click comes while the message of the first one is on its way. What the click
    elsewhere gets shows that the second one had its turn meanwhile."""
    slow.may_answer.clear()
    slow.has_been_asked.clear()
    first = asyncio.ensure_future(clicks_first())
    await slow.has_been_asked.wait()
    second = asyncio.ensure_future(clicks_second())
    assert reason(await clicks_elsewhere()) is Reason.STEP_UP_TOO_OFTEN
    slow.may_answer.set()
    return await asyncio.gather(first, second)


@pytest.fixture(params=["one worker", "two workers"])
def step_ups(request, house):
    """Those at which the first and the second click arrive."""
    first = house.step_ups()
    return first, first if request.param == "one worker" else house.step_ups()


async def test_a_double_click_while_the_message_is_on_its_way_sends_one_and_shows_its_page_twice(
    house, slow, step_ups
):
    clicks = await two_clicks(
        slow,
        lambda: step_ups[0].begin(house.visit(), "sms"),
        lambda: step_ups[1].begin(house.visit(), "sms"),
        lambda: step_ups[1].begin(house.visit("/"), "sms"),
    )
    assert [click.is_new for click in clicks] == [True, False]
    assert clicks[0].standing == clicks[1].standing
    assert len(slow.sent) == 1


async def test_a_click_that_is_over_keeps_no_later_one_waiting(house):
    class Counting(MemoryChallenges):
        looks = 0

        async def take_turn(self, name, owner):
            self.looks += 1
            return await super().take_turn(name, owner)

    house.challenges = Counting()
    for _ in range(3):
        await house.asked()
    house.outbox.is_down = True
    for _ in range(3):
        await house.step_ups().begin(house.visit("/"), "sms")
    assert house.challenges.looks == 6


async def test_another_message_that_is_asked_for_twice_is_sent_once(house, slow, step_ups):
    slow.may_answer.set()
    challenge = (await step_ups[0].begin(house.visit(), "sms")).standing.challenge
    house.now += timedelta(minutes=2)
    clicks = await two_clicks(
        slow,
        lambda: step_ups[0].again(house.visit(), challenge.challenge_id),
        lambda: step_ups[1].again(house.visit(), challenge.challenge_id),
        lambda: step_ups[1].begin(house.visit("/"), "sms"),
    )
    assert [click.is_new for click in clicks] == [True, False]
    assert clicks[0].standing == clicks[1].standing
    assert len(slow.sent) == 2


async def test_when_no_message_can_be_sent_the_first_click_is_told_and_the_next_ones_when_to_try_again(
    house, slow, step_ups
):
    slow.is_down = True
    clicks = await two_clicks(
        slow,
        lambda: step_ups[0].begin(house.visit(), "sms"),
        lambda: step_ups[1].begin(house.visit(), "sms"),
        lambda: step_ups[1].begin(house.visit("/"), "sms"),
    )
    assert [(reason(click), click.until) for click in clicks] == [
        (Reason.SENDER_UNAVAILABLE, None),
        (Reason.STEP_UP_TOO_OFTEN, NOW + timedelta(minutes=1)),
    ]
    slow.is_down = False
    house.now += timedelta(minutes=2)
    assert isinstance(await step_ups[1].begin(house.visit(), "sms"), Pending)


class AskedOverTheNetwork(MemoryLimits):
    """Others answer between the reading of the challenge and the counting of this answer."""

    async def try_answer(self, names, *, now):
        await asyncio.sleep(0)
        return await super().try_answer(names, now=now)


async def test_of_twenty_right_answers_at_one_moment_one_wins_and_nobody_is_blocked(house):
    house.limits = AskedOverTheNetwork(people=RULES, addresses=replace(RULES, after=30))
    challenge = await house.asked()
    outcomes = await asyncio.gather(*(house.answers(challenge, house.outbox.code) for _ in range(20)))
    assert sum(isinstance(outcome, SteppedUp) for outcome in outcomes) == 1
    assert (
        await house.limits.blocked_until([person_name(house.owner), address_name("192.0.2.1")], now=house.now)
        is None
    )


class Overtaken(Phone):
    """Another instance ends the challenge while this one asks what the phone has answered."""

    def __init__(self, house):
        super().__init__()
        self.house = house

    async def verify(self, challenge, person, answer, *, now):
        await self.house.challenges.resolve(challenge.challenge_id, State.EXPIRED, now=now)
        return Verdict.RIGHT


async def test_a_right_answer_to_a_challenge_that_another_instance_has_just_ended_proves_nothing(house):
    house.phone = Overtaken(house)
    outcome = await house.answers(await house.asked("push"), "")
    assert reason(outcome) is Reason.CHALLENGE_OVER
    assert (await house.sessions.load(house.ticket, now=house.now)).session == house.session


class Forgetful(MemoryChallenges):
    """Newer challenges of the session have displaced this one since it was read."""

    async def count_try(self, challenge_id, *, now):
        self._standings.discard(challenge_id)
        return await super().count_try(challenge_id, now=now)


async def test_an_answer_to_a_challenge_that_has_just_gone_is_too_late(house):
    house.challenges = Forgetful()
    assert reason(await house.answers(await house.asked(), house.outbox.code)) is Reason.CHALLENGE_OVER


class SignedOutMeanwhile(Phone):
    def __init__(self, house):
        super().__init__()
        self.house = house

    async def verify(self, challenge, person, answer, *, now):
        await self.house.sessions.revoke(self.house.session.session_id)
        return Verdict.RIGHT


async def test_a_right_answer_does_not_open_a_session_that_has_just_ended(house):
    house.phone = SignedOutMeanwhile(house)
    assert await house.answers(await house.asked("push"), "") is None
    assert await house.sessions.load(house.ticket, now=house.now) is None


async def test_a_code_of_one_session_does_not_work_in_another_of_the_same_person(house):
    challenge = await house.asked()
    other = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
    await house.sessions.create(
        other, replace(house.session, session_id=other.session_id), browser="Chrome", now=NOW
    )
    assert (
        reason(await house.answers(challenge, house.outbox.code, ticket=other.text)) is Reason.CHALLENGE_OVER
    )
    assert isinstance(await house.answers(challenge, house.outbox.code), SteppedUp)


async def test_a_code_for_one_path_does_not_work_for_another(house):
    challenge = await house.asked("totp")
    other = await house.asked("totp", place="/pay?id=8")
    assert challenge.challenge_id != other.challenge_id
    sms = await house.asked("sms")
    assert (
        reason(await house.answers(other, house.outbox.code)) is Reason.CODE_WRONG
        or house.outbox.code == house.totp()
    )
    assert isinstance(await house.answers(sms, house.outbox.code), SteppedUp)


@pytest.mark.parametrize(("seconds", "is_good"), [(299, True), (300, False), (601, False)])
async def test_a_code_lives_five_minutes(house, seconds, is_good):
    challenge = await house.asked()
    house.now += timedelta(seconds=seconds)
    outcome = await house.answers(challenge, house.outbox.code)
    assert isinstance(outcome, SteppedUp) if is_good else reason(outcome) is Reason.CHALLENGE_OVER


async def test_the_page_of_a_challenge_that_is_over_says_so(house):
    challenge = await house.asked("push")
    house.phone.says = Verdict.RIGHT
    house.now += timedelta(minutes=2)
    for outcome in (
        await house.step_ups().standing(house.visit(), challenge.challenge_id),
        await house.answers(challenge, ""),
    ):
        assert (reason(outcome), outcome.state) == (Reason.CHALLENGE_OVER, State.EXPIRED)


async def test_beginning_a_proof_is_activity(house):
    house.now += timedelta(minutes=14)
    await house.asked("totp")
    house.now += timedelta(minutes=4)
    challenge = await house.asked("totp", place="/pay?id=8")
    assert isinstance(await house.answers(challenge, house.totp()), SteppedUp)


async def test_a_challenge_that_never_existed_is_over(house):
    assert reason(await house.step_ups().answer(house.visit(), "made-up", "123456")) is Reason.CHALLENGE_OVER
    assert reason(await house.step_ups().standing(house.visit(), "made-up")) is Reason.CHALLENGE_OVER
    assert reason(await house.step_ups().again(house.visit(), "made-up")) is Reason.CHALLENGE_OVER


async def test_a_code_by_time_works_once_also_in_another_challenge(house):
    code = house.totp()
    stronger = await house.answers(await house.asked("totp"), code)
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    challenge = await house.asked("totp", place="/pay?id=8")
    assert reason(await house.answers(challenge, code)) is Reason.CODE_WRONG
    assert reason(await house.answers(challenge, house.totp(-30))) is Reason.CODE_WRONG
    assert isinstance(await house.answers(challenge, house.totp(30)), SteppedUp)


async def test_a_recovery_code_works_once(house):
    stronger = await house.answers(await house.asked("recovery"), house.sheet[0])
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    challenge = await house.asked("recovery", place="/pay?id=8")
    assert reason(await house.answers(challenge, house.sheet[0])) is Reason.CODE_WRONG
    assert isinstance(await house.answers(challenge, house.sheet[1].upper()), SteppedUp)


async def test_people_are_told_of_a_used_recovery_code_and_of_no_other_proof(house):
    stronger = await house.answers(await house.asked("totp"), house.totp())
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    challenge = await house.asked("recovery", place="/pay?id=8")
    await house.answers(challenge, "2222222222")
    assert house.told == []
    await house.answers(challenge, house.sheet[1])
    assert house.told == [
        (house.session.person, {"change": "used", "method": "recovery", "portal_id": "acq", "locale": "sl"})
    ]


async def test_after_a_change_of_the_number_a_code_to_the_old_one_does_not_work():
    house = await StepUpFixture().open()
    person = Person(issuer=Issuer("x"), subject=Subject("y"), member=MemberId("ana"))
    await _enter(house, "+38641999888")
    house.session = replace(house.session, person=person)
    await house.sessions.create(house.ticket, house.session, browser="", now=NOW)
    challenge = await house.asked()
    await _enter(house, "+38641999777")
    assert reason(await house.answers(challenge, house.outbox.code)) is Reason.CODE_WRONG


# A form that is sent twice.


PAGE_NAME = "p" * 22
"""The random name of the page that was sent."""


@pytest.mark.parametrize("method", ["sms", "totp", "recovery", "push"])
async def test_a_form_that_is_sent_twice_proves_once_and_both_get_the_new_ticket(house, method):
    challenge = await house.asked(method, held="h" * 43)
    house.phone.says = Verdict.RIGHT
    typed = {"sms": lambda: house.outbox.code, "totp": house.totp, "recovery": lambda: house.sheet[0]}
    code = typed.get(method, str)()
    first = await house.answers(challenge, code, page=PAGE_NAME)
    second = await house.answers(challenge, code, page=PAGE_NAME)
    assert isinstance(first, SteppedUp)
    assert (first.is_repeated, second.is_repeated) == (False, True)
    assert replace(second, is_repeated=False) == first
    assert (second.return_to, second.held) == ("/pay?id=7", "h" * 43)
    assert len(second.session.events) == 2
    assert len(house.told) == (1 if method == "recovery" else 0)
    assert await house.sessions.load(house.ticket, now=house.now) is None


async def test_whoever_clicks_again_with_the_new_ticket_while_the_portal_is_slow_is_led_on(house):
    challenge = await house.asked()
    first = await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    again = await house.answers(challenge, house.outbox.code, page=PAGE_NAME, ticket=first.ticket_text)
    assert replace(again, is_repeated=False) == first
    for typed, page in (("wrong", PAGE_NAME), (house.outbox.code, "q" * 22), (house.outbox.code, None)):
        outcome = await house.answers(challenge, typed, page=page, ticket=first.ticket_text)
        assert reason(outcome) is Reason.CHALLENGE_OVER


@pytest.mark.parametrize("method", ["sms", "totp"])
async def test_of_twenty_forms_at_one_moment_one_is_judged_and_all_get_the_new_ticket(
    house, step_ups, method
):
    house.limits = AskedOverTheNetwork(people=RULES, addresses=replace(RULES, after=30))
    challenge = await house.asked(method)
    code = house.outbox.code if method == "sms" else house.totp()
    outcomes = await asyncio.gather(
        *(
            step_ups[number % 2].answer(house.visit(), challenge.challenge_id, code, page=PAGE_NAME)
            for number in range(20)
        )
    )
    assert sorted(outcome.is_repeated for outcome in outcomes) == [False] + [True] * 19
    assert len({outcome.ticket_text for outcome in outcomes}) == 1
    tries = (await house.challenges.find(challenge.challenge_id, now=house.now)).tries_left
    assert tries == 4


async def tries_left(house, challenge):
    return (await house.challenges.find(challenge.challenge_id, now=house.now)).tries_left


@pytest.mark.parametrize("method", ["sms", "totp", "recovery"])
async def test_a_wrong_code_that_is_sent_twice_is_judged_and_counted_once(house, step_ups, method):
    challenge = await house.asked(method)
    outcomes = await asyncio.gather(
        *(
            step_ups[number % 2].answer(house.visit(), challenge.challenge_id, "wrong", page=PAGE_NAME)
            for number in range(20)
        )
    )
    assert [reason(outcome) for outcome in outcomes] == [Reason.CODE_WRONG] * 20
    assert sorted(outcome.is_repeated for outcome in outcomes) == [False] + [True] * 19
    assert len({replace(outcome, is_repeated=False) for outcome in outcomes}) == 1
    assert await tries_left(house, challenge) == 4
    right = {"sms": lambda: house.outbox.code, "totp": house.totp, "recovery": lambda: house.sheet[0]}
    assert isinstance(await house.answers(challenge, right[method](), page=PAGE_NAME), SteppedUp)


async def test_every_other_wrong_code_counts_and_so_does_the_same_code_of_another_page(house):
    challenge = await house.asked()
    for typed, page in (("123", PAGE_NAME), ("124", PAGE_NAME), ("123", "q" * 22), ("123", None)):
        assert reason(await house.answers(challenge, typed, page=page)) is Reason.CODE_WRONG
    assert await tries_left(house, challenge) == 1


async def test_the_last_wrong_code_is_answered_twice_alike_and_the_challenge_is_over(house):
    challenge = await house.asked()
    for number in range(4):
        await house.answers(challenge, f"12{number}", page=PAGE_NAME)
    last = [await house.answers(challenge, "wrong", page=PAGE_NAME) for _ in range(2)]
    assert replace(last[1], is_repeated=False) == last[0]
    assert last[0].until is not None
    assert reason(await house.answers(challenge, "another", page=PAGE_NAME)) is Reason.CHALLENGE_OVER
    assert reason(await house.answers(challenge, house.outbox.code, page=PAGE_NAME)) is Reason.CHALLENGE_OVER


async def test_a_wrong_code_is_counted_again_after_ten_seconds(house):
    challenge = await house.asked()
    await house.answers(challenge, "wrong", page=PAGE_NAME)
    house.now += timedelta(seconds=11)
    assert not (await house.answers(challenge, "wrong", page=PAGE_NAME)).is_repeated
    assert await tries_left(house, challenge) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"page": None},
        {"page": ""},
        {"page": "q" * 22},
        {"page": PAGE_NAME + "\n"},
        {"typed": "000000"},
        {"typed": ""},
        {"challenge": "another"},
        {"portal": "b2b"},
        {"ticket": SessionTicket(b"i" * 16, b"s" * 32).text},
    ],
    ids=str,
)
async def test_with_the_old_ticket_nobody_gets_anything_who_does_not_send_the_very_same_form(house, other):
    challenge = await house.asked()
    code = house.outbox.code
    assert isinstance(await house.answers(challenge, code, page=PAGE_NAME), SteppedUp)
    form = {"typed": code, "page": PAGE_NAME, "challenge": challenge.challenge_id} | other
    where = {name: other[name] for name in ("portal", "ticket") if name in other}
    outcome = await house.step_ups().answer(
        house.visit(**where), form["challenge"], form["typed"], page=form["page"]
    )
    assert outcome is None


async def test_a_form_without_the_name_of_its_page_is_not_answered_twice(house):
    challenge = await house.asked()
    code = house.outbox.code
    assert isinstance(await house.answers(challenge, code), SteppedUp)
    for page in (None, "", PAGE_NAME):
        assert await house.answers(challenge, code, page=page) is None


@pytest.mark.parametrize(("seconds", "is_answered"), [(0, True), (9, True), (10, False)])
async def test_a_form_is_answered_again_for_ten_seconds(house, seconds, is_answered):
    challenge = await house.asked()
    await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    house.now += timedelta(seconds=seconds)
    outcome = await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    assert (outcome is not None) == is_answered


async def test_after_the_new_session_has_ended_a_form_is_not_answered_again(house):
    challenge = await house.asked()
    first = await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    await house.sessions.revoke(first.session.session_id)
    assert await house.answers(challenge, house.outbox.code, page=PAGE_NAME) is None


async def test_nobody_who_has_no_session_makes_the_store_keep_anything(house):
    challenge = await house.asked()
    nobody = SessionTicket(b"i" * 16, b"s" * 32).text
    house.challenges.take_turn = None  # whoever takes a turn fails
    outcome = await house.answers(challenge, house.outbox.code, page=PAGE_NAME, ticket=nobody)
    assert outcome is None


class Recorded(MemorySharedOctets):
    """Remembers everything that was put into it; with `fails`, it cannot be asked."""

    def __init__(self, *, clock, fails=False):
        super().__init__(clock=clock)
        self.fails = fails
        self.puts = []

    async def put(self, key, value, lives_for):
        if self.fails:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")
        self.puts.append((key, value))
        await super().put(key, value, lives_for)


async def test_the_store_learns_neither_the_new_ticket_nor_anything_of_the_form(house):
    house.octets = Recorded(clock=lambda: house.now)
    challenge = await house.asked()
    first = await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    for key, value in house.octets.puts:
        for secret in (first.ticket_text, house.ticket.text, PAGE_NAME, challenge.challenge_id, "/pay"):
            assert secret not in key
            assert secret.encode() not in value
    assert len({value for _, value in house.octets.puts}) == 2


async def test_something_else_in_the_place_of_the_kept_answer_counts_as_none(house):
    house.octets = Recorded(clock=lambda: house.now)
    challenge = await house.asked()
    await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    for key, value in list(house.octets.puts):
        await house.octets.put(key, bytes(len(value)), timedelta(minutes=1))
    assert await house.answers(challenge, house.outbox.code, page=PAGE_NAME) is None


async def test_a_proof_counts_also_if_the_store_cannot_keep_its_answer(house):
    house.octets = Recorded(clock=lambda: house.now, fails=True)
    challenge = await house.asked()
    outcome = await house.answers(challenge, house.outbox.code, page=PAGE_NAME)
    assert isinstance(outcome, SteppedUp)
    assert (await house.sessions.load(SessionTicket(*_parts(outcome.ticket_text)), now=house.now)) is not None


# A phone.


async def test_the_phone_is_told_the_path_without_its_query_and_of_the_browser(house):
    challenge = await house.asked("push", place="/trusted?id=7")
    asked = house.phone.asked
    assert (asked.path, asked.browser, asked.address, asked.level, asked.shown) == (
        "/trusted",
        "Firefox",
        "192.0.2.1",
        Level.MEDIUM,
        (),
    )
    assert (challenge.issued_at, challenge.expires_at, challenge.again_at) == (
        NOW,
        NOW + timedelta(minutes=2),
        NOW + timedelta(seconds=30),
    )


async def test_waiting_for_a_phone_costs_no_try(house):
    challenge = await house.asked("push")
    assert (challenge.number, challenge.enrolment_id, challenge.destination) == ("47", "p1", "Anin telefon")
    for _ in range(20):
        assert isinstance(await house.answers(challenge, ""), Pending)
    house.phone.says = Verdict.RIGHT
    standing = await house.step_ups().standing(house.visit(), challenge.challenge_id)
    assert (standing.is_answered, standing.is_new) == (True, False)
    stronger = await house.answers(challenge, "")
    assert (stronger.session.events[-1].method, stronger.session.events[-1].amr) == ("push", ("pop",))


@pytest.mark.parametrize("method", ["sms", "totp", "recovery"])
async def test_an_answer_of_the_phone_does_not_answer_a_challenge_of_another_method(house, method):
    challenge = await house.asked(method)
    house.phone.says = Verdict.RIGHT
    assert not (await house.step_ups().standing(house.visit(), challenge.challenge_id)).is_answered
    assert reason(await house.answers(challenge, "")) is Reason.CODE_WRONG


async def test_looking_at_a_challenge_resolves_nothing(house):
    challenge = await house.asked("push")
    house.phone.says = Verdict.RIGHT
    for _ in range(3):
        await house.step_ups().standing(house.visit(), challenge.challenge_id)
    assert (await house.challenges.find(challenge.challenge_id, now=house.now)).state is State.PENDING


@pytest.mark.parametrize("says", [Verdict.REFUSED, Verdict.WRONG])
async def test_a_phone_that_says_no_ends_the_challenge_for_good(house, says):
    challenge = await house.asked("push")
    house.phone.says = says
    outcome = await house.answers(challenge, "")
    assert (reason(outcome), outcome.state, outcome.method) == (Reason.PUSH_REFUSED, State.REFUSED, "push")
    house.phone.says = Verdict.RIGHT
    assert reason(await house.answers(challenge, "")) is Reason.PUSH_REFUSED


async def test_wrong_numbers_on_a_phone_block_nothing(house):
    """They were chosen on the person's own phone. Somebody who sends it notifications again and again must
    not lock its person out."""
    house.phone.says = Verdict.WRONG
    for number in range(6):
        await house.answers(await house.asked("push", place=f"/pay?id={number}"), "")
    assert isinstance(await house.step_ups().begin(house.visit(), "push"), Pending)
    assert isinstance(await house.step_ups().begin(house.visit(), "totp"), Pending)


async def test_while_the_service_is_down_the_page_waits_for_the_phone(house):
    challenge = await house.asked("push")
    house.phone.says = CannotAsk(Reason.SENDER_UNAVAILABLE, "away")
    assert isinstance(await house.answers(challenge, ""), Pending)
    assert not (await house.step_ups().standing(house.visit(), challenge.challenge_id)).is_answered


async def test_an_outage_of_the_store_is_not_told_as_waiting_or_as_an_outage_of_the_sender(house):
    challenge = await house.asked("push")
    house.phone.says = CannotAsk(Reason.STORE_UNAVAILABLE, "no answer")
    house.outbox.is_down = "store"
    for asking in (
        house.step_ups().standing(house.visit(), challenge.challenge_id),
        house.answers(challenge, ""),
        house.step_ups().begin(house.visit(), "sms"),
    ):
        with pytest.raises(CannotAsk) as failure:
            await asking
        assert failure.value.reason is Reason.STORE_UNAVAILABLE


async def test_a_new_notification_replaces_the_earlier_one(house):
    first = await house.asked("push")
    again = await house.step_ups().again(house.visit(), first.challenge_id)
    assert again.standing.challenge.challenge_id != first.challenge_id
    assert house.phone.withdrawn == [first.challenge_id]


async def test_too_many_wrong_codes_from_an_address_block_that_address_only(house):
    challenge = await house.asked()
    for number in range(30):
        await house.limits.try_answer([f"person:{number}", address_name("192.0.2.1")], now=house.now)
    assert reason(await house.answers(challenge, house.outbox.code)) is Reason.STEP_UP_BLOCKED
    assert isinstance(await house.answers(challenge, house.outbox.code, address="198.51.100.1"), SteppedUp)


async def test_wrong_answers_from_a_proxy_that_names_no_client_count_for_the_person_alone(house):
    nameless = {"address": "local", "is_counted_by_address": False}
    for number in range(8):  # of eight people behind it, each of whom is blocked by themselves
        other = await StepUpFixture().open()
        other.limits = house.limits
        other.session = replace(
            other.session, person=replace(other.session.person, subject=Subject(f"a{number}x"))
        )
        other.ticket = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
        other.session = replace(other.session, session_id=other.ticket.session_id)
        await other.sessions.create(other.ticket, other.session, browser="Firefox", now=NOW)
        challenge = await other.asked("sms", **nameless)
        for _ in range(5):
            await other.answers(challenge, "000000", **nameless)
        assert reason(await other.step_ups().begin(other.visit(**nameless), "sms")) is Reason.STEP_UP_BLOCKED
    challenge = await house.asked("sms", **nameless)
    assert isinstance(await house.answers(challenge, house.outbox.code, **nameless), SteppedUp)


# One proof for one request.


async def keeps(house, body=b"amount=120&note=x", target="/alone"):
    form = HeldRequest(target=target, content_type=FORM, fields=(), body=body)
    return {"place": target, "held": await house.held.keep(house.session, form, now=house.now)}


async def proves(house, **where):
    """Proves by a code by time. From then on the house has the new ticket."""
    house.now += timedelta(seconds=30)
    stronger = await house.answers(await house.asked("totp", **where), house.totp())
    assert isinstance(stronger, SteppedUp)
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    house.session = stronger.session


async def is_met(house, **where):
    return (await house.step_ups().demand(house.visit(**where))).is_met


async def test_a_proof_for_one_request_is_no_proof_for_another_or_for_the_session(house):
    form, same, place = await keeps(house), await keeps(house), {"place": "/alone?amount=7"}
    assert [await is_met(house, **where) for where in (form, same, place)] == [False] * 3
    await proves(house, **form)
    others = [same, place, {"place": "/alone?amount=8"}, {}]
    assert [await is_met(house, **where) for where in (form, *others)] == [True] + [False] * 4
    await proves(house, **place)
    assert [await is_met(house, **where) for where in (form, place, *others[2:])] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_proof_for_the_session_is_none_for_a_request_that_needs_its_own(house):
    form = await keeps(house)
    await proves(house)
    assert [
        await is_met(house),
        await is_met(house, **form),
        await is_met(house, place="/alone?amount=7"),
    ] == [True, False, False]


async def test_a_proof_that_its_request_has_used_does_not_count_again(house):
    form = await keeps(house)
    await proves(house, **form)
    [proof] = [event.bound_to for event in house.session.events if event.bound_to]
    assert await house.used.use(proof)
    assert not await is_met(house, **form)
    await proves(house, **form)
    assert await is_met(house, **form)


async def test_a_message_says_what_is_confirmed_and_so_does_the_next_one(house):
    form = await keeps(house)
    first = await house.asked("sms", **form)
    assert house.said["shown"] == first.shown == (("amount", "120"),)
    house.now += timedelta(seconds=61)
    again = await house.step_ups().again(house.visit(), first.challenge_id)
    second = again.standing.challenge
    assert house.said["shown"] == second.shown == first.shown
    assert (second.binding, second.held, second.return_to) == (first.binding, form["held"], "/alone")
    stronger = await house.answers(second, house.outbox.code)
    house.ticket = SessionTicket(*_parts(stronger.ticket_text))
    assert await is_met(house, **form)


async def test_no_proof_is_asked_for_a_request_that_cannot_be_read(house):
    form = await keeps(house, b"amount=1;amount=9000")
    demand = await house.step_ups().demand(house.visit(**form))
    assert (demand.is_readable, demand.is_met, demand.shown) == (False, False, ())
    outcome = await house.step_ups().begin(house.visit(**form), "sms")
    assert (reason(outcome), house.outbox.sent) == (Reason.REQUEST_CANNOT_BE_BOUND, [])


async def test_no_proof_is_asked_for_a_held_request_that_is_gone(house):
    demand = await house.step_ups().demand(house.visit("/alone", held="g" * 43))
    assert (demand.offers, demand.binding, demand.is_met) == ((), None, True)
    assert (
        reason(await house.step_ups().begin(house.visit("/alone", held="g" * 43), "sms"))
        is Reason.STEP_UP_IMPOSSIBLE
    )
    assert house.outbox.sent == []


async def test_an_address_cannot_have_a_request_confirmed_as_one_of_another_route(house):
    form = await keeps(house)
    demand = await house.step_ups().demand(house.visit(**form, route="acq/pay"))
    assert (demand.route.name, demand.shown, demand.held, demand.is_met) == (
        "acq/alone",
        (("amount", "120"),),
        form["held"],
        False,
    )
    await proves(house, **form, route="acq/pay")
    assert [await is_met(house, **form), await is_met(house)] == [True, False]


async def test_a_proof_for_a_change_of_methods_is_for_no_form_whatever_its_address_names(house):
    form = await keeps(house)
    demand = await house.step_ups().demand(house.visit(**form, route=REMOVING))
    assert (demand.route.name, demand.binding, demand.shown) == (REMOVING, None, ())
    await proves(house, **form, route=REMOVING)
    assert [await is_met(house, **form), await is_met(house, **form, route=REMOVING)] == [False, True]


async def test_the_demand_of_a_path_that_needs_no_proof_is_met(house):
    assert await is_met(house, place="/free")


# What enrolling asks for.


async def test_a_proof_for_enrolling_is_fresh_and_by_another_method(house):
    demand = await house.step_ups().demand(house.visit("/.authproxy/session", route=":totp"))
    assert "totp" not in [offer.method for offer in demand.offers]
    assert demand.route.requirement.step_up.max_age == timedelta(minutes=5)
    anything = await house.step_ups().demand(house.visit("/.authproxy/session", route=REMOVING))
    assert "totp" in [offer.method for offer in anything.offers]
    assert not anything.change.is_first
    assert (await house.step_ups().demand(house.visit())).change is None


async def test_people_who_change_their_methods_can_use_each_of_their_own_at_every_level():
    """Otherwise nobody could remove a factor that their level of trust no longer allows."""
    house = await StepUpFixture(level=Level.LOW).open()
    certificate = {
        "certificate": ByCertificate(None, house.people, knows_tax_numbers=True, level=Level.MEDIUM)
    }
    house.session = replace(
        house.session, person=replace(house.session.person, tax_number=TaxNumber("10000009"))
    )
    await house.sessions.create(house.ticket, house.session, browser="", now=NOW)
    await house.enrolments.add(
        house.owner, Enrolment(enrolment_id="p1", method="push", label="", enrolled_at=NOW, secret="pem")
    )
    step_ups = house.step_ups(elsewhere=certificate, levels={})
    offered = [
        offer.method
        for offer in (await step_ups.demand(house.visit("/.authproxy/session", route=REMOVING))).offers
    ]
    assert offered == ["push", "totp", "certificate", "recovery"]
    assert (await step_ups.demand(house.visit())).offers == ()


async def test_a_proof_for_a_change_of_methods_meets_the_demand_of_no_route(house):
    """For a change of methods, more methods are accepted than the level of trust allows on routes."""
    session_page = {"place": "/.authproxy/session", "route": REMOVING}
    stronger = await house.answers(await house.asked("totp", **session_page), house.totp())
    assert (await house.step_ups().demand(house.visit(ticket=stronger.ticket_text, **session_page))).is_met
    assert not (await house.step_ups().demand(house.visit(ticket=stronger.ticket_text))).is_met


@pytest.mark.parametrize("named", ["acq/pay", "b2b", "made up", ":nothing", ""])
async def test_the_named_route_demands_the_proof_or_else_the_one_that_covers_the_path(house, named):
    demand = await house.step_ups().demand(house.visit("/paper", route=named))
    assert demand.route.name == ("acq/pay" if named == "acq/pay" else "acq/paper")


def _parts(ticket_text):
    parsed = tickets.parse(ticket_text)
    return parsed.identifier, parsed.secret


async def _enter(house, phone):
    listed = Member(member_id=MemberId("ana"), name="Ana", phone=phone)
    await house.people.take_over([listed], revision=(await house.people.every()).revision, departures=())
