"""The world of the front proxies, started once for each worker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.fronts.every import FRONTS
from tests.support.fronts.front import Front
from tests.support.fronts.world import Standing, World, open_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(FRONTS, tmp_path_factory.mktemp("fronts")) as opened:
        yield opened


@pytest.fixture(params=FRONTS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Front:
    return request.param


@pytest.fixture
def front(world: World, kind: Front) -> Standing:
    return world.front(kind)
