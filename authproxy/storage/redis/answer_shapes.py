"""PURE: which answers a command can have. Another answer means that questions and answers are out of step on
this connection.

redis-py passes on whatever the server sends. A store that reads such an answer would raise IndexError or
ValueError somewhere. Because every answer is checked here, a corrupted one is an outage like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Command = tuple[str | bytes | int, ...]
Shape = Callable[[Any], bool]
"""Tells whether a value can be the answer."""

_LAST_MOMENT: Final = 253_402_300_800_000
"""Milliseconds from 1970 to the end of the year 9999, the last one of a datetime."""


def whole(answer: Any) -> bool:
    return isinstance(answer, int)


def moment(answer: Any) -> bool:
    """Milliseconds since 1970."""
    return isinstance(answer, int) and 0 <= answer < _LAST_MOMENT


def text(answer: Any) -> bool:
    """Octets or nothing."""
    return answer is None or isinstance(answer, bytes)


def texts(answer: Any) -> bool:
    """A list of octets, some of which may be missing."""
    return isinstance(answer, list) and all(item is None or isinstance(item, bytes) for item in answer)


def names(answer: Any) -> bool:
    """A list of octets without gaps."""
    return isinstance(answer, list) and all(isinstance(item, bytes) for item in answer)


def fields(count: int) -> Shape:
    return lambda answer: texts(answer) and len(answer) == count


def anything(answer: Any) -> bool:
    """Whatever a script can answer: whole numbers, octets, nothing, and lists of these."""
    return (
        whole(answer) or text(answer) or (isinstance(answer, list) and all(anything(item) for item in answer))
    )


class Script(str):
    """A Lua script, and the shape of its answers."""

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


def _time(answer: Any) -> bool:
    """Seconds and microseconds."""
    return names(answer) and len(answer) == 2 and all(item.isdigit() for item in answer)


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
    "TIME": _time,
}


def key_of(command: Command) -> bytes:
    """The first key of a command that has one. All keys of a script are in its slot."""
    key = command[3] if command[0] == "EVAL" else command[1]
    return key if isinstance(key, bytes) else str(key).encode()


def fits(command: Command, answer: Any) -> bool:
    """Whether this can be the answer to that command."""
    name = command[0]
    if name == "HMGET":
        return texts(answer) and len(answer) == len(command) - 2
    if name == "EVAL":
        script = command[1]
        return script.shape(answer) if isinstance(script, Script) else anything(answer)
    shape = _SHAPES.get(name) if isinstance(name, str) else None
    return shape is None or shape(answer)


def all_fit(commands: Sequence[Command], answers: Sequence[Any]) -> bool:
    """An error fits every command, because the server may refuse it."""
    return all(
        isinstance(answer, Exception) or fits(command, answer)
        for command, answer in zip(commands, answers, strict=True)
    )
