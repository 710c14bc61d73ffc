"""How a test waits: for an event that shows what it wants to know, with a deadline. Never for a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

_TURNS = 1000
PATIENCE = 20.0
"""Seconds in which anything happens, even on a busy machine. A test that says less means it."""


async def until(condition: Callable[[], Any], *, within: float = PATIENCE) -> float:
    """Asks until the answer, which may have to be awaited, is true; the seconds it took. Fails the test if it
    does not come true in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await _answer(condition):
        assert loop.time() - began < within, f"not within {within} s"
        await asyncio.sleep(0.005)
    return loop.time() - began


async def _answer(condition: Callable[[], Any]) -> Any:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else answer


async def stands_still(value: Callable[[], Any]) -> Any:
    """The value once nothing in this loop moves it any more: in each of a thousand turns of the loop everything
    ran that was ready, and none of it changed the value."""
    async with asyncio.timeout(PATIENCE):
        found, turns = value(), 0
        while turns < _TURNS:
            await asyncio.sleep(0)
            before, found = found, value()
            turns = turns + 1 if found == before else 0
    return found
