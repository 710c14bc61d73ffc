"""What people have enrolled to prove themselves with, in Redis: sealed, without an end, found by a keyed hash
of the owner.

Steps and recovery codes are spent where they lie, once, whichever instance asks. Names of owners are made
with a server key; what is under an older one is found, and moved by `reseal`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from authproxy.challenges.enrolment import Enrolment
from authproxy.storage import retention
from authproxy.storage.records import challenges as challenge_records
from authproxy.storage.records import values
from authproxy.storage.records.challenges import Owned, RecoverySet
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection

_SET_ID_SIZE: Final = 16
_PAGE: Final = 500
_READINGS: Final = 5
_MADE_READY_FOR: Final = timedelta(minutes=5)
"""Recovery codes of whoever dies before they count leave nothing behind."""

_ADD: Final = Script(
    """
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) or redis.call('HGET', KEYS[1], ARGV[1]) then return 0 end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
""",
    answer_shapes.whole,
)
# Compared with what was read, so that nothing is taken away that was put there meanwhile.
_TAKE_AWAY: Final = Script(
    """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
""",
    answer_shapes.whole,
)
# A set of recovery codes and the listings that an older version kept beside it go together.
_DROP_SET: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for at = 2, #ARGV do redis.call('HDEL', KEYS[2], ARGV[at]) end
return redis.call('DEL', KEYS[1])
""",
    answer_shapes.whole,
)
_SWAP: Final = Script(
    """
local earlier = redis.call('GET', KEYS[1])
if ARGV[1] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1]) end
return earlier
""",
    answer_shapes.text,
)
_SET_IF: Final = Script(
    """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
""",
    answer_shapes.whole,
)
_ACCEPT: Final = Script(
    """
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""",
    answer_shapes.whole,
)


class _Stored(NamedTuple):
    """An enrolment as it was found: under which of its owner's names, in which field."""

    name: str
    field: str
    sealed: bytes
    owned: Owned

    @property
    def enrolment_id(self) -> str:
        return self.owned.enrolment.enrolment_id


class _StoredSet(NamedTuple):
    """A set of recovery codes as it was found: under which of its owner's names."""

    name: str
    sealed: bytes
    kept: RecoverySet


class _Found(NamedTuple):
    """All that one person has."""

    methods: list[_Stored]
    """Listings of recovery codes by an older version are among them."""
    sets: list[_StoredSet]
    """The one that counts last."""
    sealed: bytes | None
    """The record of the set under the first name, readable or not."""

    @property
    def recovery(self) -> Enrolment | None:
        """How the recovery codes are shown to their person; always there where there is a set of them."""
        listed = [
            stored.owned.enrolment for stored in self.methods if stored.owned.enrolment.method == "recovery"
        ]
        if not self.sets:
            return listed[0] if listed else None
        kept = self.sets[-1].kept
        return kept.listing or (listed[0] if listed else _unlisted(kept))

    @property
    def every(self) -> tuple[Enrolment, ...]:
        found = {
            each.enrolment_id: each.owned.enrolment
            for each in self.methods
            if each.owned.enrolment.method != "recovery"
        }
        recovery = self.recovery
        every = [*found.values(), *([] if recovery is None else [recovery])]
        return tuple(sorted(every, key=lambda enrolment: (enrolment.enrolled_at, enrolment.enrolment_id)))


