"""The method `recovery`: codes from a sheet of paper, each of which works once, for people who have lost
their phone (NIST SP 800-63B-4 §3.1.2).

A sheet lies in a drawer for years, longer than a server key is used. Its codes are therefore hashed without a
key, by a slow hash (scrypt, RFC 7914), because 49 bits are too few for a fast one (ASVS 5.0 V6.5.2). The
costs are from the OWASP Password Storage Cheat Sheet.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authproxy.challenges import one_time_code
from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import EnrolmentStore, owner_of
from authproxy.challenges.limits import person_name
from authproxy.challenges.method import ChallengeDetails, Offer, ProofRequest, Verdict
from authproxy.challenges.one_time_code import as_typed
from authproxy.identity.assurance import Level, StepUpMethod
from authproxy.identity.person import Person

CODES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The parameters of scrypt. The memory is 128 · n · r bytes."""

    n: int
    r: int
    p: int


COST: Final = Cost(n=2**14, r=8, p=5)
"""OWASP lists several settings as equally strong. The first one (n = 2**17, p = 1) takes 128 MiB for each
answer, so a few answers at the same moment would use up the gateway's memory. This one takes 16 MiB."""
_EARLIER_COST: Final = Cost(n=2**14, r=8, p=1)
"""The cost of sheets that earlier versions made, which people still have."""


class RecoveryMethod:
    name: StepUpMethod = "recovery"

    def __init__(self, *, enrolments: EnrolmentStore, lives_for: timedelta, cost: Cost = COST) -> None:
        self._enrolments = enrolments
        self._lives_for = lives_for
        self._costs = tuple(dict.fromkeys((cost, _EARLIER_COST)))

    async def offer(self, person: Person) -> Offer | None:
        owner = owner_of(person)
        if not await self._enrolments.recovery_left(owner):
            return None
        return Offer(method=self.name, level=await self._level(owner))

    async def issue(
        self, request: ProofRequest, challenge_id: ChallengeId, *, now: datetime
    ) -> ChallengeDetails:
        return ChallengeDetails(lives_for=self._lives_for, level=await self._level(owner_of(request.person)))

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        owner = owner_of(person)
        if await self._level(owner) < challenge.level:
            return Verdict.WRONG  # the sheet has been replaced since the challenge was issued
        for cost in self._costs:
            code_hash = await asyncio.to_thread(_hashed, owner, answer, cost)
            if await self._enrolments.spend_recovery(owner, code_hash):
                return Verdict.RIGHT
        return Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """Nothing was sent."""

    async def _level(self, owner: tuple[str, ...]) -> Level:
        return max(
            (
                enrolment.level
                for enrolment in await self._enrolments.every(owner)
                if enrolment.method == "recovery"
            ),
            default=Level.LOW,
        )


def new_codes(random_below: Callable[[int], int]) -> tuple[str, ...]:
    """The codes of a new sheet."""
    return tuple(one_time_code.recovery_code(random_below) for _ in range(CODES))


async def hashes_of(owner: tuple[str, ...], codes: Sequence[str], *, cost: Cost = COST) -> tuple[str, ...]:
    """The hashes to store for a sheet. Computing them takes another thread about two seconds."""
    return await asyncio.to_thread(lambda: tuple(_hashed(owner, code, cost) for code in codes))


def _hashed(owner: tuple[str, ...], code: str, cost: Cost) -> str:
    # The salt is made of the owner and not random: the stored hash is looked up by what was typed, and equal
    # codes of two people must have different hashes.
    salt = hashlib.sha256(f"authproxy recovery\0{person_name(owner)}".encode()).digest()
    return hashlib.scrypt(
        as_typed(code).encode(errors="surrogatepass"), salt=salt, n=cost.n, r=cost.r, p=cost.p, dklen=32
    ).hex()
