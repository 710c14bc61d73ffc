"""Kept octets and logout tokens in this process: the twins of `storage/kept.py` and
`storage/logout_tokens.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.storage import retention

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryLogoutTokens:
    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], datetime] = {}

    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool:
        self._taken = {key: until for key, until in self._taken.items() if now < until}
        if (issuer, token_id) in self._taken:
            return False
        self._taken[issuer, token_id] = now + retention.LOGOUT_TOKEN_HELD_FOR
        return True

    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None:
        self._taken[issuer, token_id] = max(until, now + retention.LOGOUT_TOKEN_HELD_FOR)


class MemoryKept:
    """`clock` tells when what was kept is over."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[bytes, datetime]] = {}

    async def get(self, key: str) -> bytes | None:
        value, until = self._kept.get(key, (None, _LONG_AGO))
        return value if self._clock() < until else None

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None:
        now = self._clock()
        self._kept = {kept: (octets, until) for kept, (octets, until) in self._kept.items() if now < until}
        self._kept[key] = value, now + lives_for

    async def take(self, key: str) -> bytes | None:
        value = await self.get(key)
        self._kept.pop(key, None)
        return value