class RedisEnrolments:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. `owner` is `challenges.enrolment.owner_of` the person."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys
        self.unreadable = 0
        """Enrolments that were there and did not open since the start. For metrics."""

    async def of(self, owner: tuple[str, ...]) -> tuple[Enrolment, ...]:
        """What this person has enrolled, the oldest first. Recovery codes that nobody has listed are only in
        `every`."""
        return tuple(
            each for each in await self.every(owner) if each.enrolled_at > retention.ENROLLED_AT_UNKNOWN
        )

    async def every(self, owner: tuple[str, ...]) -> tuple[Enrolment, ...]:
        """All that proves something for this person, the oldest first. Codes that an older version has made
        and not listed were enrolled at `retention.ENROLLED_AT_UNKNOWN`."""
        return (await self._found(owner)).every

    async def add(
        self, owner: tuple[str, ...], enrolment: Enrolment, *, most: int = retention.ENROLMENTS_PER_PERSON
    ) -> bool:
        """False, and nothing added, for whoever has that many, or this one, already."""
        first, *older = self._names(owner)
        elsewhere = sum(await self._connection.all([("HLEN", keyspace.enrolments(name)) for name in older]))
        field = keyspace.enrolment_name(enrolment.enrolment_id)
        sealed = self._sealed(
            challenge_records.owned_octets(Owned(owner, enrolment)), _bound_to(first, field)
        )
        return bool(
            await self._connection.ask(
                "EVAL", _ADD, 1, keyspace.enrolments(first), field, sealed, most - elsewhere
            )
        )

    async def remove(self, owner: tuple[str, ...], enrolment_id: str) -> bool:
        """Whether there was one. Of many who remove it at the same moment one is told so."""
        is_gone = False
        # Looked at again, because it may have been moved under another key since it was read.
        for _ in range(_READINGS):
            found = await self._found(owner)
            if found.sets and found.recovery is not None and found.recovery.enrolment_id == enrolment_id:
                is_gone |= await self._drop_sets(found)
                continue
            meant = [stored for stored in found.methods if stored.enrolment_id == enrolment_id]
            if not meant:
                break
            is_gone |= any(await self._connection.all([_taking_away(stored) for stored in meant]))
        return is_gone

    async def remove_all(self, owners: Sequence[tuple[str, ...]]) -> None:
        """Forgets all that these people have enrolled, recovery codes too."""
        # The first name last, as in `put_recovery`: what is moved there in between must not stay.
        names = [name for owner in owners for name in self._names(owner)[::-1]]
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            swapped = await self._connection.all(
                [
                    *(("EVAL", _SWAP, 1, keyspace.recovery(name), b"") for name in page),
                    *(("DEL", keyspace.enrolments(name)) for name in page),
                ]
            )
            earlier = [self._recovery_set(was, name) for name, was in zip(page, swapped, strict=False)]
            gone = [_codes(kept) for kept in earlier if kept is not None]
            if gone:
                await self._connection.all([("DEL", key) for key in gone])

    async def accept_step(self, enrolment_id: str, step: int) -> bool:
        """Whether this step of time is later than every one that was accepted before; from now on it was.
        Remembered for two days."""
        key = keyspace.accepted_step(keyspace.enrolment_name(enrolment_id))
        kept_for = values.span_in_milliseconds(retention.STEP_KEPT_FOR)
        return bool(await self._connection.ask("EVAL", _ACCEPT, 1, key, step, kept_for))

    async def make_recovery(
        self, owner: tuple[str, ...], hashes: Sequence[str], listing: Enrolment, *, instead_of: str | None
    ) -> bool:
        """Makes these the person's recovery codes, shown as `listing`, if those that there are now are shown
        under the id `instead_of` (None: there are none). False otherwise, and then nothing has changed: of
        many who begin at the same moment one gets True."""
        found = await self._found(owner)
        earlier = found.recovery
        if (None if earlier is None else earlier.enrolment_id) != instead_of:
            return False
        first, *older = self._names(owner)
        kept = RecoverySet(owner, self._keys.random_bytes(_SET_ID_SIZE).hex(), listing)
        codes = await self._prepared(kept, hashes)
        sealed = self._sealed(challenge_records.recovery_set_octets(kept), first)
        # One write for the set and its listing: neither is ever there without the other.
        if not await self._connection.ask(
            "EVAL", _SET_IF, 1, keyspace.recovery(first), found.sealed or b"", sealed
        ):
            await self._connection.ask("DEL", codes)
            return False
        listings = [_taking_away(each) for each in found.methods if each.owned.enrolment.method == "recovery"]
        await self._connection.all(
            [
                ("PERSIST", codes),
                *(("EVAL", _SWAP, 1, keyspace.recovery(name), b"") for name in older),
                *listings,
                *(("DEL", _codes(each.kept)) for each in found.sets),
            ]
        )
        return True

    async def put_recovery(self, owner: tuple[str, ...], hashes: Sequence[str]) -> None:
        """Makes these the person's recovery codes whatever there was; no earlier one counts any more. None at
        all takes them away."""
        first, *older = self._names(owner)
        sealed, codes = b"", ""
        if hashes:
            kept = RecoverySet(owner, self._keys.random_bytes(_SET_ID_SIZE).hex())
            sealed = self._sealed(challenge_records.recovery_set_octets(kept), first)
            codes = await self._prepared(kept, hashes)
        # The first name last here too: what is moved there in between must not stay.
        swapped = await self._connection.all(
            [
                *(("EVAL", _SWAP, 1, keyspace.recovery(name), b"") for name in older),
                ("EVAL", _SWAP, 1, keyspace.recovery(first), sealed),
                *([("PERSIST", codes)] if codes else []),
            ]
        )
        earlier = [self._recovery_set(was, name) for name, was in zip((*older, first), swapped, strict=False)]
        gone = [_codes(kept) for kept in earlier if kept is not None]
        if gone:
            await self._connection.all([("DEL", key) for key in gone])

    async def _prepared(self, kept: RecoverySet, hashes: Sequence[str]) -> str:
        """The key of the codes of a set that does not count yet."""
        codes = _codes(kept)
        members = [keyspace.recovery_code_name(kept.set_id, each) for each in hashes]
        await self._connection.all(
            [("SADD", codes, *members), ("PEXPIRE", codes, values.span_in_milliseconds(_MADE_READY_FOR))]
        )
        return codes

    async def _drop_sets(self, found: _Found) -> bool:
        listings = [stored for stored in found.methods if stored.owned.enrolment.method == "recovery"]
        dropped = await self._connection.all(
            [
                (
                    "EVAL",
                    _DROP_SET,
                    2,
                    keyspace.recovery(each.name),
                    keyspace.enrolments(each.name),
                    each.sealed,
                    *(stored.field for stored in listings if stored.name == each.name),
                )
                for each in found.sets
            ]
        )
        gone = [_codes(each.kept) for each, is_gone in zip(found.sets, dropped, strict=True) if is_gone]
        if gone:
            await self._connection.all([("DEL", key) for key in gone])
        return bool(gone)

    async def spend_recovery(self, owner: tuple[str, ...], code_hash: str) -> bool:
        """Whether this is one of the person's codes; nobody is told so of it again."""
        kept = await self._recovery(owner)
        if kept is None:
            return False
        return bool(
            await self._connection.ask(
                "SREM", _codes(kept), keyspace.recovery_code_name(kept.set_id, code_hash)
            )
        )

    async def recovery_left(self, owner: tuple[str, ...]) -> int:
        kept = await self._recovery(owner)
        return 0 if kept is None else int(await self._connection.ask("SCARD", _codes(kept)))

    async def reseal(self) -> int:
        """Moves what is under older keys under the first, so that they may be dropped; of how many things
        that was done. What is being changed at the same moment ends as it was changed."""
        moved = 0
        async for key in self._every(keyspace.EVERY_ENROLMENTS):
            name = keyspace.owner_name_in(key)
            for stored in self._read(name, await self._connection.ask("HGETALL", key)):
                moved += await self._move_enrolment(stored)
        async for key in self._every(keyspace.EVERY_RECOVERY):
            moved += await self._move_recovery(keyspace.owner_name_in(key))
        return moved

    async def _move_enrolment(self, stored: _Stored) -> bool:
        first = self._names(stored.owned.owner)[0]
        if stored.name == first:
            return False
        anew = stored._replace(
            name=first,
            sealed=self._sealed(challenge_records.owned_octets(stored.owned), _bound_to(first, stored.field)),
        )
        # The new one first, and taken back if somebody has removed the old one in between: nothing is lost,
        # and nothing comes back.
        is_new = await self._connection.ask(
            "EVAL",
            _ADD,
            1,
            keyspace.enrolments(first),
            anew.field,
            anew.sealed,
            2 * retention.ENROLMENTS_PER_PERSON,
        )
        is_gone = await self._connection.ask(*_taking_away(stored))
        if is_new and not is_gone:
            await self._connection.ask(*_taking_away(anew))
        return bool(is_gone)

    async def _move_recovery(self, name: str) -> bool:
        sealed = await self._connection.ask("GET", keyspace.recovery(name))
        kept = self._recovery_set(sealed, name)
        if kept is None or name == self._names(kept.owner)[0]:
            return False
        first = self._names(kept.owner)[0]
        anew = self._sealed(challenge_records.recovery_set_octets(kept), first)
        is_new = await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(first), b"", anew)
        is_gone = await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(name), sealed, b"")
        if is_new and not is_gone:
            await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(first), anew, b"")
        return bool(is_gone)

    async def _every(self, pattern: str) -> AsyncIterator[bytes]:
        cursor: int | bytes = 0
        while True:
            cursor, keys = await self._connection.ask("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
            for key in keys:
                yield key
            if int(cursor) == 0:
                return

    async def _found(self, owner: tuple[str, ...]) -> _Found:
        # The first name last: what is being moved there is then seen under one of them, or under both.
        names = self._names(owner)[::-1]
        answers_to = await self._connection.all(
            [
                *(("HGETALL", keyspace.enrolments(name)) for name in names),
                *(("GET", keyspace.recovery(name)) for name in names),
            ]
        )
        methods = [
            stored
            for name, flat in zip(names, answers_to[: len(names)], strict=True)
            for stored in self._read(name, flat)
        ]
        # A set that does not open is counted where a code is looked for in it.
        opened = [
            (name, sealed, self._opened_set(sealed, name))
            for name, sealed in zip(names, answers_to[len(names) :], strict=True)
        ]
        sets = [_StoredSet(name, sealed, kept) for name, sealed, kept in opened if kept is not None]
        return _Found(methods, sets, answers_to[-1])

    def _read(self, name: str, flat: Sequence[bytes]) -> list[_Stored]:
        """What opens of a person's hash, which came as fields and values by turns."""
        found: list[_Stored] = []
        for octets, sealed in zip(flat[::2], flat[1::2], strict=True):
            field = octets.decode("ascii", "replace")
            plaintext = self._keys.open(Purpose.ENROLMENT, sealed, bound_to=_bound_to(name, field))
            owned = None if plaintext is None else challenge_records.owned_in(plaintext)
            if owned is None:
                self.unreadable += 1
            else:
                found.append(_Stored(name, field, sealed, owned))
        return found

    async def _recovery(self, owner: tuple[str, ...]) -> RecoverySet | None:
        names = self._names(owner)[::-1]
        found = await self._connection.all([("GET", keyspace.recovery(name)) for name in names])
        opened = [self._recovery_set(sealed, name) for name, sealed in zip(names, found, strict=True)]
        return next((kept for kept in reversed(opened) if kept is not None), None)

    def _recovery_set(self, sealed: bytes | None, name: str) -> RecoverySet | None:
        kept = self._opened_set(sealed, name)
        self.unreadable += sealed is not None and kept is None
        return kept

    def _opened_set(self, sealed: bytes | None, name: str) -> RecoverySet | None:
        plaintext = None if sealed is None else self._keys.open(Purpose.ENROLMENT, sealed, bound_to=name)
        return None if plaintext is None else challenge_records.recovery_set_in(plaintext)

    def _sealed(self, octets: bytes, bound_to: str) -> bytes:
        return self._keys.seal(Purpose.ENROLMENT, octets, bound_to=bound_to)

    def _names(self, owner: tuple[str, ...]) -> tuple[str, ...]:
        return self._keys.owner_names("enrolments", owner)


def _taking_away(stored: _Stored) -> Command:
    return ("EVAL", _TAKE_AWAY, 1, keyspace.enrolments(stored.name), stored.field, stored.sealed)


def _unlisted(kept: RecoverySet) -> Enrolment:
    """How a set is shown that nobody has listed."""
    name = keyspace.recovery_set_name(kept.set_id)[:_SET_ID_SIZE]
    return Enrolment(
        enrolment_id=f"recovery-{name}",
        method="recovery",
        label="",
        enrolled_at=retention.ENROLLED_AT_UNKNOWN,
    )


def _bound_to(name: str, field: str) -> str:
    """What an enrolment is bound to: moved to another person, or put in the place of another, it does not
    open."""
    return f"{name} {field}"


def _codes(kept: RecoverySet) -> str:
    return keyspace.recovery_codes(keyspace.recovery_set_name(kept.set_id))
