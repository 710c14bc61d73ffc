"""The method `totp`: codes by time (RFC 6238), of OnePass or any other application, each of them good once.

A code is accepted in its step and one before and after. The last step that was accepted is remembered where
all instances see it, and no earlier one is taken again (RFC 6238 §5.2; the code of an enrolment counts as
well).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import pyotp

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.method import Asked, Issue, Offer, Verdict
from authproxy.challenges.one_time_code import as_typed
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.person import Person

SECRET_SIZE: Final = 20
"""Bytes: the length of a SHA-1 block's output, as RFC 4226 §4 recommends."""
_STEP: Final = 30
_AROUND: Final = (0, -1, 1)


class Enrolments(Protocol):
    async def of(self, owner: tuple[str, ...]) -> Sequence[Enrolment]: ...
    async def accept_step(self, enrolment_id: str, step: int) -> bool: ...


class TotpMethod:
    method: StepUpMethod = "totp"

    def __init__(self, *, enrolments: Enrolments, lives_for: timedelta) -> None:
        """`lives_for`: how long somebody may take to find their phone."""
        self._enrolments = enrolments
        self._lives_for = lives_for

    async def offer(self, person: Person) -> Offer | None:
        enrolled = await self._of(person)
        if not enrolled:
            return None
        return Offer(
            method=self.method, destination=_named(enrolled), level=max(each.level for each in enrolled)
        )

    async def issue(self, asked: Asked, challenge_id: ChallengeId, *, now: datetime) -> Issue:
        accepted = [each for each in await self._of(asked.person) if each.level >= asked.level]
        level = min((each.level for each in accepted), default=asked.level)
        return Issue(lives_for=self._lives_for, destination=_named(accepted), level=level)

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        for enrolment in await self._of(person):
            if enrolment.level < challenge.level:
                continue
            step = matching_step(enrolment.secret, answer, now)
            if step is not None and await self._enrolments.accept_step(enrolment.enrolment_id, step):
                return Verdict.RIGHT
        return Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """Nothing was sent."""

    async def _of(self, person: Person) -> list[Enrolment]:
        return [each for each in await self._enrolments.of(owner_of(person)) if each.method == "totp"]


def _named(enrolled: Sequence[Enrolment]) -> str:
    """What their person calls them; who gave no name finds none."""
    return ", ".join(each.label for each in enrolled if each.label)


def matching_step(secret: str, typed: str, now: datetime) -> int | None:
    """The time step whose code this is, among those around `now`. Takes the same time for every wrong
    code."""
    current = int(now.timestamp()) // _STEP
    generator = pyotp.TOTP(secret, interval=_STEP)
    code = as_typed(typed).encode(errors="surrogatepass")
    found = [
        step
        for step in (current + around for around in _AROUND)
        if hmac.compare_digest(generator.generate_otp(step).encode(), code)
    ]
    return found[0] if found else None


def secret_of(octets: bytes) -> str:
    """Random octets as applications take a secret: base32."""
    return base64.b32encode(octets).decode()


def uri_of(secret: str, *, account: str, issuer: str) -> str:
    """What the QR code of an enrolment says."""
    return pyotp.TOTP(secret, interval=_STEP).provisioning_uri(name=account, issuer_name=issuer)
