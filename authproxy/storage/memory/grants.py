"""The provider's tokens of sessions, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from authproxy.identity.grant import Grant, GrantTurn
from authproxy.storage.expiring import Expiring


@dataclass(slots=True, kw_only=True)
class _StoredGrant:
    grant: Grant
    due_at: datetime
    is_asked: bool = False


class MemoryGrants:
    def __init__(self) -> None:
        self._grants: Expiring[str, _StoredGrant] = Expiring()

    async def keep(
        self, secret: str, grant: Grant, *, due_at: datetime, lives_for: timedelta, now: datetime
    ) -> None:
        stored = _StoredGrant(grant=grant, due_at=due_at)
        self._grants.put(secret, stored, until=now + lives_for, now=now)

    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None:
        stored = self._grants.get(secret, now)
        if stored is None:
            return None
        self._grants.put(secret, stored, until=now + lives_for, now=now)
        if now < stored.due_at <= now + every:
            return None
        turn = GrantTurn(grant=stored.grant, is_doubtful=stored.is_asked)
        stored.due_at, stored.is_asked = now + every, True
        return turn

    async def settle(self, secret: str, grant: Grant | None = None) -> bool:
        stored = self._grants.peek(secret)
        if stored is None:
            return False
        stored.is_asked, stored.grant = False, grant or stored.grant
        return True

    async def take(self, secret: str) -> Grant | None:
        stored = self._grants.peek(secret)
        self._grants.discard(secret)
        return None if stored is None else stored.grant
