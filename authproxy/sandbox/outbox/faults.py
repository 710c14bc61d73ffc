"""Faults of the outbox that somebody has switched on: the ways in which an SMS gateway or a mail server
fails, for all recipients or one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

Service = Literal["sms", "mail"]
How = Literal["error", "busy", "slow", "reject", "lose"]
"""error: the service fails. busy: try again later. slow: the answer is late. reject: the recipient is
refused. lose: accepted and never delivered."""

_LONGEST_WAIT = 600.0


class NotAFault(ValueError):  # noqa: N818
    """The request names no such fault. The text names the wrong member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    service: Service
    how: How
    to: str | None
    """The recipient whom it affects; None: all."""
    seconds: float
    """How long a slow answer takes."""

    def as_json(self) -> dict[str, Any]:
        return {"service": self.service, "how": self.how, "to": self.to, "seconds": self.seconds}


class Faults:
    """At most one fault for each service."""

    def __init__(self) -> None:
        self._of: dict[Service, Fault] = {}
        self._mended = asyncio.Event()

    def add(self, fault: Fault) -> None:
        self._mended.set()  # ends the wait of slow answers: their fault is over
        self._mended = asyncio.Event()
        self._of[fault.service] = fault

    def mend(self) -> None:
        """Ends all faults. Slow answers that still wait are sent at once."""
        self._of.clear()
        self._mended.set()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._of.values())

    async def met(self, service: Service, recipient: str) -> How | None:
        """The fault for a message to this recipient, if any. For a slow answer this returns only after the
        wait."""
        fault = self._of.get(service)
        if fault is None or (fault.to is not None and fault.to.casefold() != recipient.casefold()):
            return None
        if fault.how == "slow":
            mended = self._mended
            try:
                async with asyncio.timeout(fault.seconds):
                    await mended.wait()
            except TimeoutError:
                pass
        return fault.how


def fault(body: dict[str, Any]) -> Fault:
    """The fault that a JSON body asks for. Raises NotAFault."""
    service, how, to, seconds = body.get("service"), body.get("how"), body.get("to"), body.get("seconds", 30)
    if service not in get_args(Service):
        raise NotAFault("service")
    if how not in get_args(How):
        raise NotAFault("how")
    if to is not None and not isinstance(to, str):
        raise NotAFault("to")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_WAIT:
        raise NotAFault("seconds")
    return Fault(service=cast("Service", service), how=cast("How", how), to=to, seconds=float(seconds))
