"""Notes that wait for their message, in memory."""

from __future__ import annotations

from datetime import datetime, timedelta

from authproxy.challenges.notices import Batch
from authproxy.storage import retention
from authproxy.storage.expiring import Expiring

_Owner = tuple[str, ...]


class MemoryNotices:
    def __init__(self) -> None:
        self._notes: dict[str, list[bytes]] = {}
        self._due: dict[str, datetime] = {}
        self._paused_until: Expiring[str, datetime] = Expiring()
        self._numbers: dict[_Owner, str] = {}

    async def add(self, owner: _Owner, note: bytes, *, now: datetime) -> None:
        await self.put_back(Batch("\0".join(owner), (note,)), due=now)

    async def put_back(self, batch: Batch, *, due: datetime) -> None:
        notes = [*self._notes.get(batch.name, ()), *batch.notes]
        self._notes[batch.name] = notes[-retention.NOTES_PER_PERSON :]
        self._due.setdefault(batch.name, self._paused_until.get(batch.name, due) or due)

    async def take(self, owner: _Owner, *, now: datetime, pause: timedelta) -> Batch | None:
        return self._take("\0".join(owner), now, pause)

    async def take_due(self, *, now: datetime, pause: timedelta) -> list[Batch]:
        batches = [self._take(name, now, pause) for name in tuple(self._due)]
        return [batch for batch in batches if batch is not None]

    async def swap_number(self, owner: _Owner, number: str) -> str | None:
        earlier = self._numbers.get(owner)
        self._numbers[owner] = number
        return earlier

    async def forget(self, owner: _Owner) -> None:
        name = "\0".join(owner)
        self._notes.pop(name, None)
        self._due.pop(name, None)
        self._paused_until.discard(name)
        self._numbers.pop(owner, None)

    def _take(self, name: str, now: datetime, pause: timedelta) -> Batch | None:
        if name not in self._due or now < self._due[name]:
            return None
        del self._due[name]
        self._paused_until.put(name, now + pause, until=now + pause, now=now)
        return Batch(name, tuple(self._notes.pop(name)))
