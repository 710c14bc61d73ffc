"""Octets that are kept for a time, in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from authproxy.storage.expiring import Expiring


class MemorySharedOctets:
    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._octets: Expiring[str, bytes] = Expiring()

    async def get(self, key: str) -> bytes | None:
        return self._octets.get(key, self._clock())

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None:
        now = self._clock()
        self._octets.put(key, value, until=now + lives_for, now=now)

    async def take(self, key: str) -> bytes | None:
        value = self._octets.get(key, self._clock())
        self._octets.discard(key)
        return value
