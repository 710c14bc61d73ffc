"""Challenges, in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.identity.session import SessionId
from authproxy.storage import retention
from authproxy.storage.expiring import Expiring


class MemoryChallenges:
    def __init__(self) -> None:
        self._standings: Expiring[ChallengeId, Standing] = Expiring()
        self._of_session: Expiring[SessionId, deque[ChallengeId]] = Expiring()
        self._pushes: dict[tuple[str, ...], ChallengeId] = {}
        """The last push challenge of each person: one entry for each, so that nothing needs to expire."""
        self._turns: dict[str, str] = {}
        """None of them outlives this process, so none needs to expire."""

    async def open(self, challenge: Challenge, *, tries: int, now: datetime) -> None:
        if self._standings.get(challenge.challenge_id, now) is not None:
            raise ValueError("there is a challenge of this id")
        self._put(Standing(challenge=challenge, state=State.PENDING, tries_left=tries), now)
        listed = self._of_session.get(challenge.session_id, now) or deque()
        listed.append(challenge.challenge_id)
        if len(listed) > retention.CHALLENGES_PER_SESSION:
            self._standings.discard(listed.popleft())
        standings = [self._standings.get(challenge_id, now) for challenge_id in listed]
        until = max((_kept_until(standing) for standing in standings if standing is not None), default=now)
        self._of_session.put(challenge.session_id, listed, until=until, now=now)

    async def find(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        return self._standings.get(challenge_id, now)

    async def count_try(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        standing = self._standings.get(challenge_id, now)
        if standing is None or standing.state_at(now) is not State.PENDING:
            return standing
        if standing.tries_left < 1:
            return replace(standing, state=State.EXHAUSTED)
        return self._put(replace(standing, tries_left=standing.tries_left - 1), now)

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool:
        standing = self._standings.get(challenge_id, now)
        if standing is None or standing.state_at(now) is not State.PENDING:
            return False
        self._put(replace(standing, state=state), now)
        return True

    async def current(self, session_id: SessionId, *, now: datetime) -> tuple[ChallengeId, ...]:
        listed = reversed(self._of_session.get(session_id, now) or ())
        standings = [self._standings.get(challenge_id, now) for challenge_id in listed]
        return tuple(
            standing.challenge.challenge_id
            for standing in standings
            if standing is not None and standing.state_at(now) is State.PENDING
        )

    async def take_turn(self, name: str, owner: str) -> bool:
        return self._turns.setdefault(name, owner) == owner

    async def end_turn(self, name: str, owner: str) -> None:
        if self._turns.get(name) == owner:
            del self._turns[name]

    async def claim_push(
        self,
        owner: tuple[str, ...],
        challenge_id: ChallengeId,
        lives_for: timedelta,  # noqa: ARG002  (see `_pushes`)
    ) -> ChallengeId | None:
        earlier = self._pushes.get(owner)
        self._pushes[owner] = challenge_id
        return earlier if earlier != challenge_id and earlier in self._standings else None

    def _put(self, standing: Standing, now: datetime) -> Standing:
        self._standings.put(standing.challenge.challenge_id, standing, until=_kept_until(standing), now=now)
        return standing


def _kept_until(standing: Standing) -> datetime:
    return standing.challenge.expires_at + retention.CHALLENGE_KEPT_AFTERWARDS
