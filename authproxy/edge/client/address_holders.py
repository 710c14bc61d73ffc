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
    sockets = {f"socket:[{inode}]" for inode in _listening_at(port)}
    for process in _PROC.glob("[0-9]*") if sockets else ():
        try:
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                return described(int(process.name))
        except OSError:
            continue  # the process is another user's, or has just ended
    return _UNKNOWN


def of_connection(connection: socket.socket) -> str:
    """The process that listens behind a Unix socket to which we have connected."""
    if not hasattr(socket, "SO_PEERCRED"):
        return _UNKNOWN
    process_id: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return described(process_id) if process_id else _UNKNOWN


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
