"""PURE: what happens on the way to a fresh proof, as values: the demand of a place, a challenge that waits, a
session that is stronger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.routes import Route
from authproxy.challenges.challenge import Standing, State
from authproxy.challenges.method import Offer
from authproxy.flows.step_up.method_changes import ChangeDemand
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the place demands, and what its person can prove it with. No offers: `lacking` are the methods
    that would do and that the person does not have, `withheld` those which they have and which are not worth
    enough here: their level of trust does not allow them, or they were added at a lower level.
    `blocked_until` is there where wrong answers have closed methods that the person has: `offers` are then
    what is still open."""

    session: Session
    route: Route
    return_to: str
    held: str | None = field(default=None, repr=False)
    is_met: bool
    offers: tuple[Offer, ...] = ()
    lacking: tuple[StepUpMethod, ...] = ()
    withheld: tuple[StepUpMethod, ...] = ()
    change: ChangeDemand | None = None
    """Where the proof is for a change of the person's ways to confirm."""
    blocked_until: datetime | None = None
    binding: str | None = field(default=None, repr=False)
    """Which one request the proof is for (`access.bound_proof`), where its route demands one for each."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What the person sees of that request. Names and values are as somebody has written them: escape
    them."""
    is_readable: bool = True
    """False for a request of which nobody can say what the portal would find in it: no proof can be given for
    it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A challenge waits for its answer. `is_new` is False where one that was made before still waits, and
    nothing was sent. `is_answered`: the phone has spoken, and the browser need only ask what it said."""

    session: Session
    standing: Standing
    is_new: bool
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class SentAway:
    """The proof is made elsewhere: at the provider, or where certificates are shown."""

    location: str = field(repr=False)
    method: StepUpMethod
    session: Session


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """The session has the proof, and a new ticket; the old one opens nothing."""

    ticket_text: str = field(repr=False)
    session: Session
    method: StepUpMethod
    return_to: str
    held: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProved:
    """Nothing was proved, and the session is as it was. `standing` is there while the challenge can still be
    answered or is to be shown as over; `state` is for the audit alone; `until` where waiting helps."""

    reason: Reason
    return_to: str
    held: str | None = field(default=None, repr=False)
    session: Session | None = None
    method: StepUpMethod | None = None
    standing: Standing | None = None
    state: State | None = None
    until: datetime | None = None
    found: str = ""
    provider_error: str | None = None
    """The provider's error code, if it stated a registered one."""
    route: str | None = None
    """The name of the route that demands the proof, where the browser comes back from elsewhere and its
    address does not say it."""
