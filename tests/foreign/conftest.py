"""Counterparts that are too large for every run. `make foreign` fetches them and runs what is here, `make
pkits` NIST's certificates alone; nothing else does."""

from __future__ import annotations

import os

import pytest

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

collect_ignore_glob = [] if os.environ.get("AUTHPROXY_FOREIGN") else ["test_*.py"]


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway_ports():
    """One for each test: a provider must know all of them from its start."""
    return [free_port() for _ in range(12)]
