"""Questions that many callers ask at once: how many of them reach the service, and that nobody gets an old
answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.delivery.shared_questions import SharedQuestions

HOUR = timedelta(hours=1)


class Counterpart:
    def __init__(self):
        self.answers, self.asked, self.may_answer = "no", 0, asyncio.Event()
        self.may_answer.set()

    async def __call__(self):
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers


@pytest.fixture
async def counterpart():
    return Counterpart()


async def test_one_question_is_shared_and_further_callers_get_the_last_known_answer(counterpart):
    shared = SharedQuestions(unknown="unknown", pause=HOUR)
    counterpart.may_answer.clear()
    asking = [asyncio.ensure_future(shared.ask("p", counterpart)) for _ in range(500)]
    done, waiting = await asyncio.wait(asking, timeout=1, return_when=asyncio.FIRST_COMPLETED)
    assert (len(waiting), {task.result() for task in done}, counterpart.asked) == (9, {"unknown"}, 1)
    counterpart.may_answer.set()
    assert {await task for task in waiting} == {"no"}


async def test_a_second_question_may_come_early_and_the_third_waits_for_its_pause(counterpart):
    shared = SharedQuestions(unknown="unknown", pause=HOUR)
    assert await shared.ask("p", counterpart) == "no"
    counterpart.answers = "yes"
    assert await shared.ask("p", counterpart) == "yes"
    third = asyncio.ensure_future(shared.ask("p", counterpart))

    async def about_something_else():
        await asyncio.sleep(0)  # the third one has its turn
        return await counterpart()

    for number in range(10):
        assert await shared.ask(f"another {number}", about_something_else) == "yes"
    assert (third.done(), counterpart.asked) == (False, 12)
    third.cancel()
    await asyncio.wait([third])


async def test_a_question_that_had_to_wait_is_asked_when_its_pause_is_over(counterpart):
    shared = SharedQuestions(unknown="unknown", pause=timedelta(milliseconds=5))
    for answer in ("no", "yes", "later", "last"):
        counterpart.answers = answer
        assert await shared.ask("p", counterpart) == answer
    assert counterpart.asked == 4


async def test_all_who_wait_hear_of_a_failure_and_the_next_one_asks_again(counterpart):
    shared = SharedQuestions(unknown="unknown")
    counterpart.may_answer.clear()
    counterpart.answers = CannotAsk(Reason.SENDER_UNAVAILABLE, "slow")
    asking = [asyncio.ensure_future(shared.ask("p", counterpart)) for _ in range(3)]
    await asyncio.sleep(0)
    counterpart.may_answer.set()
    for task in asking:
        with pytest.raises(CannotAsk, match="slow"):
            await task
    counterpart.answers = "yes"
    assert (await shared.ask("p", counterpart), counterpart.asked) == ("yes", 2)


async def test_a_cancelled_caller_leaves_nobody_waiting(counterpart):
    shared = SharedQuestions(unknown="unknown")
    counterpart.may_answer.clear()
    first = asyncio.ensure_future(shared.ask("p", counterpart))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(shared.ask("p", counterpart))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "unknown"
    counterpart.may_answer.set()
    assert await shared.ask("p", counterpart) == "no"


async def test_names_are_forgotten_before_they_fill_the_memory(counterpart):
    shared = SharedQuestions(unknown="unknown", pause=timedelta(0))
    for number in range(10_050):
        await shared.ask(str(number), counterpart)
    assert len(shared._names) == 10_000
