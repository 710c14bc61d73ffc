"""Where a code may be sent: to the number that the bank has entered for its people, and of everybody else to
the one that the provider has verified."""

from __future__ import annotations

from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.notices import Notices
from authproxy.challenges.sms import masked
from authproxy.flows.stores import LastNumbers, PeopleStore
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.telemetry.logging import logger

_LOCALE: Final = "sl"
"""Whoever has the earlier number is not the one at the browser: the language of the country, and not of that
browser."""


class PhoneNumbers:
    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def number_of(self, person: Person) -> str | None:
        """E.164, as it is now; None if nobody vouches for one. Raises CannotAsk."""
        if person.member is None:
            return person.phone
        [found] = await self._people.find([RegisterKey("id", person.member)])
        if found is None or found.member.is_blocked:
            return None
        # Where the codes of its people go the bank says itself: no account at the provider changes that.
        return found.member.phone


class NumberWatch:
    """Sees at a sign-in that codes would go to another number than before, and tells the earlier one. An
    account at the provider that somebody has taken over is one whose number they change first."""

    def __init__(self, *, numbers: PhoneNumbers, known: LastNumbers, notices: Notices) -> None:
        self._numbers = numbers
        self._known = known
        self._notices = notices

    async def signed_in(self, session: Session) -> None:
        """Raises nothing: a sign-in does not depend on it. A person without a number keeps the last one."""
        person = session.person
        try:
            number = await self._numbers.number_of(person)
            earlier = None if number is None else await self._known.swap_number(owner_of(person), number)
        except CannotAsk as failure:
            logger("flows").warning("notice.number_not_compared", error=str(failure))
            return
        if number is not None and earlier is not None and earlier != number:
            await self._notices.tell_of_number(
                person, earlier=earlier, masked=masked(number), portal_id=session.portal, locale=_LOCALE
            )
