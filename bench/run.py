"""Measures authproxy beside nginx and Apache with mod_auth_openidc, in one run, and prints Markdown tables.
See README.md."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

from measuring import Load, Round, measured  # noqa: E402
from systems import Row, Systems, started  # noqa: E402

import authproxy.edge  # noqa: E402

_WARM_UP = 1
_TARGETS = {
    ("subrequest", "Apache + mod_auth_openidc, shared memory"): 5.0,
    ("proxy 1k", "nginx `proxy_pass`"): 0.35,
}
"""The multiple of that system's number which authproxy must reach."""


def main() -> None:
    arguments = _arguments()
    if not (arguments.check or arguments.interpreted or _is_compiled()):
        _run_again_compiled()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    # Servers are in /usr/sbin, which is not in the PATH of a Debian user.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    cores = sorted(os.sched_getaffinity(0))
    with started(server_core=cores[0], other_core=cores[-1]) as systems:
        for row in systems.rows:
            _check(row)
        if arguments.check:
            print("\n".join(f"{row.group}: {row.name} answers" for row in systems.rows))
        else:
            results = _measured(systems, arguments, core=cores[-1])
            _print(systems, results, arguments, cores=len(cores))
        if systems.left_out:
            print(f"\nRows are missing: {systems.left_out}.")


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
    parser.add_argument("--only", default="", help="groups that contain this text")
    return parser.parse_args()


def _check(row: Row) -> None:
    """Sends one request before the measurement. Without a valid session it would measure redirects."""
    headers = dict(header.split(": ", 1) for header in row.headers)
    request = urllib.request.Request(row.url, headers=headers)
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
        size = len(answer.read())
    expected = {"proxy 1k": 1024, "proxy 100k": 102400, "nginx asks, 1k": 1024}.get(row.group, size)
    if size != expected:
        raise RuntimeError(f"{row.group}: {row.name} answered {size} bytes")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _measured(systems: Systems, arguments: argparse.Namespace, *, core: int) -> dict[Row, list[Round]]:
    rows = [row for row in systems.rows if arguments.only in row.group]

    def turn(row: Row, seconds: int) -> Round:
        load = Load(row.url, row.headers)
        return measured([load], row.pids, core=core, seconds=seconds, connections=arguments.connections)

    results: dict[Row, list[Round]] = {row: [] for row in rows}
    for row in rows:
        turn(row, _WARM_UP)
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds} …", file=sys.stderr)
        for row in rows:
            results[row].append(turn(row, arguments.seconds))
    return results


def _print(
    systems: Systems, results: Mapping[Row, list[Round]], arguments: argparse.Namespace, *, cores: int
) -> None:
    programs = ", ".join(_version(program) for program in ("nginx", "apache2", "wrk", "redis-server"))
    # From the measured process, not from this one.
    maps = Path(f"/proc/{next(row.pids[0] for row in systems.rows if row.name == 'authproxy')}/maps")
    made = "compiled" if "authproxy__mypyc" in maps.read_text(encoding="utf-8") else "interpreted"
    print(
        f"authproxy {authproxy.__version__} ({made}), CPython {platform.python_version()}, {programs}; ",
        end="",
    )
    print(f"{platform.system()} {platform.machine()}, {cores} cores")
    print(
        f"{arguments.rounds} rounds of {arguments.seconds} s, {arguments.connections} connections, requests "
        "per CPU-second\n"
    )

    def median(row: Row) -> float:
        return statistics.median(each.per_cpu_second for each in results[row])

    ours = {row.group: median(row) for row in results if "authproxy" in row.name}
    print("| what | system | median | min | max | per second | authproxy is |")
    print("|---|---|---:|---:|---:|---:|---|")
    for row in sorted(results, key=lambda row: [each.group for each in systems.rows].index(row.group)):
        every = [each.per_cpu_second for each in results[row]]
        rate = statistics.median(each.requests / each.seconds for each in results[row])
        numbers = " | ".join(f"{number:,.0f}" for number in (median(row), min(every), max(every), rate))
        print(f"| {row.group} | {row.name} | {numbers} | {_ratio(row, median(row), ours)} |")


def _ratio(row: Row, median: float, ours: Mapping[str, float]) -> str:
    if "authproxy" in row.name or row.group not in ours:
        return ""
    ratio, target = ours[row.group] / median, _TARGETS.get((row.group, row.name))
    verdict = (
        ""
        if target is None
        else f", wanted {target:g} × or more: {'reached' if ratio >= target else '**missed**'}"
    )
    return f"{ratio:.2f} ×{verdict}"


def _version(program: str) -> str:
    try:
        done = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    except OSError:
        return f"no {program}"
    words = [
        word
        for word in (done.stdout + done.stderr).replace("=", " ").split()
        if any(character.isdigit() for character in word)
    ]
    return f"{program} {words[0].rpartition('/')[2]}" if words else program


if __name__ == "__main__":
    main()
