"""The condition of the store: what its server says about itself, as sentences for operators.

`/readyz` shows what is to be mended, and `authproxy store check` all of it. Both read it here.
"""

from __future__ import annotations

import asyncio
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis import rights
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import LacksRight, RedisConnection
from authproxy.storage.redis.servers import Server

_SLOTS: Final = 16_384
_SECTIONS: Final = ("memory", "persistence", "replication", "cluster")
_CLOCKS_DIFFER: Final = timedelta(seconds=2)
_NEARLY_FULL: Final = 0.9
_ASKED_FOR_LATENCY: Final = 50
_SLOW: Final = timedelta(milliseconds=100)
"""Every sign-in asks several questions one after the other, and most requests ask one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """One aspect of the store's condition. `detail` is a sentence that holds no secret; with `is_warning` it
    says what an operator should mend."""

    name: str
    detail: str
    is_warning: bool = False
    is_failure: bool = False
    """Gateways are not ready because of it."""


async def aspects(
    connection: RedisConnection, *, clock: Callable[[], datetime] | None = None
) -> list[Aspect]:
    """What the server says about itself. `clock` is ours, which is compared with the store's. Raises CannotAsk
    if no server answers. A part of a cluster that does not is told in a warning, because others are served."""
    servers = await connection.primaries()
    said = await asyncio.gather(*(_facts_of(connection, server) for server in servers))
    answered = [answers for answers in said if not isinstance(answers, CannotAsk)]
    if len(answered) < len(said):
        away = [
            server.name
            for server, answers in zip(servers, said, strict=True)
            if isinstance(answers, CannotAsk)
        ]
        if not answered:
            raise next(answers for answers in said if isinstance(answers, CannotAsk))
        return [_not_served(f"{', '.join(away)} does not answer")]
    memory, persistence, replication, cluster = map(_joined, zip(*answered, strict=True))
    found = []
    if any(isinstance(answer, CannotAsk) for answer in (memory, persistence, replication)):
        found.append(
            Aspect(
                name="info",
                detail="the store does not say which eviction policy and persistence it has (its user may "
                "not ask INFO)",
                is_warning=True,
            )
        )
    else:
        found += [*_memory(memory), *_persistence(persistence), *_role(replication)]
    if not isinstance(cluster, CannotAsk) and fact(cluster, b"cluster_enabled") == b"1":
        found.append(await _cluster(connection))
    if clock is not None:
        found.append(await _clocks(connection, clock))
    return found


async def _facts_of(connection: RedisConnection, server: Server) -> list[Any] | CannotAsk:
    try:
        return await connection.each([("INFO", name) for name in _SECTIONS], server=server)
    except CannotAsk as failure:
        return failure


def _joined(of_each: tuple[Any, ...]) -> Any:
    """One answer of all primaries, or the first refusal."""
    refused = next((answer for answer in of_each if isinstance(answer, CannotAsk)), None)
    return b"\r\n".join(of_each) if refused is None else refused


def _not_served(what: str) -> Aspect:
    return Aspect(
        name="cluster",
        detail=f"a part of the store's cluster is not served ({what}): people whose sessions are there get 503",
        is_warning=True,
    )


async def latency(connection: RedisConnection, seconds: Callable[[], float]) -> Aspect:
    """How long the store takes to answer. `seconds` is a clock that only goes forward. Raises CannotAsk."""
    took = []
    for _ in range(_ASKED_FOR_LATENCY):
        asked = seconds()
        await connection.ping()
        took.append(seconds() - asked)
    median = statistics.median(took)
    detail = (
        f"answers within {median * 1000:.1f} ms (median of {len(took)}), at most {max(took) * 1000:.1f} ms"
    )
    is_slow = median > _SLOW.total_seconds()
    return Aspect(
        name="latency",
        detail=f"{detail}: too slow for a store that is asked at most requests" if is_slow else detail,
        is_warning=is_slow,
    )


async def missing_rights(connection: RedisConnection, name: str) -> Aspect:
    """Which rights the gateway's user lacks. They are tried one by one on keys of their own, which `name`
    makes different from everybody else's. Raises CannotAsk if the store cannot be asked."""
    missing = [
        right for right, command in rights.ON_A_CONNECTION_OF_ITS_OWN if not await _may(connection, command)
    ]
    trials = rights.trials(name)
    answers = await connection.each([command for _, command in trials])
    missing += [
        right
        for (right, _), answer in zip(trials, answers, strict=True)
        if isinstance(answer, LacksRight) and right not in missing
    ]
    if not missing:
        return Aspect(name="rights", detail=f"all {len(rights.commands())} that the gateway needs")
    named = " ".join(f"+{right}" for right in dict.fromkeys(missing))
    return Aspect(
        name="rights",
        detail=f"the store's user lacks {named}, or the keys or the channel for them: `authproxy store acl` "
        "prints what it needs",
        is_warning=True,
    )


async def _may(connection: RedisConnection, command: Command) -> bool:
    try:
        async with connection.dedicated() as channel:
            await channel.send(*command)
            await channel.receive(_SLOW * 10)
    except LacksRight:
        return False
    return True


