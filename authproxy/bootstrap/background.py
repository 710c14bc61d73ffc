"""Background work: one-off tasks, and permanent tasks that are started again whenever they end.

Nothing here outlives the gateway. At its end every task is cancelled; one that ignores that is abandoned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check

Work = Callable[[], Coroutine[Any, Any, None]]
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 30.0
_REMEMBERED_FOR: Final = timedelta(minutes=10)
"""How long `/readyz` warns about a task that has failed and runs again."""
_ENDS_WITHIN: Final = 1.0


@dataclass(slots=True, kw_only=True)
class _PermanentTask:
    """The state of one permanent task."""

    started_at: datetime
    deaths: int = 0
    died_at: datetime | None = None
    cause: str = ""
    is_resting: bool = False

    def check(self, now: datetime) -> Check:
        if self.died_at is None:
            return Check(status="ok", detail=f"runs since {_moment(self.started_at)}")
        history = f"ended {self.deaths} times, the last time at {_moment(self.died_at)} ({self.cause})"
        if self.is_resting:
            return Check(status="failed", detail=f"{history}; is about to be started again")
        status: Literal["warning", "ok"] = "warning" if now - self.died_at < _REMEMBERED_FOR else "ok"
        return Check(status=status, detail=f"runs since {_moment(self.started_at)}; {history}")


class Background:
    """All background work of one gateway. `pause` is for how many seconds a task rests after it has ended for
    the first time; the pauses double up to `longest`."""

    def __init__(
        self, *, clock: Callable[[], datetime], pause: float = _FIRST_PAUSE, longest: float = _LONGEST_PAUSE
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._longest = longest
        self._tasks: set[asyncio.Task[None]] = set()
        self._permanent: dict[str, _PermanentTask] = {}

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts one-off work. A failure is logged and has no other effect."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            logger("bootstrap").error("background.failed", exc_info=failure)

    def keep(self, name: str, work: Work) -> None:
        """Starts work that must always run: whenever it fails or returns, it is started again after a growing
        pause."""
        state = self._permanent[name] = _PermanentTask(started_at=self._clock())
        self.spawn(self._run_forever(name, work, state))

    async def _run_forever(self, name: str, work: Work, state: _PermanentTask) -> None:
        loop = asyncio.get_running_loop()
        pause = self._pause
        while True:
            began = loop.time()
            try:
                await work()
                state.cause = "it returned"
                logger("bootstrap").error("background.ended", task=name)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody has cancelled the task itself, but something that it waited for.
                state.cause = "what it waited for was cancelled"
                logger("bootstrap").error("background.failed", task=name, cause=state.cause)
            except Exception as error:  # noqa: BLE001  (whatever it was, the work must go on)
                state.cause = type(error).__name__
                logger("bootstrap").exception("background.failed", task=name)
            # A task that has run for a while does not fail at once every time: its pauses begin anew.
            pause = self._pause if loop.time() - began > self._longest else pause
            state.deaths += 1
            state.died_at = self._clock()
            state.is_resting = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._longest)
            state.is_resting = False
            state.started_at = self._clock()

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[Check]]]:
        """A readiness check for every permanent task, by its name."""

        def checking(state: _PermanentTask) -> Callable[[], Awaitable[Check]]:
            async def check() -> Check:
                return state.check(self._clock())

            return check

        return {name: checking(state) for name, state in self._permanent.items()}

    def count(self, metrics: Metrics) -> None:
        for name, state in self._permanent.items():
            metrics.background_restarts[(name,)] = state.deaths

    async def end(self) -> None:
        """Cancels every task and waits a moment. A task that goes on regardless is abandoned: it must not
        delay the end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_ENDS_WITHIN)
            if left:
                logger("bootstrap").warning("background.left_behind", count=len(left))


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
