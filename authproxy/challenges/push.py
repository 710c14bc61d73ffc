"""The method `push`: a notification to a phone whose key signs the answer, with a number to match, one at a
time, three in ten minutes.

The service that carries it is believed nothing: what counts is the signature over everything that was asked
(notification.py). A wrong number ends it as a refusal does: whoever sees the number chooses it (NIST SP
800-63B-4 §3.1.3, number matching against push bombing).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId, State
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.method import Asked, Issue, Offer, TooOften, Verdict
from authproxy.challenges.names import person_name
from authproxy.challenges.notification import (
    EnrolledPhone,
    Notification,
    PhoneAnswer,
    Sent,
    Unanswered,
    answer_statement,
    enrolment_statement,
    is_signed,
    public_key_pem,
    shown,
)
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.person import Person

_CHOICES: Final = 3
_WINDOW: Final = timedelta(minutes=10)
_ACTIVATION_FOR: Final = timedelta(minutes=10)
_SECRET_LENGTH: Final = 10
_GROUP: Final = 4
_LONGEST_LABEL: Final = 40


class PushService(Protocol):
    """Every method raises CannotAsk(SENDER_UNAVAILABLE)."""

    @property
    def is_away(self) -> bool:
        """Whether it has failed so often of late that nobody should be offered to wait for it."""
        ...

    async def send(self, notification: Notification) -> Sent | timedelta:
        """A span: not now, but after it."""
        ...

    async def answer_to(self, push_id: str) -> PhoneAnswer | Unanswered: ...
    async def withdraw(self, push_id: str) -> None: ...
    async def begin_enrolment(
        self, enrolment_id: str, *, relying_party: str, account: str, expires_at: datetime
    ) -> str:
        """The service's part of the activation code."""
        ...

    async def enrolled(self, enrolment_id: str) -> EnrolledPhone | Unanswered: ...
    async def remove(self, device_id: str) -> None: ...


class Enrolments(Protocol):
    async def of(self, owner: tuple[str, ...]) -> Sequence[Enrolment]: ...


class Pending(Protocol):
    async def claim_push(
        self, owner: tuple[str, ...], challenge_id: ChallengeId, lives_for: timedelta
    ) -> ChallengeId | None:
        """Puts this one in the place of the one that the person was asked before, and names that one."""
        ...

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool: ...


class Messages(Protocol):
    async def reserve(
        self, name: str, *, pause: timedelta, per_hour: int, now: datetime
    ) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRules:
    lives_for: timedelta = timedelta(minutes=2)
    per_ten_minutes: int = 3


class EnrolmentFailed(Exception):  # noqa: N818
    """A phone has come, or will come no more, and cannot be enrolled: the code was mistyped, or somebody else
    has answered in its place."""


class PushMethod:
    method: StepUpMethod = "push"

    def __init__(
        self,
        *,
        service: PushService,
        enrolments: Enrolments,
        pending: Pending,
        messages: Messages,
        rules: PushRules,
        below: Callable[[int], int],
    ) -> None:
        """`below(n)` is a random number under n, from a source that nobody can guess."""
        self._service = service
        self._enrolments = enrolments
        self._pending = pending
        self._messages = messages
        self._rules = rules
        self._below = below

    async def offer(self, person: Person) -> Offer | None:
        phones = await self._phones(person)
        if not phones or self._service.is_away:
            return None
        return Offer(
            method=self.method, destination=_newest(phones).label, level=max(each.level for each in phones)
        )

    async def issue(self, asked: Asked, challenge_id: ChallengeId, *, now: datetime) -> Issue:
        phones = [each for each in await self._phones(asked.person) if each.level >= asked.level]
        if not phones:
            raise _undelivered("the person has no phone any more")
        phone = _newest(phones)
        owner = owner_of(asked.person)
        await self._reserve(owner, now)
        await self._put_aside(owner, challenge_id, now)
        notification = self._notification(asked, challenge_id, phone.device_id or "", now)
        sent = await self._service.send(notification)
        if isinstance(sent, timedelta):
            raise TooOften(now + sent)
        if sent is Sent.UNKNOWN_DEVICE:
            raise _undelivered("the service does not know the phone any more")
        return Issue(
            lives_for=self._rules.lives_for,
            answer=notification.question,
            number=notification.number,
            enrolment_id=phone.enrolment_id,
            destination=phone.label,
            level=phone.level,
        )

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        """Asks what the phone has answered; what was typed does not matter."""
        given = await self._service.answer_to(challenge.challenge_id)
        if given is Unanswered.PENDING:
            return Verdict.WAITING
        if given is Unanswered.GONE:
            return Verdict.REFUSED  # taken off the phone, or put aside: no answer that could be wrong
        phone = next(
            (one for one in await self._phones(person) if one.enrolment_id == challenge.enrolment_id), None
        )
        if phone is None or now >= challenge.expires_at or given.action not in {"approve", "refuse"}:
            return Verdict.WRONG
        number = given.number if given.action == "approve" else ""
        if given.action == "approve" and number != challenge.number:
            return Verdict.WRONG
        # A refusal is believed by its signature as well: "the person said no" is evidence.
        statement = answer_statement(challenge.answer, action=given.action, number=number)
        if not is_signed(statement, given.signature, phone.secret):
            return Verdict.WRONG
        return Verdict.RIGHT if given.action == "approve" else Verdict.REFUSED

    async def withdraw(self, challenge: Challenge) -> None:
        """The challenge is over already, and the notification ends by itself: that the service is away
        hinders nobody."""
        with suppress(CannotAsk):
            await self._service.withdraw(challenge.challenge_id)

    async def _phones(self, person: Person) -> list[Enrolment]:
        return [each for each in await self._enrolments.of(owner_of(person)) if each.method == "push"]

    async def _reserve(self, owner: tuple[str, ...], now: datetime) -> None:
        """As many places as notifications within ten minutes, each free again ten minutes after it was taken:
        exact at any moment, by a rule that knows pauses only. Raises TooOften."""
        free_at: list[datetime] = []
        for place in range(self._rules.per_ten_minutes):
            until = await self._messages.reserve(
                f"push:{place}:{person_name(owner)}", pause=_WINDOW, per_hour=60, now=now
            )
            if until is None:
                return
            free_at.append(until)
        raise TooOften(min(free_at))

    async def _put_aside(self, owner: tuple[str, ...], challenge_id: ChallengeId, now: datetime) -> None:
        """Ends the notification before, in our store and then at the service: a phone that is asked twice
        does not say what it approves."""
        earlier = await self._pending.claim_push(owner, challenge_id, self._rules.lives_for)
        if earlier is not None and await self._pending.resolve(earlier, State.EXPIRED, now=now):
            with suppress(CannotAsk):
                await self._service.withdraw(earlier)

    def _notification(
        self, asked: Asked, challenge_id: ChallengeId, device_id: str, now: datetime
    ) -> Notification:
        choices = _numbers(self._below)
        issued_at = now.replace(microsecond=0)
        return Notification(
            push_id=challenge_id,
            device_id=device_id,
            portal=shown(asked.portal_name),
            place=shown(asked.place),
            browser=shown(asked.browser),
            address=shown(asked.address),
            issued_at=issued_at,
            expires_at=issued_at + self._rules.lives_for,
            number=choices[self._below(_CHOICES)],
            choices=choices,
            shows=tuple((shown(name), shown(value)) for name, value in asked.shown),
        )


