"""Starts programs for the length of a block, each on one core, and waits until they listen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).parent.parent
_STARTS_WITHIN = 240.0
"""Seconds. A gateway whose instructions are counted takes a minute on a busy machine."""


class _Starting(NamedTuple):
    name: str
    port: int
    process: subprocess.Popen[bytes]


class Programs:
    """What programs write goes to `NAME.out` in the folder, which is their working directory too."""

    def __init__(self, folder: Path, resources: ExitStack) -> None:
        self._folder = folder
        self._resources = resources
        self._starting: list[_Starting] = []

    def run(
        self, command: list[str], *, core: int, name: str, port: int, within: float = _STARTS_WITHIN
    ) -> int:
        """Starts a program and waits until it listens on the port of 127.0.0.1. Returns its process id."""
        pid = self.begin(command, core=core, name=name, port=port)
        self.wait(within=within)
        return pid

    def begin(self, command: list[str], *, core: int, name: str, port: int) -> int:
        """Starts a program on a core, for which `wait` waits. The end of the block ends it, by its id."""
        output = self._resources.enter_context((self._folder / f"{name}.out").open("wb"))
        # The checkout comes last, so that the code in PYTHONPATH is measured.
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(_PROJECT)]
        with _undisturbed():
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
            self._resources.callback(_end, process)
        self._starting.append(_Starting(name, port, process))
        return process.pid

    def wait(self, *, within: float = _STARTS_WITHIN) -> None:
        """Waits until all programs that have begun listen. Raises RuntimeError if one does not."""
        deadline = time.monotonic() + within
        while self._starting:
            name, port, process = self._starting.pop(0)
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                # Somebody else might have answered at this port, and the program has ended for that reason.
                if process.poll() is None:
                    continue
            said = (self._folder / f"{name}.out").read_text(errors="replace")
            raise RuntimeError(f"{name} did not start: {said[-2000:]}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Blocks signals that end this process: between the start of a program and its registration for the end,
    a signal would leave the program behind."""
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: noted.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in noted:
            signal.raise_signal(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(5)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
