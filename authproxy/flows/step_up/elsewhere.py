"""Step-ups by signing in again at the provider, or by showing a certificate: who can use them, and where the
browser goes. Their proofs come back to the callbacks of sign-ins (`flows/sign_in/returned_proofs.py`)."""

from __future__ import annotations

from typing import Protocol

from authproxy.access.routes import Route
from authproxy.challenges.method import Offer
from authproxy.flows.stores import PeopleStore
from authproxy.flows.visit import Visit
from authproxy.identity.assurance import Level
from authproxy.identity.member import Member, RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session


class MethodElsewhere(Protocol):
    """A step-up method for which the browser leaves the portal and comes back to one of our callbacks."""

    async def offer(self, session: Session) -> Offer | None: ...

    async def begin(self, visit: Visit, session: Session, route: Route) -> str:
        """Returns the URL to which the browser goes. Raises CannotAsk."""
        ...


class SignInFlow(Protocol):
    """A flow of `flows/sign_in`, which may import this room and not the other way round."""

    async def begin_step_up(self, visit: Visit, session: Session, route: str) -> str:
        """Returns the URL to which the browser goes. Raises CannotAsk."""
        ...


class AtProvider:
    """For everybody who has an account at the provider: they signed in with it, or the register links it to
    them."""

    def __init__(self, sign_in: SignInFlow, people: PeopleStore, *, issuer: str) -> None:
        self._sign_in = sign_in
        self._people = people
        self._issuer = issuer

    async def offer(self, session: Session) -> Offer | None:
        has_account = session.method == "rekono"
        if not has_account:
            member = await _member(self._people, session.person)
            has_account = member is not None and member.account_at(self._issuer) is not None
        return Offer(method="rekono") if has_account else None

    async def begin(self, visit: Visit, session: Session, route: Route) -> str:
        return await self._sign_in.begin_step_up(visit, session, route.name)


class ByCertificate:
    """For everybody who has a certificate in the register, or whose tax number is known, if the settings say
    that certificates find people by tax number."""

    def __init__(
        self, sign_in: SignInFlow, people: PeopleStore, *, knows_tax_numbers: bool, level: Level
    ) -> None:
        """`level` is what a proof by certificate is worth at most."""
        self._sign_in = sign_in
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
        return await self._sign_in.begin_step_up(visit, session, route.name)


async def _member(people: PeopleStore, person: Person) -> Member | None:
    if person.member is None:
        return None
    [stored] = await people.find([RegisterKey("id", person.member)])
    return None if stored is None or stored.member.is_blocked else stored.member
