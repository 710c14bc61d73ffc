"""Codes that activate a phone: six digits by SMS, valid once and for 5 minutes, with five tries; at most five
messages an hour.

Unknown accounts have the same tries and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.identity_provider.frequency import Frequency
from authproxy.sandbox.identity_provider.front_end.confirmation import SMS_LIVES_FOR, SmsCode, six_digits
from authproxy.sandbox.identity_provider.wrong_answers import WrongAnswers

MESSAGES_AN_HOUR = 5


class Activations:
    """Activation codes by the account's e-mail address, in any case."""

    def __init__(self, clock: Callable[[], datetime], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._codes: ExpiringEntries[SmsCode] = ExpiringEntries(clock, SMS_LIVES_FOR)
        self._sent = Frequency(clock, allowed=MESSAGES_AN_HOUR, window=timedelta(hours=1))
        self._wrong = WrongAnswers(clock)

    def begin(self, email: str) -> str | None:
        """The digits to send; None if a message was sent within the last minute, or too many within the
        hour."""
        key, now = email.casefold(), self._clock()
        before = self._codes.get(key)
        if (before is not None and before.seconds_until_again(now)) or self._sent.seconds_to_wait(key):
            return None
        self._sent.count(key)
        code = SmsCode(digits=six_digits(self._random_bytes(8)), sent_at=now)
        self._codes.put(key, code)
        return code.digits

    def minutes_to_wait(self, email: str) -> int:
        return self._wrong.minutes_to_wait(email.casefold())

    def redeem(self, email: str, typed: str) -> bool:
        """True once, for the latest code. The fifth wrong answer ends it."""
        key = email.casefold()
        code = self._codes.get(key)
        if code is not None and code.is_answered_by(typed, self._clock()):
            self._codes.take(key)
            self._wrong.forget(key)
            return True
        self._wrong.count(key)
        if self._wrong.minutes_to_wait(key):
            self._codes.take(key)
        return False
