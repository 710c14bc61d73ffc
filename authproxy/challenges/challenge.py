"""PURE: a challenge is one question to the person of one session, and is answered at most once. It goes from
pending to approved, refused, expired or exhausted, and stays there.

NIST SP 800-63B-4 §3.1.3: a code sent out of band is valid for at most 10 minutes and works once. Regulation
(EU) 2018/389 Art. 4: at most five wrong answers, and no hint about what was wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from authproxy.identity.assurance import Level, StepUpMethod
from authproxy.identity.session import SessionId

ChallengeId = NewType("ChallengeId", str)
"""128 random bits. It stands in the address of the challenge's page, and is useless without the session that
the challenge belongs to."""


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    challenge_id: ChallengeId
    method: StepUpMethod
    session_id: SessionId
    portal: str
    route: str
    """The name of the route whose requirement the proof is for."""
    return_to: str
    held: str | None = field(default=None, repr=False)
    """The name of the held request that waits for this proof."""
    binding: str | None = field(default=None, repr=False)
    """The one request that the proof is for (`access.bound_proof`). None if the proof is for the session."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of that request's fields, as the person saw them when they were asked."""
    purpose: str = "step_up"
    """Or `enrolment`."""
    answer: str = field(default="", repr=False)
    """What an answer is compared with: a keyed hash of the code, never the code, or the text that a phone
    signs."""
    number: str | None = field(default=None, repr=False)
    """The number that the browser shows and that the person must choose on their phone. None where they type
    a code."""
    enrolment_id: str | None = None
    """The only enrolment that may answer, if it must be a certain one."""
    destination: str = ""
    """Where the question was sent, masked: the last digits of a number, the name of a phone."""
    issued_at: datetime
    expires_at: datetime
    again_at: datetime | None = None
    """When the person may ask for another message. None if the method sends none."""
    level: Level = Level.LOW
    """What the proof will be worth at most. No enrolment of a lower level may answer."""

    @property
    def is_answered_on_phone(self) -> bool:
        """Whether the person answers on their phone while the browser waits. Otherwise they type a code."""
        return self.method == "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A challenge with what the store counts for it."""

    challenge: Challenge
    state: State
    tries_left: int

    def state_at(self, now: datetime) -> State:
        """The state, where a pending challenge whose time is over has expired."""
        if self.state is State.PENDING and now >= self.challenge.expires_at:
            return State.EXPIRED
        return self.state
