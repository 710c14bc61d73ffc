"""What whole-story tests share: a Redis for the worker, and a house (gateway and counterparties) for each
test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.support.gateway import House, Person, open_house
from tests.support.redis_server import RedisServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "conversations" in item.path.parts:
            item.add_marker(pytest.mark.needs("redis-server"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer("--appendfsync", "no", append_only=True) as server:
        yield server


@pytest.fixture
def houses(redis_server: RedisServer) -> Callable[..., AbstractAsyncContextManager[House]]:
    """Opens a house with settings of its own: `async with houses(environment={…}) as house`."""
    redis_server.command("FLUSHALL")
    return lambda **settings: open_house(redis_server.socket_url, **settings)


@pytest.fixture
async def house(houses: Callable[..., AbstractAsyncContextManager[House]]) -> AsyncIterator[House]:
    async with houses() as opened:
        yield opened


@pytest.fixture
def ana(house: House) -> Person:
    return house.person()


@pytest.fixture
def certificate_houses(
    redis_server: RedisServer, authority_state: Path
) -> Callable[..., AbstractAsyncContextManager[House]]:
    """As `houses`, with an authority and a gateway that takes its certificates."""
    redis_server.command("FLUSHALL")
    return lambda **settings: open_house(redis_server.socket_url, authority=authority_state, **settings)


@pytest.fixture
async def certificate_house(
    certificate_houses: Callable[..., AbstractAsyncContextManager[House]],
) -> AsyncIterator[House]:
    async with certificate_houses() as opened:
        yield opened
