"""What a front proxy is to the tests: the shipped files of one program, started with what a test puts in the
place of their examples."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DEPLOY = Path(__file__).parents[3] / "deploy"
_STARTS_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a test puts in the place of the examples in the shipped files."""

    folder: Path
    """Empty, for this one program."""
    port: int
    """Of 127.0.0.1, where it listens with TLS (and with QUIC, if it can)."""
    hosts: Mapping[str, str]
    """The names in the files (`acq.example.si`) and the names here."""
    portal: int
    """The port of 127.0.0.1 at which every portal answers."""
    gateway: Path
    """The gateway's socket."""
    gateway_port: int
    """The same gateway over TCP, which believes 127.0.0.1."""
    chain: Path
    """The certificate of all hosts, with its chain, in PEM."""
    key: Path
    chain_and_key: Path
    """Both in one file."""

    @property
    def host(self) -> str:
        """The one host of the files for one portal."""
        return self.hosts["acq.example.si"]


class Running(Protocol):
    """A front proxy that runs."""

    @property
    def errors(self) -> str:
        """Everything that it has written so far."""

    @property
    def memory(self) -> int:
        """How many bytes of memory its processes have now."""


class Front(Protocol):
    """One kind of front proxy."""

    name: str
    """Also that of its folder in deploy/."""
    dialect: str
    """At which `/.authproxy/auth/…` it asks."""
    program: str
    """The program, which must be installed."""
    cannot: Mapping[str, str]
    """What this program cannot do, in a sentence, by the name of the scenario (`http3` of `test_http3`). The
    scenario then shows exactly that."""
    differs: Mapping[str, str]
    """What it does in another way than the others, and as safely, in a sentence, by the name of the
    scenario."""

    def version(self) -> str:
        """As the program says it, such as `1.22.1`."""

    def files(self) -> dict[str, str]:
        """The shipped files for one portal, by their names below the folder in deploy/."""

    def started(self, places: Places, files: Mapping[str, str]) -> AbstractContextManager[Running]:
        """The program with these files, which are the shipped ones or ones with a mistake in them. It
        listens when the block begins, and has ended when the block has."""


def filled(text: str, replaced: Mapping[str, str]) -> str:
    """The text of a shipped file with what a test puts there. An example that is not there is an error of the
    test."""
    for example, real in replaced.items():
        assert example in text, f"the shipped file no longer says {example!r}"
        text = text.replace(example, real)
    return text


@dataclass(frozen=True, slots=True)
class Log:
    """A program that runs, and whatever it has written to one file."""

    file: Path
    process: subprocess.Popen[bytes]

    @property
    def errors(self) -> str:
        return self.file.read_text(errors="replace") if self.file.exists() else ""

    @property
    def memory(self) -> int:
        return sum(_resident(self.process.pid))


def _resident(process: int) -> Iterator[int]:
    """The bytes of a process and of its children."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            said = dict(line.split(":", 1) for line in status.read_text().splitlines())
            if process in {int(said["Pid"]), int(said["PPid"])}:
                yield int(said.get("VmRSS", "0 kB").split()[0]) * 1024


@contextlib.contextmanager
def running(
    command: Sequence[str],
    places: Places,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Log]:
    """Runs a program that stays in the foreground, from when it listens to the end of the block. It works in
    its folder."""
    with running_at(command, places.folder, places.port, environment) as log:
        yield log


@contextlib.contextmanager
def running_at(
    command: Sequence[str], folder: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Log]:
    with (folder / "log").open("wb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            cwd=folder,
            env=None if environment is None else dict(environment),
        )
    log = Log(folder / "log", process)
    try:
        _wait_until_it_listens(process, port, log)
        yield log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Log) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start: {log.errors}")
        time.sleep(0.01)
