"""PURE: how long things are kept and how many of them: the rules that both kinds of store follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

USE_REMEMBERED_LONGER: Final = timedelta(minutes=2)
"""The use of an attempt is remembered for this long after the attempt has expired. An instance whose clock is
behind may still believe in the attempt."""
SIGN_INS_WITHIN: Final = timedelta(seconds=60)
SIGN_INS_COUNTED: Final = 64
LOGOUT_TOKEN_HELD_FOR: Final = timedelta(seconds=4)
"""Longer than it takes to end the token's sessions, and shorter than the five seconds after which a provider
is told to try again: if the first try failed, the second one must have its effect."""
CHALLENGE_KEPT_AFTERWARDS: Final = timedelta(minutes=10)
"""A late answer is then told that the challenge is over, and not that there was none."""
ISSUING_TAKES: Final = timedelta(seconds=15)
"""Longer than three message gateways take by default to refuse a message. A process that is killed meanwhile
keeps nobody waiting for longer."""
CHALLENGES_PER_SESSION: Final = 8
"""Enough for a few open tabs. A script that asks for challenges without end must not fill the store."""
NOTES_KEPT_FOR: Final = timedelta(days=1)
NOTES_PER_PERSON: Final = 50
"""A message about more changes than these would help nobody."""
NUMBER_KNOWN_FOR: Final = timedelta(days=730)
"""Since the last sign-in. Some people use a portal once a year."""
USED_PROOF_REMEMBERED_FOR: Final = timedelta(hours=1)
"""A proof for one request is good for five minutes. An hour covers any difference between clocks."""
MACHINE_KEY_KEPT_AFTERWARDS: Final = timedelta(days=30)
"""Operators see for so long that an API key has ended."""
STEP_KEPT_FOR: Final = timedelta(days=2)
"""Much longer than a time-based code is good, whatever the clocks say."""

ENROLMENTS_PER_PERSON: Final = 10
ENROLLED_AT_UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of an enrolment whose time was never recorded."""

MESSAGES_COUNTED_FOR: Final = timedelta(hours=1)
ANSWERS_SET_OFF: Final = 2
"""How many counted answers a right answer takes off an address: itself and one wrong answer."""
MOST_DOUBLINGS: Final = 20
"""After that many, blocks get no longer. It also keeps the numbers within what a datetime can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRules:
    """When wrong answers lead to a block. After `after` answers without a right one nobody may answer for
    `lasts`. Each further block is twice as long as the one before, up to `at_most`. A time of
    `forgotten_after` without an answer or a block resets everything."""

    after: int
    lasts: timedelta
    at_most: timedelta
    forgotten_after: timedelta = timedelta(hours=24)

    def block_lasts(self, earlier_blocks: int) -> timedelta:
        """The length of the block that follows this many earlier ones."""
        return min(self.lasts * (1 << min(earlier_blocks, MOST_DOUBLINGS)), self.at_most)


def recent(sign_ins: Iterable[datetime], now: datetime) -> int:
    """How many of these sign-ins happened in the last 60 seconds."""
    return sum(now - at < SIGN_INS_WITHIN for at in sign_ins)
