"""Whoever runs a gateway fails: it ends at once and leaves nothing behind in the event loop."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.gateway import open_house
from tests.support.http_client import Browser
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


async def test_a_gateway_whose_block_fails_cuts_who_is_connected_and_the_next_one_in_the_same_loop_is_heard(
    store,
):
    with pytest.raises(ZeroDivisionError):
        async with open_house(store.socket_url) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
            assert (await Browser().navigate(house.acq + "/")).status == 303
            raise ZeroDivisionError
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    async with open_house(store.socket_url) as house:
        assert (await Browser(patience=10).navigate(house.acq + "/")).status == 303
