"""Challenges in this process: the twin of `storage/challenges.py`."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.identity.session import SessionId
from authproxy.storage import retention

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryChallenges:
    """`claim_push` forgets nothing by time: one name for each person, claimed before there is a challenge of
    it."""

    def __init__(self) -> None:
        self._standings: dict[ChallengeId, Standing] = {}
        self._of_session: dict[SessionId, deque[ChallengeId]] = {}
        self._pushes: dict[tuple[str, ...], ChallengeId] = {}
        self._swept_at = _LONG_AGO

    async def open(self, challenge: Challenge, *, tries: int, now: datetime) -> None:
        self._sweep(now)
        if challenge.challenge_id in self._standings:
            raise ValueError("there is a challenge of this id")
        self._standings[challenge.challenge_id] = Standing(
            challenge=challenge, state=State.PENDING, tries_left=tries
        )
        theirs = self._of_session.setdefault(challenge.session_id, deque())
        theirs.append(challenge.challenge_id)
        if len(theirs) > retention.CHALLENGES_PER_SESSION:
            self._standings.pop(theirs.popleft(), None)

    async def find(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        standing = self._standings.get(challenge_id)
        return standing if standing is not None and _is_kept(standing, now) else None

    async def count_try(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None:
        standing = await self.find(challenge_id, now=now)
        if standing is None or standing.state_at(now) is not State.PENDING:
            return standing
        if standing.tries_left < 1:
            return replace(standing, state=State.EXHAUSTED)
        counted = replace(standing, tries_left=standing.tries_left - 1)
        self._standings[challenge_id] = counted
        return counted

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool:
        standing = self._standings.get(challenge_id)
        if standing is None or standing.state_at(now) is not State.PENDING:
            return False
        self._standings[challenge_id] = replace(standing, state=state)
        return True

    async def current(self, session_id: SessionId, *, now: datetime) -> tuple[ChallengeId, ...]:
        found = [
            self._standings.get(challenge_id)
            for challenge_id in reversed(self._of_session.get(session_id, ()))
        ]
        return tuple(
            standing.challenge.challenge_id
            for standing in found
            if standing is not None and standing.state_at(now) is State.PENDING
        )

    async def claim_push(
        self,
        owner: tuple[str, ...],
        challenge_id: ChallengeId,
        lives_for: timedelta,  # noqa: ARG002
    ) -> ChallengeId | None:
        earlier = self._pushes.get(owner)
        self._pushes[owner] = challenge_id
        return earlier if earlier != challenge_id and earlier in self._standings else None

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at < _SWEPT_EVERY:
            return
        self._swept_at = now
        self._standings = {
            name: standing for name, standing in self._standings.items() if _is_kept(standing, now)
        }
        self._of_session = {
            session_id: kept
            for session_id, theirs in self._of_session.items()
            if (kept := deque(name for name in theirs if name in self._standings))
        }


def _is_kept(standing: Standing, now: datetime) -> bool:
    return now < standing.challenge.expires_at + retention.CHALLENGE_KEPT_AFTERWARDS
