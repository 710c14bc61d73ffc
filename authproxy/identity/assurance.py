"""PURE: levels of trust, and the authentication events that are a session's evidence.

Levels are Rekono's 10, 20 and 30. They stand for low, substantial and high of Regulation (EU) 2015/1502. A
level belongs to the person's identity. A step-up is an event and never raises the level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final, Literal

SignInMethod = Literal["rekono", "acnlb"]
StepUpMethod = Literal["rekono", "sms", "totp", "push", "certificate", "recovery"]
STEP_UP_METHODS: Final[tuple[StepUpMethod, ...]] = (
    "rekono",
    "push",
    "totp",
    "sms",
    "certificate",
    "recovery",
)
"""In the order in which they are offered."""
GUESSABLE: Final[frozenset[StepUpMethod]] = frozenset({"sms", "totp", "recovery"})
"""Methods whose answer somebody who has stolen the session could guess. Wrong answers are counted for all of
them together and block all of them, but no other method."""


class Level(IntEnum):
    """How far the person's identity is trusted."""

    LOW = 10
    MEDIUM = 20
    HIGH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationEvent:
    """One successful proof: its method, its time, who vouches for it, and the person's level then. `acr` and
    `amr` are the source's values, unchanged."""

    method: str
    at: datetime
    source: str
    acr: str | None = None
    amr: tuple[str, ...] = ()
    is_step_up: bool
    level: Level | None = None
    is_dated: bool = True
    """Whether the source stated the time of the proof. If it did not, `at` is when it vouched for the person,
    who may have authenticated long before."""
    asked_for: str | None = None
    """The change of the person's step-up methods that the proof was asked for; None for every other proof.
    `is_step_up` is False where this is set, because such a proof does not satisfy a route."""
    bound_to: str | None = None
    """The request that this proof was given for, followed by a name that no other proof has
    (`access.bound_proof`); None for proofs that count for the session. `is_step_up` is False where this is
    set."""
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""

    @property
    def worth(self) -> Level:
        """The highest route level that accepts this proof. A proof without a stated level counts as LOW."""
        return Level.LOW if self.level is None else self.level
