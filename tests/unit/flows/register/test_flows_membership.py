from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.register.membership import Admitted, Membership, NotAdmitted, refusal
from authproxy.identity.assurance import Level
from authproxy.identity.member import BlockedAccount, RegisterKey
from authproxy.identity.person import Person, Subject, TaxNumber
from authproxy.storage.memory import MemoryPeople
from tests.support.people_builders import ANA, ANAS_CERTIFICATE, CVETKA, DAVID, REKONO, SUBCA, account, linked
from tests.support.session_builders import NOW

FINGERPRINT, NAME = "a1" * 32, (SUBCA, 0xEE61ADE0)


class MembershipFixture:
    def __init__(self):
        self.store = MemoryPeople()
        self.membership = Membership(store=self.store)

    async def enter(self, *members):
        assert await self.store.take_over(
            members, revision=(await self.store.every()).revision, departures=()
        )

    async def member(self, member_id):
        [found] = await self.store.find([RegisterKey("id", member_id)])
        return found.member

    async def sign_in(
        self, subject="rekono-ana", number="99990008", level=Level.MEDIUM, *, portal="acq", members="register"
    ):
        person = Person(
            issuer=REKONO, subject=Subject(subject), tax_number=None if number is None else TaxNumber(number)
        )
        return await self.membership.by_sign_in(person, level, portal_id=portal, members=members)


@pytest.fixture
async def house():
    house = MembershipFixture()
    await house.enter(ANA, CVETKA, DAVID)
    return house


def outcome_of(told):
    return (
        (told.person.member, told.is_new_link) if isinstance(told, Admitted) else (told.reason, told.is_alarm)
    )


async def test_a_proven_tax_number_links_the_account_once_and_then_the_account_is_the_person(house):
    assert outcome_of(await house.sign_in()) == ("ana", True)
    assert (await house.member("ana")).accounts == (account(),)
    assert outcome_of(await house.sign_in()) == ("ana", False)
    assert outcome_of(await house.sign_in(number=None, level=Level.LOW)) == ("ana", False)


async def test_below_level_20_no_account_is_linked_and_nobody_learns_who_is_in_the_register(house):
    known, unknown = (
        await house.sign_in(level=Level.LOW),
        await house.sign_in(number="99990032", level=Level.LOW),
    )
    assert known == unknown
    assert (known.reason, known.level_needed, known.is_alarm) == (Reason.LEVEL_TOO_LOW, Level.MEDIUM, False)
    assert "activation code" in known.detail
    assert (await house.member("ana")).accounts == ()


async def test_whoever_is_not_in_the_register_comes_in_only_where_anyone_may(house):
    told = await house.sign_in(number="99990032")
    assert (told.reason, told.is_alarm) == (Reason.NOT_A_MEMBER, False)
    assert outcome_of(await house.sign_in(number="99990032", members="anyone")) == (None, False)
    assert outcome_of(await house.sign_in(number=None, members="anyone", level=Level.LOW)) == (None, False)
    assert outcome_of(await house.sign_in(level=Level.LOW, members="anyone")) == (None, False)


async def test_a_member_is_a_member_where_anyone_may_come_in_too(house):
    assert outcome_of(await house.sign_in(portal="bips", members="anyone")) == ("ana", True)


async def test_a_member_comes_in_only_at_the_portals_that_the_register_names(house):
    told = await house.sign_in(portal="bips")
    assert (outcome_of(told), told.is_new_link) == ((Reason.NOT_A_MEMBER, False), True)
    assert outcome_of(await house.sign_in(portal="b2b")) == ("ana", False)
    assert outcome_of(await house.sign_in("rekono-cvetka", "99990016", portal="bips")) == ("cvetka", True)


@pytest.mark.parametrize("members", ["anyone", "register"])
@pytest.mark.parametrize("level", list(Level))
async def test_the_tax_number_of_somebody_with_another_account_is_refused_with_an_alarm(
    house, members, level
):
    await house.sign_in()
    assert outcome_of(await house.sign_in("thief", level=level, members=members)) == (
        Reason.NOT_A_MEMBER,
        True,
    )
    assert (await house.member("ana")).accounts == (account(),)


