"""Which process listens at an address that we want, for the error message at start-up. Works on Linux;
elsewhere it says "another process"."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"
_UNKNOWN: Final = "another process"


def of_port(port: int) -> str:
    """The process that listens at a TCP port of this machine, if we may see it."""
    holder = id_at_port(port)
    return _UNKNOWN if holder is None else described(holder)


def of_connection(connection: socket.socket) -> str:
    """The process that listens behind a Unix socket to which we have connected."""
    holder = id_behind(connection)
    return _UNKNOWN if holder is None else described(holder)


def id_at_port(port: int) -> int | None:
    """The number of the process that listens at a TCP port of this machine; None if we may not see it. If
    processes have inherited the socket, it is the one that they have it from."""
    sockets = {f"socket:[{inode}]" for inode in _listening_at(port)}
    holders = set()
    for process in _PROC.glob("[0-9]*") if sockets else ():
        try:
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                holders.add(int(process.name))
        except OSError:
            continue  # the process is another user's, or has just ended
    return min(holders - {holder for holder in holders if _parent(holder) in holders}, default=None)


def id_behind(connection: socket.socket) -> int | None:
    """The number of the process that listens behind a Unix socket to which we have connected."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    process_id: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return process_id or None


def _parent(process_id: int) -> int:
    """0 for a process that has ended."""
    try:
        status = (_PROC / str(process_id) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])


def described(process_id: int) -> str:
    try:
        name = (_PROC / str(process_id) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = ""
    return f"process {process_id} ({name})" if name else f"process {process_id}"


def _listening_at(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen at the port (proc(5), `/proc/net/tcp`)."""
    wanted = f":{port:04X}"
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[1].endswith(wanted) and columns[3] == _LISTENING:
                yield columns[9]
