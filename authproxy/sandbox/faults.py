"""Faults of a service that somebody has switched on, to see how its clients cope with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

USUAL_WAIT, _LONGEST_WAIT = 30.0, 600.0


class NotAFault(ValueError):  # noqa: N818
    """The request names no such fault. The text names the wrong member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    service: str
    how: str
    seconds: float
    """How long a `slow` answer takes."""

    def as_json(self) -> dict[str, Any]:
        return {"service": self.service, "how": self.how, "seconds": self.seconds}


AnyFault = TypeVar("AnyFault", bound=Fault)


class ActiveFaults(Generic[AnyFault]):
    """At most one fault for each service."""

    def __init__(self) -> None:
        self._by_service: dict[str, AnyFault] = {}
        self._changed = asyncio.Event()

    def add(self, fault: AnyFault) -> None:
        self._by_service[fault.service] = fault
        self._end_waits()

    def mend(self, service: str | None = None) -> None:
        """Ends the fault of one service, or all faults. Slow answers that still wait are sent at once."""
        if service is None:
            self._by_service.clear()
        else:
            self._by_service.pop(service, None)
        self._end_waits()

    def __iter__(self) -> Iterator[AnyFault]:
        return iter(self._by_service.values())

    async def happening(self, service: str, affects: Callable[[AnyFault], bool]) -> str | None:
        """How the service fails for a request that its fault affects, if any. For a slow answer this returns
        only after the wait."""
        fault = self._by_service.get(service)
        if fault is None or not affects(fault):
            return None
        if fault.how == "slow":
            changed = self._changed
            try:
                async with asyncio.timeout(fault.seconds):
                    await changed.wait()
            except TimeoutError:
                pass
        return fault.how

    def _end_waits(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def seconds_in(body: Mapping[str, Any]) -> float:
    """The member `seconds`. Raises NotAFault."""
    seconds = body.get("seconds", USUAL_WAIT)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_WAIT:
        raise NotAFault("seconds")
    return float(seconds)
