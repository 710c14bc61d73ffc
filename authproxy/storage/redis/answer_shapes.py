"""PURE: which answers a command can have. One of another kind means that questions and answers no longer pair
up on a connection.

redis-py hands on whatever the server says. A store that indexes into it would raise IndexError or ValueError
somewhere else; checked here, a corrupted answer is an outage like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Command = tuple[str | bytes | int, ...]
Shape = Callable[[Any], bool]
"""Whether this can be the answer."""

_LAST_MOMENT: Final = 253_402_300_800_000
"""Milliseconds from 1970 to the end of the year 9999, which is the last that a datetime can say."""


def whole(answer: Any) -> bool:
    return isinstance(answer, int)


def moment(answer: Any) -> bool:
    """Milliseconds since 1970."""
    return isinstance(answer, int) and 0 <= answer < _LAST_MOMENT


def text(answer: Any) -> bool:
    """Octets, or nothing."""
    return answer is None or isinstance(answer, bytes)


def texts(answer: Any) -> bool:
    """A list of octets, some of which may be missing."""
    return isinstance(answer, list) and all(text(each) for each in answer)


def names(answer: Any) -> bool:
    """A list of octets, none of which is missing."""
    return isinstance(answer, list) and all(isinstance(each, bytes) for each in answer)


def fields(count: int) -> Shape:
    return lambda answer: texts(answer) and len(answer) == count


def anything(answer: Any) -> bool:
    """What a script can answer at all: whole numbers, octets, nothing, and lists of these."""
    return (
        whole(answer) or text(answer) or (isinstance(answer, list) and all(anything(each) for each in answer))
    )


class Script(str):
    """A script, and which answers it can have."""

    __slots__ = ("shape",)
    shape: Shape

    def __new__(cls, source: str, shape: Shape = anything) -> Script:  # noqa: PYI034  (nobody inherits from it)
        made = super().__new__(cls, source)
        made.shape = shape
        return made


def _scanned(answer: Any) -> bool:
    return (
        isinstance(answer, list)
        and len(answer) == 2
        and isinstance(answer[0], bytes)
        and answer[0].isdigit()
        and names(answer[1])
    )


def _pairs(answer: Any) -> bool:
    return names(answer) and len(answer) % 2 == 0


_SHAPES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("GET", "HGET", "SET", "INFO", "PING"), text),
    **dict.fromkeys(
        (
            "DEL",
            "EXISTS",
            "HDEL",
            "HINCRBY",
            "HLEN",
            "HSET",
            "PERSIST",
            "PEXPIRE",
            "SADD",
            "SCARD",
            "SREM",
            "ZADD",
        ),
        whole,
    ),
    **dict.fromkeys(("HKEYS", "LRANGE", "SRANDMEMBER", "ZRANGE"), names),
    "HGETALL": _pairs,
    "SCAN": _scanned,
}


def fits(command: Command, answer: Any) -> bool:
    """Whether this can be the answer to that command."""
    name = command[0]
    if name == "HMGET":
        return fields(len(command) - 2)(answer)
    if name == "EVAL":
        script = command[1]
        return script.shape(answer) if isinstance(script, Script) else anything(answer)
    shape = _SHAPES.get(name) if isinstance(name, str) else None
    return shape is None or shape(answer)


def all_fit(commands: Sequence[Command], answers: Sequence[Any]) -> bool:
    """Errors among the answers fit everything: a command may be refused."""
    return all(
        isinstance(answer, Exception) or fits(command, answer)
        for command, answer in zip(commands, answers, strict=True)
    )