def facts(info: bytes | None, name: bytes) -> list[bytes]:
    """The values of one line of INFO, one for each primary of a cluster."""
    found = re.findall(rb"^" + name + rb":([^\r\n]*)", info or b"", re.MULTILINE)
    return [value.strip() for value in found]


def fact(info: bytes | None, name: bytes) -> bytes:
    """The value at the first server; empty if there is no such line."""
    return next(iter(facts(info, name)), b"")


def _memory(info: bytes) -> list[Aspect]:
    found = []
    evicting = sorted(set(facts(info, b"maxmemory_policy")) - {b"", b"noeviction"})
    if evicting:
        policy = b", ".join(evicting)
        found.append(
            Aspect(
                name="eviction",
                detail=f"the store may evict keys ({policy.decode('ascii', 'replace')}), which signs people "
                "out: set `noeviction`",
                is_warning=True,
            )
        )
    else:
        found.append(Aspect(name="eviction", detail="noeviction"))
    # Of several primaries the fullest counts.
    used, most = max(
        zip(_numbers(info, b"used_memory"), _numbers(info, b"maxmemory"), strict=False),
        key=lambda pair: pair[0] / (pair[1] or float("inf")),
        default=(0, 0),
    )
    if not most:
        found.append(Aspect(name="memory", detail=f"{_mebibytes(used)} used, no limit"))
        return found
    is_nearly_full = used > most * _NEARLY_FULL
    detail = f"{_mebibytes(used)} of {_mebibytes(most)} used"
    found.append(
        Aspect(
            name="memory",
            detail=f"the store is nearly full ({detail}): at the limit nobody can sign in"
            if is_nearly_full
            else detail,
            is_warning=is_nearly_full,
        )
    )
    return found


def _persistence(info: bytes) -> list[Aspect]:
    if b"0" in facts(info, b"aof_enabled"):
        detail = "the store keeps no append-only file: a restart forgets sessions or brings back old ones"
        return [Aspect(name="persistence", detail=detail, is_warning=True)]
    if b"err" in facts(info, b"aof_last_write_status"):
        detail = "the store cannot write its append-only file: look at its disk and its log"
        return [Aspect(name="persistence", detail=detail, is_warning=True)]
    return [Aspect(name="persistence", detail="append-only file")]


def _role(info: bytes) -> list[Aspect]:
    role = fact(info, b"role")
    if role == b"master":
        return [Aspect(name="role", detail=f"primary, {_number(info, b'connected_slaves')} replicas")]
    if not role:
        return []
    return [
        Aspect(
            name="role",
            detail="the store is a replica, which takes no writes: name the primary, or a Sentinel",
            is_warning=True,
        )
    ]


async def _cluster(connection: RedisConnection) -> Aspect:
    [said] = await connection.each([("CLUSTER", "INFO")])
    if isinstance(said, CannotAsk):
        detail = (
            "the store does not say whether all of its cluster is served (its user may not ask CLUSTER INFO)"
        )
        return Aspect(name="cluster", detail=detail, is_warning=True)
    states, served = set(facts(said, b"cluster_state")), set(facts(said, b"cluster_slots_ok"))
    if states != {b"ok"} or served != {str(_SLOTS).encode()}:
        return _not_served("CLUSTER INFO")
    return Aspect(name="cluster", detail="all of it is served")


async def _clocks(connection: RedisConnection, clock: Callable[[], datetime]) -> Aspect:
    """Compares the clock of each primary with ours, and tells of the one that differs most."""
    servers = await connection.primaries()
    differences: list[tuple[float, str]] = []
    for server in servers:
        asked_at = clock()
        [time] = await connection.each([("TIME",)], server=server)
        ahead = _ahead(time, asked_at, clock())
        if ahead is None:
            detail = (
                "the store does not say what time it is (its user may not ask TIME): outages are noticed only "
                "by instances that keep running"
            )
            return Aspect(name="clock", detail=detail, is_warning=True)
        differences.append(
            (ahead, "the store's clock" if len(servers) == 1 else f"the clock of {server.name}")
        )
    ahead, whose = max(differences, key=lambda difference: abs(difference[0]))
    if abs(ahead) <= _CLOCKS_DIFFER.total_seconds():
        return Aspect(name="clock", detail=f"as ours, within {max(abs(ahead), 0.001):.3f} s")
    which = "ahead of" if ahead > 0 else "behind"
    detail = f"{whose} is {abs(ahead):.0f} s {which} ours: set both by NTP"
    return Aspect(name="clock", detail=detail, is_warning=True)


def _ahead(time: Any, asked_at: datetime, answered_at: datetime) -> float | None:
    """By how many seconds that clock is ahead of ours; None if it does not say. What the question itself may
    have taken is no difference."""
    if isinstance(time, CannotAsk) or not isinstance(time, list) or len(time) != 2:
        return None
    there = int(time[0]) + int(time[1]) / 1_000_000
    return max(there - answered_at.timestamp(), 0.0) or min(there - asked_at.timestamp(), 0.0)


def _number(info: bytes, name: bytes) -> int:
    return next(iter(_numbers(info, name)), 0)


def _numbers(info: bytes, name: bytes) -> list[int]:
    return [int(text) if text.isdigit() else 0 for text in facts(info, name)]


def _mebibytes(octets: int) -> str:
    return f"{octets / 1024 / 1024:.1f} MiB"
