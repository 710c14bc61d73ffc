"""Permanent tasks live as long as the gateway, and nothing lives longer."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.bootstrap.background import Background
from authproxy.telemetry.metrics import Metrics
from tests.support.clock import Clock
from tests.support.log_lines import log_lines
from tests.support.waiting import PATIENCE

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
async def background():
    made = Background(clock=Clock(NOON), pause=0.001, longest=0.01)
    yield made
    await made.end()


class Failing:
    """Fails so many times, by itself or by returning, and then works."""

    def __init__(self, *endings: BaseException | None) -> None:
        self._endings = list(endings)
        self.works = asyncio.Event()

    async def run(self) -> None:
        if self._endings:
            ending = self._endings.pop(0)
            if ending is not None:
                raise ending
            return
        self.works.set()
        await asyncio.Event().wait()


async def test_a_task_that_dies_or_returns_is_started_again(background):
    work = Failing(ValueError("not enough values to unpack"), None, KeyError("x"))
    with log_lines() as log:
        background.keep("invalidation", work.run)
        await asyncio.wait_for(work.works.wait(), PATIENCE)
    check = await background.checks["invalidation"]()
    assert (check.status, check.detail) == (
        "warning",
        (
            "runs since 2026-11-29T12:00:00+00:00; ended 3 times, the last time at 2026-11-29T12:00:00+00:00 "
            "(KeyError)"
        ),
    )
    assert "not enough values" in log.getvalue()
    metrics = Metrics(version="x")
    background.count(metrics)
    assert dict(metrics.background_restarts) == {("invalidation",): 3}


async def test_a_task_that_waited_for_something_cancelled_is_started_again(background):
    work = Failing(asyncio.CancelledError())
    background.keep("certificates", work.run)
    await asyncio.wait_for(work.works.wait(), PATIENCE)
    assert "what it waited for was cancelled" in (await background.checks["certificates"]()).detail


async def test_while_it_rests_the_check_has_failed():
    background = Background(clock=Clock(NOON), pause=60)
    died = asyncio.Event()

    async def dies() -> None:
        died.set()
        raise RuntimeError

    with log_lines():
        background.keep("time_limits", dies)
        await died.wait()
        await asyncio.sleep(0)
    check = await background.checks["time_limits"]()
    assert (check.status, "(RuntimeError); is about to be started again" in check.detail) == ("failed", True)
    await background.end()


async def test_what_has_never_died_is_well_and_what_died_long_ago_is_well_again(background):
    clock = background._clock
    healthy, once = Failing(), Failing(None)
    with log_lines():
        background.keep("healthy", healthy.run)
        background.keep("once", once.run)
        await asyncio.gather(healthy.works.wait(), once.works.wait())
    clock.now += timedelta(minutes=11)
    assert (await background.checks["healthy"]()).status == "ok"
    assert (await background.checks["once"]()).status == "ok"


async def test_pauses_grow_and_a_task_that_has_worked_starts_afresh():
    loop = asyncio.get_running_loop()
    began: list[float] = []
    done = asyncio.Event()

    async def dies() -> None:
        began.append(loop.time())
        if len(began) == 6:
            done.set()
        raise RuntimeError

    background = Background(clock=Clock(NOON), pause=0.01, longest=0.08)
    with log_lines():
        background.keep("x", dies)
        await asyncio.wait_for(done.wait(), PATIENCE)
        await background.end()
    pauses = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert all(
        pause >= least * 0.9 for pause, least in zip(pauses, (0.01, 0.02, 0.04, 0.08, 0.08), strict=True)
    ), pauses


async def test_work_that_fails_is_logged_and_ends_nobody_else(background):
    goes_on = asyncio.Event()

    async def fails() -> None:
        raise ConnectionError

    async def works() -> None:
        goes_on.set()

    with log_lines() as log:
        background.spawn(fails())
        background.spawn(works())
        await asyncio.wait_for(goes_on.wait(), PATIENCE)
        await asyncio.sleep(0)
    assert "ConnectionError" in log.getvalue()


async def test_what_ignores_its_end_does_not_hold_up_the_end():
    background = Background(clock=Clock(NOON))
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with log_lines() as log:
        task = background.spawn(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(background.end(), PATIENCE)
        assert not task.done()
        released.set()
        await task
    assert "background.left_behind" in log.getvalue()
