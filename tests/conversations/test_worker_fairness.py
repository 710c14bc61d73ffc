"""Connections are divided evenly among workers, and none waits because of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.waiting import until
from tests.support.workers import (
    PATIENCE,
    TWO,
    connections_at,
    serve,
    standing_still,
    two_workers,
    workers_of,
)

MANY = 64


@pytest.fixture
async def house(houses):
    async with houses(has_gateway=False, environment=TWO) as opened:
        yield opened


class Clients:
    """Keep-alive connections to one address of a gateway."""

    def __init__(self, house, address):
        self.house = house
        self.address = address
        self.opened = []

    async def connect(self, number):
        self.opened += await asyncio.gather(*(self._one() for _ in range(number)))

    async def _one(self):
        if isinstance(self.address, Path):
            return await asyncio.open_unix_connection(self.address)
        return await asyncio.open_connection("127.0.0.1", self.address)

    async def ask(self):
        """A page on every connection; the statuses.

        A connection that is refused on arrival counts as 503. The server has closed it by then, so the
        request that comes too late may reset it before the answer was read.
        """
        return await asyncio.gather(*(self._asks(*streams) for streams in self.opened))

    async def _asks(self, reader, writer):
        try:
            return await self._answer(reader, writer)
        except ConnectionError:
            return 503

    async def _answer(self, reader, writer):
        host = urlsplit(self.house.acq).netloc
        writer.write(f"GET /api/jaz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split()[1])

    def close(self):
        for _, writer in self.opened:
            writer.close()


@contextlib.asynccontextmanager
async def clients(house, address=None):
    many = Clients(house, address or house.ports["gateway"])
    try:
        async with asyncio.timeout(PATIENCE):
            yield many
    finally:
        many.close()


def shares(process, address):
    return [connections_at(worker, address) for worker in workers_of(process)]


async def test_connections_that_come_at_once_are_divided_evenly(house):
    async with two_workers(house) as running:
        for address in (house.ports["gateway"], house.socket):
            async with clients(house, address) as many:
                await many.connect(MANY)
                assert await many.ask() == [401] * MANY
                divided = shares(running.process, address)
                assert sum(divided) == MANY
                assert min(divided) >= MANY // 5, divided  # a busy machine lets one of them wait
            await until(lambda at=address: sum(shares(running.process, at)) == 0)


@pytest.mark.rehearsal
async def test_a_worker_that_has_replaced_a_dead_one_gets_the_next_connections(house):
    async with two_workers(house) as running:
        port = house.ports["gateway"]
        async with clients(house) as many:
            await many.connect(MANY)
            await many.ask()
            os.kill(workers_of(running.process)[0], signal.SIGKILL)
            await until(lambda: serve(house, "2 of 2 serve; 1 have died"), within=PATIENCE)
            async with clients(house) as others:
                await others.connect(MANY // 2)
                assert await others.ask() == [401] * (MANY // 2)
                divided = shares(running.process, port)
                assert min(divided) >= MANY // 5, divided  # a busy machine lets one of them wait


@pytest.mark.rehearsal
async def test_a_worker_that_stands_still_keeps_no_connection_waiting(house):
    async with two_workers(house) as running:
        with standing_still(workers_of(running.process)[0]):
            async with clients(house) as many:
                await many.connect(MANY)
                assert await many.ask() == [401] * MANY


async def test_all_workers_together_keep_the_limit_of_an_address(house):
    limit = {"AUTHPROXY__SERVER__LIMITS__CONNECTIONS_PER_ADDRESS": "10"}
    async with two_workers(house, **limit), clients(house) as many:
        await many.connect(20)
        statuses = await many.ask()
        assert set(statuses) == {401, 503}
        assert 5 <= statuses.count(401) <= 10
