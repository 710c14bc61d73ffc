"""Which process listens at an address that we want, for the error message at start-up, and which one answers
us. Works on Linux; elsewhere it says "another process"."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"
_ESTABLISHED: Final = "01"
_UNKNOWN: Final = "another process"


def of_port(port: int) -> str:
    """The process that listens at a TCP port of this machine, if we may see it."""
    holder = _first_holder(_inodes(_LISTENING, local=f":{port:04X}"))
    return _UNKNOWN if holder is None else described(holder)


def of_connection(connection: socket.socket) -> str:
    """The process that listens behind a Unix socket to which we have connected."""
    holder = id_behind(connection)
    return _UNKNOWN if holder is None else described(holder)


def id_behind(connection: socket.socket) -> int | None:
    """The number of the process to which we are connected; None if we may not see it. Over TCP it must have
    answered, or the system may not have given it the connection yet."""
    if connection.family != socket.AF_UNIX:
        ours, theirs = _shown(connection.getsockname()), _shown(connection.getpeername())
        return _first_holder(_inodes(_ESTABLISHED, local=theirs, remote=ours))
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    process_id: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return process_id or None


def _first_holder(inodes: Iterable[str]) -> int | None:
    """The number of the process that has one of these sockets. If processes have inherited it, it is the one
    that they have it from."""
    sockets = {f"socket:[{inode}]" for inode in inodes}
    holders = set()
    for process in _PROC.glob("[0-9]*") if sockets else ():
        try:
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                holders.add(int(process.name))
        except OSError:
            continue  # the process is another user's, or has just ended
    return min(holders - {holder for holder in holders if _parent(holder) in holders}, default=None)


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


def _shown(name: tuple[Any, ...]) -> str:
    """The name of a TCP socket as the system shows it: words of the machine, in hexadecimal digits."""
    octets = ip_address(name[0].partition("%")[0]).packed
    words = (int.from_bytes(octets[at : at + 4], sys.byteorder) for at in range(0, len(octets), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{name[1]:04X}"


def _inodes(state: str, *, local: str, remote: str = "") -> Iterator[str]:
    """Inodes of the TCP sockets in this state whose names end so (proc(5), `/proc/PID/net/tcp`). A socket for
    both families shows an IPv4 address with more words in front of it."""
    for table in ("self/net/tcp", "self/net/tcp6"):
        try:
            lines = (_PROC / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == state and columns[1].endswith(local) and columns[2].endswith(remote):
                yield columns[9]
