"""The register of people in this process: the twin of `storage/people.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from authproxy.identity.member import Member, RegisterKey
from authproxy.storage.people import Snapshot, StoredMember


class MemoryPeople:
    def __init__(self) -> None:
        self._revision = 0
        self._members: Mapping[str, Member] = {}
        self._departures: dict[bytes, Member] = {}

    async def find(self, wanted: Sequence[RegisterKey]) -> tuple[StoredMember | None, ...]:
        owners = {key: member for member in self._members.values() for key in member.keys}
        return tuple(StoredMember(owners[key], b"") if key in owners else None for key in wanted)

    async def every(self) -> Snapshot:
        return Snapshot(self._revision, tuple(self._members.values()))

    async def change(self, was: StoredMember, now: Member, *, departs: bool) -> bool:
        if was.member.member_id != now.member_id:
            raise ValueError("a person's id does not change")
        others = {key for member in self._members.values() if member.member_id != now.member_id for key in member.keys}
        if self._members.get(now.member_id) != was.member or others & now.keys:
            return False
        self._take([*(member for member in self._members.values() if member.member_id != now.member_id), now], [was.member] * departs)
        return True

    async def take_over(self, members: Sequence[Member], *, revision: int, departures: Sequence[Member]) -> bool:
        if len({key for member in members for key in member.keys}) != sum(len(member.keys) for member in members):
            raise ValueError("two people have the same key")
        if revision != self._revision:
            return False
        self._take(members, departures)
        return True

    async def departures(self) -> tuple[StoredMember, ...]:
        return tuple(StoredMember(member, version) for version, member in self._departures.items())

    async def settle(self, departures: Sequence[StoredMember]) -> None:
        for each in departures:
            self._departures.pop(each.version, None)

    async def is_under_first_key(self) -> bool:
        return True

    def _take(self, members: Iterable[Member], departures: Sequence[Member]) -> None:
        self._revision += 1
        self._members = {member.member_id: member for member in members}
        self._departures |= {f"{self._revision} {at}".encode(): member for at, member in enumerate(departures)}
