from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import Enrolment
from authproxy.challenges.limits import person_name
from authproxy.flows.register.operators import (
    AccountIsBlocked,
    AccountIsOf,
    AccountStanding,
    AccountUnblocked,
    Changed,
    Contradicted,
    Forgotten,
    MethodsRemoved,
    NotLinked,
    NotLost,
    RegisterOperations,
    Resealed,
    StaysBlocked,
    TakenOver,
)
from authproxy.identity.member import CertificateName
from authproxy.identity.person import Person, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.storage.memory import (
    MemoryEnrolments,
    MemoryLimits,
    MemoryNotices,
    MemoryPeople,
    MemorySessions,
)
from authproxy.storage.retention import BlockRules
from tests.support.people_builders import ANA, ANAS_CERTIFICATE, CVETKA, DAVID, account, linked
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.unsteady import Unsteady

ONE_ANSWER = BlockRules(after=1, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))


class RegisterFixture:
    def __init__(self):
        self.store, self.sessions, self.time = MemoryPeople(), Unsteady(MemorySessions()), NOW
        self.limits, self.enrolments = (
            MemoryLimits(people=ONE_ANSWER, addresses=ONE_ANSWER),
            MemoryEnrolments(),
        )
        self.messages = MemoryNotices()
        self.open_desk()

    def open_desk(self):
        self.people = RegisterOperations(
            store=self.store,
            sessions=self.sessions,
            limits=self.limits,
            enrolments=self.enrolments,
            messages=self.messages,
            clock=lambda: self.time,
        )

    async def enter(self, *members):
        assert await self.store.take_over(
            members, revision=(await self.store.every()).revision, departures=()
        )

    async def signed_in(self, member):
        ticket = new_ticket()
        person = replace(session_for(ticket).person, member=member.member_id)
        await self.sessions.create(ticket, session_for(ticket, person=person), browser="", now=NOW)
        return ticket

    async def has(self, *owner):
        """Something of each kind that people enrol."""
        for method in ("totp", "push"):
            await self.enrolments.add(
                owner,
                Enrolment(enrolment_id=f"{owner[-1]}-{method}", method=method, label="", enrolled_at=NOW),
            )
        await self.enrolments.put_recovery(owner, ["a", "b"])

    async def left(self, *owner):
        return [each.method for each in await self.enrolments.of(owner)], await self.enrolments.recovery_left(
            owner
        )

    async def is_in(self, ticket):
        return await self.sessions.load(ticket, now=NOW) is not None


@pytest.fixture
async def house():
    house = RegisterFixture()
    await house.enter(ANA, CVETKA)
    return house


def listed(member, **changes):
    return replace(
        ListedPerson(
            member_id=member.member_id,
            name=member.name,
            tax_number=member.tax_number,
            email=member.email,
            phone=member.phone,
            portals=member.portals,
        ),
        **changes,
    )


async def test_a_list_is_taken_over_and_counted(house):
    outcome = await house.people.take_over(
        [listed(ANA), listed(CVETKA, name="Cvetka Kos"), listed(DAVID)], replaces=False
    )
    assert outcome == TakenOver(added=1, changed=1, removed=0, unchanged=1)
    assert [member.name for member in (await house.people.every()).members] == [
        ANA.name,
        "Cvetka Kos",
        DAVID.name,
    ]
    assert await house.people.take_over([listed(DAVID)], replaces=True) == TakenOver(
        added=0, changed=0, removed=2, unchanged=1
    )


async def test_a_rehearsal_says_the_same_and_changes_nothing(house):
    before = await house.people.every()
    assert await house.people.take_over([listed(DAVID)], replaces=True, is_rehearsal=True) == TakenOver(
        added=1, changed=0, removed=2, unchanged=0
    )
    assert await house.people.every() == before


