"""Envoy and HAProxy sign their questions with a key from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fronts.every import SIGNING
from tests.support.fronts.world import World

pytestmark = [pytest.mark.needs("haproxy", "redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("name", ["envoy", "haproxy"])
async def test_without_a_readable_key_it_does_not_start(world: World, tmp_path: Path, name: str) -> None:
    kind, files = SIGNING[name]
    empty = tmp_path / "empty"
    empty.write_text("")
    with (
        pytest.raises(RuntimeError, match="does not contain 64 hexadecimal digits"),
        world.broken(kind, files(world.house.ports["gateway"], empty)),
    ):
        pass
