"""PURE: relays notifications of relying parties to phones, and answers back, without judging them.

A phone has one notification at a time and at most ten in ten minutes, from all relying parties together. Only
the first answer counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
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
    """A notification of a relying party. The phone gets `shown` unchanged, because it signs it."""

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
        self._pushes: ExpiringEntries[RelayedPush] = ExpiringEntries(clock, _REMEMBERED_FOR)
        self._latest: ExpiringEntries[str] = ExpiringEntries(clock, _REMEMBERED_FOR)
        self._frequency = Frequency(clock, allowed=ALLOWED, window=WINDOW)

    def seconds_to_wait(self, device_id: str) -> int:
        return self._frequency.seconds_to_wait(device_id)

    def send(self, push: RelayedPush) -> bool:
        """Sends a notification, which replaces a waiting one. False if its identifier is taken."""
        if not self._pushes.add(push.push_id, push):
            return False
        for waiting in self.pending(push.device_id):
            self._put(replace(waiting, is_over=True))
        self._frequency.count(push.device_id)
        self._latest.put(push.device_id, push.push_id)
        return True

    def find(self, push_id: str) -> RelayedPush | None:
        """The notification for its relying party; None if no answer can come any more."""
        push = self._pushes.get(push_id)
        return push if push is not None and (push.answer is not None or self._waits(push)) else None

    def pending(self, device_id: str) -> tuple[RelayedPush, ...]:
        push = self._pushes.get(self._latest.get(device_id) or "")
        return (push,) if push is not None and self._waits(push) else ()

    def answer(self, push_id: str, device_id: str, answer: Answer) -> Outcome:
        """Stores an answer, and returns the result for the phone. A wrong number is passed on too; the
        relying party then ends the notification."""
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
