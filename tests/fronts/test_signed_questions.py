"""HAProxy on another machine than the gateway: it asks over TCP, and signs each question."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fronts import haproxy
from tests.support.fronts.world import World

pytestmark = [pytest.mark.needs("haproxy", "redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


async def test_without_a_readable_key_it_does_not_start(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    with (
        pytest.raises(RuntimeError, match="does not contain 64 hexadecimal digits"),
        world.broken(haproxy.FRONT, haproxy.signing(world.house.ports["gateway"], empty)),
    ):
        pass
