"""PURE: a code that proves an e-mail address or a telephone number: six digits, valid for a limited time,
sent again after a minute."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from authproxy.sandbox.identity_provider.front_end.confirmation import SMS_AGAIN_AFTER, normalised

MAIL_LIVES_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCode:
    """With `digits` None the message had no code, and no answer is right."""

    digits: str | None = field(repr=False)
    sent_at: datetime
    lives_for: timedelta

    def has_expired(self, now: datetime) -> bool:
        return now - self.sent_at >= self.lives_for

    def is_answered_by(self, typed: str, now: datetime) -> bool:
        if self.digits is None or self.has_expired(now):
            return False
        return hmac.compare_digest(normalised(typed).encode("utf-8", "surrogatepass"), self.digits.encode())

    def seconds_until_again(self, now: datetime) -> int:
        """Seconds until another may be sent; 0: now."""
        return max(0, int((self.sent_at + SMS_AGAIN_AFTER - now).total_seconds()))
