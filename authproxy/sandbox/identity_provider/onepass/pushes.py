"""Notifications that ask a phone to confirm a sign-in. An account has one at a time, for two minutes, and at
most three in ten minutes.

To approve, a person must choose the number that the browser shows (number matching), so that nobody approves
a sign-in that they do not see.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.identity_provider.frequency import Frequency

LIVES_FOR = timedelta(minutes=2)
ALLOWED, WINDOW = 3, timedelta(minutes=10)
_REMEMBERED_FOR = timedelta(minutes=30)
_CHOICES = 3


class PushState(enum.Enum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    WRONG_NUMBER = "wrong_number"
    SUPERSEDED = "superseded"
    """A newer notification has replaced it, or the phone was removed."""
    EXPIRED = "expired"
    """Also for unknown and for redeemed notifications."""


class Outcome(enum.Enum):
    """The result of a phone's answer."""

    TAKEN = enum.auto()
    WRONG_NUMBER = enum.auto()
    OVER = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    id: str = field(repr=False)
    email: str = field(repr=False)
    for_: str
    """The relying party of the sign-in."""
    place: str
    """Browser and address of the sign-in."""
    number: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    at: datetime
    expires_at: datetime
    """The end of an unanswered notification; for an approved one, the end of its redemption."""
    state: PushState = PushState.PENDING


class Pushes:
    def __init__(self, clock: Callable[[], datetime], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._pushes: ExpiringEntries[Push] = ExpiringEntries(clock, _REMEMBERED_FOR)
        self._latest: ExpiringEntries[str] = ExpiringEntries(clock, _REMEMBERED_FOR)
        self._frequency = Frequency(clock, allowed=ALLOWED, window=WINDOW)

    def ask(self, email: str, *, for_: str, place: str) -> Push | None:
        """A new notification, which replaces a waiting one; None if the account was asked too often."""
        if self._frequency.seconds_to_wait(email):
            return None
        self.withdraw(email)
        self._frequency.count(email)
        now = self._clock()
        choices = self._numbers()
        push = Push(
            id=self._random_bytes(16).hex(),
            email=email,
            for_=for_,
            place=place,
            number=choices[self._below(_CHOICES)],
            choices=choices,
            at=now,
            expires_at=now + LIVES_FOR,
        )
        self._pushes.put(push.id, push)
        self._latest.put(email, push.id)
        return push

    def minutes_to_wait(self, email: str) -> int:
        """Whole minutes until the account may be asked again; 0: now."""
        return -(-self._frequency.seconds_to_wait(email) // 60)

    def find(self, push_id: str) -> Push | None:
        return self._pushes.get(push_id)

    def state(self, push_id: str) -> PushState:
        push = self._pushes.get(push_id)
        if push is None:
            return PushState.EXPIRED
        ends = push.state in {PushState.PENDING, PushState.APPROVED} and self._clock() >= push.expires_at
        return PushState.EXPIRED if ends else push.state

    def redeem(self, push_id: str, email: str) -> bool:
        """True once for an approved notification of this account. It is removed, so that it confirms only one
        sign-in."""
        push = self._pushes.get(push_id)
        if push is None or push.email != email or self.state(push_id) is not PushState.APPROVED:
            return False
        self._pushes.take(push_id)
        return True

    def pending(self, email: str) -> tuple[Push, ...]:
        push = self._pushes.get(self._latest.get(email) or "")
        return (push,) if push is not None and self.state(push.id) is PushState.PENDING else ()

    def answer(self, push_id: str, email: str, *, approves: bool, number: str) -> Outcome:
        """Accepts the first answer of the account's phone. A wrong number ends the notification, as a refusal
        does."""
        push = self._pushes.get(push_id)
        if push is None or push.email != email:
            return Outcome.UNKNOWN
        if self.state(push_id) is not PushState.PENDING:
            return Outcome.OVER
        if not approves:
            self._end(push, PushState.REFUSED)
        elif number != push.number:
            self._end(push, PushState.WRONG_NUMBER)
            return Outcome.WRONG_NUMBER
        else:
            self._end(push, PushState.APPROVED)
        return Outcome.TAKEN

    def cancel(self, push_id: str) -> None:
        """Ends a notification that still waits."""
        push = self._pushes.get(push_id)
        if push is not None and self.state(push_id) is PushState.PENDING:
            self._end(push, PushState.SUPERSEDED)

    def withdraw(self, email: str) -> None:
        """Ends the account's waiting notification."""
        for push in self.pending(email):
            self._end(push, PushState.SUPERSEDED)

    def _end(self, push: Push, state: PushState) -> None:
        self._pushes.put(push.id, replace(push, state=state, expires_at=self._clock() + LIVES_FOR))

    def _numbers(self) -> tuple[str, ...]:
        """Three different numbers from 10 to 99."""
        numbers: list[str] = []
        while len(numbers) < _CHOICES:
            number = str(10 + self._below(90))
            if number not in numbers:
                numbers.append(number)
        return tuple(numbers)

    def _below(self, bound: int) -> int:
        return int.from_bytes(self._random_bytes(8)) % bound
