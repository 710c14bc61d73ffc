"""API keys of programs, in memory."""

from __future__ import annotations

from datetime import datetime

from authproxy.identity.machine_client import ApiKey
from authproxy.storage import retention
from authproxy.storage.expiring import Expiring
from authproxy.storage.near_cache import NearCache


class MemoryMachineKeys:
    def __init__(self, near_cache: NearCache | None = None) -> None:
        self._near_cache = near_cache
        self._keys: Expiring[str, ApiKey] = Expiring()

    async def add(self, key: ApiKey, *, now: datetime) -> None:
        until = key.ends_at + retention.MACHINE_KEY_KEPT_AFTERWARDS
        self._keys.put(key.key_id, key, until=until, now=now)
        self._forget()

    async def find(self, key_id: str) -> ApiKey | None:
        return self._keys.peek(key_id)

    async def every(self) -> tuple[ApiKey, ...]:
        return tuple(sorted(self._keys.all(), key=lambda key: key.created_at, reverse=True))

    async def revoke(self, key_id: str) -> bool:
        was_there = key_id in self._keys
        self._keys.discard(key_id)
        self._forget()
        return was_there

    async def reseal(self) -> int:
        """Nothing is sealed in memory."""
        return 0

    def _forget(self) -> None:
        if self._near_cache is not None:
            self._near_cache.forget_machine_keys()
