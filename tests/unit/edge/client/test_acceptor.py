"""Accepting goes on whatever the system says of a connection that has failed before it was accepted."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from authproxy.edge.client.acceptor import Acceptor
from authproxy.edge.client.occupancy import Occupancy


class Failing(socket.socket):
    """A listening socket that first reports the failure of a connection, as Linux does (accept(2))."""

    failure = 0

    def accept(self):
        if self.failure:
            number, self.failure = self.failure, 0
            raise OSError(number, "the connection has failed")
        return super().accept()


class Register:
    """Has room for nobody, and counts who came."""

    def __init__(self) -> None:
        self.came = 0

    def accepted(self, descriptor: int, peer: str) -> None:
        self.came += 1

    def descriptors_exhausted(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("failure", [errno.EPROTO, errno.ENETUNREACH, errno.EPERM])
@pytest.mark.parametrize("is_ahead", [False, True], ids=["has fewest", "leaves new ones to others"])
async def test_a_connection_that_fails_before_it_is_accepted_stops_nothing(failure, is_ahead):
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    seats = Occupancy()
    own, other = seats.take_seat(), seats.take_seat()
    own.say(9 if is_ahead else 0)
    other.say(1)
    register = Register()
    with Failing() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        listening.failure = failure
        acceptor = Acceptor(listening, None, register, handshake_for=1, spawn=asyncio.ensure_future, seat=own)
        acceptor.open(8)
        for expected in (1, 2):
            with socket.create_connection(listening.getsockname()):
                async with asyncio.timeout(10):
                    while register.came < expected:
                        await asyncio.sleep(0)
        listening.failure = failure
        acceptor.close()  # as in a reload, which must not fail by it
    assert not errors
