"""Accepting in one of several workers: connections are divided evenly, and it goes on whatever the system says
of a connection that has failed before it was accepted."""

from __future__ import annotations

import asyncio
import contextlib
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
    """Has room for nobody, and counts who came, also at a seat if it has one. `had` were here before."""

    def __init__(self, seat=None, *, had=0) -> None:
        self.came = 0
        self.had = had
        self.seat = seat
        if seat is not None:
            seat.say(had)

    def accepted(self, descriptor: int, peer: str) -> None:
        self.came += 1
        if self.seat is not None:
            self.seat.say(self.had + self.came)

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


async def test_without_a_descriptor_to_spare_it_says_so_and_goes_on_after_a_pause():
    class Told(Register):
        times = 0

        def descriptors_exhausted(self) -> None:
            self.times += 1

    register = Told()
    with Failing() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        listening.failure = errno.EMFILE
        acceptor = Acceptor(listening, None, register, handshake_for=1, spawn=asyncio.ensure_future)
        acceptor.open(8)
        with socket.create_connection(listening.getsockname()):
            async with asyncio.timeout(10):
                while not register.came:
                    await asyncio.sleep(0.01)
        acceptor.close()
    assert register.times == 1


MANY = 64


@contextlib.contextmanager
def listening_at(address):
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as listening:
        listening.bind(address)
        listening.setblocking(False)
        yield listening


@contextlib.contextmanager
def accepting(listening, register):
    acceptor = Acceptor(
        listening.dup(), None, register, handshake_for=1, spawn=asyncio.ensure_future, seat=register.seat
    )
    acceptor.open(MANY)
    try:
        yield
    finally:
        acceptor.close()


async def have_come(listening, *registers):
    """Until as many as connect here at once have come to one of them."""
    with contextlib.ExitStack() as clients:
        for _ in range(MANY):
            client = clients.enter_context(socket.socket(listening.family))
            client.connect(listening.getsockname())
        async with asyncio.timeout(10):
            while sum(register.came for register in registers) < MANY:
                await asyncio.sleep(0)


@pytest.mark.parametrize("way", ["tcp", "unix"])
async def test_new_connections_go_to_whoever_has_fewest(tmp_path, way):
    seats = Occupancy()
    one, other = Register(seats.take_seat(), had=MANY // 2), Register(seats.take_seat())
    with (
        listening_at(("127.0.0.1", 0) if way == "tcp" else str(tmp_path / "socket")) as listening,
        accepting(listening, one),
        accepting(listening, other),
    ):
        await have_come(listening, one, other)
    assert abs(one.had + one.came - other.came) <= MANY // 8


async def test_a_worker_whose_sibling_hangs_takes_all(tmp_path):
    seats = Occupancy()
    hanging, alone = seats.take_seat(), Register(seats.take_seat())
    hanging.say(0)
    with listening_at(("127.0.0.1", 0)) as listening, accepting(listening, alone):
        await have_come(listening, alone)
