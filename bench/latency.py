"""How long a request takes at a fixed rate, by vegeta. A slow answer delays no later request, so the requests
that had to wait count."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from measuring import Row
from systems import Bench, Systems

GROUP = "proxy 1k"
RATES = (1000, 2000)
"""Requests a second. oauth2-proxy and Apache use up most of a core at the second one."""

COMPARED = ("authproxy", "nginx `proxy_pass`")
WANTED = 1.5
"""How many times as long as nginx's authproxy's p99 at the first rate may be."""


class Latency(NamedTuple):
    """In milliseconds."""

    median: float
    p99: float


def at_rate(vegeta: Path, row: Row, rate: int, bench: Bench, *, seconds: int) -> Latency:
    """Raises RuntimeError if an answer was not 2xx, or if the system could not keep up."""
    asked = "\n".join([f"GET {row.load.url}", *row.load.headers])
    options = ["-rate", f"{rate}/s", "-duration", f"{seconds}s", "-redirects", "-1", "-timeout", "5s"]
    pinned = ["taskset", "--cpu-list", str(bench.other_core), str(vegeta)]
    results = bench.folder / "vegeta.bin"
    subprocess.run([*pinned, "attack", *options, "-output", str(results)], input=asked, text=True, check=True)
    said = subprocess.run(
        [*pinned, "report", "-type", "json", str(results)], capture_output=True, text=True, check=True
    ).stdout
    report = json.loads(said)
    if set(report["status_codes"]) != {"200"} or report["requests"] < rate * seconds * 0.99:
        raise RuntimeError(f"{row.name} did not answer {rate} requests a second: {report['status_codes']}")
    latencies = report["latencies"]
    return Latency(latencies["50th"] / 1e6, latencies["99th"] / 1e6)


def table(systems: Systems, arguments: argparse.Namespace) -> Iterator[str]:
    vegeta = arguments.rivals / "vegeta"
    rows = [row for row in systems.rows if row.group == GROUP]
    if not vegeta.exists():
        yield f"Not measured: vegeta is not in {arguments.rivals} (`make bench-rivals` puts it there)."
        return
    results: dict[tuple[Row, int], list[Latency]] = {(row, rate): [] for row in rows for rate in RATES}
    for _ in range(arguments.rounds):
        for (row, rate), rounds in results.items():
            rounds.append(at_rate(vegeta, row, rate, systems.bench, seconds=arguments.seconds))
    medians = {
        each: Latency(*(statistics.median(values) for values in zip(*rounds, strict=True)))
        for each, rounds in results.items()
    }
    yield "| " + " | ".join(["system", *(f"p50 at {rate:,}/s | p99" for rate in RATES)]) + " |"
    yield "|---|" + "---:|" * 2 * len(RATES)
    for row in rows:
        numbers = [f"{each:.2f} ms" for rate in RATES for each in medians[row, rate]]
        yield f"| {' | '.join([row.name, *numbers])} |"
    ours, nginx = (next(row for row in rows if row.name == name) for name in COMPARED)
    ratio = medians[ours, RATES[0]].p99 / medians[nginx, RATES[0]].p99
    verdict = "reached" if ratio <= WANTED else "**missed**"
    yield ""
    yield f"p99 at {RATES[0]:,}/s is {ratio:.2f} × nginx's, wanted {WANTED:g} × or less: {verdict}."
