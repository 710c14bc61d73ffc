"""Measures what a second worker and a second gateway bring, and what they cost, and prints Markdown tables.
See README.md."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

from measuring import Load, cpu_seconds, measured  # noqa: E402
from systems import Several, several_started  # noqa: E402

import authproxy.edge  # noqa: E402

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


def main() -> None:
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    cores = sorted(os.sched_getaffinity(0))
    with several_started(server_core=cores[0], other_core=cores[-1]) as several:
        _print_memory(_workers_of(several.workers[0]))
        measured_ones = (
            Gateways("one process", (several.alone,), 1),
            Gateways("two workers", (several.workers,), 2),
            Gateways("one, asks every time", (several.asking[0],), 1),
            Gateways("two on one Redis, ask every time", several.asking, 2),
        )
        turns: dict[Gateways, list[Turn]] = {gateways: [] for gateways in measured_ones}
        for gateways in measured_ones:
            _turn(gateways, several, _WARM_UP, arguments.connections, core=cores[-1])
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds} …", file=sys.stderr)
            for gateways, done in turns.items():
                done.append(
                    _turn(gateways, several, arguments.seconds, arguments.connections, core=cores[-1])
                )
    _print(turns, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds, in each of which all have their turn (5)"
    )
    parser.add_argument("--seconds", type=int, default=4, help="length of a turn (4)")
    parser.add_argument("--connections", type=int, default=32, help="connections for each process (32)")
    return parser.parse_args()


def _turn(gateways: Gateways, several: Several, seconds: int, connections: int, *, core: int) -> Turn:
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

    before = cpu_seconds([several.store])
    one = measured(
        [load for _, load in gateways.running],
        [pid for pid, _ in gateways.running],
        core=core,
        seconds=seconds,
        connections=connections * gateways.processes,
        halfway=note_shares,
    )
    of_store = cpu_seconds([several.store]) - before
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


def _print_memory(workers: list[int]) -> None:
    print("| worker | private MB | with its part of what is shared |\n|---|---:|---:|")
    for number, pid in enumerate(workers, start=1):
        summed = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        rows = dict(re.findall(r"^(\w+): +(\d+) kB$", summed, re.MULTILINE))
        private = int(rows["Private_Clean"]) + int(rows["Private_Dirty"])
        print(f"| {number} | {private / 1000:.1f} | {int(rows['Pss']) / 1000:.1f} |")
    print()


def _print(turns: Mapping[Gateways, list[Turn]], arguments: argparse.Namespace) -> None:
    made = "interpreted" if (authproxy.edge.__file__ or "").endswith(".py") else "compiled"
    print(f"authproxy {authproxy.__version__} ({made}), ", end="")
    print(f"{arguments.rounds} rounds of {arguments.seconds} s, ", end="")
    print(f"{arguments.connections} connections for each process\n")
    print("| gateways | requests per CPU-second | largest share of connections | store, µs per request |")
    print("|---|---:|---:|---:|")
    for gateways, done in turns.items():
        rate = statistics.median(turn.per_cpu_second for turn in done)
        store = statistics.median(turn.store_microseconds for turn in done)
        print(f"| {gateways.name} | {rate:,.0f} | {max(turn.share for turn in done):.0%} | {store:.1f} |")
    alone, workers, *_ = turns.values()
    cost = statistics.median(
        two.per_cpu_second / one.per_cpu_second for one, two in zip(alone, workers, strict=True)
    )
    share = max(turn.share for turn in workers)
    print(f"\nTwo workers are {cost / share:.2f} times as fast as one process ({cost:.2f} / {share:.2f}).")


if __name__ == "__main__":
    main()
