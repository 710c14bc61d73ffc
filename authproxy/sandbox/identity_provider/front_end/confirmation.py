"""PURE: the confirmation window: the offered factors, and when a code is right.

The six digits of an SMS are valid for 5 minutes and can be sent again after 60 seconds; an attempt allows 5
wrong codes. A OnePass code is valid one step early or late, and once (RFC 6238 §5.2). Rekono does not publish
which factors a level allows; this is a plausible reading.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from authproxy.sandbox import one_time_code
from authproxy.sandbox.accounts import ProviderAccount

Mode = Literal["smslogin", "otplogin", "pushlogin", "certlogin"]

TRIES = 5
SMS_LIVES_FOR = timedelta(minutes=5)
SMS_AGAIN_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsCode:
    digits: str = field(repr=False)
    sent_at: datetime

    def has_expired(self, now: datetime) -> bool:
        return now - self.sent_at >= SMS_LIVES_FOR

    def is_answered_by(self, typed: str, now: datetime) -> bool:
        return not self.has_expired(now) and _is(typed, self.digits)

    def seconds_until_again(self, now: datetime) -> int:
        """Seconds until another message may be sent; 0: now."""
        return max(0, int((self.sent_at + SMS_AGAIN_AFTER - now).total_seconds()))


def modes(account: ProviderAccount, *, has_phone: bool, has_certificate: bool) -> tuple[Mode, ...]:
    """The factors that an account may use. SMS is not for level 30 unless there is nothing else;
    notifications and certificates are for level 20 and above."""
    enrolled = account.totp_secret is not None
    offered: dict[Mode, bool] = {
        "smslogin": account.level < 30 or not (enrolled or has_phone or has_certificate),
        "otplogin": enrolled,
        "pushlogin": has_phone and account.level >= 20,
        "certlogin": has_certificate and account.level >= 20,
    }
    return tuple(mode for mode, is_offered in offered.items() if is_offered)


def six_digits(octets: bytes) -> str:
    """Eight random bytes as six digits; the bias is below one in 10^13."""
    return f"{int.from_bytes(octets) % 1_000_000:06}"


def accepted_step(secret: str, typed: str, *, last_step: int, now: datetime) -> int | None:
    """The time step of the typed code; None if the code is wrong, or its step is not after the last used
    one."""
    current = one_time_code.step(now)
    for step in (current - 1, current, current + 1):
        if step > last_step and _is(typed, one_time_code.code(secret, step)):
            return step
    return None


def normalised(typed: str) -> str:
    """The code without the blanks and hyphens that people paste with it."""
    return typed.replace(" ", "").replace("\N{NO-BREAK SPACE}", "").replace("-", "")


def _is(typed: str, digits: str) -> bool:
    return hmac.compare_digest(normalised(typed).encode("utf-8", "surrogatepass"), digits.encode())
