"""What every store of sign-in attempts promises, whatever it is made of."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from authproxy.identity.attempt import TakenAttempt
from tests.support.session_builders import NOW, attempt_of

SECOND = timedelta(seconds=1)


async def test_an_opened_attempt_is_taken_as_it_was(attempts):
    attempt = attempt_of("browser")
    await attempts.open("state", attempt, now=NOW)
    assert await attempts.take("state", now=NOW + SECOND) == TakenAttempt(attempt=attempt, already_used=False)


async def test_a_state_that_was_never_opened_is_not_found(attempts):
    await attempts.open("state", attempt_of("browser"), now=NOW)
    assert await attempts.take("another state", now=NOW) is None


async def test_an_attempt_is_found_until_somebody_has_taken_it(attempts):
    attempt = attempt_of("browser")
    await attempts.open("state", attempt, now=NOW)
    assert [await attempts.find("state", now=NOW) for _ in range(2)] == [attempt, attempt]
    assert await attempts.find("another state", now=NOW) is None
    assert await attempts.find("state", now=NOW + timedelta(hours=24)) is None
    await attempts.take("state", now=NOW)
    assert await attempts.find("state", now=NOW) is None


async def test_a_used_attempt_is_told_to_have_been_used_every_time(attempts):
    attempt = attempt_of("browser")
    await attempts.open("state", attempt, now=NOW)
    await attempts.take("state", now=NOW)
    assert [await attempts.take("state", now=NOW) for _ in range(3)] == [TakenAttempt(attempt=attempt, already_used=True)] * 3


async def test_of_many_takers_at_the_same_moment_exactly_one_is_first(attempts):
    await attempts.open("state", attempt_of("browser"), now=NOW)
    taken = await asyncio.gather(*(attempts.take("state", now=NOW) for _ in range(50)))
    assert sorted(one.already_used for one in taken) == [False] + [True] * 49


async def test_an_attempt_is_remembered_for_a_day_and_no_longer(attempts):
    await attempts.open("state", attempt_of("browser"), now=NOW)
    assert await attempts.take("state", now=NOW + timedelta(hours=24)) is None
    assert await attempts.take("state", now=NOW + timedelta(hours=24) - SECOND) is not None


async def test_a_browser_keeps_its_last_32_attempts(attempts):
    for number in range(40):
        await attempts.open(f"state {number}", attempt_of("browser"), now=NOW)
    await attempts.open("state of another", attempt_of("another browser"), now=NOW)
    found = [await attempts.take(f"state {number}", now=NOW) is not None for number in range(40)]
    assert found == [False] * 8 + [True] * 32
    assert await attempts.take("state of another", now=NOW) is not None


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
