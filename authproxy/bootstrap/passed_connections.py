"""How idle connections of clients go from workers that leave to those that follow (unix(7), SCM_RIGHTS).

All workers share one pair of sockets that their parent has made. A worker that leaves puts descriptors in
at one end, and one that serves takes them out at the other one. So a connection that was put in just when its
taker died waits for the next one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

_MARK: Final = b"\0"


class PassedConnections:
    def __init__(self) -> None:
        """Raises OSError."""
        self._giving, self._taking = socket.socketpair()
        for each in self.sockets:
            each.setblocking(False)

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self._giving, self._taking

    def give(self, descriptor: int) -> bool:
        """Puts a connection in, and closes this descriptor of it. False if there is no room at the moment."""
        try:
            socket.send_fds(self._giving, [_MARK], [descriptor])
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(descriptor)

    def take(self, adopt: Callable[[socket.socket], None]) -> None:
        """Takes connections out from now on."""
        asyncio.get_running_loop().add_reader(self._taking, self._take, adopt)

    def stop_taking(self) -> None:
        asyncio.get_running_loop().remove_reader(self._taking)

    def close(self) -> None:
        for each in self.sockets:
            each.close()

    def _take(self, adopt: Callable[[socket.socket], None]) -> None:
        """Takes one, because the next one may be another worker's."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._taking, len(_MARK), 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:  # another worker was quicker, or we have no descriptor to spare
            return
        for descriptor in descriptors:
            adopt(socket.socket(fileno=descriptor))
