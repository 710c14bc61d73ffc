"""Reads that are wanted in the same turn of the event loop go to Redis together. One write and one answer for
all of them take a quarter of the CPU time. In a cluster, each part has a question of its own, so that one that
does not answer keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import RedisConnection


class GatheredReads:
    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def read(self, *command: str | bytes | int) -> Any:
        """The answer to a command that changes nothing. Raises CannotAsk within the connection's deadline.

        A reader that is cancelled does not disturb the others, and a refused command fails only its own
        reader.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._send, loop)
        return await answer

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        batches: dict[object, list[tuple[Command, asyncio.Future[Any]]]] = {}
        for one in waiting:
            batches.setdefault(self._connection.part_of(one[0]), []).append(one)
        # In a task of its own, so that the batch does not end with the request that happened to be first. The
        # task ends by the deadline, and hands every failure to the readers.
        for batch in batches.values():
            task = loop.create_task(self._ask(batch))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        answers: list[Any]
        try:
            answers = await self._connection.each([command for command, _ in batch])
        except Exception as error:  # noqa: BLE001  (handed to the readers, who would otherwise wait for ever)
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(_own(answer))
            else:
                future.set_result(answer)


def _own(error: Exception) -> Exception:
    """A copy of the exception for one reader. If several tasks raised the same one, it would collect all
    their tracebacks."""
    return type(error)(error.reason, str(error)) if isinstance(error, CannotAsk) else error
