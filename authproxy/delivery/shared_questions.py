"""Merges questions that many people or tabs ask about one thing at the same time. The service gets about one
per second, and all who wait share its answer. Without this, one person with many tabs would keep the service
busy for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from authproxy.access.unavailable import CannotAsk

T = TypeVar("T")
_MOST_WAITING: Final = 8
_MOST_NAMES: Final = 10_000


@dataclass(slots=True)
class _Asked(Generic[T]):
    """What is known about one name. `free_at` is in the event loop's time."""

    known: T
    free_at: float
    question: asyncio.Future[T | CannotAsk] | None = None
    waiting: int = 0


class SharedQuestions(Generic[T]):
    """Asks on average one question per name and `pause`. One question may come early, so that a person who
    presses a button just after the script has asked need not wait. Meanwhile up to eight callers wait for the
    next answer. Further callers get the last known answer at once, so that waiting requests cannot occupy all
    connections to our pages."""

    def __init__(self, *, unknown: T, pause: timedelta = timedelta(seconds=1)) -> None:
        """`unknown` is returned until there is an answer."""
        self._unknown = unknown
        self._pause = pause.total_seconds()
        self._names: dict[str, _Asked[T]] = {}

    async def ask(self, name: str, question: Callable[[], Awaitable[T]]) -> T:
        """Returns the answer to a question that began after the last one ended, or to the one that is under
        way. Raises CannotAsk if the question does."""
        asked = self._names.get(name)
        if asked is None:
            asked = self._names[name] = _Asked(self._unknown, free_at=0.0)
            if len(self._names) > _MOST_NAMES:
                del self._names[next(iter(self._names))]
        if asked.question is None:
            return await self._answered(asked, question)
        if asked.waiting >= _MOST_WAITING:
            return asked.known
        asked.waiting += 1
        try:
            answer = await asyncio.shield(asked.question)
        finally:
            asked.waiting -= 1
        if isinstance(answer, CannotAsk):
            raise CannotAsk(answer.reason, str(answer))
        return answer

    async def _answered(self, asked: _Asked[T], question: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        shared = asked.question = loop.create_future()
        try:
            early = asked.free_at - self._pause - loop.time()
            if early > 0:
                await asyncio.sleep(early)
            asked.free_at = max(asked.free_at, loop.time()) + self._pause
            asked.known = await question()
            shared.set_result(asked.known)
        except CannotAsk as failure:
            shared.set_result(failure)
            raise
        finally:
            asked.question = None
            if not shared.done():  # this caller was cancelled: the next one asks again
                shared.set_result(asked.known)
        return asked.known
