"""PURE: the demand of a step-up and its outcomes, as values."""

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
    """What the route demands of the person, and the methods that it accepts: `offers` are those that they can
    use now, and `lacking` those that they do not have. They have the `withheld` ones too, but these are not
    worth enough here: the person's level of trust does not allow them, or they were enrolled at a lower
    level. `blocked_until` is set if too many wrong codes have closed methods that the person has. Those are
    then not among the offers."""

    session: Session
    route: Route
    return_to: str
    held: str | None = field(default=None, repr=False)
    is_met: bool
    offers: tuple[Offer, ...] = ()
    lacking: tuple[StepUpMethod, ...] = ()
    withheld: tuple[StepUpMethod, ...] = ()
    change: ChangeDemand | None = None
    """Set if the proof is for a change of the person's methods."""
    blocked_until: datetime | None = None
    binding: str | None = field(default=None, repr=False)
    """The one request that the proof is for (`access.bound_proof`), if the route demands a proof for each."""
    shown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of that request's fields, for the person to see. They are raw input: escape them."""
    is_readable: bool = True
    """False if it is uncertain which fields the portal would find in the request. Nobody can give a proof for
    such a request."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A challenge waits for its answer. `is_new` is False if it was issued earlier and nothing was sent now.
    `is_answered`: the phone has answered, and the browser's next POST gets the result."""

    session: Session
    standing: Standing
    is_new: bool
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class SentAway:
    """The browser goes elsewhere for the proof: to the provider, or to the certificate host."""

    location: str = field(repr=False)
    method: StepUpMethod
    session: Session


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """The session has the proof and a new ticket. The old ticket opens nothing any more."""

    ticket_text: str = field(repr=False)
    session: Session
    method: StepUpMethod
    return_to: str
    held: str | None = field(default=None, repr=False)
    is_repeated: bool = False
    """Whether the same form got this answer already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProved:
    """Nothing was proved, and the session is unchanged. `standing` is set if the challenge can still be
    answered, or has to be shown as over. `state` is for the audit trail only. `until` is set if waiting
    helps."""

    reason: Reason
    return_to: str
    held: str | None = field(default=None, repr=False)
    session: Session | None = None
    method: StepUpMethod | None = None
    standing: Standing | None = None
    state: State | None = None
    until: datetime | None = None
    detail: str = ""
    is_repeated: bool = False
    """Whether the same form got this answer already, so that it is in the audit trail."""
    provider_error: str | None = None
    """The provider's error code, if it sent a registered one."""
    route: str | None = None
    """The route that demands the proof, if the browser comes back from elsewhere and its address does not
    name the route."""
