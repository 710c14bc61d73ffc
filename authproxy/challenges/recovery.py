"""The method `recovery`: codes from a sheet of paper, each good once, for whoever has lost the phone (NIST SP
800-63B-4 §3.1.2).

They lie in a drawer for years, longer than any key of the server: what is kept of them is made without one,
and slowly (scrypt, RFC 7914), because 49 bits are few for a fast hash (ASVS 5.0 V6.5.2). How slowly, the
OWASP Password Storage Cheat Sheet says.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.challenges import one_time_code
from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.method import Asked, Issue, Offer, Verdict
from authproxy.challenges.names import person_name
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
"""One of the rows that OWASP calls equal. The first of them (n = 2**17, p = 1) takes 128 MiB for each answer:
people who answer at the same moment would take the gateway's memory. This one takes 16."""
_EARLIER: Final = Cost(n=2**14, r=8, p=1)
"""Of sheets that versions before this one have made. They lie in drawers."""


class RecoveryCodes(Protocol):
    async def every(self, owner: tuple[str, ...]) -> Sequence[Enrolment]: ...
    async def recovery_left(self, owner: tuple[str, ...]) -> int: ...
    async def spend_recovery(self, owner: tuple[str, ...], code_hash: str) -> bool: ...


class RecoveryMethod:
    method: StepUpMethod = "recovery"

    def __init__(self, *, codes: RecoveryCodes, lives_for: timedelta, cost: Cost = COST) -> None:
        self._codes = codes
        self._lives_for = lives_for
        self._costs = tuple(dict.fromkeys((cost, _EARLIER)))

    async def offer(self, person: Person) -> Offer | None:
        owner = owner_of(person)
        if not await self._codes.recovery_left(owner):
            return None
        return Offer(method=self.method, level=await self._level(owner))

    async def issue(self, asked: Asked, challenge_id: ChallengeId, *, now: datetime) -> Issue:
        return Issue(lives_for=self._lives_for, level=await self._level(owner_of(asked.person)))

    async def verify(self, challenge: Challenge, person: Person, answer: str, *, now: datetime) -> Verdict:
        owner = owner_of(person)
        if await self._level(owner) < challenge.level:
            return Verdict.WRONG  # the sheet is another one than at the beginning
        for cost in self._costs:
            if await self._codes.spend_recovery(owner, await asyncio.to_thread(_kept, owner, answer, cost)):
                return Verdict.RIGHT
        return Verdict.WRONG

    async def withdraw(self, challenge: Challenge) -> None:
        """Nothing was sent."""

    async def _level(self, owner: tuple[str, ...]) -> Level:
        return max(
            (each.level for each in await self._codes.every(owner) if each.method == "recovery"),
            default=Level.LOW,
        )


def fresh_codes(below: Callable[[int], int]) -> tuple[str, ...]:
    """A new sheet."""
    return tuple(one_time_code.recovery_code(below) for _ in range(CODES))


async def hashes_of(owner: tuple[str, ...], codes: Sequence[str], *, cost: Cost = COST) -> tuple[str, ...]:
    """What is kept of a sheet. Takes about two seconds of another thread."""
    return await asyncio.to_thread(lambda: tuple(_kept(owner, code, cost) for code in codes))


def _kept(owner: tuple[str, ...], code: str, cost: Cost) -> str:
    # The owner is the salt: a code must be found by what was typed, and that of somebody else is another.
    salt = hashlib.sha256(f"authproxy recovery\0{person_name(owner)}".encode()).digest()
    return hashlib.scrypt(
        as_typed(code).encode(errors="surrogatepass"), salt=salt, n=cost.n, r=cost.r, p=cost.p, dklen=32
    ).hex()
