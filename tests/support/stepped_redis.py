"""A connection to Redis whose every command waits until the test lets it go: two of them make any order of
events that there can be."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import RedisConnection
from tests.support.redis_server import GENEROUS


class SteppedConnection(RedisConnection):
    """Commands that are sent together arrive one after the other, as they may at a busy server."""

    def __init__(self, url: str) -> None:
        super().__init__(url, deadline=GENEROUS)
        self._wants = asyncio.Event()
        self._may = asyncio.Semaphore(0)

    @property
    def pipeline(self) -> None:
        """There is none: reads over it would not wait."""

    async def each(self, commands: Sequence[Command], **how: Any) -> list[Any]:
        answers: list[Any] = []
        for command in commands:
            self._wants.set()
            await self._may.acquire()
            answers += await super().each([command], **how)
        return answers

    async def step(self, work: asyncio.Task[Any]) -> None:
        """Lets one command of the work happen, if it is not done."""
        await self._rests(work)
        if not work.done():
            self._wants.clear()
            self._may.release()
            await self._rests(work)

    async def finish(self, work: asyncio.Task[Any]) -> Any:
        while not work.done():
            await self.step(work)
        return await work

    async def _rests(self, work: asyncio.Task[Any]) -> None:
        wants = asyncio.ensure_future(self._wants.wait())
        await asyncio.wait({work, wants}, return_when=asyncio.FIRST_COMPLETED)
        wants.cancel()


class DyingConnection(RedisConnection):
    """Carries out so many questions, and then no more: as if the instance had been killed there."""

    def __init__(self, url: str, *, questions: int) -> None:
        super().__init__(url, deadline=GENEROUS)
        self._left = questions

    @property
    def pipeline(self) -> None:
        """There is none: reads over it would not count."""

    async def each(self, commands: Sequence[Command], **how: Any) -> list[Any]:
        self._left -= 1
        if self._left < 0:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "killed")
        return await super().each(commands, **how)


def orders(first: int, second: int) -> Iterator[tuple[bool, ...]]:
    """Every order in which so many steps of one and so many of another can happen; True is the first
    one's."""
    for places in itertools.combinations(range(first + second), first):
        yield tuple(at in places for at in range(first + second))
