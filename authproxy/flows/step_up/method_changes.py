"""What people must prove before they add or remove a step-up method.

People who have a factor of their own prove one of those. A sign-in at the provider is not accepted, however
recent it is: somebody who has stolen the account can sign in too. People who have none prove again who they
are, by a proof that was asked for on this page and in this session. The sign-in that opened the session is
not accepted: somebody who has stolen the session has that too.

A person's own factors are applications for codes, phones with a key, recovery codes that are left, and
certificates that the register links to them. A telephone number is none: somebody who has the account at the
provider can change the number there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.challenges.enrolment import EnrolmentStore, owner_of
from authproxy.flows.stores import PeopleStore
from authproxy.identity.assurance import STEP_UP_METHODS, AuthenticationEvent, StepUpMethod
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session

ADDING: Final[Mapping[str, str]] = {"totp": ":totp", "push": ":push", "recovery": ":recovery"}
"""For each method, what stands for a route on the step-up page when somebody wants to add it."""
REMOVING: Final = ":any"
"""What stands for a route when somebody wants to remove a method."""
_PROOFS_FOR_THE_FIRST: Final[frozenset[StepUpMethod]] = frozenset({"rekono", "certificate", "sms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDemand:
    """A change needs a proof by one of these methods that is at most `max_age` old. `is_first`: the person
    has no factor of their own, and the proof must have been asked for on the page where methods are
    changed."""

    methods: tuple[StepUpMethod, ...]
    max_age: timedelta
    is_first: bool

    def proof_of(self, session: Session, now: datetime) -> AuthenticationEvent | None:
        """The accepted proof of this session that is worth most."""
        return max(
            (event for event in session.events if self._accepts(event, now)),
            key=lambda event: event.worth,
            default=None,
        )

    def _accepts(self, event: AuthenticationEvent, now: datetime) -> bool:
        counts = event.asked_for is not None or (event.is_step_up and not self.is_first)
        return counts and event.method in self.methods and now - event.at <= self.max_age


class MethodChanges:
    """Every method raises CannotAsk."""

    def __init__(
        self,
        *,
        enrolments: EnrolmentStore,
        people: PeopleStore,
        available: frozenset[StepUpMethod],
        enrolment_proof_for: timedelta,
    ) -> None:
        """`available` are the methods that the settings of this gateway allow. A factor of another method is
        not asked for, because nobody could prove it here. One whose service is down is still asked for."""
        self._enrolments = enrolments
        self._people = people
        self._available = available
        self._enrolment_proof_for = enrolment_proof_for

    async def demand(self, person: Person, change: str) -> ChangeDemand:
        """What this change needs. `change` is a value of `ADDING`, or `REMOVING`."""
        own = await self._own_factors(person)
        if not own:
            return self._demand(_PROOFS_FOR_THE_FIRST, is_first=True)
        # If the person has other factors, a method does not vouch for a new one of its kind: with one stolen
        # phone nobody can add a second phone.
        others = {method for method in own if ADDING.get(method) != change}
        # Any certificate that is shown is checked to be this person's, whether or not the register links it.
        return self._demand((others or own) | {"certificate"}, is_first=False)

    def _demand(
        self, methods: frozenset[StepUpMethod] | set[StepUpMethod], *, is_first: bool
    ) -> ChangeDemand:
        in_order = tuple(method for method in STEP_UP_METHODS if method in methods)
        return ChangeDemand(methods=in_order, max_age=self._enrolment_proof_for, is_first=is_first)

    async def _own_factors(self, person: Person) -> set[StepUpMethod]:
        owner = owner_of(person)
        enrolments = await self._enrolments.every(owner)
        own: set[StepUpMethod] = {enrolment.method for enrolment in enrolments}
        if "recovery" in own and not await self._enrolments.recovery_left(owner):
            own.discard("recovery")
        if person.member is not None:
            [stored] = await self._people.find([RegisterKey("id", person.member)])
            if stored is not None and stored.member.certificates:
                own.add("certificate")
        return own & self._available


def is_change(route: str | None) -> bool:
    """Whether this stands for a route when somebody changes their methods."""
    return route == REMOVING or route in ADDING.values()


def asked_for(route: str) -> str | None:
    """The `asked_for` of a proof's event: set if the proof was for a change of methods."""
    return route if is_change(route) else None
