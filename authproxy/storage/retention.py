"""PURE: how long and how many: the rules that both stores keep."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

USE_REMEMBERED_LONGER: Final = timedelta(minutes=2)
"""The use of an attempt is remembered so much longer than the attempt is good, so that an instance whose
clock is behind learns of it, too."""
SIGN_INS_WITHIN: Final = timedelta(seconds=60)
SIGN_INS_COUNTED: Final = 64
LOGOUT_TOKEN_HELD_FOR: Final = timedelta(seconds=4)
"""Longer than ending its sessions takes, and shorter than the five seconds after which a provider is told to
try again: a token whose effect failed must count then."""
CHALLENGE_KEPT_AFTERWARDS: Final = timedelta(minutes=10)
"""So that a late answer is told apart from one to nothing."""
CHALLENGES_PER_SESSION: Final = 8
"""A tab each is plenty, and a script that asks for challenges without end must not fill the store."""
NOTES_KEPT_FOR: Final = timedelta(days=1)
NOTES_PER_PERSON: Final = 50
"""What a message says of more changes than these would help nobody."""
NUMBER_KNOWN_FOR: Final = timedelta(days=730)
"""From a person's last sign-in. Longer than people stay away who use a portal once a year."""
USED_PROOF_REMEMBERED_FOR: Final = timedelta(hours=1)
"""A proof for one request is good for five minutes, whatever the clocks of the instances say."""
STEP_KEPT_FOR: Final = timedelta(days=2)
"""Much longer than a code by time is good, whatever the clocks do."""


def recent(sign_ins: Iterable[datetime], now: datetime) -> int:
    """How many of them were in the last 60 seconds."""
    return sum(now - at < SIGN_INS_WITHIN for at in sign_ins)