@pytest.mark.parametrize("number", ["99990016", "99990032"])
async def test_a_linked_account_that_states_another_tax_number_is_refused_with_an_alarm(house, number):
    await house.sign_in()
    assert outcome_of(await house.sign_in(number=number)) == (Reason.NOT_A_MEMBER, True)


async def test_a_linked_person_without_a_tax_number_may_have_one_at_the_provider_unless_it_is_somebody_elses(
    house,
):
    await house.enter(linked(DAVID, "rekono-david"), ANA)
    assert outcome_of(await house.sign_in("rekono-david", "99990024", members="anyone")) == ("david", False)
    assert outcome_of(await house.sign_in("rekono-david", "99990008", members="anyone")) == (
        Reason.NOT_A_MEMBER,
        True,
    )


@pytest.mark.parametrize("members", ["anyone", "register"])
async def test_an_account_whose_subject_is_the_id_of_a_member_is_not_that_member(house, members):
    assert outcome_of(await house.sign_in("ana", None, members=members)) == (Reason.NOT_A_MEMBER, True)


@pytest.mark.parametrize("members", ["anyone", "register"])
@pytest.mark.parametrize("level", list(Level))
async def test_a_blocked_person_comes_in_nowhere_and_is_not_linked(house, members, level):
    await house.enter(ANA.blocked(NOW, None))
    assert outcome_of(await house.sign_in(level=level, members=members)) == (Reason.NOT_A_MEMBER, False)
    await house.enter(linked(ANA, "rekono-ana").blocked(NOW, None))
    assert outcome_of(await house.sign_in(number=None, level=level, members=members)) == (
        Reason.NOT_A_MEMBER,
        False,
    )


@pytest.mark.parametrize(
    ("certificates", "finds"),
    [
        ((ANAS_CERTIFICATE,), True),
        ((replace(ANAS_CERTIFICATE, issuer=None, serial=None),), True),
        ((replace(ANAS_CERTIFICATE, fingerprint=None),), True),
        ((replace(ANAS_CERTIFICATE, fingerprint="b2" * 32),), False),
        ((replace(ANAS_CERTIFICATE, fingerprint=None, serial=1),), False),
        (
            (
                replace(ANAS_CERTIFICATE, issuer=None, serial=None),
                replace(ANAS_CERTIFICATE, fingerprint="c3" * 32, serial=2),
            ),
            True,
        ),
        (
            (
                replace(ANAS_CERTIFICATE, fingerprint="b2" * 32),
                replace(ANAS_CERTIFICATE, fingerprint="c3" * 32, serial=2),
            ),
            False,
        ),
        ((), False),
    ],
)
async def test_a_certificate_is_known_by_fingerprint_or_by_issuer_and_serial(house, certificates, finds):
    await house.enter(replace(ANA, certificates=certificates))
    found = await house.membership.by_certificate(FINGERPRINT, NAME)
    assert (found is not None and found.member_id == "ana") is finds


async def test_each_certificate_of_a_person_leads_to_them(house):
    another = replace(ANAS_CERTIFICATE, fingerprint="c3" * 32, serial=2)
    await house.enter(replace(ANA, certificates=(another, ANAS_CERTIFICATE)))
    for certificate in (another, ANAS_CERTIFICATE):
        found = await house.membership.by_certificate(
            certificate.fingerprint, (certificate.issuer, certificate.serial)
        )
        assert found.member_id == "ana"
    # The serial of the one certificate, and the fingerprint of the other.
    assert await house.membership.by_certificate(another.fingerprint, NAME) is None


async def test_a_certificate_that_leads_to_two_people_is_nobodys(house):
    by_name = replace(CVETKA, certificates=(replace(ANAS_CERTIFICATE, fingerprint=None),))
    await house.enter(
        replace(ANA, certificates=(replace(ANAS_CERTIFICATE, issuer=None, serial=None),)), by_name
    )
    assert await house.membership.by_certificate(FINGERPRINT, NAME) is None


