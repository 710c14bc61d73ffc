"""PURE: a challenge: one question to the person of one session, answered at most once. Pending → approved,
refused, expired or exhausted; from the last four nothing leads on.

Numbers are those of NIST SP 800-63B-4 §3.1.3 (out-of-band codes live 10 minutes at most, are good once) and
of Regulation (EU) 2018/389 Art. 4 (five wrong answers at most, and no word about what was wrong).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from authproxy.identity.assurance import Level, StepUpMethod
from authproxy.identity.session import SessionId

ChallengeId = NewType("ChallengeId", str)
"""128 random bits. It names a challenge in the address of its page and opens nothing without the session that
it was made for."""


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """`answer` is what an answer is compared with (a keyed hash of a code, the name of a notification), never
    the code. `number` is what the browser shows and the phone must tell. `enrolment_id` is set where one
    thing of the person's must answer and no other."""

    challenge_id: ChallengeId
    method: StepUpMethod
    session_id: SessionId
    portal: str
    route: str
    """The name of the route whose requirement it is for."""
    return_to: str
    held: str | None = field(default=None, repr=False)
    """The name of a request that waits for this proof."""
    binding: str | None = field(default=None, repr=False)
    """Which one request the proof is for (`access.bound_proof`); None for one that is for the session."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What the person sees of that request: names and values of its form, as it stood when they were
    asked."""
    purpose: str = "step_up"
    """Or `enrolment`: of what is about to be enrolled, and by no session that shows nothing else."""
    answer: str = field(default="", repr=False)
    number: str | None = field(default=None, repr=False)
    enrolment_id: str | None = None
    destination: str = ""
    """Where it went, so that the person recognises it and nobody else learns it: the last digits, the name of
    a phone."""
    issued_at: datetime
    expires_at: datetime
    again_at: datetime | None = None
    """From when on another message may be asked for; None where none is sent."""
    level: Level = Level.LOW
    """What the proof will be worth at most. Nothing that was enrolled at a lower level may answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a challenge stands in the store."""

    challenge: Challenge
    state: State
    tries_left: int

    def state_at(self, now: datetime) -> State:
        """A pending challenge ends by itself when its time is over."""
        if self.state is State.PENDING and now >= self.challenge.expires_at:
            return State.EXPIRED
        return self.state
