"""The Redis that most tests of the stores ask."""

from __future__ import annotations

import pytest

from authproxy.storage.redis.connection import RedisConnection
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.stepped_redis import SteppedConnection


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.fixture
async def redis(server):
    """A connection to an empty store."""
    server.command("FLUSHALL")
    connection = RedisConnection(server.socket_url, deadline=GENEROUS)
    yield connection
    await connection.aclose()


@pytest.fixture
async def pair(server):
    """Two connections that go on step by step."""
    both = SteppedConnection(server.socket_url), SteppedConnection(server.socket_url)
    yield both
    for connection in both:
        await connection.aclose()
