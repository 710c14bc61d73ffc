"""What is told to a person about a change of their methods, so that they hear of it who did not make it (ASVS 5.0 V6.3.7).

By text message, where there is a number. A message that cannot be sent changes nothing of what has happened, and is logged.
"""

from __future__ import annotations

from typing import Literal, Protocol

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import EnrolledMethod
from authproxy.challenges.message import Sms
from authproxy.challenges.sms import Numbers, SmsSender
from authproxy.identity.person import Person
from authproxy.telemetry.logging import logger

Change = Literal["enrolled", "removed"]


class ChangeText(Protocol):
    def __call__(self, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str) -> str:
        """The message in the person's language."""
        ...


class SmsNotices:
    def __init__(self, *, sender: SmsSender, numbers: Numbers, text: ChangeText) -> None:
        self._sender = sender
        self._numbers = numbers
        self._text = text

    async def tell(self, person: Person, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str) -> None:
        """Raises nothing."""
        try:
            number = await self._numbers.number_of(person)
            if number is None:
                logger("challenges").warning("notice.without_number", change=change, method=method)
                return
            text = self._text(change=change, method=method, portal_id=portal_id, locale=locale)
            await self._sender.send(Sms(recipient=number, text=text, reference="notice"))
        except CannotAsk as failure:
            logger("challenges").error("notice.lost", change=change, method=method, error=str(failure))


class NoNotices:
    """Where the gateway has no way to send a message: the audit has what has changed, and nobody is told."""

    async def tell(self, person: Person, *, change: Change, method: EnrolledMethod, portal_id: str, locale: str) -> None:
        logger("challenges").warning("notice.without_sender", change=change, method=method)
