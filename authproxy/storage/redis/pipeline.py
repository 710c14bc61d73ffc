"""Questions that are sent without waiting for the answers to earlier ones (pipelining), over one connection.

redis-py connects and signs in. Then the connection is taken over from it: a question costs one write, and no
task, lock or time limit of its own. The answers come in the order of the questions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis.answer_shapes import Command

_INCOMPLETE: Final = object()
Told = Callable[[Any], None]
Question = tuple[Command, bytes | None, Told]
"""A command, how it is sent if that is known, and what is called with its answer, once. An error is an answer, too.
It must not raise."""


class Pipeline(asyncio.Protocol):
    """Takes `connection` over, which is connected and has nothing unread. Every question is answered within
    `deadline` seconds. If an answer is late, its question is answered with TimeoutError, and no further ones
    may be asked. If an answer cannot belong to its question, or the connection is lost, the same holds for all
    questions that are open."""

    __slots__ = (
        "_answers",
        "_closed",
        "_deadline",
        "_late",
        "_loop",
        "_open",
        "_transport",
        "_watch",
        "_writer",
        "generation",
        "is_open",
    )

    def __init__(self, connection: AbstractConnection, *, deadline: float, generation: int) -> None:
        self.generation = generation
        self.is_open = True
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._open: deque[tuple[Command, Told, float]] = deque()
        # The first so many of them are late. They keep their places, because their answers may still come.
        self._late = 0
        self._watch: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()
        self._answers = hiredis.Reader(
            protocolError=InvalidResponse, replyError=ResponseError, notEnoughData=_INCOMPLETE
        )
        writer = connection._writer  # noqa: SLF001  (redis-py has no public way to its transport)
        assert writer is not None  # noqa: S101  (it is connected)
        self._writer = writer  # kept, because it closes the transport when it is collected
        self._transport = writer.transport
        self._transport.set_protocol(self)
        connection._writer = connection._reader = None  # noqa: SLF001  (so that it does not close what is ours)

    def ask(self, questions: Sequence[Question]) -> None:
        """Sends the questions. Call it only while `is_open`."""
        ends_at = self._loop.time() + self._deadline
        for command, _, told in questions:
            self._open.append((command, told, ends_at))
        if self._watch is None:
            self._watch = self._loop.call_at(ends_at, self._look_at_the_time)
        try:
            self._transport.write(b"".join([packed or _packed(command) for command, packed, _ in questions]))
        except Exception as error:  # noqa: BLE001  (whoever waits is told, whatever it is)
            self._end(error)

    def retire(self) -> None:
        """No further questions may be asked. Open ones are still answered."""
        self.is_open = False
        if not self._open:
            self.close()

    def close(self) -> None:
        self._end(RedisConnectionError("the connection was closed"))

    async def wait_closed(self) -> None:
        await self._closed.wait()

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        try:
            self._demand_question()  # otherwise the first half of an answer would wait for a question to come
            self._answers.feed(data)
            while (answer := self._answers.gets()) is not _INCOMPLETE:
                self._take(answer)
            if self._answers.has_data():
                self._demand_question()
        except Exception as error:  # noqa: BLE001  (for octets that are not RESP, hiredis raises various errors)
            self._end(error)
            return
        if not self._open and not self.is_open:
            self.close()

    def eof_received(self) -> None:
        self._end(RedisConnectionError("the connection was cut"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or RedisConnectionError("the connection was cut"))
        self._closed.set()

    def _take(self, answer: Any) -> None:
        """Raises InvalidResponse if this cannot be the answer to the oldest question: then later answers would
        not belong to theirs either."""
        self._demand_question()
        command, told, _ = self._open[0]
        if not isinstance(answer, Exception) and not answer_shapes.fits(command, answer):
            raise InvalidResponse
        self._open.popleft()
        if self._late:
            self._late -= 1  # it was told already
        else:
            told(answer)

    def _demand_question(self) -> None:
        """Raises InvalidResponse if nothing is asked: whatever comes then is no answer."""
        if not self._open:
            raise InvalidResponse

    def _look_at_the_time(self) -> None:
        """One timer for all questions: it is set anew when it fires, and not for each of them."""
        self._watch = None
        while self._late < len(self._open):
            _, told, ends_at = self._open[self._late]
            if ends_at > self._loop.time():
                self._watch = self._loop.call_at(ends_at, self._look_at_the_time)
                return
            self.is_open = False
            self._late += 1
            told(TimeoutError())
        if self._late:
            self._end(TimeoutError())

    def _end(self, reason: Exception) -> None:
        self.is_open = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._transport.abort()
        unanswered, self._open = list(self._open)[self._late :], deque()
        self._late = 0
        for _, told, _ in unanswered:
            told(reason)


def _packed(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one item
    return packed
