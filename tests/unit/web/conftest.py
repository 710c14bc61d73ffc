from __future__ import annotations

import pytest

from tests.support.pages import running_pages


@pytest.fixture
async def house():
    async with running_pages() as running:
        yield running
