"""Ports of 127.0.0.1 for the programs that a measurement starts."""

from __future__ import annotations

import secrets
import socket

_PORTS = range(32_000, 32_768)
"""The kernel gives higher ports to outgoing connections and to programs that ask for any port. One of those
could be taken between choosing and listening. The tests of the project use lower ones."""
_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Different ports that nobody uses. No other measurement is given them until this process ends: a
    program may take a long time to start."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            return found
        holder = socket.socket()
        try:
            # This fails if any other socket is bound to the port. With the option, which every server sets,
            # too, a server can then listen there.
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(holder)
        found.append(port)
    raise RuntimeError(f"fewer than {count} free ports from {_PORTS.start} to {_PORTS.stop - 1}")