async def test_the_tax_number_in_a_certificate_counts_where_it_is_handed_over_and_does_not_contradict(house):
    unknown = ("00" * 32, (SUBCA, 1))
    assert await house.membership.by_certificate(*unknown) is None
    assert await house.membership.by_certificate(*unknown, tax_number=TaxNumber("99990016")) == CVETKA
    assert await house.membership.by_certificate(FINGERPRINT, NAME, tax_number=TaxNumber("99990008")) == ANA
    assert await house.membership.by_certificate(FINGERPRINT, NAME, tax_number=TaxNumber("99990016")) is None


def test_why_somebody_may_not_come_in_names_nobody():
    told = refusal(ANA, portal_id="bips", members="register")
    assert (told.reason, refusal(ANA, portal_id="bips", members="anyone")) == (Reason.NOT_A_MEMBER, None)
    assert told.member == ANA
    assert refusal(ANA, portal_id="acq", members="register") is None
    assert refusal(ANA.blocked(NOW, "x"), portal_id="acq", members="anyone").detail == "the person is blocked"
    assert "Novak" not in repr(told)


async def test_an_entry_that_never_stands_still_is_an_outage():
    class Restless(MemoryPeople):
        async def change(self, was, now, *, departs):
            return False

    store = Restless()
    await store.take_over([ANA], revision=0, departures=())
    person = Person(issuer=REKONO, subject=Subject("rekono-ana"), tax_number=ANA.tax_number)
    with pytest.raises(CannotAsk):
        await Membership(store=store).by_sign_in(person, Level.HIGH, portal_id="acq", members="anyone")


async def test_of_two_accounts_that_claim_a_person_at_the_same_moment_the_second_is_an_alarm():
    """The store has linked another account between reading and writing."""

    class Overtaken(MemoryPeople):
        async def change(self, was, now, *, departs):
            await super().change(was, was.member.with_account(account("the-first")), departs=False)
            return await super().change(was, now, departs=departs)

    store = Overtaken()
    await store.take_over([ANA], revision=0, departures=())
    person = Person(issuer=REKONO, subject=Subject("the-second"), tax_number=ANA.tax_number)
    told = await Membership(store=store).by_sign_in(person, Level.HIGH, portal_id="acq", members="register")
    assert isinstance(told, NotAdmitted)
    assert told.is_alarm
    assert told.member.member_id == "ana"


async def test_an_account_names_its_person_and_links_nobody(house):
    assert await house.membership.by_account(account("rekono-ana")) is None
    await house.sign_in()
    assert (await house.membership.by_account(account("rekono-ana"))).member_id == ANA.member_id
    assert await house.membership.by_account(account("rekono-cvetka")) is None


async def test_codes_for_a_member_go_where_the_register_says(house):
    await house.enter(replace(ANA, phone="+38640999888"))
    assert (await house.sign_in()).person.phone == "+38640999888"


async def test_a_blocked_account_comes_in_nowhere_whatever_it_states(house):
    blocked = BlockedAccount(account=account("rekono-thief"), blocked_at=NOW)
    assert await house.store.block_account(blocked, revision=1)
    for number, members in ((None, "anyone"), ("99990008", "anyone"), ("99990008", "register")):
        told = await house.sign_in("rekono-thief", number, members=members)
        assert (told.reason, told.detail, told.is_alarm) == (
            Reason.NOT_A_MEMBER,
            "the account is blocked",
            False,
        )
    assert (await house.member("ana")).accounts == ()
    assert isinstance(await house.sign_in("rekono-honest", None, members="anyone"), Admitted)


async def test_a_blocked_account_that_somebody_has_linked_proves_nothing(house):
    await house.sign_in()
    assert await house.store.block_account(BlockedAccount(account=account(), blocked_at=NOW), revision=2)
    assert await house.membership.by_account(account()) is None


async def test_whether_somebody_with_a_session_is_blocked_is_known_by_their_account_and_their_id(house):
    def person(subject, member=None):
        return Person(issuer=REKONO, subject=Subject(subject), member=member)

    await house.enter(ANA.blocked(NOW, None), CVETKA)
    assert await house.store.block_account(
        BlockedAccount(account=account("thief"), blocked_at=NOW), revision=2
    )
    asked = [
        person("thief"),
        person("rekono-ana", ANA.member_id),
        person("honest"),
        person("cvetka", CVETKA.member_id),
    ]
    assert [await house.membership.is_blocked(each) for each in asked] == [True, True, False, False]
