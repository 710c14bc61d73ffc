"""PURE: what every method of a step-up is to the flow: it says whether a person has it, makes a challenge,
and judges an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.identity.assurance import Level, StepUpMethod
from authproxy.identity.person import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who is asked, and what they may be told of it: messages and phones show the portal and the place."""

    person: Person
    portal_id: str
    portal_name: str
    """In the language of the browser."""
    origin: str
    """The portal's public scheme and authority: a code is good there and nowhere else."""
    place: str
    """The path that was asked for, without its query."""
    browser: str
    """A few harmless words (`Firefox, Windows`)."""
    address: str
    locale: str
    level: Level = Level.LOW
    """What the proof must be worth: nothing that was enrolled at a lower level is asked."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the form that waits for this proof and no other, each on one line; what they are is
    told with the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A method that the person has. `destination` is masked (`•••• 456`, `Anin telefon`)."""

    method: StepUpMethod
    destination: str = ""
    level: Level | None = None
    """What a proof by it is worth at most; None where that is the level of the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What a method has made: the fields of the challenge that are its own."""

    lives_for: timedelta
    answer: str = field(default="", repr=False)
    number: str | None = field(default=None, repr=False)
    enrolment_id: str | None = None
    destination: str = ""
    again_after: timedelta | None = None
    level: Level | None = None
    """As of `Offer`."""


class TooOften(Exception):  # noqa: N818
    """No further message to this person now."""

    def __init__(self, until: datetime) -> None:
        super().__init__("messages to this person were asked for too often")
        self.until = until


class Verdict(Enum):
    RIGHT = auto()
    WRONG = auto()
    """Whatever was wrong: nobody is told more."""
    WAITING = auto()
    """A phone has not answered yet. Costs no try."""
    REFUSED = auto()
    """The person has said no on their phone."""


class Method(Protocol):
    """Every method raises CannotAsk where somebody cannot be asked (`sender_unavailable`,
    `store_unavailable`)."""

    @property
    def method(self) -> StepUpMethod: ...

    async def offer(self, person: Person) -> Offer | None:
        """None if this person does not have it, or nobody can deliver it now."""
        ...

    async def issue(self, asked: Asked, challenge_id: ChallengeId, *, now: datetime) -> Issue:
        """Makes the challenge and sends what is to be sent. Raises TooOften."""
        ...

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        """The flow has counted the try and resolves the challenge; what can be spent (a step, a code) is
        spent here."""
        ...

    async def withdraw(self, challenge: Challenge) -> None:
        """Nobody needs the answer any more."""
        ...
