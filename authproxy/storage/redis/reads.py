"""Reads that are wanted in the same turn of the event loop go to Redis together, over a pipeline if there is
one. One write and one answer for all of them take a quarter of the CPU time. In a cluster, each part has a
question of its own, so that one that does not answer keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.pipeline import Question


class GatheredReads:
    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._waiting: list[Question] = []
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
        got = await answer
        if not isinstance(got, Exception):
            return got
        if not isinstance(got, CannotAsk):
            if not isinstance(got, ResponseError):
                await self._connection.leave()
            raise self._connection.failure(got) from got
        # A copy for each reader. If several tasks raised the same one, it would collect all their tracebacks.
        raise type(got)(got.reason, str(got))

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        pipeline = self._connection.pipeline
        if pipeline is not None:
            pipeline.ask(waiting)
            return
        batches: dict[object, list[Question]] = {}
        for one in waiting:
            batches.setdefault(self._connection.part_of(one[0]), []).append(one)
        # In a task of its own, so that the batch does not end with the request that happened to be first. The
        # task ends by the deadline, and hands every failure to the readers.
        for batch in batches.values():
            task = loop.create_task(self._ask(batch))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, batch: list[Question]) -> None:
        answers: list[Any]
        try:
            answers = await self._connection.each([command for command, _ in batch])
        except Exception as error:  # noqa: BLE001  (handed to the readers, who would otherwise wait for ever)
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        if not isinstance(answers[0], Exception):
            self._connection.open_pipeline()
