"""Counts the instructions that requests take in a gateway, and compares them with the committed figures. See
README.md."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

import redis  # noqa: E402
from instruction_figures import Figures, compared, read, written  # noqa: E402
from systems import Gateway, gateway_alone  # noqa: E402

import authproxy  # noqa: E402

_FIGURES = _PROJECT / "bench" / "instructions.toml"
_HELD_CLOCKS = _PROJECT / "bench" / "held_clocks.c"
_REQUESTS = 50
_WARM_UP = 30
_ROUNDS = 5
_SIGN_INS = 12
_HOLDS = 20
_PATIENCE = 120.0


class _Callgrind:
    """Runs a program, and says how many instructions it executes while its clocks stand still."""

    def __init__(self, folder: Path) -> None:
        self._pipes = f"--vgdb-prefix={folder}/vgdb"
        self._hold = folder / "hold"
        self._hold.write_bytes(b"\0")
        _said("gcc", "-O2", "-shared", "-fPIC", "-o", f"{folder}/held_clocks.so", str(_HELD_CLOCKS))
        self.command = (
            "env",
            f"HELD_CLOCKS={self._hold}",
            f"LD_PRELOAD={folder}/held_clocks.so",
            # The order in sets and dictionaries decides how many steps a look-up takes.
            "PYTHONHASHSEED=0",
            "valgrind",
            "--tool=callgrind",
            # Starting takes most of the time, and is not counted.
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/callgrind.out",
            self._pipes,
        )

    def begins(self, pid: int) -> None:
        self._told(pid, "instrumentation on")

    def holds_clocks(self, hold: int) -> None:
        """From now on the program's clocks stand still, so that nothing is due of what it does in the
        background. The number is another one than before; 0 lets the clocks go on."""
        with self._hold.open("r+b") as file:  # the program has it in memory: it must not become shorter
            file.write(bytes([hold]))

    def count(self, pid: int) -> int:
        said = self._told(pid, "status internal")
        counts = re.findall(r"^events-\d+: (\d+)$", said, re.MULTILINE)
        if not counts:
            raise RuntimeError(f"callgrind tells no count: {said[-500:]}")
        return sum(map(int, counts))

    def _told(self, pid: int, command: str) -> str:
        # A program that waits is interrupted at once; the default is to let it wait for 0.1 s.
        words = ("vgdb", self._pipes, f"--pid={pid}", "--max-invoke-ms=1", *command.split())
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=_PATIENCE).stdout


def main() -> None:
    arguments = _arguments()
    _stop_unless_comparable()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    try:
        now = Figures(_environment(), _counts())
        if arguments.accept:
            _FIGURES.write_text(written(now), encoding="utf-8")
        comparison = compared(now, read(_FIGURES.read_text(encoding="utf-8")))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"the instructions could not be counted: {error}")
    print("\n".join(comparison.lines))
    sys.exit(not comparison.is_good)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write the counts as the figures to commit")
    return parser.parse_args()


def _stop_unless_comparable() -> None:
    if not (Path(authproxy.__file__).parents[1] / ".made-0").exists():
        sys.exit("the figures are for modules compiled with OPTIMIZATION=0: run `make instructions`")


def _environment() -> str:
    """What decides on the instructions, beside this repository and its locked packages."""
    built = "shared" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "static"
    libc, libc_version = platform.libc_ver()
    features = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()}",
            f"{built} by {platform.python_compiler()}",
            f"{libc} {libc_version}",
            f"{platform.machine()}{' with AVX2' if 'avx2' in features else ''}",
            f"gcc {_said('gcc', '-dumpfullversion')}",
            _said("valgrind", "--version").replace("-", " "),
        )
    )


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _counts() -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as name:
        folder = Path(name)
        callgrind = _Callgrind(folder)
        with gateway_alone(folder, access_log=False, under=callgrind.command) as gateway:
            return _counted(gateway, callgrind)


def _counted(gateway: Gateway, callgrind: _Callgrind) -> dict[str, int]:
    portal, person = gateway.portal, gateway.person
    callgrind.begins(gateway.pid)
    for _ in range(2):  # what runs for the first time is translated, which takes long
        person.signs_out(portal)
        person.signs_in(f"{portal}/1k")
    connection = HTTPConnection(*gateway.address, timeout=_PATIENCE)
    _hold(gateway, callgrind, connection)
    # First of all, because the provider's clock goes on, and a token from the future is refused.
    sign_ins = []
    for _ in range(_SIGN_INS):
        person.signs_out(portal)
        steps = person.steps(f"{portal}/1k")
        counts = [callgrind.count(gateway.pid), *(callgrind.count(gateway.pid) for _ in steps)]
        sign_ins.append([after - before for before, after in itertools.pairwise(counts)])
    own = _own(gateway)
    asked = own | {"X-Original-Method": "GET"}
    requests = {
        "subrequest": ("/.authproxy/auth/nginx", asked | {"X-Original-URL": f"{portal}/1k"}),
        "proxied 1 KB": ("/1k", own),
        "miss": ("/.authproxy/auth/nginx", asked | {"X-Original-URL": f"{portal}/strict/1k"}),
    }
    found = {}
    for name, (target, headers) in requests.items():
        _ask(connection, target, headers, times=_WARM_UP)
        rounds = []
        for _ in range(_ROUNDS):
            before = callgrind.count(gateway.pid)
            _ask(connection, target, headers, times=_REQUESTS)
            rounds.append((callgrind.count(gateway.pid) - before) // _REQUESTS)
        found[name] = statistics.median(rounds)
    connection.close()
    # The collector of garbage comes between some steps, and answers of the provider come in one piece or two.
    return found | {"sign-in": sum(map(min, zip(*sign_ins, strict=True)))}


def _own(gateway: Gateway) -> dict[str, str]:
    return {"Host": urlsplit(gateway.portal).netloc, "Cookie": gateway.person.cookies(gateway.portal)}


def _hold(gateway: Gateway, callgrind: _Callgrind, connection: HTTPConnection) -> None:
    """Holds the clocks at a moment when the near cache may be used: the store has answered shortly before."""
    with redis.Redis.from_url(gateway.store_url) as store:
        for hold in range(1, _HOLDS):
            callgrind.holds_clocks(hold)
            _ask(connection, "/1k", _own(gateway), times=_WARM_UP)
            before = store.info("stats")["total_commands_processed"]
            _ask(connection, "/1k", _own(gateway), times=_WARM_UP)
            if store.info("stats")["total_commands_processed"] == before + 1:
                return
            callgrind.holds_clocks(0)
            time.sleep(1)
    raise RuntimeError("the near cache is not used")


def _ask(connection: HTTPConnection, target: str, headers: dict[str, str], *, times: int) -> None:
    for _ in range(times):
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{target} was answered with {answer.status}")


if __name__ == "__main__":
    main()
