"""Used proofs, in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from authproxy.storage import retention
from authproxy.storage.expiring import Expiring


class MemoryUsedProofs:
    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._used: Expiring[str, bool] = Expiring()

    async def use(self, proof: str) -> bool:
        now = self._clock()
        if self._used.get(proof, now):
            return False
        self._used.put(proof, True, until=now + retention.USED_PROOF_REMEMBERED_FOR, now=now)
        return True

    async def is_used(self, proof: str) -> bool:
        return self._used.get(proof, self._clock()) is not None

    async def give_back(self, proof: str) -> None:
        self._used.discard(proof)
