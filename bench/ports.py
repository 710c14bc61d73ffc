"""Ports of 127.0.0.1 for the programs that a measurement starts."""

from __future__ import annotations

import secrets
from contextlib import suppress

from authproxy.sandbox.serving import bound

_PORTS = range(32_000, 32_768)
"""The kernel gives higher ports to outgoing connections and to programs that ask for any port. One of those
could be taken between choosing and listening. The tests of the project use lower ones."""


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            return found
        with suppress(OSError), bound(port):
            found.append(port)
    raise RuntimeError(f"fewer than {count} free ports from {_PORTS.start} to {_PORTS.stop - 1}")
