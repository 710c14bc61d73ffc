"""What every counter of answers and messages promises, in Redis and in memory. The rules are in `conftest`:
people are blocked after five answers, addresses after thirty."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.session_builders import NOW

ANA, BOR = "person:member\0ana", "person:member\0bor"
OFFICE, HOME = "address:198.51.100.7", "address:2001:db8::/64"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def answers(limits, *names, times=5, now=NOW):
    return [await limits.try_answer(names, now=now) for _ in range(times)]


async def test_the_fifth_answer_is_judged_and_the_sixth_is_not(limits):
    assert await answers(limits, ANA, times=7) == [None] * 5 + [NOW + 15 * MINUTE] * 2
    assert await limits.blocked_until([ANA], now=NOW) == NOW + 15 * MINUTE
    assert await limits.blocked_until([BOR], now=NOW) is None


async def test_asking_counts_nothing(limits):
    await answers(limits, ANA, times=4)
    assert [await limits.blocked_until([ANA], now=NOW) for _ in range(9)] == [None] * 9
    assert await answers(limits, ANA, times=1) == [None]


async def test_a_block_ends_by_itself_and_then_as_many_answers_are_judged_as_before(limits):
    await answers(limits, ANA)
    ends = NOW + 15 * MINUTE
    assert await limits.try_answer([ANA], now=ends - SECOND) == ends
    assert await answers(limits, ANA, now=ends) == [None] * 5


async def test_each_block_in_a_row_is_twice_as_long_up_to_a_day(limits):
    now, lasted = NOW, []
    for _ in range(10):
        await answers(limits, ANA, now=now)
        ends = await limits.blocked_until([ANA], now=now)
        lasted.append((ends - now) / MINUTE)
        now = ends
    assert lasted == [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440]


async def test_a_right_answer_forgets_answers_and_blocks(limits):
    await answers(limits, ANA, times=4)
    await limits.forgive([ANA])
    assert await answers(limits, ANA, times=5) == [None] * 5
    await limits.forgive([ANA])
    assert await limits.blocked_until([ANA], now=NOW) is None
    await answers(limits, ANA, times=5)
    assert await limits.blocked_until([ANA], now=NOW) == NOW + 15 * MINUTE


async def test_a_right_answer_takes_itself_and_one_wrong_one_off_an_address(limits):
    for number in range(40):
        assert await limits.try_answer([f"person:{number}", OFFICE], now=NOW) is None
        assert await limits.try_answer([f"person:{number}", OFFICE], now=NOW) is None
        await limits.forgive([f"person:{number}", OFFICE])
    assert await limits.blocked_until([OFFICE], now=NOW) is None


async def test_a_right_answer_does_not_make_an_address_forget_all_wrong_ones(limits):
    for number in range(29):
        await limits.try_answer([f"person:{number}", OFFICE], now=NOW)
    await limits.forgive([ANA, OFFICE])
    assert await answers(limits, OFFICE, times=3) == [None] * 3
    assert await limits.blocked_until([OFFICE], now=NOW) is not None


async def test_a_right_answer_ends_no_block_of_an_address(limits):
    await answers(limits, OFFICE, times=30)
    await limits.forgive([OFFICE])
    assert await limits.blocked_until([OFFICE], now=NOW) == NOW + 15 * MINUTE


async def test_an_operator_lifts_a_block_and_is_told_whether_there_was_anything(limits):
    await answers(limits, ANA)
    assert await limits.lift([BOR, ANA]) is True
    assert await limits.blocked_until([ANA], now=NOW) is None
    assert await limits.lift([BOR, ANA]) is False


@pytest.mark.parametrize(
    ("times", "since"), [(4, NOW), (5, NOW + 15 * MINUTE)], ids=["last answer", "end of the block"]
)
async def test_a_day_later_everything_is_as_at_first(limits, times, since):
    await answers(limits, ANA, times=times)
    later = since + 24 * HOUR
    assert await answers(limits, ANA, now=later) == [None] * 5
    assert await limits.blocked_until([ANA], now=later) == later + 15 * MINUTE


async def test_until_a_day_has_passed_nothing_is_forgotten(limits):
    await answers(limits, ANA, times=4)
    nearly = NOW + 24 * HOUR - SECOND
    await limits.try_answer([ANA], now=nearly)
    assert await limits.blocked_until([ANA], now=nearly) == nearly + 15 * MINUTE
    await answers(limits, ANA, now=nearly + HOUR)
    assert await limits.blocked_until([ANA], now=nearly + HOUR) == nearly + HOUR + 30 * MINUTE


async def test_an_address_has_rules_of_its_own(limits):
    assert await answers(limits, OFFICE, times=31) == [None] * 30 + [NOW + 15 * MINUTE]
    assert await limits.blocked_until([HOME, BOR], now=NOW) is None


async def test_people_and_addresses_are_counted_apart_for_one_answer(limits):
    for number in range(6):
        await answers(limits, f"person:member\0p-{number}", OFFICE)
    assert await limits.try_answer([ANA, OFFICE], now=NOW) == NOW + 15 * MINUTE
    assert await limits.try_answer([ANA, HOME], now=NOW) is None


async def test_whoever_sits_in_a_blocked_office_pays_nothing_for_it(limits):
    await answers(limits, OFFICE, times=30)
    await answers(limits, ANA, OFFICE, times=20)
    assert await answers(limits, ANA, HOME) == [None] * 5


async def test_the_later_of_two_blocks_is_told(limits):
    await answers(limits, ANA)
    await answers(limits, OFFICE, times=30, now=NOW + MINUTE)
    assert await limits.blocked_until([ANA, OFFICE], now=NOW + MINUTE) == NOW + 16 * MINUTE
    assert await limits.try_answer([ANA, OFFICE], now=NOW + MINUTE) == NOW + 16 * MINUTE


async def test_of_fifty_answers_at_once_five_are_judged(limits):
    judged = await asyncio.gather(*(limits.try_answer([ANA, OFFICE], now=NOW) for _ in range(50)))
    assert sum(until is None for until in judged) == 5
    assert await limits.blocked_until([OFFICE], now=NOW) is None
    assert await answers(limits, OFFICE, times=26) == [None] * 25 + [NOW + 15 * MINUTE]


@pytest.mark.parametrize("skew", [-2 * MINUTE, 2 * MINUTE], ids=["behind", "ahead"])
async def test_an_instance_whose_clock_is_wrong_judges_no_more_answers(limits, skew):
    await answers(limits, ANA, times=3)
    assert await answers(limits, ANA, times=4, now=NOW + skew) == [None] * 2 + [NOW + skew + 15 * MINUTE] * 2
    assert await limits.blocked_until([ANA], now=NOW) == NOW + skew + 15 * MINUTE


async def test_nobody_is_nobodys_limit(limits):
    assert await limits.blocked_until([], now=NOW) is None
    assert await limits.lift([]) is False


async def reserved(limits, name=ANA, now=NOW, per_hour=3):
    return await limits.reserve(name, pause=MINUTE, per_hour=per_hour, now=now)


async def test_between_messages_there_is_a_pause(limits):
    assert await reserved(limits) is None
    assert await reserved(limits, now=NOW + 59 * SECOND) == NOW + MINUTE
    assert await reserved(limits, now=NOW + MINUTE) is None
    assert await reserved(limits, BOR, now=NOW + MINUTE) is None


async def test_within_an_hour_there_are_so_many_messages_and_the_first_makes_room(limits):
    sent = [await reserved(limits, now=NOW + number * 10 * MINUTE) for number in range(5)]
    assert sent == [None] * 3 + [NOW + HOUR] * 2
    assert await reserved(limits, now=NOW + HOUR) is None
    assert await reserved(limits, now=NOW + HOUR + 5 * MINUTE) == NOW + HOUR + 10 * MINUTE
    assert await reserved(limits, now=NOW + HOUR + 10 * MINUTE) is None


async def test_a_rule_that_has_become_stricter_holds_at_once(limits):
    for number in range(3):
        assert await reserved(limits, now=NOW + number * 10 * MINUTE) is None
    assert await reserved(limits, now=NOW + 30 * MINUTE, per_hour=1) == NOW + HOUR + 20 * MINUTE


async def test_of_many_messages_at_once_one_is_sent(limits):
    sent = await asyncio.gather(*(reserved(limits) for _ in range(20)))
    assert sum(free is None for free in sent) == 1
