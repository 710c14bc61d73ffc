"""The register of people in Redis: sealed entries that are found by keyed hashes. One entry can be changed,
or the whole register in one step. Blocked accounts of people outside the register are stored beside it.

Everything is in one slot and under one server key. An entry that does not open means that the store cannot be
asked: otherwise a blocked person would become unknown, and so unblocked, when a key is dropped. The same
holds if the register is lost or incomplete. Its parts count each other (`people_scripts`). That there was a
register is stored outside its slot too, and every instance that has seen it remembers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import Account, BlockedAccount, Member, RegisterKey
from authproxy.identity.person import MemberId
from authproxy.identity.register import leaves
from authproxy.identity.stored_register import Departure, LookedUp, RegisterSnapshot, StoredMember
from authproxy.storage.records import members as member_records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis import people_scripts
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import RedisConnection, pages
from authproxy.storage.redis.heartbeat import Heartbeat

_DEPARTURES_AT_ONCE: Final = 100
_STAGED_FOR: Final = timedelta(minutes=5)
"""If an import dies, what it has prepared expires after this time."""
_READINGS: Final = 5
_DEPARTURE_NAME: Final = "departure"
_REGISTER: Final = (
    keyspace.REGISTER,
    keyspace.REGISTER_NAMES,
    keyspace.REGISTER_PEOPLE,
    keyspace.REGISTER_ACCOUNTS,
    keyspace.REGISTER_DEPARTURES,
)
_COUNTED: Final = 4
"""The departures are not counted."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a complete register says of itself. `key` is None if there never was a register."""

    revision: int
    key: bytes | None
    accounts_key: bytes | None


class RegisterLost(CannotAsk):
    """There was a register, and the whole or a part of it is missing."""


