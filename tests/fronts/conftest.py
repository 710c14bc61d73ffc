"""The world of the front proxies, started once for each worker, and what has held in it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.fronts.every import FRONTS
from tests.support.fronts.front import Front
from tests.support.fronts.table import WRITTEN_TO
from tests.support.fronts.world import Standing, World, open_world

_held: dict[str, dict[str, bool]] = {}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("fronts")) as opened:
        yield opened


@pytest.fixture(scope="module")
def world(standing_world: World) -> Iterator[World]:
    """The same world in all modules. Its log also gets the lines of other modules' gateways between them, so
    each module looks for secrets in its own lines only."""
    began = standing_world.house.logged
    yield standing_world
    standing_world.house.nothing_has_leaked(since=began)


@pytest.fixture(
    params=[pytest.param(kind, id=kind.name, marks=pytest.mark.needs(kind.program)) for kind in FRONTS]
)
def kind(request: pytest.FixtureRequest) -> Front:
    return request.param


@pytest.fixture
def front(world: World, kind: Front) -> Standing:
    return world.front(kind)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.when == "call" and isinstance(item, pytest.Function) and "front" in item.fixturenames:
        name, behind = item.originalname.removeprefix("test_"), item.callspec.params["kind"].name
        held = _held.setdefault(name, {})
        held[behind] = held.get(behind, True) and report.passed
    return report


def pytest_sessionfinish() -> None:
    if place := os.environ.get(WRITTEN_TO):
        Path(place).write_text(json.dumps(_held))
