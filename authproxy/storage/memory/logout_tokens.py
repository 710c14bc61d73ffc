"""Logout tokens that were received, in memory."""

from __future__ import annotations

from datetime import datetime

from authproxy.storage import retention
from authproxy.storage.expiring import Expiring


class MemoryLogoutTokens:
    def __init__(self) -> None:
        self._taken: Expiring[tuple[str, str], bool] = Expiring()

    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool:
        if self._taken.get((issuer, token_id), now):
            return False
        self._taken.put((issuer, token_id), True, until=now + retention.LOGOUT_TOKEN_HELD_FOR, now=now)
        return True

    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None:
        until = max(until, now + retention.LOGOUT_TOKEN_HELD_FOR)
        self._taken.put((issuer, token_id), True, until=until, now=now)
