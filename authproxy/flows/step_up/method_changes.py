"""What somebody proves before they add or remove a way to confirm.

Whoever has a factor of their own proves one of theirs, or a recovery code: a sign-in at the provider, however
fresh, is what a thief of the account has as well. Whoever has none proves once more who they are, by
something that was asked for on this page and in this session: the sign-in that opened the session is not
enough, because a thief of the session has that too.

Factors of one's own are applications for codes, phones with a key, recovery codes that are left, and the
certificates that the register links. A telephone number is none: whoever has the account at the provider can
change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.flows.register.membership import Found
from authproxy.identity.assurance import STEP_UP_METHODS, AuthenticationEvent, StepUpMethod
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session

OTHER_PROOF: Final[Mapping[str, str]] = {"totp": ":totp", "push": ":push", "recovery": ":recovery"}
"""In the place of a route: what somebody needs who adds this method."""
ANY_PROOF: Final = ":any"
"""What somebody needs who removes a method."""
_FIRST: Final[frozenset[StepUpMethod]] = frozenset({"rekono", "certificate", "sms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDemand:
    """What a change needs: a proof by one of these methods, at most `max_age` old. `is_first`: the person has
    no factor of their own, and the proof must have been asked for where ways to confirm are changed."""

    methods: tuple[StepUpMethod, ...]
    max_age: timedelta
    is_first: bool

    def proof_of(self, session: Session, now: datetime) -> AuthenticationEvent | None:
        """The proof in this session that is worth most; None if there is none."""
        return max(
            (event for event in session.events if self._accepts(event, now)),
            key=lambda event: event.worth,
            default=None,
        )

    def _accepts(self, event: AuthenticationEvent, now: datetime) -> bool:
        is_for_this = event.asked_for is not None or (event.is_step_up and not self.is_first)
        return is_for_this and event.method in self.methods and now - event.at <= self.max_age


class Enrolments(Protocol):
    async def every(self, owner: tuple[str, ...]) -> Sequence[Enrolment]: ...
    async def recovery_left(self, owner: tuple[str, ...]) -> int: ...


class People(Protocol):
    async def find(self, wanted: Sequence[RegisterKey]) -> Sequence[Found | None]: ...


class MethodChanges:
    """Every method raises CannotAsk."""

    def __init__(
        self,
        *,
        enrolments: Enrolments,
        people: People,
        set_up: frozenset[StepUpMethod],
        enrolment_proof_for: timedelta,
    ) -> None:
        """`set_up` are the methods that this gateway has. One that it has not protects nothing and is asked
        of nobody; one that is only away for a while is asked for all the same."""
        self._enrolments = enrolments
        self._people = people
        self._set_up = set_up
        self._enrolment_proof_for = enrolment_proof_for

    async def demand(self, person: Person, change: str) -> ChangeDemand:
        """What the change needs; `change` is one of `OTHER_PROOF`, or `ANY_PROOF`."""
        own = await self._own(person)
        if not own:
            return self._demand(_FIRST, is_first=True)
        # Where there is something else, a method does not vouch for another of its kind: one stolen phone
        # makes no second one.
        others = {method for method in own if OTHER_PROOF.get(method) != change}
        # A certificate that is shown is judged to be this person's, also where no register links it.
        return self._demand((others or own) | {"certificate"}, is_first=False)

    def _demand(
        self, methods: frozenset[StepUpMethod] | set[StepUpMethod], *, is_first: bool
    ) -> ChangeDemand:
        in_order = tuple(method for method in STEP_UP_METHODS if method in methods)
        return ChangeDemand(methods=in_order, max_age=self._enrolment_proof_for, is_first=is_first)

    async def _own(self, person: Person) -> set[StepUpMethod]:
        owner = owner_of(person)
        own: set[StepUpMethod] = {each.method for each in await self._enrolments.every(owner)}
        if "recovery" in own and not await self._enrolments.recovery_left(owner):
            own.discard("recovery")
        if person.member is not None:
            [found] = await self._people.find([RegisterKey("id", person.member)])
            if found is not None and found.member.certificates:
                own.add("certificate")
        return own & self._set_up


def is_change(route: str | None) -> bool:
    """Whether this stands in the place of a route for a change of methods."""
    return route == ANY_PROOF or route in OTHER_PROOF.values()


def asked_for(route: str) -> str | None:
    """`AuthenticationEvent.asked_for` of a proof that this route, or this change, wanted."""
    return route if is_change(route) else None
