"""What a worker costs beside the first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.workers import TWO, two_workers, workers_of

MOST = 25_000
"""KiB. It is 23,200 on the machine of the project; see bench/README.md."""


@pytest.fixture
async def house(houses):
    async with houses(has_gateway=False, environment=TWO) as opened:
        yield opened


async def test_a_worker_shares_with_the_others_most_of_its_memory(house):
    async with two_workers(house) as running:
        for worker in workers_of(running.process):
            summed = Path(f"/proc/{worker}/smaps_rollup").read_text()
            kib = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", summed, re.MULTILINE)}
            assert kib["Private_Clean"] + kib["Private_Dirty"] < MOST
