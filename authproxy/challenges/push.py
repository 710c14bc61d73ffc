"""The method `push`: a notification to a phone, whose key signs the answer. The person must choose the number
that the browser shows. One notification waits at a time, and a person gets three in ten minutes.

The service that carries notifications is not trusted: only the signature over the whole question counts
(`notification.py`). A wrong number ends the notification as a refusal does, because only the person at the
browser sees the right one (NIST SP 800-63B-4 §3.1.3: number matching stops push bombing).
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
from authproxy.challenges.enrolment import Enrolment, EnrolmentStore, owner_of
from authproxy.challenges.limits import RateLimits, person_name
from authproxy.challenges.method import ChallengeDetails, Offer, ProofRequest, TooOften, Verdict
from authproxy.challenges.notification import (
    EnrolledPhone,
    Notification,
    PhoneAnswer,
    Sent,
    Unanswered,
    answer_statement,
    enrolment_statement,
    is_signed,
    on_one_line,
    public_key_pem,
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
        """Whether it has failed so often lately that the method should not be offered."""
        ...

    async def send(self, notification: Notification) -> Sent | timedelta:
        """A span of time means: not now, but after that time."""
        ...

    async def answer_to(self, push_id: str) -> PhoneAnswer | Unanswered: ...
    async def withdraw(self, push_id: str) -> None: ...
    async def begin_enrolment(
        self, enrolment_id: str, *, relying_party: str, account: str, expires_at: datetime
    ) -> str:
        """Returns the service's part of the activation code."""
        ...

    async def enrolled(self, enrolment_id: str) -> EnrolledPhone | Unanswered: ...
    async def remove(self, device_id: str) -> None: ...


class PendingPushes(Protocol):
    async def claim_push(
        self, owner: tuple[str, ...], challenge_id: ChallengeId, lives_for: timedelta
    ) -> ChallengeId | None:
        """Makes this the owner's only waiting notification, and returns the one that was it before."""
        ...

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRules:
    lives_for: timedelta = timedelta(minutes=2)
    per_ten_minutes: int = 3


class EnrolmentFailed(Exception):  # noqa: N818
    """No phone can be enrolled any more: the code was mistyped, its time is over, or somebody else has
    answered instead of the person's phone."""


class PushMethod:
    name: StepUpMethod = "push"

    def __init__(
        self,
        *,
        service: PushService,
        enrolments: EnrolmentStore,
        pending: PendingPushes,
        limits: RateLimits,
        rules: PushRules,
        random_below: Callable[[int], int],
    ) -> None:
        """`random_below(n)` is an unpredictable number below n."""
        self._service = service
        self._enrolments = enrolments
        self._pending = pending
        self._limits = limits
        self._rules = rules
        self._random_below = random_below

    async def offer(self, person: Person) -> Offer | None:
        phones = await self._phones(person)
        if not phones or self._service.is_away:
            return None
        return Offer(
            method=self.name, destination=_newest(phones).label, level=max(phone.level for phone in phones)
        )

    async def issue(
        self, request: ProofRequest, challenge_id: ChallengeId, *, now: datetime
    ) -> ChallengeDetails:
        phones = [phone for phone in await self._phones(request.person) if phone.level >= request.level]
        if not phones:
            raise _undelivered("the person has no phone any more")
        phone = _newest(phones)
        owner = owner_of(request.person)
        await self._reserve(owner, now)
        await self._end_earlier(owner, challenge_id, now)
        notification = self._notification(request, challenge_id, phone.device_id or "", now)
        sent = await self._service.send(notification)
        if isinstance(sent, timedelta):
            raise TooOften(now + sent)
        if sent is Sent.UNKNOWN_DEVICE:
            raise _undelivered("the service does not know the phone any more")
        return ChallengeDetails(
            lives_for=self._rules.lives_for,
            answer=notification.question,
            number=notification.number,
            enrolment_id=phone.enrolment_id,
            destination=phone.label,
            level=phone.level,
        )

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        """Asks the service what the phone has answered, and ignores what was typed."""
        answered = await self._service.answer_to(challenge.challenge_id)
        if answered is Unanswered.PENDING:
            return Verdict.WAITING
        if answered is Unanswered.GONE:
            return Verdict.REFUSED  # the notification was removed, so there is no answer that could be wrong
        phone = next(
            (phone for phone in await self._phones(person) if phone.enrolment_id == challenge.enrolment_id),
            None,
        )
        if phone is None or now >= challenge.expires_at or answered.action not in {"approve", "refuse"}:
            return Verdict.WRONG
        number = answered.number if answered.action == "approve" else ""
        if answered.action == "approve" and number != challenge.number:
            return Verdict.WRONG
        # A refusal needs a valid signature too: the audit trail says that the person refused.
        statement = answer_statement(challenge.answer, action=answered.action, number=number)
        if not is_signed(statement, answered.signature, phone.secret):
            return Verdict.WRONG
        return Verdict.RIGHT if answered.action == "approve" else Verdict.REFUSED

    async def withdraw(self, challenge: Challenge) -> None:
        """Removes the notification from the phone. If the service is away, it stays there until it expires;
        the challenge is over in any case."""
        with suppress(CannotAsk):
            await self._service.withdraw(challenge.challenge_id)

    async def _phones(self, person: Person) -> list[Enrolment]:
        enrolments = await self._enrolments.of(owner_of(person))
        return [enrolment for enrolment in enrolments if enrolment.method == "push"]

    async def _reserve(self, owner: tuple[str, ...], now: datetime) -> None:
        """Counts a notification. Raises TooOften if the person has had as many as are allowed within ten
        minutes.

        `reserve` knows only a minimum pause. So the person has one slot for each notification that is allowed
        in ten minutes, and a slot that was used is free again ten minutes later."""
        free_at: list[datetime] = []
        for slot in range(self._rules.per_ten_minutes):
            until = await self._limits.reserve(
                f"push:{slot}:{person_name(owner)}", pause=_WINDOW, per_hour=60, now=now
            )
            if until is None:
                return
            free_at.append(until)
        raise TooOften(min(free_at))

    async def _end_earlier(self, owner: tuple[str, ...], challenge_id: ChallengeId, now: datetime) -> None:
        """Ends the person's earlier notification, in our store and then at the service. With two of them on
        the phone, the person could approve the wrong one."""
        earlier = await self._pending.claim_push(owner, challenge_id, self._rules.lives_for)
        if earlier is not None and await self._pending.resolve(earlier, State.EXPIRED, now=now):
            with suppress(CannotAsk):
                await self._service.withdraw(earlier)

    def _notification(
        self, request: ProofRequest, challenge_id: ChallengeId, device_id: str, now: datetime
    ) -> Notification:
        choices = _three_numbers(self._random_below)
        issued_at = now.replace(microsecond=0)
        return Notification(
            push_id=challenge_id,
            device_id=device_id,
            portal=on_one_line(request.portal_name),
            place=on_one_line(request.path),
            browser=on_one_line(request.browser),
            address=on_one_line(request.address),
            issued_at=issued_at,
            expires_at=issued_at + self._rules.lives_for,
            number=choices[self._random_below(_CHOICES)],
            choices=choices,
            shows=tuple((on_one_line(name), on_one_line(value)) for name, value in request.shown),
        )


