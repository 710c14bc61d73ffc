"""Which formats of records are in the store, so that an older version does not misread what a newer one has
written.

Versions with the same format run side by side, in any order: each reads the records of the others, and keeps
the fields that it does not know. A change that an older version would misread raises `sealing.FORMAT`. Every
version writes its format into the store. A version that finds a higher one there does not start, and one that
runs already asks the store nothing else: a session that it cannot read would look like one that has ended.
"""

from __future__ import annotations

from typing import Any, Final

from authproxy import __version__
from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.storage.records.sealing import FORMAT
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import LacksRight, RedisConnection, WrongType

ASK: Final[Command] = ("HGETALL", keyspace.FORMATS)
WRITE: Final[Command] = ("HSET", keyspace.FORMATS, str(FORMAT), __version__)


class NewerStore(CannotAsk):
    """A newer version has written into the store what this one would misread."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.STORE_UNAVAILABLE, problem)


def problem_in(answer: Any) -> str | None:
    """What is wrong with the store for this version, by the answer to `ASK`; None if nothing is."""
    newest = max(_formats(answer), default=(0, b""))
    if newest[0] <= FORMAT:
        return None
    version = newest[1].decode("ascii", "replace")[:20]
    return (
        f"store.url: authproxy {version} has written records of format {newest[0]} into the store, and this "
        f"version ({__version__}) reads format {FORMAT}: use that version"
    )


def is_noted(answer: Any) -> bool:
    """Whether our own format is in the answer to `ASK`."""
    return any(number == FORMAT for number, _ in _formats(answer))


async def refuse_newer(connection: RedisConnection) -> None:
    """Notes our format in the store before the first record of it is written. Raises NewerStore, or CannotAsk
    if the store does not answer."""
    [written] = await connection.each([ASK])
    problem = problem_in(written)
    if problem is not None:
        raise NewerStore(problem)
    if isinstance(written, CannotAsk) and not isinstance(written, WrongType | LacksRight):
        raise written
    if isinstance(written, list) and not is_noted(written):
        await connection.each([WRITE])  # a store that takes no writes now is told by the heartbeat


def _formats(answer: Any) -> list[tuple[int, bytes]]:
    """Empty if somebody else has written something else under the key: that must keep nobody out."""
    if not isinstance(answer, list):
        return []
    return [
        (int(number), version)
        for number, version in zip(answer[::2], answer[1::2], strict=True)
        if number.isdigit() and len(number) < 4
    ]
