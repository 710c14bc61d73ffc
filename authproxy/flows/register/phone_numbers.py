"""To which telephone number a code may be sent: of a member, the number that the bank has entered; of anybody
else, the number that the provider has verified."""

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
"""The person with the earlier number need not be the one at the browser, so the message is in the language of
the country and not of that browser."""


class PhoneNumbers:
    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def number_of(self, person: Person) -> str | None:
        """The present number, in the form of E.164; None if nobody vouches for one. Raises CannotAsk."""
        if person.member is None:
            return person.phone
        [stored] = await self._people.find([RegisterKey("id", person.member)])
        if stored is None or stored.member.is_blocked:
            return None
        # The bank says where a member's codes go. No account at the provider changes that.
        return stored.member.phone


class NumberWatch:
    """Notices at a sign-in that codes would go to another number than before, and sends a message to the
    earlier number. Somebody who has taken over an account at the provider changes its number first."""

    def __init__(self, *, numbers: PhoneNumbers, last_numbers: LastNumbers, notices: Notices) -> None:
        self._numbers = numbers
        self._last_numbers = last_numbers
        self._notices = notices

    async def signed_in(self, session: Session) -> None:
        """Raises nothing, because a sign-in must not depend on it. If the person has no number now, the last
        one stays remembered."""
        person = session.person
        try:
            number = await self._numbers.number_of(person)
            earlier = (
                None if number is None else await self._last_numbers.swap_number(owner_of(person), number)
            )
        except CannotAsk as failure:
            logger("flows").warning("notice.number_not_compared", error=str(failure))
            return
        if number is not None and earlier is not None and earlier != number:
            await self._notices.tell_of_number(
                person, earlier=earlier, masked=masked(number), portal_id=session.portal, locale=_LOCALE
            )
