"""Reads that are wanted in the same turn of the event loop go to Redis together, over a pipeline if there is
one. One write and one answer for all of them take a quarter of the CPU time. In a cluster, each part has a
pipeline of its own, so that one that does not answer keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any, Final

from redis.exceptions import ResponseError

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis import errors
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import Part, RedisConnection
from authproxy.storage.redis.pipeline import Question, Told

_ELSEWHERE: Final = frozenset({"MOVED", "ASK"})
"""Codes of a node of a cluster that does not have the key."""


class GatheredReads:
    __slots__ = ("_asking", "_connection", "_waiting")

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._waiting: list[Question] = []
        self._asking: set[asyncio.Task[None]] = set()

    def ask(self, command: Command, told: Told, packed: bytes | None = None) -> None:
        """Asks a command that changes nothing; `packed` is how it is sent. `told` gets the answer, or a
        CannotAsk, within the connection's deadline. It must not raise. A refused command fails only its own
        reader."""
        self._waiting.append((command, packed, functools.partial(self._hand_over, command, told)))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._send)

    async def read(self, *command: str | bytes | int) -> Any:
        """As `ask`, for somebody who waits. Raises CannotAsk. A reader that is cancelled does not disturb the
        others."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ask(command, functools.partial(_answer, answer))
        got = await answer
        if isinstance(got, CannotAsk):
            # A copy for each reader. If several tasks raised the same one, it would collect all their
            # tracebacks.
            raise type(got)(got.reason, str(got))
        return got

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        batches: dict[Part, list[Question]] = {}
        for one in waiting:
            batches.setdefault(self._connection.part_of(one[0]), []).append(one)
        for part, batch in batches.items():
            pipeline = self._connection.pipeline(part)
            if pipeline is not None:
                pipeline.ask(batch)
            else:
                # In a task of its own, so that the batch does not end with the request that happened to be
                # first. The task ends by the deadline, and hands every failure to the readers.
                self._start(self._ask(batch, part))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, batch: list[Question], part: Part) -> None:
        answers: list[Any]
        try:
            answers = await self._connection.each([command for command, _, _ in batch])
        except Exception as error:  # noqa: BLE001  (handed to the readers, who would otherwise wait for ever)
            answers = [error] * len(batch)
        for (_, _, told), answer in zip(batch, answers, strict=True):
            told(answer)
        if not isinstance(answers[0], Exception):
            self._connection.open_pipeline(part)

    def _hand_over(self, command: Command, told: Told, answer: Any) -> None:
        if not isinstance(answer, Exception) or isinstance(answer, CannotAsk):
            told(answer)
        elif errors.code_of(answer) in _ELSEWHERE:
            # The connection knows how to follow.
            self._start(self._ask([(command, None, told)], self._connection.part_of(command)))
        else:
            self._start(self._fail(told, answer))

    async def _fail(self, told: Told, error: Exception) -> None:
        if not isinstance(error, ResponseError):
            await self._connection.leave()
        told(self._connection.failure(error))


def _answer(waiting: asyncio.Future[Any], answer: Any) -> None:
    if not waiting.done():
        waiting.set_result(answer)
