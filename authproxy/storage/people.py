"""The register of people in Redis: sealed entries, found by keyed hashes, changed one at a time or as a whole in one step.

Everything is in one slot and under one server key. What does not open is "cannot be asked": nobody may become unknown, and so
unblocked, because a key was dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import Member, RegisterKey
from authproxy.storage import answers, codec, keyspace, member_records, records
from authproxy.storage.answers import Command, Script
from authproxy.storage.codec import KeyRing
from authproxy.storage.redis import RedisConnection

_PAGE: Final = 500
_DEPARTURES: Final = 100
_STAGED_FOR: Final = timedelta(minutes=5)
"""An import that dies leaves nothing behind."""
_READINGS: Final = 5
_DEPARTURE_NAME: Final = "departure"


def _found(answer: Any) -> bool:
    """Revision, key, and for each name that was asked for nothing or the owner's name and the owner."""
    if not isinstance(answer, list) or not answers.texts(answer[:2]):
        return False
    return all(pair is None or answers.fields(2)(pair) for pair in answer[2:])


_FIND: Final = Script("""
local answer = redis.call('HMGET', KEYS[1], 'revision', 'key')
for at = 1, #ARGV do
  local name = redis.call('HGET', KEYS[2], ARGV[at])
  answer[at + 2] = name and {name, redis.call('HGET', KEYS[3], name)}
end
return answer
""", _found)
# Compared with what the caller has read, so that of two changes to the same person one starts again; and nobody gets what another has.
_CHANGE: Final = Script("""
if redis.call('HGET', KEYS[1], 'key') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then return 0 end
local gone = 6 + tonumber(ARGV[6])
for at = gone + 1, #ARGV do
  local owner = redis.call('HGET', KEYS[2], ARGV[at])
  if owner and owner ~= ARGV[2] then return 0 end
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
if ARGV[5] ~= '' then redis.call('SADD', KEYS[4], ARGV[5]) end
for at = 7, gone do redis.call('HDEL', KEYS[2], ARGV[at]) end
for at = gone + 1, #ARGV do redis.call('HSET', KEYS[2], ARGV[at], ARGV[2]) end
return redis.call('HINCRBY', KEYS[1], 'revision', 1)
""", answers.whole)
_TAKE_OVER: Final = Script("""
if (redis.call('HGET', KEYS[1], 'revision') or '0') ~= ARGV[1] then
  redis.call('DEL', KEYS[5], KEYS[6], KEYS[7])
  return 0
end
if redis.call('HLEN', KEYS[5]) ~= tonumber(ARGV[3]) or redis.call('HLEN', KEYS[6]) ~= tonumber(ARGV[4]) then return -1 end
if redis.call('SCARD', KEYS[7]) ~= tonumber(ARGV[5]) then return -1 end
redis.call('DEL', KEYS[2], KEYS[3])
for at = 5, 6 do
  if redis.call('PERSIST', KEYS[at]) == 1 then redis.call('RENAME', KEYS[at], KEYS[at - 3]) end
end
redis.call('SUNIONSTORE', KEYS[4], KEYS[4], KEYS[7])
redis.call('DEL', KEYS[7])
redis.call('HSET', KEYS[1], 'key', ARGV[2])
return redis.call('HINCRBY', KEYS[1], 'revision', 1)
""", answers.whole)
_Item = TypeVar("_Item")
_LIVE: Final = (keyspace.REGISTER, keyspace.REGISTER_NAMES, keyspace.REGISTER_PEOPLE, keyspace.REGISTER_DEPARTURES)


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A person as they were found; `version` is for changing what was found and nothing else."""

    member: Member
    version: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole register at one moment. Every change raises the revision, which begins with 0 for a register that was never filled."""

    revision: int
    members: tuple[Member, ...]


