"""The method `totp`: time-based codes (RFC 6238) from OnePass or any other application. Each code works once.

A code is accepted in its own time step and in the steps before and after it. The store remembers the last
accepted step for all instances, and no code of that step or an earlier one is accepted again (RFC 6238 §5.2:
"The verifier MUST NOT accept the second attempt of the OTP after the successful validation"). The code by
which an application was enrolled counts too.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import pyotp

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment, EnrolmentStore, owner_of
from authproxy.challenges.method import ChallengeDetails, Offer, ProofRequest, Verdict
from authproxy.challenges.one_time_code import as_typed
from authproxy.identity.assurance import StepUpMethod
from authproxy.identity.person import Person

SECRET_SIZE: Final = 20
"""Bytes. RFC 4226 §4 R6 recommends a secret of 160 bits."""
_STEP: Final = 30
_STEP_OFFSETS: Final = (0, -1, 1)


class TotpMethod:
    name: StepUpMethod = "totp"

    def __init__(self, *, enrolments: EnrolmentStore, lives_for: timedelta) -> None:
        """`lives_for` is how long the person has to find their phone and type the code."""
        self._enrolments = enrolments
        self._lives_for = lives_for

    async def offer(self, person: Person) -> Offer | None:
        applications = await self._applications(person)
        if not applications:
            return None
        return Offer(
            method=self.name,
            destination=_labels(applications),
            level=max(application.level for application in applications),
        )

    async def issue(
        self, request: ProofRequest, challenge_id: ChallengeId, *, now: datetime
    ) -> ChallengeDetails:
        accepted = [
            application
            for application in await self._applications(request.person)
            if application.level >= request.level
        ]
        level = min((application.level for application in accepted), default=request.level)
        return ChallengeDetails(lives_for=self._lives_for, destination=_labels(accepted), level=level)

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        for application in await self._applications(person):
            if application.level < challenge.level:
                continue
            step = matching_step(application.secret, answer, now)
            if step is not None and await self._enrolments.accept_step(application.enrolment_id, step):
                return Verdict.RIGHT
        return Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """Nothing was sent."""

    async def _applications(self, person: Person) -> list[Enrolment]:
        enrolments = await self._enrolments.of(owner_of(person))
        return [enrolment for enrolment in enrolments if enrolment.method == "totp"]


def _labels(applications: Sequence[Enrolment]) -> str:
    """The names that the person gave the applications. Empty if they gave none."""
    return ", ".join(application.label for application in applications if application.label)


def matching_step(secret: str, typed: str, now: datetime) -> int | None:
    """The time step around `now` whose code was typed. Takes the same time for every wrong code."""
    current = int(now.timestamp()) // _STEP
    generator = pyotp.TOTP(secret, interval=_STEP)
    code = as_typed(typed).encode(errors="surrogatepass")
    matching = [
        step
        for step in (current + offset for offset in _STEP_OFFSETS)
        if hmac.compare_digest(generator.generate_otp(step).encode(), code)
    ]
    return matching[0] if matching else None


def latest_step(now: datetime) -> int:
    """The last time step of which a code would be accepted at this moment."""
    return int(now.timestamp()) // _STEP + max(_STEP_OFFSETS)


def secret_of(octets: bytes) -> str:
    """Random octets in base32, in which applications take a secret."""
    return base64.b32encode(octets).decode()


def uri_of(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth:` URI for the QR code of an enrolment."""
    return pyotp.TOTP(secret, interval=_STEP).provisioning_uri(name=account, issuer_name=issuer)
