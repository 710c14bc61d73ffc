"""PURE: levels of trust, and the authentication events that are a session's evidence.

Levels follow Rekono's 10/20/30, which stand for low, substantial and high of Regulation (EU) 2015/1502. A
level belongs to the person's identity; a step-up is an event and never raises it.
"""

from __future__ import annotations

from dataclasses import dataclass
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
"""Methods whose answer can be guessed by whoever has the session: wrong answers block these, all together,
and no other method."""


class Level(IntEnum):
    """How far the person's identity is trusted."""

    LOW = 10
    MEDIUM = 20
    HIGH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationEvent:
    """One successful proof: what was proved, when, who says so, and how far the person was trusted then.
    `acr` and `amr` are the source's values verbatim."""

    method: str
    at: datetime
    source: str
    acr: str | None = None
    amr: tuple[str, ...] = ()
    is_step_up: bool
    level: Level | None = None
    is_dated: bool = True
    """Whether the source has said when it was. `at` is otherwise when it vouched for somebody who may have
    proved it long before."""
    asked_for: str | None = None
    """For which change of the person's ways to confirm the proof was asked for; None for every other proof.
    `is_step_up` is False where it is set: such a proof meets no demand of a route."""
    bound_to: str | None = None
    """The one request that this proof was given for, and a name that no other proof has
    (`access.bound_proof`); None for all others. `is_step_up` is False then: it proves nothing for the rest of
    the session."""

    @property
    def worth(self) -> Level:
        """The highest level of a route for which it is a proof: the lowest one where nobody has said more."""
        return Level.LOW if self.level is None else self.level
