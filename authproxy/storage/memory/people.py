"""The register of people, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from authproxy.identity.member import Account, BlockedAccount, Member, RegisterKey
from authproxy.identity.person import MemberId
from authproxy.identity.register import leaves
from authproxy.identity.stored_register import Departure, LookedUp, RegisterSnapshot, StoredMember


class MemoryPeople:
    def __init__(self) -> None:
        self._revision = 0
        self._members: Mapping[MemberId, Member] = {}
        self._accounts: dict[Account, BlockedAccount] = {}
        self._departures: dict[bytes, Departure] = {}

    async def find(self, wanted: Sequence[RegisterKey]) -> tuple[StoredMember | None, ...]:
        owners = {key: member for member in self._members.values() for key in member.keys}
        return tuple(StoredMember(owners[key], b"") if key in owners else None for key in wanted)

    async def look_up(self, wanted: Sequence[RegisterKey]) -> LookedUp:
        blocked = {account.key: blocked for account, blocked in self._accounts.items()}
        return LookedUp(await self.find(wanted), {key: blocked[key] for key in wanted if key in blocked})

    async def every(self) -> RegisterSnapshot:
        return RegisterSnapshot(self._revision, tuple(self._members.values()), tuple(self._accounts.values()))

    async def revision(self) -> int:
        return self._revision

    async def is_lost(self) -> bool:
        return False

    async def change(self, found: StoredMember, replacement: Member, *, departs: bool) -> bool:
        if found.member.member_id != replacement.member_id:
            raise ValueError("a person's id does not change")
        others = {
            key
            for member in self._members.values()
            if member.member_id != replacement.member_id
            for key in member.keys
        }
        if self._members.get(replacement.member_id) != found.member or others & replacement.keys:
            return False
        self._replace(
            [
                *(member for member in self._members.values() if member.member_id != replacement.member_id),
                replacement,
            ]
        )
        self._depart([found.member] * departs)
        return True

    async def take_over(
        self,
        members: Sequence[Member],
        *,
        revision: int,
        departures: Sequence[Member],
        blocked: Sequence[BlockedAccount] = (),
    ) -> bool:
        _demand_different_keys(members)
        if revision != self._revision:
            return False
        self._replace(members)
        self._block(blocked)
        self._depart(departures)
        return True

    async def begin_anew(self, members: Sequence[Member], blocked: Sequence[BlockedAccount] = ()) -> int:
        _demand_different_keys(members)
        self._replace(members)
        self._block(blocked)
        return len(self._accounts)

    async def block_account(self, blocked: BlockedAccount, *, revision: int) -> bool:
        if revision != self._revision:
            return False
        self._accounts[blocked.account] = blocked
        self._revision += 1
        was = Member(member_id=MemberId(""), name="", accounts=(blocked.account,))
        self._departures[str(self._revision).encode()] = Departure(was, str(self._revision).encode())
        return True

    async def unblock_account(self, account: Account, *, revision: int) -> bool:
        if revision != self._revision:
            return False
        self._accounts.pop(account, None)
        self._revision += 1
        return True

    async def departures(self) -> tuple[Departure, ...]:
        return tuple(self._departures.values())

    async def settle(self, departures: Sequence[Departure]) -> None:
        for departure in departures:
            self._departures.pop(departure.version, None)

    async def is_under_first_key(self) -> bool:
        return True

    def _replace(self, members: Iterable[Member]) -> None:
        self._revision += 1
        self._members = {member.member_id: member for member in members}

    def _block(self, blocked: Iterable[BlockedAccount]) -> None:
        self._accounts = {each.account: each for each in blocked} | self._accounts

    def _depart(self, members: Iterable[Member]) -> None:
        for number, member in enumerate(members):
            version = f"{self._revision} {number}".encode()
            self._departures[version] = Departure(member, version, leaves(member, self._members))


def _demand_different_keys(members: Sequence[Member]) -> None:
    if len({key for member in members for key in member.keys}) != sum(len(member.keys) for member in members):
        raise ValueError("two people have the same key")
