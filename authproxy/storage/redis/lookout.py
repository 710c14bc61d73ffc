"""Asks several servers at once who serves what, again and again while questions are asked: one round at a time,
for all who want to know."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

PATIENCE: Final = 0.4
"""Seconds for the first answer. A question to the store waits for it, and has a deadline of its own."""
_STRAGGLERS: Final = 0.1
"""Seconds for further answers until most have answered."""
_EVERY: Final = 1.0
"""Seconds between two rounds while all is well."""
_REST: Final = 0.05
"""Seconds between two rounds while what was found is in doubt."""
_Said = TypeVar("_Said")


class Lookout:
    """`look` is one round. It never raises."""

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")
        self.is_doubted = False
        """Whether what was found is known to be wrong."""

    async def fresh(self) -> None:
        """Returns when the last round is not older than a second. If what it found is in doubt, returns after
        another round, which may have begun a moment before."""
        since = asyncio.get_running_loop().time() - self._looked_at
        if since > (_REST if self.is_doubted else _EVERY):
            # Others wait for the same round. One who gives up does not end it, and its end cancels nobody.
            await asyncio.wait([self._round()])

    def look_soon(self) -> None:
        """Begins a round in the background if it is time for one."""
        if asyncio.get_running_loop().time() - self._looked_at > (_REST if self.is_doubted else _EVERY):
            self._round()

    def doubt(self) -> None:
        """What was found is wrong."""
        self.is_doubted = True

    async def aclose(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    def _round(self) -> asyncio.Task[None]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_once())
        return self._looking

    async def _look_once(self) -> None:
        self.is_doubted = False
        await self._look()
        self._looked_at = asyncio.get_running_loop().time()


async def most(questions: Sequence[Awaitable[_Said | None]]) -> list[_Said]:
    """The answers as soon as most have answered; without those that are None, and without those that come much
    later than others. The questions must not raise."""
    asked = [asyncio.ensure_future(question) for question in questions]
    pending, said, waits_for = set(asked), list[_Said](), PATIENCE
    try:
        while pending and 2 * len(said) <= len(asked):
            done, pending = await asyncio.wait(
                pending, timeout=waits_for, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            said += [answer for task in done if (answer := task.result()) is not None]
            waits_for = _STRAGGLERS if said else PATIENCE
    finally:
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)  # they close their connections
    return said
