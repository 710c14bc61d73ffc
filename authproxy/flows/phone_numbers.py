"""Where a code may be sent: to the number that the bank has entered for its people, and of everybody else to the one that the
provider has verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from authproxy.flows.membership import Found
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Person


class People(Protocol):
    async def find(self, wanted: Sequence[RegisterKey]) -> Sequence[Found | None]: ...


class PhoneNumbers:
    def __init__(self, people: People) -> None:
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
