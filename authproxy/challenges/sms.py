"""The method `sms`: a code by text message, to the number that the register or the provider vouches for and
never to one from a request.

NIST SP 800-63B-4 §3.1.3.3 calls it restricted: it is off at level 30, and whoever has anything else is
offered that first. The last line binds the code to the portal's origin, so that browsers fill it in there and
nowhere else (WICG "Origin-bound one-time codes").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges import one_time_code
from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import owner_of
from authproxy.challenges.message import Delivered, Sms
from authproxy.challenges.method import Asked, Issue, Offer, TooOften, Verdict
from authproxy.challenges.names import person_name
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.person import Person

_SHOWN_DIGITS: Final = 3


class SmsSender(Protocol):
    async def send(self, sms: Sms) -> Delivered:
        """Raises CannotAsk(SENDER_UNAVAILABLE)."""
        ...


class Numbers(Protocol):
    async def number_of(self, person: Person) -> str | None:
        """E.164, as it is now. Raises CannotAsk."""
        ...


class Messages(Protocol):
    """How often a person may be sent something: counted where all instances count."""

    async def reserve(
        self, name: str, *, pause: timedelta, per_hour: int, now: datetime
    ) -> datetime | None: ...


class CodeText(Protocol):
    def __call__(
        self,
        *,
        code: str,
        portal_name: str,
        origin: str,
        minutes: int,
        locale: str,
        shown: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """The message in the person's language. `shown` are names and values of what the code confirms."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRules:
    digits: int = 6
    lives_for: timedelta = timedelta(minutes=5)
    again_after: timedelta = timedelta(seconds=60)
    per_hour: int = 5


class SmsMethod:
    method: StepUpMethod = "sms"

    def __init__(
        self,
        *,
        sender: SmsSender,
        numbers: Numbers,
        messages: Messages,
        text: CodeText,
        hashes: CodeHashes,
        rules: CodeRules,
        below: Callable[[int], int],
    ) -> None:
        """`below(n)` is a random number under n, from a source that nobody can guess."""
        self._sender = sender
        self._numbers = numbers
        self._messages = messages
        self._text = text
        self._hashes = hashes
        self._rules = rules
        self._below = below

    async def offer(self, person: Person) -> Offer | None:
        number = await self._numbers.number_of(person)
        return None if number is None else Offer(method=self.method, destination=masked(number))

    async def issue(self, asked: Asked, challenge_id: ChallengeId, *, now: datetime) -> Issue:
        number = await self._numbers.number_of(asked.person)
        rules = self._rules
        if number is None:
            raise CannotAsk(Reason.SENDER_UNAVAILABLE, "the person has no number any more")
        until = await self._messages.reserve(
            f"sms:{person_name(owner_of(asked.person))}",
            pause=rules.again_after,
            per_hour=rules.per_hour,
            now=now,
        )
        if until is not None:
            raise TooOften(until)
        code = one_time_code.digits(rules.digits, self._below)
        text = self._text(
            code=code,
            portal_name=asked.portal_name,
            origin=asked.origin,
            minutes=int(rules.lives_for.total_seconds()) // 60,
            locale=asked.locale,
            shown=asked.shown,
        )
        await self._sender.send(Sms(recipient=number, text=text, reference=challenge_id))
        return Issue(
            lives_for=rules.lives_for,
            answer=self._hashes.of(_sent(challenge_id, number), code),
            destination=masked(number),
            again_after=rules.again_after,
        )

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        # The number may have been changed since: what went to the old one proves nothing any more. The hash
        # is of code and number, so that a number which looks the same when it is masked is another one.
        number = await self._numbers.number_of(person)
        is_right = number is not None and self._hashes.fits(
            _sent(challenge.challenge_id, number), answer, challenge.answer
        )
        return Verdict.RIGHT if is_right else Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """A message that has gone cannot be called back; its challenge ends."""


def _sent(challenge_id: ChallengeId, number: str) -> str:
    return f"{challenge_id}\0{number}"


def masked(number: str) -> str:
    """What a person recognises their number by."""
    return f"••• {number[-_SHOWN_DIGITS:]}"
