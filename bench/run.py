"""Measures authproxy beside nginx, Apache with mod_auth_openidc, oauth2-proxy and Caddy, in one run, and
prints Markdown tables. See README.md."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

import crowd  # noqa: E402
import latency  # noqa: E402
import throughput  # noqa: E402
import workers  # noqa: E402
from measuring import memory  # noqa: E402
from systems import Systems, started  # noqa: E402
from versions import built, version  # noqa: E402

import authproxy.edge  # noqa: E402


def _memory(systems: Systems, _: argparse.Namespace) -> Iterator[str]:
    """What every system has in memory at the end. Its first row names its processes."""
    names: dict[tuple[int, ...], str] = {}
    for row in systems.rows:
        if len(row.pids) == 1 and row.name not in names.values():
            names.setdefault(row.pids, row.name)
    yield "| system | processes | resident MB | with its part of what is shared |"
    yield "|---|---:|---:|---:|"
    for pids, name in names.items():
        processes, resident, proportional, _ = memory(pids)
        sizes = f"{resident / 1e6:.1f} | {proportional / 1e6:.1f}"
        yield f"| {name.partition(' `')[0]} | {processes} | {sizes} |"


class Part(NamedTuple):
    name: str
    title: str
    table: Callable[[Systems, argparse.Namespace], Iterable[str]]
    is_tried: bool = False
    """Whether `--check` tries it, too."""


_PARTS = (
    Part("throughput", "Requests per CPU-second", throughput.table),
    Part("latency", f"Time of a request, {latency.GROUP}", latency.table),
    Part("crowd", f"A crowd: a page and its {crowd.PARTS} parts, asked about", crowd.table, is_tried=True),
    Part("workers", "Two workers, and two gateways", workers.table),
    Part("memory", "Memory at the end", _memory),
)


def main() -> None:
    arguments = _arguments()
    if not (arguments.check or arguments.interpreted or _is_compiled()):
        _run_again_compiled()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    # Servers are in /usr/sbin, which is not in the PATH of a Debian user.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    cores = sorted(os.sched_getaffinity(0))
    began = time.monotonic()
    with started(server_core=cores[0], other_core=cores[-1], installed=arguments.rivals) as systems:
        for row in systems.rows:
            throughput.check(row)
        if arguments.check:
            _try(systems, arguments)
        else:
            # Load that is made in this process must not run beside what is measured.
            os.sched_setaffinity(0, {cores[-1]})
            _print_versions(systems, arguments, cores=len(cores))
            for part in _parts(systems, arguments):
                print(f"\n**{part.title}**\n")
                for line in part.table(systems, arguments):
                    print(line, flush=True)
        for why in systems.left_out:
            print(f"\nRows are missing: {why}.")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


def _parts(systems: Systems, arguments: argparse.Namespace) -> list[Part]:
    """Those that are wanted. `--only` names a part, or a group of rows of the first one."""
    return [
        part
        for part in _PARTS
        if arguments.only in part.name
        or (part.name == "throughput" and any(arguments.only in row.group for row in systems.rows))
    ]


def _try(systems: Systems, arguments: argparse.Namespace) -> None:
    print("\n".join(f"{row.group}: {row.name} answers" for row in systems.rows))
    for part in _PARTS:
        if part.is_tried:
            list(part.table(systems, arguments))
            print(f"{part.name}: it runs")


def _is_compiled() -> bool:
    return not (authproxy.edge.__file__ or "").endswith(".py")


def _run_again_compiled() -> None:
    """Measures the shipped form: the wheel with compiled modules (deploy/README.md)."""
    if os.environ.get("PYTHONSAFEPATH"):
        sys.exit(
            "the compiled modules do not fit this Python: run with the Python of .venv, or --interpreted"
        )
    if subprocess.run(["make", "--no-print-directory", "compiled"], cwd=_PROJECT, check=False).returncode:
        sys.exit("the modules could not be compiled; --interpreted measures the sources as they are")
    # Without PYTHONSAFEPATH `python -m authproxy` would take the sources in the working directory.
    found = {"PYTHONPATH": str(_PROJECT / "build" / "compiled"), "PYTHONSAFEPATH": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | found)


def _stop(number: int, _: object) -> None:
    """Ends the run in order, so that no started program stays behind. A second signal does not interrupt
    this."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="start everything, ask each system once, measure nothing"
    )
    parser.add_argument(
        "--interpreted",
        action="store_true",
        help="measure the sources, not the compiled modules that are shipped",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds, in each of which every system has its turn (5)"
    )
    parser.add_argument("--seconds", type=int, default=2, help="length of a turn (2)")
    parser.add_argument("--connections", type=int, default=32, help="connections of wrk (32)")
    parser.add_argument("--people", type=int, default=10_000, help="people in the crowd (10000)")
    parser.add_argument(
        "--rivals",
        type=Path,
        default=_PROJECT / "build" / "rivals",
        help="folder with oauth2-proxy, caddy and vegeta (build/rivals)",
    )
    names = ", ".join(part.name for part in _PARTS)
    parser.add_argument(
        "--only", default="", help=f"parts ({names}) or groups of rows that contain this text"
    )
    return parser.parse_args()


def _print_versions(systems: Systems, arguments: argparse.Namespace, *, cores: int) -> None:
    # From the measured process, not from this one.
    maps = Path(f"/proc/{next(row.pids[0] for row in systems.rows if row.name == 'authproxy')}/maps")
    made = "compiled" if "authproxy__mypyc" in maps.read_text(encoding="utf-8") else "interpreted"
    debian = [version(name) for name in ("nginx", "apache2", "wrk", "redis-server")]
    others = [built(arguments.rivals / name) for name in ("oauth2-proxy", "caddy", "vegeta")]
    programs = ", ".join([*debian, *others])
    command = shlex.join(["bench/run.py", *sys.argv[1:]])
    print(
        f"{time.strftime('%Y-%m-%d')}, `{command}`: {platform.system()} {platform.machine()}, {cores} cores;"
    )
    print(f"authproxy {authproxy.__version__} ({made}), CPython {platform.python_version()}, {programs}.")
    print(f"{arguments.rounds} rounds of {arguments.seconds} s, {arguments.connections} connections.")


if __name__ == "__main__":
    main()
