"""The method `sms`: a code by text message, to the number that the register or the provider vouches for and
never to a number from a request.

NIST SP 800-63B-4 §3.1.3.3 restricts this method. It is therefore off at level 30, and the page offers every
other method before it. The last line of the message binds the code to the portal's origin, so that browsers
fill it in there and nowhere else (WICG "Origin-bound one-time codes").
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
from authproxy.challenges.limits import RateLimits, person_name
from authproxy.challenges.message import Delivered, Sms
from authproxy.challenges.method import ChallengeDetails, Offer, ProofRequest, TooOften, Verdict
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.person import Person

_SHOWN_DIGITS: Final = 3


class SmsSender(Protocol):
    async def send(self, sms: Sms) -> Delivered:
        """Raises CannotAsk(SENDER_UNAVAILABLE)."""
        ...


class PhoneNumberSource(Protocol):
    async def number_of(self, person: Person) -> str | None:
        """The person's present number (E.164). Raises CannotAsk."""
        ...


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
        """The message in the person's language. `shown` are names and values of the request that the code
        confirms."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRules:
    digits: int = 6
    lives_for: timedelta = timedelta(minutes=5)
    again_after: timedelta = timedelta(seconds=60)
    per_hour: int = 5


class SmsMethod:
    name: StepUpMethod = "sms"

    def __init__(
        self,
        *,
        sender: SmsSender,
        numbers: PhoneNumberSource,
        limits: RateLimits,
        text: CodeText,
        hashes: CodeHashes,
        rules: CodeRules,
        random_below: Callable[[int], int],
    ) -> None:
        """`random_below(n)` is an unpredictable number below n."""
        self._sender = sender
        self._numbers = numbers
        self._limits = limits
        self._text = text
        self._hashes = hashes
        self._rules = rules
        self._random_below = random_below

    async def offer(self, person: Person) -> Offer | None:
        number = await self._numbers.number_of(person)
        return None if number is None else Offer(method=self.name, destination=masked(number))

    async def issue(
        self, request: ProofRequest, challenge_id: ChallengeId, *, now: datetime
    ) -> ChallengeDetails:
        number = await self._numbers.number_of(request.person)
        rules = self._rules
        if number is None:
            raise CannotAsk(Reason.SENDER_UNAVAILABLE, "the person has no number any more")
        until = await self._limits.reserve(
            f"sms:{person_name(owner_of(request.person))}",
            pause=rules.again_after,
            per_hour=rules.per_hour,
            now=now,
        )
        if until is not None:
            raise TooOften(until)
        code = one_time_code.digits(rules.digits, self._random_below)
        text = self._text(
            code=code,
            portal_name=request.portal_name,
            origin=request.origin,
            minutes=int(rules.lives_for.total_seconds()) // 60,
            locale=request.locale,
            shown=request.shown,
        )
        await self._sender.send(Sms(recipient=number, text=text, reference=challenge_id))
        return ChallengeDetails(
            lives_for=rules.lives_for,
            answer=self._hashes.of(_hash_name(challenge_id, number), code),
            destination=masked(number),
            again_after=rules.again_after,
        )

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        # The person's number may have changed since the message went out, and then the code proves nothing.
        # The hash covers code and whole number: two numbers can look the same when they are masked.
        number = await self._numbers.number_of(person)
        is_right = number is not None and self._hashes.matches(
            _hash_name(challenge.challenge_id, number), answer, challenge.answer
        )
        return Verdict.RIGHT if is_right else Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """A message cannot be called back."""


def _hash_name(challenge_id: ChallengeId, number: str) -> str:
    return f"{challenge_id}\0{number}"


def masked(number: str) -> str:
    """The last digits, by which a person recognises their number."""
    return f"••• {number[-_SHOWN_DIGITS:]}"
