"""Traffic of several gateways on one store: people who are active, people who are signed out meanwhile, and codes
that are used. It notes whatever must not happen, and when a question had no answer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

from authproxy.access.unavailable import CannotAsk
from tests.support.store_side import StoreSide, new_attempt
from tests.support.waiting import until

ACTIVE, DOOMED = 200, 400
_PACE = 0.01
_TOLD_WITHIN = 1.0
"""Seconds after which every instance refuses what was revoked."""
_SETTLES_WITHIN = 60.0


class Traffic:
    def __init__(self, sides: Sequence[StoreSide]) -> None:
        self._sides = sides
        self.active: list[Any] = []
        self._doomed: list[Any] = []
        self.revoked: dict[Any, float] = {}
        """Since when. The gateway has said that they are signed out."""
        self.used: list[Any] = []
        """Attempts to which a gateway has said yes."""
        self.begun: list[Any] = []
        """Sessions that began meanwhile."""
        self.signed_out: set[Any] = set()
        """Active people who were told that they are not signed in."""
        self.bypasses = 0
        """How often somebody was let in a second or more after they were signed out."""
        self.used_twice: set[str] = set()
        self.answers = 0
        self.unanswered = 0
        self.unanswered_at = float("-inf")

    async def begin(self) -> None:
        for turn in range(ACTIVE + DOOMED):
            ticket = await self._sides[turn % len(self._sides)].starts()
            (self.active if turn < ACTIVE else self._doomed).append(ticket)

    async def settle(self) -> None:
        """Until each gateway finds every active person and refuses everybody who was signed out."""
        for side in self._sides:
            await until(side.is_served, within=_SETTLES_WITHIN)
            await until(lambda side=side: self._is_right(side), within=_SETTLES_WITHIN)

    async def lost_uses(self) -> int:
        """How many uses that were answered with yes are not known any more."""
        return await self._count(True, [side.uses for side in self._sides], self.used)

    async def lost_beginnings(self) -> int:
        """How many sessions that began meanwhile are gone."""
        return await self._count(False, [side.asks for side in self._sides], self.begun)

    async def _count(self, sought: bool, ways: Sequence[Any], things: Sequence[Any]) -> int:
        found = []
        for turn, thing in enumerate(list(things)):
            while (said := await ways[turn % len(ways)](thing)) is None:
                await asyncio.sleep(_PACE)
            found.append(said)
        return found.count(sought)

    async def _is_right(self, side: StoreSide) -> bool:
        return {await side.asks(ticket) for ticket in self.active} == {True} and not [
            ticket for ticket in list(self.revoked) if await side.asks(ticket) is not False
        ]

    async def visit(self, side: StoreSide) -> None:
        """Active people ask again and again, partly through the near cache, and new ones sign in."""
        for turn, ticket in enumerate(itertools.cycle(self.active)):
            said = await (side.asks if turn % 2 else side.asks_nearby)(ticket)
            self.answers += 1
            if said is False:
                self.signed_out.add(ticket)
            elif said is None:
                self.unanswered += 1
                self.unanswered_at = asyncio.get_running_loop().time()
            if turn % 10 == 0:
                with contextlib.suppress(CannotAsk):
                    self.begun.append(await side.starts())
            await asyncio.sleep(_PACE)

    async def leave(self, side: StoreSide, other: StoreSide) -> None:
        """People are signed out at one gateway, and try to come in at the other one; attempts are used, and
        used again."""
        while True:
            if self._doomed:
                ticket = self._doomed.pop()
                await other.asks_nearby(ticket)
                with contextlib.suppress(CannotAsk):
                    if await side.sessions.revoke(ticket.session_id):
                        self.revoked[ticket] = asyncio.get_running_loop().time()
            attempt = new_attempt()
            if await side.uses(attempt):
                self.used.append(attempt)
            for gone, since in list(self.revoked.items())[-20:]:
                began = asyncio.get_running_loop().time()
                if await other.asks_nearby(gone) and began > since + _TOLD_WITHIN:
                    self.bypasses += 1
            for attempt in self.used[-5:]:
                if await other.uses(attempt):
                    self.used_twice.add(attempt.secret)
            await asyncio.sleep(_PACE)


@contextlib.asynccontextmanager
async def traffic(sides: Sequence[StoreSide]) -> AsyncIterator[Traffic]:
    """Goes on until the block ends."""
    one, other = sides
    going = Traffic(sides)
    await going.begin()
    tasks = [asyncio.ensure_future(going.visit(side)) for side in sides]
    tasks += [asyncio.ensure_future(going.leave(*pair)) for pair in ((one, other), (other, one))]
    try:
        yield going
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ended:
            if not isinstance(end, asyncio.CancelledError):
                raise end
