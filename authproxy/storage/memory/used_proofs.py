"""Used proofs in this process: the twin of `storage/used_proofs.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from authproxy.storage import retention


class MemoryUsedProofs:
    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._used: dict[str, datetime] = {}

    async def use(self, proof: str) -> bool:
        now = self._clock()
        self._used = {name: until for name, until in self._used.items() if now < until}
        if proof in self._used:
            return False
        self._used[proof] = now + retention.USED_PROOF_REMEMBERED_FOR
        return True

    async def is_used(self, proof: str) -> bool:
        return proof in self._used

    async def give_back(self, proof: str) -> None:
        self._used.pop(proof, None)
