"""PURE: what the flow asks of every step-up method: whether a person has it, a challenge, and a verdict on
the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.identity.assurance import Level, StepUpMethod
from authproxy.identity.person import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRequest:
    """Who is asked for a proof, and what the message or the phone may tell them about it."""

    person: Person
    portal_id: str
    portal_name: str
    """In the language of the browser."""
    origin: str
    """The portal's public scheme and authority. A code works there and nowhere else."""
    path: str
    """The path that needs the proof, without its query."""
    browser: str
    """A few harmless words (`Firefox, Windows`)."""
    address: str
    locale: str
    level: Level = Level.LOW
    """What the proof must be worth. No enrolment of a lower level is asked."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """For a proof that is bound to one held request: names and values of its fields, each on one line. The
    message or the phone shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A method that the person can use. `destination` is masked (`•••• 456`, `Anin telefon`)."""

    method: StepUpMethod
    destination: str = ""
    level: Level | None = None
    """What a proof by it is worth at most. None: as much as the session's level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeDetails:
    """The fields of a new challenge that depend on its method."""

    lives_for: timedelta
    answer: str = field(default="", repr=False)
    number: str | None = field(default=None, repr=False)
    enrolment_id: str | None = None
    destination: str = ""
    again_after: timedelta | None = None
    level: Level | None = None
    """As in `Offer`."""


class TooOften(Exception):  # noqa: N818
    """This person gets no further message before `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__("messages to this person were asked for too often")
        self.until = until


class Verdict(Enum):
    RIGHT = auto()
    WRONG = auto()
    """Nobody learns what was wrong."""
    WAITING = auto()
    """The phone has not answered yet. This costs no try."""
    REFUSED = auto()
    """The person has said no on their phone."""


class Method(Protocol):
    """Every method raises CannotAsk (`sender_unavailable`, `store_unavailable`)."""

    @property
    def name(self) -> StepUpMethod: ...

    async def offer(self, person: Person) -> Offer | None:
        """None if the person does not have this method, or if nothing can be delivered to them now."""
        ...

    async def issue(
        self, request: ProofRequest, challenge_id: ChallengeId, *, now: datetime
    ) -> ChallengeDetails:
        """Makes the challenge, and sends what has to be sent. Raises TooOften."""
        ...

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        """Judges the answer. The flow has counted the try before, and resolves the challenge afterwards. What
        works once (a time step, a recovery code) is used up here."""
        ...

    async def withdraw(self, challenge: Challenge) -> None:
        """Called when nobody waits for the answer any more."""
        ...
