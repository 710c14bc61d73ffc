"""The provider's tokens of sessions in this process: the twin of `storage/grants.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from authproxy.identity.grant import Grant, GrantTurn


@dataclass(slots=True, kw_only=True)
class _Kept:
    grant: Grant
    due_at: datetime
    ends_at: datetime
    is_asked: bool = False


class MemoryGrants:
    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def keep(
        self, secret: str, grant: Grant, *, due_at: datetime, lives_for: timedelta, now: datetime
    ) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if now < kept.ends_at}
        self._kept[secret] = _Kept(grant=grant, due_at=due_at, ends_at=now + lives_for)

    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None:
        kept = self._kept.get(secret)
        if kept is None or now >= kept.ends_at:
            return None
        kept.ends_at = now + lives_for
        if now < kept.due_at <= now + every:
            return None
        turn = GrantTurn(grant=kept.grant, is_doubtful=kept.is_asked)
        kept.due_at, kept.is_asked = now + every, True
        return turn

    async def settle(self, secret: str, grant: Grant | None = None) -> bool:
        kept = self._kept.get(secret)
        if kept is None:
            return False
        kept.is_asked, kept.grant = False, grant or kept.grant
        return True

    async def take(self, secret: str) -> Grant | None:
        kept = self._kept.pop(secret, None)
        return None if kept is None else kept.grant
