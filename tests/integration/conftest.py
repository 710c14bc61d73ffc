"""Which event loops the tests of this folder run on, and the Redis that most tests of the stores ask."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from authproxy.storage.redis import RedisConnection
from tests.support.redis_server import RedisServer
from tests.support.stepped_redis import SteppedConnection


def pytest_asyncio_loop_factories(item: pytest.Item):
    """A module that says `LOOPS = ("asyncio", "uvloop")` runs on both: their transports differ in what they do when, and the gateway
    must not depend on it."""
    chosen = getattr(getattr(item, "module", None), "LOOPS", ("asyncio",))
    every = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {name: every[name] for name in chosen}


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
async def redis(server):
    """A connection to an empty store."""
    server.command("FLUSHALL")
    connection = RedisConnection(server.socket_url)
    yield connection
    await connection.aclose()


@pytest.fixture
async def pair(server):
    """Two connections that go on step by step."""
    both = SteppedConnection(server.socket_url), SteppedConnection(server.socket_url)
    yield both
    for connection in both:
        await connection.aclose()
