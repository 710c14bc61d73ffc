"""Rounds of questions: one at a time, whoever wants to know."""

from __future__ import annotations

import asyncio

from authproxy.storage.redis.lookout import Lookout, most


class Rounds:
    """Each goes on until it is released."""

    def __init__(self):
        self.begun, self.may_end = 0, asyncio.Event()

    async def look(self):
        self.begun += 1
        await self.may_end.wait()


async def test_whoever_waits_for_a_round_that_is_given_up_goes_on():
    """Its end is not the end of the request that waits for it."""
    rounds = Rounds()
    lookout = Lookout(rounds.look)
    waiting = [asyncio.ensure_future(lookout.fresh()) for _ in range(3)]
    await asyncio.sleep(0)
    await lookout.aclose()
    assert await asyncio.gather(*waiting) == [None] * 3


async def test_whoever_gives_up_ends_the_round_for_nobody_else():
    rounds = Rounds()
    lookout = Lookout(rounds.look)
    impatient, patient = (asyncio.ensure_future(lookout.fresh()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    rounds.may_end.set()
    await patient
    assert impatient.cancelled()
    assert rounds.begun == 1


async def test_who_is_silent_is_left_out_once_most_have_answered():
    async def says(answer):
        return answer

    async def is_silent():
        await asyncio.Event().wait()

    assert sorted(await most([says("a"), is_silent(), says("b")])) == ["a", "b"]
