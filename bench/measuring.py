"""How much CPU time a request costs: wrk on one core, the measured processes on another, seconds from /proc
(proc(5): utime, stime and those of children that have ended)."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_REQUESTS = re.compile(r"^\s*(\d+) requests in", re.MULTILINE)
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_SIZES = re.compile(r"^(\w+): +(\d+) kB$", re.MULTILINE)
_WRONG = "Non-2xx or 3xx responses"


class Round(NamedTuple):
    requests: int
    cpu_seconds: float
    seconds: float

    @property
    def per_cpu_second(self) -> float:
        return self.requests / self.cpu_seconds


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time used so far by these processes and all that they have started."""
    return sum(sum(map(int, fields[11:15])) for fields in _families(pids).values()) / _TICKS


class Memory(NamedTuple):
    """In bytes: what is resident, with shared pages in full for each process; the same with shared pages
    divided by those that share them; and what a process has for itself."""

    processes: int
    resident: int
    proportional: int
    private: int


def memory(pids: Sequence[int]) -> Memory:
    """What these processes and all that they have started have in memory (`smaps_rollup` of proc(5))."""
    found = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8") for pid in _families(pids)]
    sums: Counter[str] = Counter()
    for text in found:
        sums.update({name: int(size) * 1024 for name, size in _SIZES.findall(text)})
    private = sums["Private_Clean"] + sums["Private_Dirty"]
    return Memory(len(found), sums["Rss"], sums["Pss"], private)


def _families(pids: Sequence[int]) -> dict[int, list[str]]:
    """These processes and all that they have started, with the fields of `_stat`."""
    running = {pid: fields for pid in _running() if (fields := _stat(pid)) is not None}
    family, size = set(pids), 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, fields in running.items() if int(fields[1]) in family}
    return {pid: running[pid] for pid in family if pid in running}


def _running() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on. The second may contain anything, even spaces
    and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None


class Load(NamedTuple):
    """What is asked for, again and again."""

    url: str
    headers: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement: a request, the size of its answer if that matters, and the processes whose CPU time
    counts."""

    name: str
    group: str
    load: Load
    size: int | None = None
    pids: tuple[int, ...]


def measured(
    loads: Sequence[Load],
    pids: Sequence[int],
    *,
    core: int,
    seconds: int,
    connections: int,
    halfway: Callable[[], None] | None = None,
) -> Round:
    """One round of wrk, or of several at once that share the connections. `halfway` is called in the middle.
    Raises RuntimeError if any answer was not 2xx: an error page would be the fastest answer of all. Apache
    closes some connections when it ends spare threads; up to one of these in a hundred requests is
    tolerated."""
    before = cpu_seconds(pids)
    with ExitStack() as started:
        running = [
            started.enter_context(_wrk(load, core, seconds, connections // len(loads))) for load in loads
        ]
        if halfway is not None:
            time.sleep(seconds / 2)
            halfway()
        said = [each.communicate(timeout=seconds + 30)[0] for each in running]
    used = cpu_seconds(pids) - before
    requests = 0
    for load, text in zip(loads, said, strict=True):
        found, lost = _REQUESTS.search(text), _SOCKET_ERRORS.search(text)
        answered = int(found[1]) if found else 0
        if _WRONG in text or sum(map(int, lost.groups() if lost else ())) > answered / 100 or not used:
            raise RuntimeError(f"{load.url} was not answered properly:\n{text}")
        requests += answered
    return Round(requests, used, seconds)


def _wrk(load: Load, core: int, seconds: int, connections: int) -> subprocess.Popen[str]:
    command = ["taskset", "--cpu-list", str(core), "wrk", "--threads", "1"]
    command += ["--connections", str(connections), "--duration", f"{seconds}s"]
    for header in load.headers:
        command += ["--header", header]
    return subprocess.Popen([*command, load.url], stdout=subprocess.PIPE, text=True)
