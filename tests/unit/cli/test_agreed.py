"""A question to the operator ends by Ctrl-C, also at the moment in which the command begins to wait."""

from __future__ import annotations

import subprocess
import sys

# The C library sends the signal while `select` asks for the descriptor, and answers 0, which is that of standard
# input. Python has noted the signal then, and runs nothing more before it waits.
ASKS = """
import ctypes, functools, signal, sys
from authproxy.cli.terminal import agreed

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.stdin.fileno = functools.partial(ctypes.CDLL(None)["raise"], signal.SIGINT)
try:
    agreed("Really?")
except Exception as end:
    print(type(end).__name__)
"""


def test_ctrl_c_just_before_the_command_waits_ends_the_question():
    with subprocess.Popen(
        [sys.executable, "-c", ASKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asks:
        try:
            asks.wait(timeout=60)  # nobody types anything
            assert (asks.stdout.read(), asks.stderr.read()) == ("Abort\n", "Really? [y/N]: ")
        finally:
            asks.kill()