class RedisPeople:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot be asked, or when what is
    in it does not open with the keys of the settings."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing, fresh: Callable[[int], bytes]) -> None:
        """`fresh` makes that many random bytes."""
        self._connection = connection
        self._keys = keys
        self._fresh = fresh

    async def find(self, wanted: Sequence[RegisterKey]) -> tuple[StoredMember | None, ...]:
        """The people who have these keys, in the same order and as of one moment."""
        names = [name for key_id in self._keys.key_ids for name in self._keys.register_names(wanted, key_id)]
        _, key_id, *found = await self._connection.ask("EVAL", _FIND, 3, *_LIVE[:3], *names)
        if key_id is None:
            return (None,) * len(wanted)
        at = self._keys.key_ids.index(self._known(key_id)) * len(wanted)
        return tuple(
            None if pair is None else self._found(key, *pair) for key, pair in zip(wanted, found[at : at + len(wanted)], strict=True)
        )

    async def every(self) -> Snapshot:
        """Everybody, as of one moment."""
        for _ in range(_READINGS):
            revision, key_id = await self._connection.ask("HMGET", keyspace.REGISTER, "revision", "key")
            if revision is None:
                return Snapshot(0, ())
            self._known(key_id)
            names = await self._connection.ask("HKEYS", keyspace.REGISTER_PEOPLE)
            sealed: list[bytes | None] = []
            for page in _pages(names):
                sealed += await self._connection.ask("HMGET", keyspace.REGISTER_PEOPLE, *page)
            if await self._connection.ask("HGET", keyspace.REGISTER, "revision") == revision:
                return Snapshot(int(revision), tuple(self._opened(name, each) for name, each in zip(names, sealed, strict=True)))
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people changes faster than it can be read")

    async def change(self, was: StoredMember, now: Member, *, departs: bool) -> bool:
        """Puts `now` in the place of what was found; False if that has changed meanwhile, or a new key is somebody else's. `departs`: the
        sessions of the person as they were must end."""
        before = was.member
        if before.member_id != now.member_id:
            raise ValueError("a person's id does not change")
        _, key_id = await self._connection.ask("HMGET", keyspace.REGISTER, "revision", "key")
        key_id = self._known(key_id)
        (name,) = self._keys.register_names([RegisterKey("id", now.member_id)], key_id)
        gone = self._keys.register_names(before.keys - now.keys, key_id)
        added = self._keys.register_names(now.keys - before.keys, key_id)
        departure = self._sealed(before, _DEPARTURE_NAME) if departs else b""
        changed = await self._connection.ask(
            "EVAL", _CHANGE, 4, *_LIVE, key_id, name, was.version, self._sealed(now, name), departure, len(gone), *gone, *added
        )
        return bool(changed)

    async def take_over(self, members: Sequence[Member], *, revision: int, departures: Sequence[Member]) -> bool:
        """Makes this the whole register, in one step and under the first key; False if it is no longer at `revision`, and then nothing has
        changed. The sessions of `departures` must end. Two people with the same key are the caller's fault: ValueError."""
        key_id, _ = self._keys.sealing
        names: dict[str, str] = {}
        people: dict[str, bytes] = {}
        for member in members:
            (own,) = self._keys.register_names([RegisterKey("id", member.member_id)], key_id)
            people[own] = self._sealed(member, own)
            names |= dict.fromkeys(self._keys.register_names(member.keys, key_id), own)
        if len(names) != sum(len(member.keys) for member in members):
            raise ValueError("two people have the same key")
        leaving = [self._sealed(member, _DEPARTURE_NAME) for member in departures]
        staged = [keyspace.staged(live, self._fresh(12).hex()) for live in _LIVE[1:]]
        await self._stage("HSET", staged[0], list(names.items()))
        await self._stage("HSET", staged[1], list(people.items()))
        await self._stage("SADD", staged[2], [(sealed,) for sealed in leaving])
        outcome = await self._connection.ask(
            "EVAL", _TAKE_OVER, 7, *_LIVE, *staged, revision, key_id, len(names), len(people), len(leaving)
        )
        if outcome < 0:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "what was made ready for the register has gone from the store")
        return bool(outcome)

    async def departures(self) -> tuple[StoredMember, ...]:
        """Some of the people whose sessions must end because of a change; none once all of them are settled."""
        found = await self._connection.ask("SRANDMEMBER", keyspace.REGISTER_DEPARTURES, _DEPARTURES)
        return tuple(StoredMember(self._opened(_DEPARTURE_NAME.encode(), sealed), sealed) for sealed in found)

    async def settle(self, departures: Sequence[StoredMember]) -> None:
        """To be called once the sessions of these have ended."""
        await self._connection.ask("SREM", keyspace.REGISTER_DEPARTURES, *(each.version for each in departures))

    async def is_under_first_key(self) -> bool:
        """Whether the register would outlive all keys but the first."""
        key_id = await self._connection.ask("HGET", keyspace.REGISTER, "key")
        return key_id is None or self._known(key_id) == self._keys.key_ids[0]

    async def _stage(self, command: str, key: str, items: Sequence[tuple[str | bytes, ...]]) -> None:
        kept_for = records.span_in_milliseconds(_STAGED_FOR)
        for page in _pages(items):
            filled: Command = (command, key, *(part for item in page for part in item))
            await self._connection.all([filled, ("PEXPIRE", key, kept_for)])

    def _sealed(self, member: Member, name: str) -> bytes:
        octets = member_records.member_octets(member)
        return codec.seal_member(octets, ring=self._keys, name=name, nonce=self._fresh(codec.NONCE_SIZE))

    def _found(self, key: RegisterKey, name: bytes, sealed: bytes | None) -> StoredMember:
        member = self._opened(name, sealed)
        if key not in member.keys:  # somebody has written into the store what leads from one person's key to another person
            raise _unreadable()
        return StoredMember(member, sealed or b"")

    def _opened(self, name: bytes, sealed: bytes | None) -> Member:
        octets = None if sealed is None else codec.open_member(sealed, ring=self._keys, name=name.decode())
        member = None if octets is None else member_records.member_in(octets)
        if member is None:
            raise _unreadable()
        return member

    def _known(self, key_id: bytes | None) -> bytes:
        if key_id is None or key_id not in self._keys.key_ids:
            raise _unreadable()
        return key_id


def _unreadable() -> CannotAsk:
    return CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people does not open with `sessions.keys`: was a key dropped too early?")


def _pages(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _PAGE):
        yield items[start : start + _PAGE]
