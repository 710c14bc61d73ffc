"""Step-ups whose proof is made at another place: by signing in again at the provider, or by showing a
certificate. Who is offered them, and where the browser goes; what comes back is judged where every sign-in
is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from authproxy.access.routes import Route
from authproxy.challenges.method import Offer
from authproxy.flows.register.membership import Found
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import Level
from authproxy.identity.member import Member, RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session


class People(Protocol):
    async def find(self, wanted: Sequence[RegisterKey]) -> Sequence[Found | None]: ...


class Begins(Protocol):
    async def begin_step_up(self, visit: Visit, session: Session, route: str) -> str:
        """Where the browser goes. Raises CannotAsk."""
        ...


class AtProvider:
    """For whoever has an account there: it was signed in with, or the register has linked it."""

    def __init__(self, begins: Begins, people: People, *, issuer: str) -> None:
        self._begins = begins
        self._people = people
        self._issuer = issuer

    async def offer(self, session: Session) -> Offer | None:
        if session.method == "rekono":
            return Offer(method="rekono")
        member = await _member(self._people, session.person)
        return (
            Offer(method="rekono")
            if member is not None and member.account_at(self._issuer) is not None
            else None
        )

    async def begin(self, visit: Visit, session: Session, route: Route) -> str:
        return await self._begins.begin_step_up(visit, session, route.name)


class ByCertificate:
    """For whom the register knows a certificate, or whose tax number is known where the settings find a
    person by that."""

    def __init__(self, begins: Begins, people: People, *, knows_tax_numbers: bool, level: Level) -> None:
        """`level` is what a certificate is trusted with."""
        self._begins = begins
        self._people = people
        self._knows_tax_numbers = knows_tax_numbers
        self._level = level

    async def offer(self, session: Session) -> Offer | None:
        member = await _member(self._people, session.person)
        is_known = (member is not None and bool(member.certificates)) or (
            self._knows_tax_numbers and session.person.tax_number is not None
        )
        return Offer(method="certificate", level=self._level) if is_known else None

    async def begin(self, visit: Visit, session: Session, route: Route) -> str:
        return await self._begins.begin_step_up(visit, session, route.name)


async def _member(people: People, person: Person) -> Member | None:
    if person.member is None:
        return None
    [found] = await people.find([RegisterKey("id", person.member)])
    return None if found is None or found.member.is_blocked else found.member
