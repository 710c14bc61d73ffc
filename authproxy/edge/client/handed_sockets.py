"""Listening sockets that systemd has opened for this process (sd_listen_fds(3), systemd.socket(5))."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class BadHandover(ValueError):  # noqa: N818
    """What was handed over cannot be used. The message is one line for operators."""


def take(environment: MutableMapping[str, str], process_id: int) -> tuple[socket.socket, ...]:
    """The sockets that were handed to this process; none if they are for another one. The variables are
    removed, so that no child takes them for its own. Raises BadHandover."""
    named = {name: environment.pop(name, "") for name in _VARIABLES}
    if named["LISTEN_PID"] != str(process_id) or not named["LISTEN_FDS"].isdecimal():
        return ()
    return tuple(_checked(number) for number in range(_FIRST, _FIRST + int(named["LISTEN_FDS"])))


def _checked(descriptor: int) -> socket.socket:
    try:
        handed = socket.socket(fileno=descriptor)
        is_listening = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BadHandover(f"LISTEN_FDS: descriptor {descriptor} is no socket: {error.strerror}") from error
    if handed.type != socket.SOCK_STREAM or not is_listening:
        raise BadHandover(
            f"LISTEN_FDS: descriptor {descriptor} is no listening stream socket: use `ListenStream=` and "
            "`Accept=no` in the .socket unit"
        )
    os.set_inheritable(descriptor, False)
    handed.setblocking(False)
    return handed