async def test_a_contradiction_with_the_register_changes_nothing(house):
    before = await house.people.every()
    outcome = await house.people.take_over([listed(DAVID, tax_number=ANA.tax_number)], replaces=False)
    assert isinstance(outcome, Contradicted)
    assert [(each.later, each.earlier) for each in outcome.conflicts] == [("david", "ana")]
    assert await house.people.every() == before
    assert isinstance(
        await house.people.take_over([listed(DAVID, tax_number=ANA.tax_number)], replaces=True), TakenOver
    )


async def test_whoever_a_list_shuts_out_is_signed_out_and_nobody_else(house):
    hers, theirs = await house.signed_in(ANA), await house.signed_in(CVETKA)
    outcome = await house.people.take_over([listed(ANA, portals=("acq",))], replaces=False)
    assert outcome.sessions_ended == 1
    assert (await house.is_in(hers), await house.is_in(theirs)) == (False, True)
    assert (await house.people.take_over([listed(ANA)], replaces=True)).sessions_ended == 1
    assert not await house.is_in(theirs)


async def test_blocking_signs_out_each_time_and_keeps_the_first_moment(house):
    ticket = await house.signed_in(ANA)
    blocked = await house.people.block("ana", reason="lost card")
    assert (blocked.member, blocked.sessions_ended, await house.is_in(ticket)) == (
        ANA.blocked(NOW, "lost card"),
        1,
        False,
    )
    await house.signed_in(ANA)
    house.time += timedelta(hours=1)
    assert await house.people.block("ana", reason=None) == Changed(ANA.blocked(NOW, None), 1)
    assert (await house.people.unblock("ana")).member == ANA
    assert await house.people.named("ana") == ANA


async def test_unblocking_forgets_wrong_answers_by_whatever_account_they_were_given(house):
    await house.people.link_account("ana", account())
    owners = [("member", "ana"), ("account", account().issuer, account().subject), ("member", "cvetka")]
    names = [person_name(owner) for owner in owners]
    for name in names:
        await house.limits.try_answer([name], now=NOW)
    assert (await house.people.unblock("ana")).was_lifted is True
    blocked = [await house.limits.blocked_until([name], now=NOW) is not None for name in names]
    assert blocked == [False, False, True]
    assert (await house.people.unblock("ana")).was_lifted is False


async def test_somebody_outside_the_register_may_answer_again_too(house):
    name = person_name(("account", account().issuer, account().subject))
    await house.limits.try_answer([name], now=NOW)
    assert await house.people.forgive_account(account()) is True
    assert await house.limits.blocked_until([name], now=NOW) is None
    assert await house.people.forgive_account(account()) is False


async def test_a_number_that_changes_signs_its_person_out(house):
    ticket = await house.signed_in(ANA)
    assert (
        await house.people.take_over([listed(ANA, phone="+38631999999")], replaces=False)
    ).sessions_ended == 1
    assert not await house.is_in(ticket)


async def test_nobody_is_changed_who_is_not_there(house):
    assert await house.people.block("david", reason=None) is None
    assert await house.people.unblock("david") is None
    assert await house.people.link_account("david", account()) is None
    assert await house.people.named("david") is None


async def test_what_was_linked_to_somebody_else_is_not_taken_away_from_them(house):
    outcome = await house.people.link_certificate("cvetka", ANAS_CERTIFICATE)
    assert {(each.later, each.earlier) for each in outcome.conflicts} == {("cvetka", "ana")}
    assert await house.people.named("cvetka") == CVETKA


async def test_a_certificate_and_an_account_are_linked_by_the_operator(house):
    certificate = CertificateName(fingerprint="b2" * 32)
    ticket = await house.signed_in(CVETKA)
    assert (await house.people.link_certificate("cvetka", certificate)).member.certificates == (certificate,)
    assert (await house.people.link_account("cvetka", account("first"))).member.accounts == (
        account("first"),
    )
    assert await house.is_in(ticket)
    # A second time changes nothing.
    assert (await house.people.link_certificate("cvetka", certificate)).member.certificates == (certificate,)
    assert (await house.people.link_account("cvetka", account("second"))).sessions_ended == 1


