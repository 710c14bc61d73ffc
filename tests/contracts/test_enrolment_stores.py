"""What every store of enrolments promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from authproxy.challenges.enrolment import OwnedMethods
from authproxy.identity.assurance import Level
from tests.support.challenge_builders import ANAS, BORS, enrolment_of
from tests.support.session_builders import NOW

CODES = [f"keyed-hash-{number}" for number in range(10)]


async def test_what_was_enrolled_is_its_persons_and_nobody_elses_the_oldest_first(enrolments):
    newer = enrolment_of(
        "newer",
        method="push",
        secret="-----BEGIN PUBLIC KEY-----",
        device_id="device-1",
        enrolled_at=NOW + timedelta(days=1),
    )
    older = enrolment_of("older")
    assert [await enrolments.add(ANAS, each) for each in (newer, older)] == [True, True]
    assert await enrolments.of(ANAS) == (older, newer)
    assert await enrolments.of(BORS) == ()


async def test_the_same_is_not_added_twice(enrolments):
    assert [await enrolments.add(ANAS, enrolment_of(label=label)) for label in ("first", "second")] == [
        True,
        False,
    ]
    assert [each.label for each in await enrolments.of(ANAS)] == ["first"]


async def test_a_person_has_ten_at_most_however_many_are_added_at_once(enrolments):
    added = await asyncio.gather(*(enrolments.add(ANAS, enrolment_of(f"e-{number}")) for number in range(20)))
    assert sum(added) == len(await enrolments.of(ANAS)) == 10
    assert await enrolments.add(BORS, enrolment_of(), most=1) is True
    assert await enrolments.add(BORS, enrolment_of("another"), most=1) is False


async def test_what_is_removed_is_gone_once_and_the_rest_stays(enrolments):
    for name in ("a", "b"):
        await enrolments.add(ANAS, enrolment_of(name))
    assert await enrolments.remove(BORS, "a") is False
    assert sum(await asyncio.gather(*(enrolments.remove(ANAS, "a") for _ in range(10)))) == 1
    assert [each.enrolment_id for each in await enrolments.of(ANAS)] == ["b"]
    assert await enrolments.remove(ANAS, "a") is False


async def test_whoever_removes_another_method_or_none_keeps_the_recovery_codes(enrolments):
    await enrolments.add(ANAS, enrolment_of("app"))
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of=None) is True
    assert [await enrolments.remove(ANAS, name) for name in ("made up", "app")] == [False, True]
    assert (await enrolments.every(ANAS), await enrolments.recovery_left(ANAS)) == ((LISTED,), 10)


async def test_a_step_is_accepted_once_and_none_before_it(enrolments):
    assert sum(await asyncio.gather(*(enrolments.accept_step("e", 100) for _ in range(50)))) == 1
    assert [await enrolments.accept_step("e", step) for step in (99, 100, 101, 101)] == [
        False,
        False,
        True,
        False,
    ]
    assert await enrolments.accept_step("another", 100) is True


async def test_a_recovery_code_is_spent_once(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.recovery_left(ANAS) == 10
    assert sum(await asyncio.gather(*(enrolments.spend_recovery(ANAS, CODES[0]) for _ in range(50)))) == 1
    assert await enrolments.recovery_left(ANAS) == 9
    assert [await enrolments.spend_recovery(ANAS, code) for code in ("unknown", CODES[0], CODES[1])] == [
        False,
        False,
        True,
    ]


async def test_recovery_codes_are_their_own_persons(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    assert (await enrolments.spend_recovery(BORS, CODES[0]), await enrolments.recovery_left(BORS)) == (
        False,
        0,
    )


async def test_new_recovery_codes_take_the_place_of_all_earlier_ones(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    await enrolments.put_recovery(ANAS, ["new"])
    assert [await enrolments.spend_recovery(ANAS, code) for code in (*CODES, "new")] == [False] * 10 + [True]
    assert await enrolments.recovery_left(ANAS) == 0


async def test_no_recovery_codes_take_the_old_ones_away(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    await enrolments.put_recovery(ANAS, ())
    assert (await enrolments.spend_recovery(ANAS, CODES[0]), await enrolments.recovery_left(ANAS)) == (
        False,
        0,
    )


async def test_recovery_codes_are_no_enrolment_by_themselves(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.of(ANAS) == ()


LISTED = enrolment_of("sheet", method="recovery", label="", secret="", level=Level.MEDIUM)


async def test_recovery_codes_are_listed_with_the_methods_and_removed_like_them(enrolments):
    for number in range(10):
        await enrolments.add(ANAS, enrolment_of(f"e-{number}"))
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of=None) is True
    assert LISTED in await enrolments.of(ANAS)
    assert await enrolments.remove(BORS, "sheet") is False
    assert sum(await asyncio.gather(*(enrolments.remove(ANAS, "sheet") for _ in range(10)))) == 1
    assert [each.method for each in await enrolments.every(ANAS)] == ["totp"] * 10
    assert (await enrolments.recovery_left(ANAS), await enrolments.spend_recovery(ANAS, CODES[0])) == (
        0,
        False,
    )


async def test_recovery_codes_that_nobody_has_listed_are_among_everything_and_can_be_removed(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    [unlisted] = await enrolments.every(ANAS)
    assert (unlisted.method, unlisted.level) == ("recovery", Level.LOW)
    assert await enrolments.remove(ANAS, unlisted.enrolment_id) is True
    assert (await enrolments.every(ANAS), await enrolments.recovery_left(ANAS)) == ((), 0)


async def test_of_many_who_make_recovery_codes_at_once_one_does_and_its_codes_are_those_that_work(enrolments):
    sheets = [[f"{number}-{code}" for code in CODES] for number in range(6)]
    listings = [replace(LISTED, enrolment_id=f"sheet-{number}") for number in range(6)]
    made = await asyncio.gather(
        *(
            enrolments.make_recovery(ANAS, sheet, listing, instead_of=None)
            for sheet, listing in zip(sheets, listings, strict=True)
        )
    )
    assert sum(made) == 1
    winner = made.index(True)
    assert await enrolments.of(ANAS) == (listings[winner],)
    assert [await enrolments.spend_recovery(ANAS, sheet[0]) for sheet in sheets] == made


async def test_recovery_codes_take_the_place_of_those_that_are_named_and_of_no_others(enrolments):
    newer = replace(LISTED, enrolment_id="newer")
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of="others") is False
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of=None) is True
    assert await enrolments.make_recovery(ANAS, ["new"], newer, instead_of=None) is False
    assert await enrolments.make_recovery(ANAS, ["new"], newer, instead_of="sheet") is True
    assert await enrolments.of(ANAS) == (newer,)
    assert [await enrolments.spend_recovery(ANAS, code) for code in (CODES[0], "new")] == [False, True]


async def test_where_everything_is_under_the_first_key_nothing_is_moved(enrolments):
    await enrolments.add(ANAS, enrolment_of())
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.reseal() == 0
    assert await enrolments.of(ANAS) == (enrolment_of(),)
    assert await enrolments.recovery_left(ANAS) == 10


async def test_of_people_who_have_left_nothing_stays_and_of_others_everything(enrolments):
    for owner in (ANAS, BORS):
        for name in ("app", "phone"):
            await enrolments.add(owner, enrolment_of(f"{owner[-1]}-{name}"))
        await enrolments.put_recovery(owner, CODES)
    await enrolments.remove_all([ANAS, ("member", "somebody-without-anything")])
    assert (await enrolments.every(ANAS), await enrolments.recovery_left(ANAS)) == ((), 0)
    assert await enrolments.spend_recovery(ANAS, CODES[0]) is False
    assert (len(await enrolments.of(BORS)), await enrolments.recovery_left(BORS)) == (2, 10)
    await enrolments.remove_all([])
    assert len(await enrolments.of(BORS)) == 2


async def emptied(enrolments):
    """What everybody has, after it was removed from the store."""
    owned = {each.owner: each for each in (await enrolments.everybodys()).owned}
    await enrolments.remove_all(list(owned))
    assert (await enrolments.everybodys()).owned == ()
    return owned


async def test_what_everybody_has_enrolled_comes_back_from_a_backup_as_it_was(enrolments):
    mine = [enrolment_of("app"), enrolment_of("phone", method="push", device_id="device-1")]
    for each in mine:
        await enrolments.add(ANAS, each)
    await enrolments.add(BORS, enrolment_of("bors"))
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of=None)
    assert await enrolments.spend_recovery(ANAS, CODES[0])
    before = await enrolments.every(ANAS)
    owned = await emptied(enrolments)
    assert owned.keys() == {ANAS, BORS}
    assert [await enrolments.put_back(each) for each in owned.values()] == [True, True]
    assert await enrolments.every(ANAS) == before
    assert await enrolments.every(BORS) == (enrolment_of("bors"),)
    assert await enrolments.recovery_left(ANAS) == 9
    assert [await enrolments.spend_recovery(ANAS, code) for code in (CODES[0], CODES[1], CODES[1])] == [
        False,
        True,
        False,
    ]


async def test_whoever_has_anything_gets_nothing_back(enrolments):
    await enrolments.add(ANAS, enrolment_of("stolen"))
    owned = await emptied(enrolments)
    await enrolments.add(ANAS, enrolment_of("new"))
    assert await enrolments.put_back(owned[ANAS]) is False
    assert await enrolments.every(ANAS) == (enrolment_of("new"),)


async def test_whoever_has_recovery_codes_gets_nothing_back(enrolments):
    await enrolments.add(ANAS, enrolment_of("stolen"))
    owned = await emptied(enrolments)
    await enrolments.put_recovery(ANAS, CODES)
    assert await enrolments.put_back(owned[ANAS]) is False
    assert [each.method for each in await enrolments.every(ANAS)] == ["recovery"]


async def test_recovery_codes_that_nobody_has_listed_come_back_too(enrolments):
    await enrolments.put_recovery(ANAS, CODES)
    owned = await emptied(enrolments)
    assert await enrolments.put_back(owned[ANAS])
    assert (await enrolments.recovery_left(ANAS), await enrolments.of(ANAS)) == (10, ())


async def test_of_many_who_put_the_same_back_at_once_one_does(enrolments):
    await enrolments.add(ANAS, enrolment_of("app"))
    assert await enrolments.make_recovery(ANAS, CODES, LISTED, instead_of=None)
    owned = await emptied(enrolments)
    assert sum(await asyncio.gather(*(enrolments.put_back(owned[ANAS]) for _ in range(10)))) == 1
    assert (len(await enrolments.every(ANAS)), await enrolments.recovery_left(ANAS)) == (2, 10)


async def test_nothing_that_is_put_back_is_nothing(enrolments):
    assert await enrolments.put_back(OwnedMethods(owner=ANAS))
    assert await enrolments.every(ANAS) == ()
