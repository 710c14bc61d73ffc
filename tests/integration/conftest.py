"""Which event loops the tests of this folder run on."""

from __future__ import annotations

import asyncio

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item):
    """A module that says `LOOPS = ("asyncio", "uvloop")` runs on both: their transports differ in what they do when, and the gateway
    must not depend on it."""
    chosen = getattr(getattr(item, "module", None), "LOOPS", ("asyncio",))
    every = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {name: every[name] for name in chosen}
