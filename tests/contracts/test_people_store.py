"""What every register of people promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from authproxy.identity.member import BlockedAccount, RegisterKey, issuer_and_serial
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.storage.memory import MemoryPeople
from authproxy.storage.redis.people import RedisPeople
from tests.contracts.conftest import STORES
from tests.support.people_builders import ANA, CVETKA, DAVID, SUBCA, account
from tests.support.session_builders import NOW

EVERY_KEY_OF_ANA = sorted(ANA.with_account(account()).keys)


@pytest.fixture(params=STORES)
def people(request, keys):
    if request.param == "memory":
        return MemoryPeople()
    return RedisPeople(request.getfixturevalue(request.param), keys=keys)


async def filled(people, *members):
    snapshot = await people.every()
    assert await people.take_over(members, revision=snapshot.revision, departures=())


async def found(people, *keys):
    return [None if each is None else each.member for each in await people.find(keys)]


def by_id(member_id):
    return RegisterKey("id", member_id)


async def test_a_register_that_was_never_filled_has_nobody(people):
    assert await found(people, *EVERY_KEY_OF_ANA) == [None] * len(EVERY_KEY_OF_ANA)
    snapshot = await people.every()
    assert (snapshot.revision, snapshot.members) == (0, ())
    assert await people.departures() == ()


async def test_a_person_is_found_whole_by_everything_that_leads_to_them(people):
    ana = ANA.with_account(account()).blocked(NOW, "lost card")
    await filled(people, ana, CVETKA, DAVID)
    assert await found(people, *EVERY_KEY_OF_ANA) == [ana] * 5
    assert await found(
        people, issuer_and_serial(SUBCA, 1), by_id("cvetka"), RegisterKey("account", "ana")
    ) == [None, CVETKA, None]


async def test_everybody_is_read_once(people):
    crowd = [replace(DAVID, member_id=MemberId(f"p-{number}")) for number in range(1203)]
    await filled(people, ANA, *crowd)
    members = (await people.every()).members
    assert len(members) == 1204
    assert set(members) == {ANA, *crowd}


async def test_taking_over_removes_whoever_is_not_there_any_more_and_their_keys(people):
    await filled(people, ANA, CVETKA)
    await filled(people, replace(CVETKA, tax_number=ANA.tax_number))
    assert await found(
        people, *EVERY_KEY_OF_ANA[:1], RegisterKey("tax number", "99990016"), by_id("ana")
    ) == [None, None, None]
    [owner] = await found(people, RegisterKey("tax number", "99990008"))
    assert owner.member_id == "cvetka"


async def test_a_register_can_be_emptied(people):
    await filled(people, ANA)
    await filled(people)
    assert (await people.every()).members == ()
    assert await found(people, by_id("ana")) == [None]


async def test_every_change_raises_the_revision(people):
    await filled(people, ANA)
    [ana] = await people.find([by_id("ana")])
    await people.change(ana, ANA.blocked(NOW, None), departs=False)
    await filled(people, ANA)
    assert (await people.every()).revision == 3


async def test_of_two_imports_that_read_the_same_register_one_must_start_again(people):
    await filled(people, DAVID)
    revision = (await people.every()).revision
    outcomes = await asyncio.gather(
        *(people.take_over([each], revision=revision, departures=[DAVID]) for each in (ANA, CVETKA))
    )
    assert sorted(outcomes) == [False, True]
    assert (await people.every()).members == ((ANA,) if outcomes[0] else (CVETKA,))
    assert [each.member for each in await people.departures()] == [DAVID]


async def test_many_imports_at_a_time_leave_one_of_their_registers_and_no_mixture(people):
    crowds = [
        [replace(DAVID, member_id=MemberId(f"{crowd}-{number}")) for number in range(700)] for crowd in "abc"
    ]
    outcomes = await asyncio.gather(*(people.take_over(crowd, revision=0, departures=()) for crowd in crowds))
    assert sorted(outcomes) == [False, False, True]
    assert set((await people.every()).members) == set(crowds[outcomes.index(True)])


async def test_two_people_with_one_key_are_never_stored(people):
    with pytest.raises(ValueError, match="same key"):
        await people.take_over([ANA, replace(CVETKA, tax_number=ANA.tax_number)], revision=0, departures=())
    assert (await people.every()).revision == 0


async def test_a_change_moves_what_the_person_is_found_by(people):
    await filled(people, ANA, CVETKA)
    [ana] = await people.find([by_id("ana")])
    changed = replace(ANA, tax_number=TaxNumber("99990032"), certificates=()).with_account(account())
    assert await people.change(ana, changed, departs=False)
    assert await found(people, *EVERY_KEY_OF_ANA) == [
        changed if key.kind in {"id", "account"} else None for key in EVERY_KEY_OF_ANA
    ]
    assert await found(people, RegisterKey("tax number", "99990032"), by_id("cvetka")) == [changed, CVETKA]


async def test_what_was_read_before_another_change_changes_nothing(people):
    await filled(people, ANA)
    [ana] = await people.find([by_id("ana")])
    assert await people.change(ana, ANA.blocked(NOW, None), departs=False)
    assert not await people.change(ana, ANA.with_account(account()), departs=True)
    assert await found(people, by_id("ana")) == [ANA.blocked(NOW, None)]
    assert await people.departures() == ()


async def test_nobody_takes_by_a_change_what_leads_to_somebody_else(people):
    await filled(people, ANA, CVETKA.with_account(account()))
    [ana] = await people.find([by_id("ana")])
    assert not await people.change(ana, ANA.with_account(account()), departs=False)
    assert await found(people, account().key) == [CVETKA.with_account(account())]


async def test_of_two_links_of_the_same_account_at_the_same_moment_one_counts(people):
    await filled(people, ANA, CVETKA)
    read = await people.find([by_id("ana"), by_id("cvetka")])
    outcomes = await asyncio.gather(
        *(people.change(each, each.member.with_account(account()), departs=False) for each in read)
    )
    assert sorted(outcomes) == [False, True]


async def test_a_persons_id_does_not_change(people):
    await filled(people, ANA)
    [ana] = await people.find([by_id("ana")])
    with pytest.raises(ValueError, match="id"):
        await people.change(ana, replace(ANA, member_id=MemberId("somebody")), departs=False)


async def test_somebody_who_was_removed_does_not_come_back_by_a_late_change(people):
    await filled(people, ANA, CVETKA)
    [ana] = await people.find([by_id("ana")])
    await filled(people, CVETKA)
    assert not await people.change(ana, ANA.with_account(account()), departs=False)
    assert (await people.every()).members == (CVETKA,)


async def test_departures_stay_until_they_are_settled(people):
    crowd = [replace(DAVID, member_id=MemberId(f"p-{number}")) for number in range(250)]
    await filled(people, ANA)
    assert await people.take_over([ANA], revision=1, departures=crowd)
    [ana] = await people.find([by_id("ana")])
    assert await people.change(ana, ANA.blocked(NOW, None), departs=True)
    seen = []
    while departures := await people.departures():
        seen += [each.member for each in departures]
        await people.settle(departures)
    assert len(seen) == 251
    assert set(seen) == {ANA, *crowd}


async def test_a_new_register_is_under_the_first_key(people):
    assert await people.is_under_first_key()
    await filled(people, ANA)
    assert await people.is_under_first_key()


# Accounts of people who are not in the register.

THIEF = BlockedAccount(account=account("thief"), blocked_at=NOW, reason="stolen password")


async def blocked(people, which=THIEF):
    assert await people.block_account(which, revision=(await people.every()).revision)


async def test_a_blocked_account_is_told_with_the_people_that_are_looked_up(people):
    wanted = [THIEF.account.key, account("honest").key, by_id("ana")]
    await blocked(people)
    assert await people.look_up(wanted) == type(await people.look_up([]))(
        (None, None, None), {THIEF.account.key: THIEF}
    )
    await filled(people, ANA)
    found = await people.look_up(wanted)
    assert ([each and each.member for each in found.people], found.blocked) == (
        [None, None, ANA],
        {THIEF.account.key: THIEF},
    )
    assert (await people.look_up([account("honest").key])).blocked == {}


async def test_a_list_that_is_taken_over_leaves_blocked_accounts_blocked(people):
    await blocked(people)
    await filled(people, ANA)
    await filled(people)
    snapshot = await people.every()
    assert (snapshot.members, snapshot.blocked, snapshot.revision) == ((), (THIEF,), 3)


async def test_the_block_of_an_account_ends_when_it_is_ended_and_no_other_one_does(people):
    other = replace(THIEF, account=account("other"), reason=None)
    await blocked(people)
    await blocked(people, other)
    assert await people.unblock_account(THIEF.account, revision=2)
    assert (await people.every()).blocked == (other,)
    assert (await people.look_up([THIEF.account.key, other.account.key])).blocked == {
        other.account.key: other
    }
    assert await people.unblock_account(other.account, revision=3)
    assert (await people.every()).blocked == ()


async def test_a_block_that_rests_on_what_was_read_before_another_change_is_none(people):
    await filled(people, ANA)
    assert not await people.block_account(THIEF, revision=0)
    assert not await people.unblock_account(THIEF.account, revision=0)
    assert ((await people.every()).blocked, await people.departures()) == ((), ())


async def test_a_blocked_account_departs(people):
    await blocked(people)
    [departure] = await people.departures()
    assert (departure.member.accounts, departure.is_leaving) == ((THIEF.account,), False)
    await people.settle([departure])
    assert await people.departures() == ()


async def test_of_those_who_depart_it_is_known_who_leaves_or_may_be_somebody_else(people):
    await filled(people, ANA, CVETKA, DAVID)
    renumbered = replace(CVETKA, tax_number=TaxNumber("99990032"))
    assert await people.take_over([ANA, renumbered], revision=1, departures=[ANA, CVETKA, DAVID])
    assert {each.member.member_id: each.is_leaving for each in await people.departures()} == {
        "ana": False,
        "cvetka": True,
        "david": True,
    }


async def test_a_register_that_begins_anew_keeps_blocked_accounts_and_goes_on_counting(people):
    await filled(people, ANA)
    await blocked(people)
    assert await people.begin_anew([CVETKA]) == 1
    snapshot = await people.every()
    assert (snapshot.members, snapshot.blocked, snapshot.revision) == ((CVETKA,), (THIEF,), 3)
    assert await found(people, *EVERY_KEY_OF_ANA[:1], by_id("cvetka")) == [None, CVETKA]
    assert not await people.is_lost()


async def test_accounts_can_be_blocked_with_a_register_that_is_taken_over_and_those_that_are_stay_as_they_are(
    people,
):
    other = replace(THIEF, account=account("other"), reason=None)
    await blocked(people)
    later = replace(THIEF, reason="as a backup has it")
    assert await people.take_over([ANA], revision=1, departures=(), blocked=[later, other])
    assert {each.account: each.reason for each in (await people.every()).blocked} == {
        THIEF.account: THIEF.reason,
        other.account: None,
    }
    assert await people.begin_anew([ANA], [replace(THIEF, account=account("third"))]) == 3
    assert (await people.look_up([account("third").key])).blocked
