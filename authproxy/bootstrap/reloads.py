"""How often the settings of this process were read again, and what came of it the last time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from authproxy.web.management import Check

SETTINGS: Final = "settings"
"""The check of `/readyz` that tells it. `authproxy reload` waits until its detail changes."""


class Reloads:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._count = 0
        self._at = clock()
        self._problem = ""
        self.is_reloading = False

    def begins(self) -> None:
        self.is_reloading = True

    def ended(self, problem: str = "") -> None:
        """`problem` is why the settings before stay in use; empty if the new ones are."""
        self.is_reloading = False
        self._count += 1
        self._at = self._clock()
        self._problem = problem

    async def check(self) -> Check:
        at = self._at.isoformat(timespec="seconds")
        if self._problem:
            return Check(
                status="warning",
                detail=f"reload {self._count} at {at} was refused, and the settings before it stay in use: "
                f"{self._problem}",
            )
        return Check(
            status="ok", detail=f"reload {self._count} at {at}" if self._count else f"read at the start, {at}"
        )