async def test_a_blocked_account_is_linked_to_nobody(house):
    await house.people.block_account(account(), reason=None)
    assert await house.people.link_account("ana", account()) == AccountIsBlocked()
    assert await house.people.named("ana") == ANA


async def test_what_is_unlinked_signs_its_person_in_no_more_and_they_are_signed_out(house):
    ticket = await house.signed_in(ANA)
    for what in (CertificateName(fingerprint="b2" * 32), account()):
        assert await house.people.unlink("ana", what) == NotLinked()
        assert await house.people.unlink("nobody", what) is None
    assert await house.is_in(ticket)
    unlinked = await house.people.unlink("ana", ANAS_CERTIFICATE)
    assert (unlinked.member.certificates, unlinked.sessions_ended, await house.is_in(ticket)) == (
        (),
        1,
        False,
    )
    await house.people.link_account("ana", account())
    assert (await house.people.unlink("ana", account())).member.accounts == ()


async def test_what_an_operator_enrols_takes_the_place_of_an_earlier_one_of_the_same_id(house):
    for label in ("first", "second"):
        assert await house.people.enrol(
            "ana", Enrolment(enrolment_id="p", method="push", label=label, enrolled_at=NOW)
        )
    assert [each.label for each in await house.enrolments.of(("member", "ana"))] == ["second"]


async def test_sessions_that_a_command_could_not_end_are_ended_by_the_next_one(house):
    ticket = await house.signed_in(ANA)
    house.sessions.away = {"revoke_member"}
    with pytest.raises(CannotAsk):
        await house.people.take_over([listed(CVETKA)], replaces=True)
    assert await house.people.named("ana") is None
    assert await house.is_in(ticket)
    house.sessions.away.clear()
    assert (await house.people.unblock("cvetka")).sessions_ended == 1
    assert not await house.is_in(ticket)


async def test_resealing_changes_nobody(house):
    before = await house.people.every()
    assert await house.people.reseal() == Resealed(people=2, enrolments=0)
    after = await house.people.every()
    assert (after.members, after.revision) == (before.members, before.revision + 1)


async def test_resealing_leaves_no_departure_under_an_older_key(house):
    house.sessions.away = {"revoke_member"}
    with pytest.raises(CannotAsk):
        await house.people.take_over([listed(CVETKA)], replaces=True)
    house.sessions.away.clear()
    await house.people.reseal()
    assert await house.store.departures() == ()