class RedisPeople:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) if the store cannot be asked within the connection's
    deadline, if something in it does not open with the keys of the settings, or if the register or a part of
    it is lost."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        keys: KeyRing,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        """`heartbeat` remembers whether this process has seen a register."""
        self._connection = connection
        self._keys = keys
        self._heartbeat = heartbeat or Heartbeat(connection)

    async def find(self, wanted: Sequence[RegisterKey]) -> tuple[StoredMember | None, ...]:
        """The people who have these keys, in the order of the keys, all at one moment."""
        return (await self.look_up(wanted)).people

    async def look_up(self, wanted: Sequence[RegisterKey]) -> LookedUp:
        """The people who have these keys, and which of the keys are blocked accounts, by one question to the
        store."""
        names = [name for key_id in self._keys.key_ids for name in self._keys.register_names(wanted, key_id)]
        state, found = await self._state(
            ("EVAL", people_scripts.FIND, _COUNTED, *_REGISTER[:_COUNTED], *names)
        )
        people = tuple(
            None if entry is None or entry[0] is None else self._opened_for(key, entry[0], entry[1])
            for key, entry in zip(wanted, self._under(state.key, found, len(wanted)), strict=True)
        )
        blocked = {
            key: self._blocked(key, state.accounts_key, entry[2])
            for key, entry in zip(wanted, self._under(state.accounts_key, found, len(wanted)), strict=True)
            if entry is not None and entry[2] is not None
        }
        return LookedUp(people, blocked)

    async def every(self) -> RegisterSnapshot:
        """The whole register at one moment."""
        for _ in range(_READINGS):
            state = await self._complete_state()
            names = await self._connection.ask("HKEYS", keyspace.REGISTER_PEOPLE)
            sealed: list[bytes | None] = []
            for page in pages(names):
                sealed += await self._connection.ask("HMGET", keyspace.REGISTER_PEOPLE, *page)
            blocked = await self._blocked_accounts()
            if int(await self._connection.ask("HGET", keyspace.REGISTER, "revision") or 0) == state.revision:
                return RegisterSnapshot(
                    state.revision,
                    tuple(self._opened(name, entry) for name, entry in zip(names, sealed, strict=True)),
                    tuple(blocked),
                )
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people changes faster than it can be read")

    async def revision(self) -> int:
        """The register's revision, or 0 if there never was a register. Raises CannotAsk if it or a part of it
        is lost."""
        return (await self._complete_state()).revision

    async def is_lost(self) -> bool:
        """Whether there was a register, and the whole or a part of it is lost."""
        try:
            await self._complete_state()
        except RegisterLost:
            return True
        return False

    async def change(self, found: StoredMember, replacement: Member, *, departs: bool) -> bool:
        """Puts `replacement` in the place of a person that was found. False if the person has changed
        meanwhile, or somebody else has one of the new keys. With `departs`, the person is among the
        departures as they were before."""
        before = found.member
        if before.member_id != replacement.member_id:
            raise ValueError("a person's id does not change")
        key_id = self._known((await self._complete_state()).key)
        (name,) = self._keys.register_names([RegisterKey("id", replacement.member_id)], key_id)
        gone = self._keys.register_names(before.keys - replacement.keys, key_id)
        added = self._keys.register_names(replacement.keys - before.keys, key_id)
        departure = self._departure(before) if departs else b""
        changed = await self._decide(
            people_scripts.CHANGE,
            len(_REGISTER),
            *_REGISTER,
            key_id,
            name,
            found.version,
            self._sealed(replacement, name),
            departure,
            len(gone),
            *gone,
            *added,
        )
        return self._done(changed)

    async def take_over(
        self,
        members: Sequence[Member],
        *,
        revision: int,
        departures: Sequence[Member],
        blocked: Sequence[BlockedAccount] = (),
    ) -> bool:
        """Makes this the whole register in one step, under the first key. Blocked accounts stay and get that
        key too; `blocked` are added. False, and nothing is changed, if the register is not at `revision` any
        more. `departures` are people as they were before whose sessions must end; what those who leave
        (`identity.register`) have enrolled must be removed. Raises ValueError if two people have the same
        key."""
        await self._complete_state()  # a register that is lost must not be overwritten by a nightly import
        return await self._replace_register(
            members, await self._blocked_with(blocked), str(revision), departures
        )

    async def begin_anew(self, members: Sequence[Member], blocked: Sequence[BlockedAccount] = ()) -> int:
        """Makes this the whole register, after the one before was lost or became incomplete. Blocked accounts
        that are still there stay, and `blocked` are added. Returns how many there are."""
        every = await self._blocked_with(blocked)
        await self._replace_register(members, every, "", ())
        return len(every)

    async def block_account(self, blocked: BlockedAccount, *, revision: int) -> bool:
        """Blocks an account of somebody outside the register, instead of an earlier block. False if the
        register is not at `revision` any more. The account is among the departures then."""
        was = Member(member_id=MemberId(""), name="", accounts=(blocked.account,))
        return await self._set_account(blocked.account, blocked, self._departure(was), revision)

    async def unblock_account(self, account: Account, *, revision: int) -> bool:
        """Ends the block of an account. False if the register is not at `revision` any more."""
        return await self._set_account(account, None, b"", revision)

    async def departures(self) -> tuple[Departure, ...]:
        """Some of the people whose sessions must end because of a change; empty when all of them are
        settled."""
        found = await self._connection.ask("SRANDMEMBER", keyspace.REGISTER_DEPARTURES, _DEPARTURES_AT_ONCE)
        return tuple(map(self._departing, found))

    async def settle(self, departures: Sequence[Departure]) -> None:
        """Call this when the sessions of these people have ended."""
        await self._connection.ask(
            "SREM", keyspace.REGISTER_DEPARTURES, *(departure.version for departure in departures)
        )

    async def is_under_first_key(self) -> bool:
        """Whether the register opens if all keys but the first are dropped."""
        found = await self._connection.ask("HMGET", keyspace.REGISTER, "key", "accounts_key")
        return all(self._known(key_id) == self._keys.key_ids[0] for key_id in found if key_id is not None)

    async def _complete_state(self) -> _State:
        return (await self._state(("EVAL", people_scripts.LOOK, _COUNTED, *_REGISTER[:_COUNTED])))[0]

    async def _state(self, question: Command) -> tuple[_State, list[Any]]:
        """What the register says of itself, and the rest of the answer. The newest revision that was seen is
        asked in the same question."""
        answer, seen = await self._connection.each([question, ("GET", keyspace.REGISTER_SEEN)])
        if isinstance(answer, CannotAsk):
            raise answer
        if answer[0] == people_scripts.NOT_WHOLE:
            raise _lost("a part of the register of people is lost")
        _, revision, key, accounts_key = answer[:4]
        if revision is None:
            if isinstance(seen, CannotAsk):
                raise seen
            if seen is not None or self._heartbeat.newest_revision > 0:
                raise _lost("the register of people is lost")
        if not (revision or b"0").isdigit():
            raise _unreadable()
        state = _State(
            int(revision or 0),
            None if revision is None else self._known(key),
            accounts_key and self._known(accounts_key),
        )
        return state, answer[4:]

    def _under(self, key_id: bytes | None, found: list[Any], count: int) -> list[Any]:
        """The answers for names that were made with this key, out of the answers for all keys."""
        if key_id is None:
            return [None] * count
        at = self._keys.key_ids.index(key_id) * count
        return found[at : at + count]

    async def _replace_register(
        self,
        members: Sequence[Member],
        blocked: Sequence[BlockedAccount],
        revision: str,
        departures: Sequence[Member],
    ) -> bool:
        key_id = self._keys.key_ids[0]
        names: dict[str, str] = {}
        people: dict[str, bytes] = {}
        for member in members:
            (own,) = self._keys.register_names([RegisterKey("id", member.member_id)], key_id)
            people[own] = self._sealed(member, own)
            names |= dict.fromkeys(self._keys.register_names(member.keys, key_id), own)
        if len(names) != sum(len(member.keys) for member in members):
            raise ValueError("two people have the same key")
        accounts = [self._sealed_account(account, key_id) for account in blocked]
        after = {member.member_id: member for member in members}
        departing = [self._departure(member, is_leaving=leaves(member, after)) for member in departures]
        staged = [keyspace.staged(live, self._keys.random_bytes(12).hex()) for live in _REGISTER[1:]]
        await self._stage("HSET", staged[0], list(names.items()))
        await self._stage("HSET", staged[1], list(people.items()))
        await self._stage("HSET", staged[2], accounts)
        await self._stage("SADD", staged[3], [(sealed,) for sealed in departing])
        sizes = (len(names), len(people), len(accounts), len(departing))
        newest = 0 if revision else await self._seen()
        outcome = await self._decide(
            people_scripts.TAKE_OVER,
            len(_REGISTER) + len(staged),
            *_REGISTER,
            *staged,
            revision,
            key_id,
            newest,
            *sizes,
        )
        if outcome == people_scripts.GONE_MEANWHILE:
            raise CannotAsk(
                Reason.STORE_UNAVAILABLE, "what was made ready for the register has gone from the store"
            )
        return self._done(outcome)

    async def _decide(self, script: str, *arguments: str | bytes | int) -> int:
        """What a script answers that changes the register. A block that a failover loses would let somebody in
        again, so a replica may have to confirm it."""
        [outcome] = await self._connection.confirmed([("EVAL", script, *arguments)])
        return int(outcome)

    async def _seen(self) -> int:
        """The newest revision that any instance has seen."""
        seen = await self._connection.ask("GET", keyspace.REGISTER_SEEN)
        return max(self._heartbeat.newest_revision, int(seen) if seen is not None and seen.isdigit() else 0)

    async def _set_account(
        self, account: Account, blocked: BlockedAccount | None, departure: bytes, revision: int
    ) -> bool:
        state = await self._complete_state()
        first = self._keys.key_ids[0]
        key_id = state.accounts_key or first
        name, sealed = self._account_name(account, key_id), b""
        if blocked is not None:
            name, sealed = self._sealed_account(blocked, key_id)
        changed = await self._decide(
            people_scripts.SET_ACCOUNT,
            len(_REGISTER),
            *_REGISTER,
            revision,
            first,
            key_id,
            name,
            sealed,
            departure,
        )
        return self._done(changed)

    async def _stage(self, command: str, key: str, items: Sequence[tuple[str | bytes, ...]]) -> None:
        lives_for = values.span_in_milliseconds(_STAGED_FOR)
        for page in pages(items):
            filled: Command = (command, key, *(part for item in page for part in item))
            await self._connection.all([filled, ("PEXPIRE", key, lives_for)])

    def _sealed(self, member: Member, name: str) -> bytes:
        octets = member_records.member_octets(member)
        return self._keys.seal(Purpose.MEMBER, octets, bound_to=name)

    def _departure(self, member: Member, *, is_leaving: bool = False) -> bytes:
        octets = member_records.departure_octets(member, is_leaving=is_leaving)
        return self._keys.seal(Purpose.MEMBER, octets, bound_to=_DEPARTURE_NAME)

    def _departing(self, sealed: bytes) -> Departure:
        octets = self._keys.open(Purpose.MEMBER, sealed, bound_to=_DEPARTURE_NAME)
        member = None if octets is None else member_records.member_in(octets)
        if octets is None or member is None:
            raise _unreadable()
        return Departure(member, sealed, member_records.is_leaving_in(octets))

    def _account_name(self, account: Account, key_id: bytes) -> str:
        return self._keys.register_names([account.key], key_id)[0]

    def _sealed_account(self, blocked: BlockedAccount, key_id: bytes) -> tuple[str, bytes]:
        name = self._account_name(blocked.account, key_id)
        octets = member_records.account_octets(blocked)
        return name, self._keys.seal(Purpose.BLOCKED_ACCOUNT, octets, bound_to=name)

    async def _blocked_with(self, more: Sequence[BlockedAccount]) -> list[BlockedAccount]:
        """The blocked accounts, and those of the others that are not among them."""
        known = await self._blocked_accounts()
        accounts = {blocked.account for blocked in known}
        return [*known, *(blocked for blocked in more if blocked.account not in accounts)]

    async def _blocked_accounts(self) -> list[BlockedAccount]:
        found = await self._connection.ask("HGETALL", keyspace.REGISTER_ACCOUNTS)
        return [self._account(name, sealed) for name, sealed in zip(found[::2], found[1::2], strict=True)]

    def _account(self, name: bytes, sealed: bytes) -> BlockedAccount:
        octets = self._keys.open(Purpose.BLOCKED_ACCOUNT, sealed, bound_to=name.decode())
        blocked = None if octets is None else member_records.account_in(octets)
        if blocked is None:
            raise _unreadable()
        return blocked

    def _blocked(self, key: RegisterKey, key_id: bytes | None, sealed: bytes) -> BlockedAccount:
        (name,) = self._keys.register_names([key], self._known(key_id))
        blocked = self._account(name.encode(), sealed)
        if blocked.account.key != key:
            raise _unreadable()
        return blocked

    @staticmethod
    def _done(outcome: int) -> bool:
        if outcome == people_scripts.NOT_WHOLE:
            raise _lost("a part of the register of people is lost")
        return bool(outcome)

    def _opened_for(self, key: RegisterKey, name: bytes, sealed: bytes | None) -> StoredMember:
        member = self._opened(name, sealed)
        if key not in member.keys:
            # Somebody has changed the index in the store, so that a key leads to another person.
            raise _unreadable()
        return StoredMember(member, sealed or b"")

    def _opened(self, name: bytes, sealed: bytes | None) -> Member:
        octets = None if sealed is None else self._keys.open(Purpose.MEMBER, sealed, bound_to=name.decode())
        member = None if octets is None else member_records.member_in(octets)
        if member is None:
            raise _unreadable()
        return member

    def _known(self, key_id: bytes | None) -> bytes:
        if key_id is None or key_id not in self._keys.key_ids:
            raise _unreadable()
        return key_id


def _unreadable() -> CannotAsk:
    return CannotAsk(
        Reason.STORE_UNAVAILABLE,
        "the register of people does not open with `sessions.keys`: was a key dropped too early?",
    )


def _lost(what: str) -> RegisterLost:
    return RegisterLost(
        Reason.STORE_UNAVAILABLE,
        f"{what}, and with it who is blocked: restore the store, or begin a new register with `authproxy "
        "people import --new-register`",
    )
