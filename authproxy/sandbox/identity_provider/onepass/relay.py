"""PURE: notifications that relying parties send to phones, and the answers that phones give: carried, never
judged.

A phone has one at a time, and ten in ten minutes at most, whoever sends them. The first answer stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from authproxy.sandbox.identity_provider.expiring import Expiring
from authproxy.sandbox.identity_provider.frequency import Frequency
from authproxy.sandbox.identity_provider.onepass.pushes import Outcome

ALLOWED, WINDOW = 10, timedelta(minutes=10)
_REMEMBERED_FOR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    action: str
    number: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedPush:
    """`shown` is what the phone gets, to the letter: it signs it."""

    push_id: str
    device_id: str
    number: str = field(repr=False)
    shown: dict[str, Any] = field(repr=False)
    expires_at: datetime
    answer: Answer | None = None
    is_over: bool = False


class Relay:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._pushes: Expiring[RelayedPush] = Expiring(clock, _REMEMBERED_FOR)
        self._latest: Expiring[str] = Expiring(clock, _REMEMBERED_FOR)
        self._frequency = Frequency(clock, allowed=ALLOWED, window=WINDOW)

    def seconds_to_wait(self, device_id: str) -> int:
        return self._frequency.seconds_to_wait(device_id)

    def send(self, push: RelayedPush) -> bool:
        """Takes the place of the one that waits. False if there is one of this name."""
        if not self._pushes.add(push.push_id, push):
            return False
        for waiting in self.pending(push.device_id):
            self._put(replace(waiting, is_over=True))
        self._frequency.count(push.device_id)
        self._latest.put(push.device_id, push.push_id)
        return True

    def find(self, push_id: str) -> RelayedPush | None:
        """As the relying party sees it; None for one that will have no answer any more."""
        push = self._pushes.get(push_id)
        return push if push is not None and (push.answer is not None or self._waits(push)) else None

    def pending(self, device_id: str) -> tuple[RelayedPush, ...]:
        push = self._pushes.get(self._latest.get(device_id) or "")
        return (push,) if push is not None and self._waits(push) else ()

    def answer(self, push_id: str, device_id: str, answer: Answer) -> Outcome:
        """What the phone is told; a wrong number is carried as well, and the relying party ends it."""
        push = self._pushes.get(push_id)
        if push is None or push.device_id != device_id:
            return Outcome.UNKNOWN
        if not self._waits(push):
            return Outcome.OVER
        self._put(replace(push, answer=answer))
        return (
            Outcome.WRONG_NUMBER
            if answer.action == "approve" and answer.number != push.number
            else Outcome.TAKEN
        )

    def withdraw(self, push_id: str) -> bool:
        push = self._pushes.take(push_id)
        return push is not None

    def withdraw_all(self, device_id: str) -> None:
        self._pushes.forget_where(lambda push: push.device_id == device_id)

    def _waits(self, push: RelayedPush) -> bool:
        return push.answer is None and not push.is_over and self._clock() < push.expires_at

    def _put(self, push: RelayedPush) -> None:
        self._pushes.put(push.push_id, push)