class PushEnrolling:
    """Enrols a phone by an activation code that the person types into it. By the first half, which the
    service makes, the service finds the enrolment. The second half is ours. The service never learns it, and
    the phone proves that it knows it. It is derived from the server keys, so that any instance can check the
    proof."""

    def __init__(
        self,
        *,
        service: PushService,
        hashes: CodeHashes,
        relying_party: str,
        random_text: Callable[[int], str],
    ) -> None:
        """`relying_party` is the name of this gateway on the phone; `random_text(n)` is n random bytes as
        URL-safe text."""
        self._service = service
        self._hashes = hashes
        self._relying_party = on_one_line(relying_party)
        self._random_text = random_text

    async def begin(self, person: Person, *, now: datetime) -> tuple[str, str, datetime]:
        """The enrolment's id, the activation code, and when the code expires. Raises CannotAsk."""
        enrolment_id, until = self._random_text(16), now.replace(microsecond=0) + _ACTIVATION_FOR
        # By this name the person recognises the account on the phone.
        account = on_one_line(person.email or person.name or person.subject_for_portals)
        part = await self._service.begin_enrolment(
            enrolment_id, relying_party=self._relying_party, account=account, expires_at=until
        )
        code = part + self._secrets(enrolment_id)[0]
        return enrolment_id, "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP)), until

    async def finish(self, enrolment_id: str, *, label: str, now: datetime) -> Enrolment | None:
        """None until a phone has been activated. Without a label the enrolment gets the phone's own name.
        Raises CannotAsk, EnrolmentFailed."""
        phone = await self._service.enrolled(enrolment_id)
        if phone is Unanswered.PENDING:
            return None
        pem = None if phone is Unanswered.GONE else public_key_pem(phone.public_key)
        if phone is Unanswered.GONE or pem is None or not self._is_proved(enrolment_id, phone, pem):
            raise EnrolmentFailed("no phone, or none that knows the code")
        return Enrolment(
            enrolment_id=enrolment_id,
            method="push",
            label=(label or on_one_line(phone.device_name))[:_LONGEST_LABEL],
            enrolled_at=now,
            secret=pem,
            device_id=phone.device_id,
        )

    async def forget(self, enrolment: Enrolment) -> None:
        """Removes the phone at the service. If the service is away, the phone stays linked there, but no
        challenge is sent to it any more."""
        if enrolment.device_id is not None:
            with suppress(CannotAsk):
                await self._service.remove(enrolment.device_id)

    def _is_proved(self, enrolment_id: str, phone: EnrolledPhone, pem: str) -> bool:
        """Whether the holder of the phone's key knows our half of the code, whichever server key it was made
        with."""
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
        """Our half of the code for each server key: 50 bits, good for ten minutes. The person is shown the
        first."""
        return tuple(
            base64.b32encode(bytes.fromhex(keyed_hash)).decode()[:_SECRET_LENGTH]
            for keyed_hash in self._hashes.under_each_key(f"onepass:{enrolment_id}", "")
        )


def _newest(phones: Sequence[Enrolment]) -> Enrolment:
    """The phone that was enrolled last. Older ones may lie in a drawer."""
    return max(phones, key=lambda phone: phone.enrolled_at)


def _three_numbers(random_below: Callable[[int], int]) -> tuple[str, ...]:
    """Three different numbers of two digits, without a leading zero."""
    numbers: list[str] = []
    while len(numbers) < _CHOICES:
        number = str(10 + random_below(90))
        if number not in numbers:
            numbers.append(number)
    return tuple(numbers)


def _undelivered(message: str) -> CannotAsk:
    return CannotAsk(Reason.SENDER_UNAVAILABLE, message)
