"""Requests per CPU-second of the processes that answer."""

from __future__ import annotations

import argparse
import statistics
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

from measuring import Round, Row, measured
from rivals import APACHES, OAUTH2_PROXIES
from systems import Systems

_WARM_UP = 1
_OAUTH2_PROXY = OAUTH2_PROXIES["oauth2_proxy_redis"]
_TARGETS = {
    ("subrequest", "nginx `return 204`"): 0.5,
    ("subrequest", _OAUTH2_PROXY): 7,
    ("subrequest", APACHES["apache_shm"]): 10,
    ("miss, subrequest", _OAUTH2_PROXY): 2,
    ("miss, subrequest", APACHES["apache_redis"]): 8,
    ("proxy 1k", "nginx `proxy_pass`"): 0.55,
    ("proxy 1k", _OAUTH2_PROXY): 10,
    ("miss, proxy 1k", _OAUTH2_PROXY): 3,
    ("proxy 1k, access log", "nginx `proxy_pass`"): 0.45,
    ("nginx asks, 1k", APACHES["apache_shm"]): 6,
}
"""The multiple of that system's number which authproxy must reach."""


def check(row: Row) -> None:
    """Sends one request. Without a valid session redirects would be measured, which wrk counts as answers."""
    headers = dict(header.split(": ", 1) for header in row.load.headers)
    request = urllib.request.Request(row.load.url, headers=headers)
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
        size = len(answer.read())
    if row.size not in {None, size}:
        raise RuntimeError(f"{row.group}: {row.name} answered {size} bytes")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def table(systems: Systems, arguments: argparse.Namespace) -> Iterator[str]:
    rows = [row for row in systems.rows if arguments.only in row.group]
    results = _measured(rows, arguments, core=systems.bench.other_core)
    yield "| what | system | median | min | max | per second | authproxy is |"
    yield "|---|---|---:|---:|---:|---:|---|"
    medians = {
        row: statistics.median(each.per_cpu_second for each in rounds) for row, rounds in results.items()
    }
    ours: dict[str, float] = {}
    for row in sorted(rows, key=lambda row: [each.group for each in rows].index(row.group)):
        every = [each.per_cpu_second for each in results[row]]
        rate = statistics.median(each.requests / each.seconds for each in results[row])
        numbers = " | ".join(f"{number:,.0f}" for number in (medians[row], min(every), max(every), rate))
        yield f"| {row.group} | {row.name} | {numbers} | {_ratio(row, medians[row], ours)} |"
        ours.setdefault(row.group, medians[row])


def _measured(rows: Sequence[Row], arguments: argparse.Namespace, *, core: int) -> dict[Row, list[Round]]:
    def turn(row: Row, seconds: int) -> Round:
        done = measured([row.load], row.pids, core=core, seconds=seconds, connections=arguments.connections)
        check(row)
        return done

    results: dict[Row, list[Round]] = {row: [] for row in rows}
    for row in rows:
        turn(row, _WARM_UP)
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds} …", file=sys.stderr)
        for row in rows:
            results[row].append(turn(row, arguments.seconds))
    return results


def _ratio(row: Row, median: float, ours: Mapping[str, float]) -> str:
    """Empty for the first row of a group, which is authproxy's."""
    if row.group not in ours:
        return ""
    ratio, target = ours[row.group] / median, _TARGETS.get((row.group, row.name))
    if target is None:
        return f"{ratio:.2f} ×"
    return f"{ratio:.2f} ×, wanted {target:g} × or more: {'reached' if ratio >= target else '**missed**'}"
