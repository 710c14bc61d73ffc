"""The provider that most tests of the relying party ask."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.hostile_provider import HostileProvider


@pytest.fixture
async def hostile():
    async with HostileProvider(datetime(2026, 11, 22, 8, 0, tzinfo=UTC)) as provider:
        yield provider
