"""Questions about one thing that many people or tabs ask at the same time: the counterpart hears about one a
second, and all who wait get its answer. Without this, one person with many tabs would keep the counterpart
busy for everybody.
"""

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
    """What is known of one name. `free_at` is in the loop's time."""

    known: T
    free_at: float
    question: asyncio.Future[T | CannotAsk] | None = None
    waiting: int = 0


class SharedQuestions(Generic[T]):
    """On average one question per name and `pause`; one may come early, so that whoever presses a button just
    after the script has asked need not wait. Of those who come in between eight wait for the next answer. All
    others are told at once what was known last, so that requests which wait cannot take every connection to
    our pages."""

    def __init__(self, *, unknown: T, pause: timedelta = timedelta(seconds=1)) -> None:
        """`unknown` is the answer while there has been none."""
        self._unknown = unknown
        self._pause = pause.total_seconds()
        self._names: dict[str, _Asked[T]] = {}

    async def ask(self, name: str, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question that was begun after the last one ended, or was under way. Raises
        CannotAsk as the question does."""
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
            found = await asyncio.shield(asked.question)
        finally:
            asked.waiting -= 1
        if isinstance(found, CannotAsk):
            raise CannotAsk(found.reason, str(found))
        return found

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
            if not shared.done():  # whoever asked has gone away: the next one asks again
                shared.set_result(asked.known)
        return asked.known
