"""The command line at a terminal of its own, at which an operator reads and types."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from authproxy.cli import main

CTRL_C, CTRL_D = "\x03", "\x04"


def at_a_terminal(*arguments: object, asked: str, keys: str) -> tuple[int, str]:
    """Runs the command, presses the keys once it has asked, and returns its exit code and what the terminal
    shows at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside threads: the child uses none of theirs
        child, terminal = pty.fork()
    if child == 0:
        _run([str(each) for each in arguments])
    shown = ""
    try:
        while asked not in shown:
            more = _read(terminal)
            assert more, f"the command has asked nothing: {shown}"
            shown += more
        os.write(terminal, keys.encode())
        while more := _read(terminal):
            shown += more
    finally:
        os.close(terminal)  # a command that still waits is told by SIGHUP
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.replace("\r\n", "\n")


def _run(arguments: Sequence[str]) -> NoReturn:
    code = 99
    # The tests may run where Ctrl-C is ignored, in the background of a shell; at a terminal it is not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stdin, sys.stdout, sys.stderr = (
            open(0, closefd=False),  # noqa: SIM115
            open(1, "w", closefd=False),  # noqa: SIM115
            open(2, "w", closefd=False),  # noqa: SIM115
        )
        main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stdout.flush()
        os._exit(code)  # nothing of the test runner may go on in two processes


def _read(terminal: int, *, within: float = 60.0) -> str:
    """What is shown next; empty when the command has ended."""
    ready, _, _ = select.select([terminal], [], [], within)
    assert ready, "the command shows nothing and does not end"
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # EIO: nobody has the other end open any more
        return ""