class Overtaken(MemoryPeople):
    """Another operator changes the register first, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    async def take_over(self, members, *, revision, departures):
        if self.times:
            self.times -= 1
            return False
        return await super().take_over(members, revision=revision, departures=departures)

    async def change(self, was, now, *, departs):
        if self.times:
            self.times -= 1
            return False
        return await super().change(was, now, departs=departs)

    async def block_account(self, blocked, *, revision):
        if self.times:
            self.times -= 1
            return False
        return await super().block_account(blocked, revision=revision)

    async def unblock_account(self, account, *, revision):
        if self.times:
            self.times -= 1
            return False
        return await super().unblock_account(account, revision=revision)


@pytest.mark.parametrize(("times", "succeeds"), [(1, True), (5, False)])
async def test_whoever_is_overtaken_starts_again_and_gives_up_in_the_end(times, succeeds):
    house = RegisterFixture()
    house.store = Overtaken(0)
    house.open_desk()
    await house.enter(ANA)
    await house.people.block_account(account("thief"), reason=None)
    for work in (
        lambda: house.people.take_over([listed(DAVID)], replaces=False),
        lambda: house.people.block("ana", reason=None),
        house.people.reseal,
        lambda: house.people.block_account(account("another"), reason=None),
        lambda: house.people.unblock_account(account("thief")),
    ):
        house.store.times = times
        if succeeds:
            await work()
        else:
            with pytest.raises(CannotAsk, match="changed by others"):
                await work()


# What people have enrolled.

ALL = (["push", "totp"], 2)
NOTHING = ([], 0)


@pytest.mark.parametrize(
    ("list_", "replaces", "left"),
    [
        ([listed(CVETKA)], True, NOTHING),
        ([listed(ANA, tax_number=TaxNumber("99990024"))], False, NOTHING),
        ([listed(ANA, tax_number=None)], False, NOTHING),
        ([listed(ANA, portals=("acq",), phone="+38640999999")], False, ALL),
        ([listed(ANA, is_blocked=True)], False, ALL),
        ([listed(CVETKA)], False, ALL),
    ],
    ids=[
        "leaves",
        "another tax number",
        "no tax number",
        "another portal and phone",
        "blocked",
        "as they were",
    ],
)
async def test_whoever_leaves_or_may_be_somebody_else_loses_what_they_have_enrolled(
    house, list_, replaces, left
):
    await house.has("member", "ana")
    await house.has("member", "cvetka")
    await house.people.take_over(list_, replaces=replaces)
    assert await house.left("member", "ana") == left
    assert await house.left("member", "cvetka") == ALL


async def test_whoever_gets_the_id_of_somebody_else_gets_nothing_that_they_have_enrolled(house):
    await house.has("member", "david")
    assert await house.people.take_over([listed(DAVID)], replaces=False, is_rehearsal=True) == TakenOver(
        added=1, changed=0, removed=0, unchanged=2
    )
    assert await house.left("member", "david") == ALL
    await house.people.take_over([listed(DAVID)], replaces=False)
    assert await house.left("member", "david") == NOTHING


async def test_methods_that_a_command_could_not_remove_are_removed_by_the_next_one(house):
    await house.has("member", "ana")
    house.sessions.away = {"revoke_member"}
    with pytest.raises(CannotAsk):
        await house.people.take_over([listed(CVETKA)], replaces=True)
    house.sessions.away.clear()
    await house.people.unblock("cvetka")
    assert await house.left("member", "ana") == NOTHING


async def test_all_that_somebody_has_enrolled_is_shown_and_removed_by_whatever_account_they_did(house):
    await house.people.link_account("ana", account())
    ana, ticket = await house.people.named("ana"), await house.signed_in(ANA)
    await house.has("member", "ana")
    await house.has("account", account().issuer, account().subject)
    await house.has("member", "cvetka")
    found = await house.people.methods(ana)
    assert (sorted(each.enrolment_id for each in found.enrolments), found.recovery_left) == (
        ["ana-push", "ana-totp", "recovery", "recovery", "rekono-ana-push", "rekono-ana-totp"],
        4,
    )
    removed = await house.people.remove_methods(ana)
    assert (sorted(removed.removed), removed.sessions_ended) == (
        ["push", "push", "recovery", "recovery", "totp", "totp"],
        1,
    )
    assert (
        await house.left("member", "ana")
        == await house.left("account", account().issuer, account().subject)
        == NOTHING
    )
    assert (await house.left("member", "cvetka"), await house.is_in(ticket)) == (ALL, False)


async def test_one_method_is_removed_and_its_person_signed_out(house):
    ticket = await house.signed_in(ANA)
    await house.has("member", "ana")
    assert (await house.people.remove_method(ANA, "cvetka-totp")).removed == ()
    assert await house.is_in(ticket)
    removed = await house.people.remove_method(ANA, "ana-totp")
    assert (removed.removed, removed.sessions_ended, await house.is_in(ticket)) == (("totp",), 1, False)
    assert await house.left("member", "ana") == (["push"], 2)


async def test_where_there_is_no_such_method_nothing_is_removed_and_nobody_signed_out(house):
    ticket = await house.signed_in(ANA)
    await house.has("member", "ana")
    assert await house.people.remove_method(ANA, "another") == MethodsRemoved(removed=(), sessions_ended=0)
    assert (await house.left("member", "ana"), await house.is_in(ticket)) == (ALL, True)


async def test_removing_the_sheet_removes_its_codes(house):
    await house.has("member", "ana")
    assert (await house.people.remove_method(ANA, "recovery")).removed == ("recovery",)
    assert await house.enrolments.recovery_left(("member", "ana")) == 0


# People outside the register.


async def test_somebody_outside_the_register_loses_what_they_have_enrolled_and_is_signed_out(house):
    ticket = new_ticket()
    person = Person(issuer=account().issuer, subject=account("thief").subject)
    await house.sessions.create(ticket, session_for(ticket, person=person), browser="", now=NOW)
    await house.has("account", account().issuer, "thief")
    removed = await house.people.remove_methods(account("thief"))
    assert (sorted(removed.removed), removed.sessions_ended, await house.is_in(ticket)) == (
        ["push", "recovery", "totp"],
        1,
        False,
    )
    assert await house.left("account", account().issuer, "thief") == NOTHING


async def test_an_account_outside_the_register_is_blocked_signed_out_and_let_in_again(house):
    ticket = new_ticket()
    person = Person(issuer=account().issuer, subject=account("thief").subject)
    await house.sessions.create(ticket, session_for(ticket, person=person), browser="", now=NOW)
    blocked = await house.people.block_account(account("thief"), reason="stolen password")
    assert (blocked.sessions_ended, await house.is_in(ticket)) == (1, False)
    assert [each.reason for each in (await house.people.every()).blocked] == ["stolen password"]
    house.time += timedelta(hours=1)
    await house.people.block_account(account("thief"), reason=None)
    [known] = (await house.people.every()).blocked
    assert (known.account, known.blocked_at, known.reason) == (account("thief"), NOW, None)
    assert await house.people.whose(account("thief")) == AccountStanding(None, is_blocked=True)
    assert await house.people.unblock_account(account("thief")) == AccountUnblocked(
        was_blocked=True, was_lifted=False
    )
    assert await house.people.unblock_account(account("thief")) == AccountUnblocked(
        was_blocked=False, was_lifted=False
    )


async def test_the_account_of_somebody_in_the_register_is_not_blocked_by_itself(house):
    await house.people.link_account("ana", account())
    assert await house.people.block_account(account(), reason=None) == AccountIsOf("ana")
    assert await house.people.whose(account()) == AccountStanding("ana", is_blocked=False)
    assert (await house.people.every()).blocked == ()


async def test_sessions_of_an_account_that_could_not_be_ended_are_ended_by_the_next_command(house):
    ticket = new_ticket()
    person = Person(issuer=account().issuer, subject=account("thief").subject)
    await house.sessions.create(ticket, session_for(ticket, person=person), browser="", now=NOW)
    house.sessions.away = {"revoke_member"}
    with pytest.raises(CannotAsk):
        await house.people.block_account(account("thief"), reason=None)
    house.sessions.away.clear()
    assert (await house.people.unblock("cvetka")).sessions_ended == 1
    assert not await house.is_in(ticket)


# A register that is lost.


class Lost(MemoryPeople):
    async def is_lost(self):
        return True


@pytest.mark.parametrize(("keeps", "left"), [(True, ALL), (False, NOTHING)])
async def test_a_new_register_signs_out_whom_its_list_blocks_and_keeps_methods_where_that_is_said(
    keeps, left
):
    house = RegisterFixture()
    house.store = Lost()
    house.open_desk()
    await house.has("member", "ana")
    ticket = await house.signed_in(ANA)
    outcome = await house.people.begin_anew(
        [listed(ANA, is_blocked=True), listed(CVETKA)], keeps_methods=keeps
    )
    assert outcome == TakenOver(added=2, changed=0, removed=0, unchanged=0, sessions_ended=1)
    assert (await house.left("member", "ana"), await house.is_in(ticket)) == (left, False)
    assert {each.member_id for each in (await house.people.every()).members} == {"ana", "cvetka"}
    contradicted = await house.people.begin_anew(
        [listed(ANA), listed(DAVID, tax_number=ANA.tax_number)], keeps_methods=keeps
    )
    assert isinstance(contradicted, Contradicted)


async def test_a_new_register_signs_out_everybody_who_was_in_the_one_before():
    house = RegisterFixture()
    house.store = Lost()
    house.open_desk()
    stays, leaves = await house.signed_in(CVETKA), await house.signed_in(DAVID)
    stranger = new_ticket()
    await house.sessions.create(stranger, session_for(stranger), browser="", now=NOW)
    outcome = await house.people.begin_anew([listed(CVETKA)], keeps_methods=True)
    assert outcome == TakenOver(added=1, changed=0, removed=0, unchanged=0, sessions_ended=2)
    assert [await house.is_in(ticket) for ticket in (stays, leaves, stranger)] == [False, False, True]


async def test_a_register_that_is_whole_is_not_begun_anew(house):
    assert await house.people.begin_anew([], keeps_methods=True) == NotLost()
    assert await house.people.named("ana") == ANA


async def test_whoever_is_forgotten_leaves_nothing_behind_by_whatever_account_they_came(house):
    theirs = linked(CVETKA, "rekono-cvetka")
    await house.store.take_over([ANA, theirs], revision=(await house.store.every()).revision, departures=())
    ticket, ana = await house.signed_in(theirs), await house.signed_in(ANA)
    owners = [("member", "cvetka"), ("account", account().issuer, "rekono-cvetka")]
    for owner in (*owners, ("member", "ana")):
        await house.has(*owner)
        await house.limits.try_answer([person_name(owner)], now=NOW)
        await house.messages.swap_number(owner, "+38640123458")
        await house.messages.add(owner, b"note", now=NOW)
    outcome = await house.people.forget("cvetka")
    assert isinstance(outcome, Forgotten)
    assert (len(outcome.methods), outcome.sessions_ended) == (6, 1)
    assert (await house.is_in(ticket), await house.is_in(ana)) == (False, True)
    assert [member.member_id for member in (await house.people.every()).members] == ["ana"]
    for owner in owners:
        assert await house.left(*owner) == ([], 0)
        assert await house.limits.blocked_until([person_name(owner)], now=NOW) is None
        assert await house.messages.swap_number(owner, "+38640123450") is None
        assert await house.messages.take(owner, now=NOW, pause=timedelta(minutes=5)) is None
    assert (await house.left("member", "ana"))[1] == 2
    assert await house.messages.swap_number(("member", "ana"), "+38640123450") == "+38640123458"
    assert await house.people.forget("cvetka") is None


async def test_whoever_is_blocked_is_not_forgotten_because_they_could_sign_in_again(house):
    await house.people.block("cvetka", reason=None)
    await house.has("member", "cvetka")
    assert await house.people.forget("cvetka") == StaysBlocked()
    assert (await house.people.named("cvetka")).is_blocked
    assert (await house.left("member", "cvetka"))[1] == 2
    await house.people.block_account(account("stranger"), reason=None)
    assert await house.people.forget_account(account("stranger")) == StaysBlocked()
    assert (await house.people.whose(account("stranger"))).is_blocked


async def test_somebody_outside_the_register_is_forgotten_by_their_account(house):
    await house.has("account", account().issuer, "stranger")
    await house.messages.swap_number(("account", account().issuer, "stranger"), "+38640123458")
    outcome = await house.people.forget_account(account("stranger"))
    assert isinstance(outcome, Forgotten)
    assert len(outcome.methods) == 3
    assert await house.left("account", account().issuer, "stranger") == ([], 0)
    assert await house.messages.swap_number(("account", account().issuer, "stranger"), "+3864") is None


async def test_the_account_of_somebody_in_the_register_is_not_forgotten_by_itself(house):
    await house.store.take_over(
        [linked(ANA, "rekono-ana")], revision=(await house.store.every()).revision, departures=()
    )
    assert await house.people.forget_account(account("rekono-ana")) == AccountIsOf("ana")
    assert (await house.people.named("ana")) is not None
