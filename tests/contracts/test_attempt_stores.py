"""What every store of sign-in attempts promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.support.session_builders import NOW, attempt_of

SECOND = timedelta(seconds=1)


GOOD_UNTIL = NOW + timedelta(minutes=30)


async def taken(attempts, secret="secret", *, now=NOW):
    return await attempts.take(attempt_of("browser", secret=secret), good_until=GOOD_UNTIL, now=now)


async def test_an_attempt_is_taken_once(attempts):
    assert [await taken(attempts) for _ in range(4)] == [True, False, False, False]


async def test_attempts_of_one_browser_are_taken_each_by_itself(attempts):
    assert [await taken(attempts, f"secret {number}") for number in range(40)] == [True] * 40


async def test_of_many_takers_at_the_same_moment_exactly_one_is_first(attempts):
    assert sorted(await asyncio.gather(*(taken(attempts) for _ in range(50)))) == [False] * 49 + [True]


async def test_a_used_attempt_is_remembered_as_long_as_a_clock_that_is_behind_takes_it_for_good(attempts):
    assert await taken(attempts, now=GOOD_UNTIL - SECOND)
    assert not await taken(attempts, now=GOOD_UNTIL + timedelta(minutes=1))


async def test_an_attempt_that_was_over_long_ago_is_never_the_first_of_anything(attempts):
    assert not await taken(attempts, now=GOOD_UNTIL + timedelta(minutes=2))


async def test_sign_ins_of_the_last_minute_are_counted_for_each_browser(attempts):
    counts = [await attempts.note_sign_in("browser", now=NOW + number * 20 * SECOND) for number in range(5)]
    assert counts == [1, 2, 3, 3, 3]
    assert await attempts.note_sign_in("another browser", now=NOW) == 1
    assert await attempts.recent_sign_ins("browser", now=NOW + 80 * SECOND) == 3
    assert await attempts.recent_sign_ins("browser", now=NOW + 141 * SECOND) == 0
    assert await attempts.recent_sign_ins("a browser that never signed in", now=NOW) == 0


async def test_asking_how_many_sign_ins_there_were_counts_none(attempts):
    await attempts.note_sign_in("browser", now=NOW)
    assert [await attempts.recent_sign_ins("browser", now=NOW) for _ in range(3)] == [1, 1, 1]


async def test_simultaneous_sign_ins_are_each_counted_once(attempts):
    counts = await asyncio.gather(*(attempts.note_sign_in("browser", now=NOW) for _ in range(20)))
    assert sorted(counts) == list(range(1, 21))


async def test_counting_sign_ins_takes_bounded_room(attempts):
    counts = [await attempts.note_sign_in("browser", now=NOW) for _ in range(100)]
    assert max(counts) == counts[-1] == 64
