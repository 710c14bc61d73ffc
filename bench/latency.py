"""How long a request takes at a fixed rate, by vegeta. A slow answer delays no later request, so the requests
that had to wait count."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import Row
from systems import Bench, Systems

GROUP = "proxy 1k"
_RATES = (1000, 2000)
"""Requests a second. oauth2-proxy and Apache use up most of a core at the second one."""
_AT_ONCE = 100
"""Requests at once. authproxy refuses a session that has more than 128 of them open."""
_COMPARED = ("authproxy", "nginx `proxy_pass`")
_WANTED = 1.5
"""How many times as long as nginx's authproxy's p99 at the first rate may be."""


class Latency(NamedTuple):
    """In milliseconds."""

    median: float
    p99: float


def table(systems: Systems, arguments: argparse.Namespace) -> Iterator[str]:
    vegeta = arguments.rivals / "vegeta"
    if not vegeta.exists():
        yield f"Not measured: vegeta is not in {arguments.rivals} (`make bench-rivals` puts it there)."
        return
    rows = {row.name: row for row in systems.rows if row.group == GROUP}
    results: dict[tuple[str, int], list[Latency | None]] = {
        (name, rate): [] for name in rows for rate in _RATES
    }
    for _ in range(arguments.rounds):
        for (name, rate), rounds in results.items():
            rounds.append(_at_rate(vegeta, rows[name], rate, systems.bench, seconds=arguments.seconds))
    medians = {each: _median(rounds) for each, rounds in results.items()}
    yield "| system | " + " | ".join(f"p50 at {rate:,}/s | p99" for rate in _RATES) + " |"
    yield "|---|" + "---:|" * 2 * len(_RATES)
    for name in rows:
        yield f"| {name} | " + " | ".join(_cells(medians[name, rate]) for rate in _RATES) + " |"
    ours, nginx = (medians[name, _RATES[0]] for name in _COMPARED)
    yield ""
    if ours is None or nginx is None:
        yield f"p99 at {_RATES[0]:,}/s was not measured: **missed**."
    else:
        ratio = ours.p99 / nginx.p99
        verdict = "reached" if ratio <= _WANTED else "**missed**"
        yield f"p99 at {_RATES[0]:,}/s is {ratio:.2f} × nginx's, wanted {_WANTED:g} × or less: {verdict}."


def _at_rate(vegeta: Path, row: Row, rate: int, bench: Bench, *, seconds: int) -> Latency | None:
    """None if the system could not keep up. Raises RuntimeError if an answer was not 2xx."""
    asked = "\n".join([f"GET {row.load.url}", *row.load.headers])
    options = ["-rate", f"{rate}/s", "-duration", f"{seconds}s", "-redirects", "-1", "-timeout", "5s"]
    options += ["-workers", str(_AT_ONCE), "-max-workers", str(_AT_ONCE)]
    pinned = ["taskset", "--cpu-list", str(bench.other_core), str(vegeta)]
    results = bench.folder / "vegeta.bin"
    attack = [*pinned, "attack", *options, "-output", str(results)]
    subprocess.run(attack, input=asked, text=True, check=True)
    report = [*pinned, "report", "-type", "json", str(results)]
    said = json.loads(subprocess.run(report, capture_output=True, text=True, check=True).stdout)
    if set(said["status_codes"]) != {"200"}:
        raise RuntimeError(f"{row.name} answered {said['status_codes']} at {rate} requests a second")
    if said["rate"] < 0.98 * rate:
        return None
    return Latency(said["latencies"]["50th"] / 1e6, said["latencies"]["99th"] / 1e6)


def _median(rounds: Sequence[Latency | None]) -> Latency | None:
    measured = [each for each in rounds if each is not None]
    if len(measured) < len(rounds):
        return None
    return Latency(*(statistics.median(values) for values in zip(*measured, strict=True)))


def _cells(latency: Latency | None) -> str:
    if latency is None:
        return "did not keep up | "
    return f"{latency.median:.2f} ms | {latency.p99:.2f} ms"