class PushEnrolling:
    """How a phone becomes a person's: by an activation code, half of it the service's, to find the enrolment,
    half of it ours. Our half travels by hand alone, and the phone's proof shows that it has come. It is
    derived, not kept: any instance can judge the proof."""

    def __init__(
        self, *, service: PushService, hashes: CodeHashes, relying_party: str, fresh: Callable[[int], str]
    ) -> None:
        """`relying_party` is what the phone calls us; `fresh(n)` is URL-safe text of n random bytes."""
        self._service = service
        self._hashes = hashes
        self._relying_party = shown(relying_party)
        self._fresh = fresh

    async def begin(self, person: Person, *, now: datetime) -> tuple[str, str, datetime]:
        """The enrolment's id, the code to type into the phone, and until when. Raises CannotAsk."""
        enrolment_id, until = self._fresh(16), now.replace(microsecond=0) + _ACTIVATION_FOR
        # By this the person recognises the account on the phone.
        account = shown(person.email or person.name or person.subject_for_portals)
        part = await self._service.begin_enrolment(
            enrolment_id, relying_party=self._relying_party, account=account, expires_at=until
        )
        code = part + self._secrets(enrolment_id)[0]
        return enrolment_id, "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP)), until

    async def finish(self, enrolment_id: str, *, label: str, now: datetime) -> Enrolment | None:
        """None while no phone has come. The phone's own name is the label of one that was given none. Raises
        CannotAsk, EnrolmentFailed."""
        phone = await self._service.enrolled(enrolment_id)
        if phone is Unanswered.PENDING:
            return None
        pem = None if phone is Unanswered.GONE else public_key_pem(phone.public_key)
        if phone is Unanswered.GONE or pem is None or not self._is_proved(enrolment_id, phone, pem):
            raise EnrolmentFailed("no phone, or none that knows the code")
        return Enrolment(
            enrolment_id=enrolment_id,
            method="push",
            label=(label or shown(phone.device_name))[:_LONGEST_LABEL],
            enrolled_at=now,
            secret=pem,
            device_id=phone.device_id,
        )

    async def forget(self, enrolment: Enrolment) -> None:
        """The phone is nobody's here any more; where the service is away its notifications have no challenge
        to answer."""
        if enrolment.device_id is not None:
            with suppress(CannotAsk):
                await self._service.remove(enrolment.device_id)

    def _is_proved(self, enrolment_id: str, phone: EnrolledPhone, pem: str) -> bool:
        """Whether the holder of the key knows our half of the code, under whichever key it was made."""
        try:
            statements = [
                enrolment_statement(
                    enrolment_id=enrolment_id,
                    relying_party=self._relying_party,
                    secret=secret,
                    device_id=phone.device_id,
                    device_name=phone.device_name,
                    public_key=phone.public_key,
                )
                for secret in self._secrets(enrolment_id)
            ]
        except ValueError:
            return False
        return any(is_signed(statement, phone.proof, pem) for statement in statements)

    def _secrets(self, enrolment_id: str) -> tuple[str, ...]:
        """50 bits for ten minutes, one for each key of ours: the first is the one that is shown."""
        return tuple(
            base64.b32encode(bytes.fromhex(made)).decode()[:_SECRET_LENGTH]
            for made in self._hashes.every(f"onepass:{enrolment_id}", "")
        )


def _newest(phones: Sequence[Enrolment]) -> Enrolment:
    """Of several phones the one that was enrolled last is asked: the others may lie in a drawer."""
    return max(phones, key=lambda each: each.enrolled_at)


def _numbers(below: Callable[[int], int]) -> tuple[str, ...]:
    """Three different numbers of two digits, none with a zero in front."""
    numbers: list[str] = []
    while len(numbers) < _CHOICES:
        number = str(10 + below(90))
        if number not in numbers:
            numbers.append(number)
    return tuple(numbers)


def _undelivered(message: str) -> CannotAsk:
    return CannotAsk(Reason.SENDER_UNAVAILABLE, message)
