"""What a second worker and a second gateway bring, and what they cost."""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from measuring import Load, cpu_seconds, measured, memory
from systems import Systems

_WARM_UP = 1


class Turn(NamedTuple):
    """One measurement: requests per CPU-second of the gateways, microseconds of the store for each request,
    and the largest part of the connections that one process had."""

    per_cpu_second: float
    store_microseconds: float
    share: float


class Gateways(NamedTuple):
    """What is measured together. Each process gets as many connections as the others do."""

    name: str
    running: tuple[tuple[int, Load], ...]
    processes: int


def table(systems: Systems, arguments: argparse.Namespace) -> Iterator[str]:
    bench = systems.bench
    two = bench.authproxy("authproxy_workers", workers=2)
    asking = {
        name: bench.authproxy(name, strict="/") for name in ("authproxy_asking", "authproxy_asking_too")
    }
    bench.wait()
    while len(_workers_of(two)) < 2:  # the first one listens before the second has started
        time.sleep(0.02)
    yield from _memory_of(_workers_of(two))

    def started(name: str, pid: int) -> tuple[int, Load]:
        return pid, Load(bench.local(name, "/1k"), bench.signed_in(systems.person, name))

    one = next((row.pids[0], row.load) for row in systems.rows if row.group == "proxy 1k")
    both = tuple(started(name, pid) for name, pid in asking.items())
    measured_ones = (
        Gateways("one process", (one,), 1),
        Gateways("two workers", (started("authproxy_workers", two),), 2),
        Gateways("one, asks every time", both[:1], 1),
        Gateways("two on one Redis, ask every time", both, 2),
    )

    def turn(gateways: Gateways, seconds: int) -> Turn:
        return _turn(gateways, bench.store, seconds, arguments.connections, core=bench.other_core)

    turns: dict[Gateways, list[Turn]] = {gateways: [] for gateways in measured_ones}
    for gateways in measured_ones:
        turn(gateways, _WARM_UP)
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds} …", file=sys.stderr)
        for gateways, done in turns.items():
            done.append(turn(gateways, arguments.seconds))
    yield "| gateways | requests per CPU-second | largest share of connections | store, µs per request |"
    yield "|---|---:|---:|---:|"
    for gateways, done in turns.items():
        rate = statistics.median(turn.per_cpu_second for turn in done)
        store = statistics.median(turn.store_microseconds for turn in done)
        yield f"| {gateways.name} | {rate:,.0f} | {max(turn.share for turn in done):.0%} | {store:.1f} |"
    of_one, of_two, *_ = turns.values()
    cost = statistics.median(
        two.per_cpu_second / one.per_cpu_second for one, two in zip(of_one, of_two, strict=True)
    )
    share = max(turn.share for turn in of_two)
    yield ""
    yield f"Two workers are {cost / share:.2f} times as fast as one process ({cost:.2f} / {share:.2f})."


def _turn(gateways: Gateways, store: int, seconds: int, connections: int, *, core: int) -> Turn:
    shares: list[float] = []
    processes = [
        (process, _port(load)) for pid, load in gateways.running for process in _workers_of(pid) or [pid]
    ]

    def note_shares() -> None:
        """When all are connected, which a busy machine may need some time for."""
        held, ends_at = [0], time.monotonic() + seconds / 2
        while sum(held) < connections * gateways.processes and time.monotonic() < ends_at:
            held = [_connections(process, port) for process, port in processes]
        shares.append(max(held) / max(sum(held), 1))

    before = cpu_seconds([store])
    one = measured(
        [load for _, load in gateways.running],
        [pid for pid, _ in gateways.running],
        core=core,
        seconds=seconds,
        connections=connections * gateways.processes,
        halfway=note_shares,
    )
    of_store = cpu_seconds([store]) - before
    return Turn(one.per_cpu_second, of_store / one.requests * 1e6, shares[0])


def _workers_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _port(load: Load) -> int:
    return int(re.findall(r":(\d+)/", load.url)[0])


def _connections(pid: int, port: int) -> int:
    """How many clients are connected to a process at a port of 127.0.0.1."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "01"}
    held = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held += str(entry.readlink()) in sockets
        except OSError:
            continue
    return held


def _memory_of(workers: list[int]) -> Iterator[str]:
    yield "| worker | private MB | with its part of what is shared |"
    yield "|---|---:|---:|"
    for number, pid in enumerate(workers, start=1):
        held = memory([pid])
        yield f"| {number} | {held.private / 1e6:.1f} | {held.proportional / 1e6:.1f} |"
    yield ""
