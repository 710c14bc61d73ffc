"""What people have enrolled to prove themselves with, in Redis: sealed, without an end, under a keyed hash of
their owner.

Steps of time-based codes and recovery codes are spent in the store, so that each counts once for all
instances. The names of owners are made with a server key. Enrolments under an older key are found, and
`reseal` moves them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from authproxy.challenges.enrolment import Enrolment, EverybodysMethods, OwnedMethods, RecoverySheet
from authproxy.storage import retention
from authproxy.storage.records import challenges as challenge_records
from authproxy.storage.records import values
from authproxy.storage.records.challenges import OwnedEnrolment, RecoverySet
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command, Script
from authproxy.storage.redis.connection import RedisConnection, pages

_SET_ID_SIZE: Final = 16
_READINGS: Final = 5
_MOST_CODES: Final = 1000
_OWNERS_AT_ONCE: Final = 20
"""A store at another site is far away, so some people are asked about at the same time."""
_PREPARED_FOR: Final = timedelta(minutes=5)
"""Recovery codes that do not count yet expire after this time, if the process dies before they do."""

_ADD: Final = Script(
    """
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) or redis.call('HGET', KEYS[1], ARGV[1]) then return 0 end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
""",
    answer_shapes.whole,
)
# Compared with what was read, so that nothing is removed that was written since.
_REMOVE: Final = Script(
    """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
""",
    answer_shapes.whole,
)
# A set of recovery codes is removed together with its listings, which an older version kept among the
# enrolments.
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

# All of one person's methods come back together, or none if the person has any.
_PUT_BACK: Final = Script(
    """
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
if ARGV[1] ~= '' then redis.call('SET', KEYS[2], ARGV[1]) end
for at = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
return 1
""",
    answer_shapes.whole,
)
# A set that is still there is better known than the backup: codes may have been used since. The set does not
# expire: if this process dies, the same import is done again, and finds it here.
_PUT_CODES_BACK: Final = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for at = 1, #ARGV do redis.call('SADD', KEYS[1], ARGV[at]) end
return 1
""",
    answer_shapes.whole,
)


class _StoredEnrolment(NamedTuple):
    """An enrolment, and where it was found: under which of its owner's names, and in which field."""

    name: str
    field: str
    sealed: bytes
    owned: OwnedEnrolment

    @property
    def enrolment(self) -> Enrolment:
        return self.owned.enrolment


class _StoredSet(NamedTuple):
    """A set of recovery codes, and under which of its owner's names it was found."""

    name: str
    sealed: bytes
    recovery_set: RecoverySet


class _Belongings(NamedTuple):
    """Everything that one person has enrolled."""

    enrolments: list[_StoredEnrolment]
    """An older version kept listings of recovery codes among them."""
    sets: list[_StoredSet]
    """The valid one comes last."""
    sealed_set: bytes | None
    """The record of the set under the first name, even if it does not open."""

    @property
    def old_listings(self) -> list[_StoredEnrolment]:
        return [stored for stored in self.enrolments if stored.enrolment.method == "recovery"]

    @property
    def recovery(self) -> Enrolment | None:
        """The listing of the recovery codes. There is one if there is a set of codes."""
        old_listing = self.old_listings[0].enrolment if self.old_listings else None
        if not self.sets:
            return old_listing
        recovery_set = self.sets[-1].recovery_set
        return recovery_set.listing or old_listing or _unlisted(recovery_set)

    @property
    def every(self) -> tuple[Enrolment, ...]:
        """The oldest first."""
        by_id = {
            stored.enrolment.enrolment_id: stored.enrolment
            for stored in self.enrolments
            if stored.enrolment.method != "recovery"
        }
        recovery = self.recovery
        enrolments = [*by_id.values(), *([] if recovery is None else [recovery])]
        return tuple(
            sorted(enrolments, key=lambda enrolment: (enrolment.enrolled_at, enrolment.enrolment_id))
        )


class RedisEnrolments:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. `owner` is `challenges.enrolment.owner_of` the person."""

    def __init__(self, connection: RedisConnection, *, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys
        self.unreadable = 0
        """Enrolments that did not open since the start. For metrics."""

    async def of(self, owner: tuple[str, ...]) -> tuple[Enrolment, ...]:
        """What this person has enrolled, the oldest first. Recovery codes without a listing are only in
        `every`."""
        return tuple(
            enrolment
            for enrolment in await self.every(owner)
            if enrolment.enrolled_at > retention.ENROLLED_AT_UNKNOWN
        )

    async def every(self, owner: tuple[str, ...]) -> tuple[Enrolment, ...]:
        """Everything with which this person can prove something, the oldest first. Recovery codes that an
        older version has made and not listed have ENROLLED_AT_UNKNOWN."""
        return (await self._belongings(owner)).every

    async def add(
        self, owner: tuple[str, ...], enrolment: Enrolment, *, most: int = retention.ENROLMENTS_PER_PERSON
    ) -> bool:
        """False, and nothing is added, if this person has `most` already, or this one."""
        first, *older = self._names(owner)
        elsewhere = sum(await self._connection.all([("HLEN", keyspace.enrolments(name)) for name in older]))
        field = keyspace.enrolment_name(enrolment.enrolment_id)
        octets = challenge_records.owned_octets(OwnedEnrolment(owner, enrolment))
        sealed = self._sealed(octets, _bound_to(first, field))
        return bool(
            await self._connection.ask(
                "EVAL", _ADD, 1, keyspace.enrolments(first), field, sealed, most - elsewhere
            )
        )

    async def remove(self, owner: tuple[str, ...], enrolment_id: str) -> bool:
        """False if there was none. If many remove it at once, one of them gets True."""
        is_removed = False
        # It is looked up again after it was removed, because `reseal` may have moved it since it was read.
        for _ in range(_READINGS):
            belongings = await self._belongings(owner)
            recovery = belongings.recovery
            if belongings.sets and recovery is not None and recovery.enrolment_id == enrolment_id:
                is_removed |= await self._drop_sets(belongings)
                continue
            meant = [
                stored for stored in belongings.enrolments if stored.enrolment.enrolment_id == enrolment_id
            ]
            if not meant:
                break
            is_removed |= any(await self._connection.confirmed([_removing(stored) for stored in meant]))
        return is_removed

    async def remove_all(self, owners: Sequence[tuple[str, ...]]) -> None:
        """Removes everything that these people have enrolled, recovery codes too."""
        # The first name comes last, so that what `reseal` moves there meanwhile does not stay.
        names = [name for owner in owners for name in self._names(owner)[::-1]]
        for page in pages(names):
            answers = await self._connection.confirmed(
                [
                    *(_swapping(name) for name in page),
                    *(("DEL", keyspace.enrolments(name)) for name in page),
                ],
                in_order=True,
            )
            await self._delete_codes_of(page, answers[: len(page)])

    async def accept_step(self, enrolment_id: str, step: int) -> bool:
        """Accepts this step of time if it is later than every step that was accepted before. Remembered for
        two days."""
        key = keyspace.accepted_step(keyspace.enrolment_name(enrolment_id))
        remembered_for = values.span_in_milliseconds(retention.STEP_KEPT_FOR)
        [is_later] = await self._connection.confirmed([("EVAL", _ACCEPT, 1, key, step, remembered_for)])
        return bool(is_later)

    async def make_recovery(
        self, owner: tuple[str, ...], hashes: Sequence[str], listing: Enrolment, *, instead_of: str | None
    ) -> bool:
        """Makes these the person's recovery codes, listed as `listing`, if the present ones are listed under
        the id `instead_of` (None: there are none). Otherwise it returns False and changes nothing. If many
        make codes at once, one of them gets True."""
        belongings = await self._belongings(owner)
        earlier = belongings.recovery
        if (None if earlier is None else earlier.enrolment_id) != instead_of:
            return False
        first, *older = self._names(owner)
        recovery_set = RecoverySet(owner, self._keys.random_bytes(_SET_ID_SIZE).hex(), listing)
        codes = await self._prepare_codes(recovery_set, hashes)
        sealed = self._sealed(challenge_records.recovery_set_octets(recovery_set), first)
        # The set and its listing are written in one record: neither is ever there without the other.
        if not await self._connection.ask(
            "EVAL", _SET_IF, 1, keyspace.recovery(first), belongings.sealed_set or b"", sealed
        ):
            await self._connection.ask("DEL", codes)
            return False
        await self._connection.all(
            [
                ("PERSIST", codes),
                *(_swapping(name) for name in older),
                *(_removing(listed) for listed in belongings.old_listings),
                *(("DEL", _codes_key(stored.recovery_set)) for stored in belongings.sets),
            ]
        )
        return True

    async def put_recovery(self, owner: tuple[str, ...], hashes: Sequence[str]) -> None:
        """Makes these the person's recovery codes, whatever there was. Earlier codes do not count any more.
        An empty list removes them all."""
        first, *older = self._names(owner)
        sealed, codes = b"", ""
        if hashes:
            recovery_set = RecoverySet(owner, self._keys.random_bytes(_SET_ID_SIZE).hex())
            sealed = self._sealed(challenge_records.recovery_set_octets(recovery_set), first)
            codes = await self._prepare_codes(recovery_set, hashes)
        # The first name comes last here too, as in `remove_all`.
        answers = await self._connection.all(
            [
                *(_swapping(name) for name in older),
                _swapping(first, sealed),
                *([("PERSIST", codes)] if codes else []),
            ],
            in_order=True,
        )
        names = (*older, first)
        await self._delete_codes_of(names, answers[: len(names)])

    async def spend_recovery(self, owner: tuple[str, ...], code_hash: str) -> bool:
        """Whether this is one of the person's codes. Then it does not count again."""
        recovery_set = await self._recovery_set(owner)
        if recovery_set is None:
            return False
        code = keyspace.recovery_code_name(recovery_set.set_id, code_hash)
        [is_spent] = await self._connection.confirmed([("SREM", _codes_key(recovery_set), code)])
        return bool(is_spent)

    async def recovery_left(self, owner: tuple[str, ...]) -> int:
        recovery_set = await self._recovery_set(owner)
        return (
            0 if recovery_set is None else int(await self._connection.ask("SCARD", _codes_key(recovery_set)))
        )

    async def everybodys(self) -> EverybodysMethods:
        """What everybody has enrolled, for a backup."""
        owners: set[tuple[str, ...]] = set()
        unreadable = self.unreadable
        async for keys in self._connection.scan(keyspace.EVERY_ENROLMENTS):
            hashes = await self._connection.all([("HGETALL", key) for key in keys])
            for key, flat in zip(keys, hashes, strict=True):
                owners |= {stored.owned.owner for stored in self._opened(keyspace.owner_name_in(key), flat)}
        async for keys in self._connection.scan(keyspace.EVERY_RECOVERY):
            sets = await self._connection.all([("GET", key) for key in keys])
            for key, sealed in zip(keys, sets, strict=True):
                recovery_set = self._opened_or_counted(sealed, keyspace.owner_name_in(key))
                owners |= {recovery_set.owner} if recovery_set is not None else set()
        unreadable = self.unreadable - unreadable
        owned: list[OwnedMethods | None] = []
        for some in pages(sorted(owners), _OWNERS_AT_ONCE):
            owned += await asyncio.gather(*map(self._owned_methods, some))
        return EverybodysMethods(tuple(each for each in owned if each is not None), unreadable)

    async def put_back(self, methods: OwnedMethods) -> bool:
        """Enrols what a backup has, all of it at once. False, and nothing changes, if the person has anything
        enrolled."""
        belongings = await self._belongings(methods.owner)
        if belongings.every:
            return False
        first = self._names(methods.owner)[0]
        fields: list[str | bytes] = []
        for enrolment in methods.enrolments:
            field = keyspace.enrolment_name(enrolment.enrolment_id)
            octets = challenge_records.owned_octets(OwnedEnrolment(methods.owner, enrolment))
            fields += field, self._sealed(octets, _bound_to(first, field))
        sheet, codes, sealed, is_ours = methods.recovery, "", b"", False
        if sheet is not None:
            recovery_set = RecoverySet(methods.owner, sheet.set_id, sheet.listing, sheet.newer_fields)
            sealed = self._sealed(challenge_records.recovery_set_octets(recovery_set), first)
            codes = _codes_key(recovery_set)
            is_ours = await self._connection.ask("EVAL", _PUT_CODES_BACK, 1, codes, *sheet.codes)
        is_put = await self._connection.ask(
            "EVAL", _PUT_BACK, 2, keyspace.enrolments(first), keyspace.recovery(first), sealed, *fields
        )
        if is_ours and not is_put:
            await self._connection.ask("DEL", codes)
        return bool(is_put)

    async def _owned_methods(self, owner: tuple[str, ...]) -> OwnedMethods | None:
        """None if everything was removed meanwhile."""
        belongings = await self._belongings(owner)
        by_id = {
            enrolment.enrolment_id: enrolment
            for enrolment in belongings.every
            if enrolment.method != "recovery"
        }
        sheet = None
        if belongings.sets:
            recovery_set, listing = belongings.sets[-1].recovery_set, belongings.recovery
            # Asked with a count, this command gives the whole set, and its right is needed anyway.
            codes = await self._connection.ask("SRANDMEMBER", _codes_key(recovery_set), _MOST_CODES)
            sheet = RecoverySheet(
                set_id=recovery_set.set_id,
                codes=tuple(sorted(code.decode("ascii", "replace") for code in codes)),
                listing=None
                if listing is None or listing.enrolled_at == retention.ENROLLED_AT_UNKNOWN
                else listing,
                newer_fields=recovery_set.newer_fields,
            )
        if not by_id and sheet is None:
            return None
        return OwnedMethods(owner=owner, enrolments=tuple(by_id.values()), recovery=sheet)

    async def reseal(self) -> int:
        """Moves what is under older keys to the first key, so that the older keys may be dropped. Returns how
        much was moved. A change that is made at the same moment is not lost."""
        moved = 0
        async for keys in self._connection.scan(keyspace.EVERY_ENROLMENTS):
            for key in keys:
                name = keyspace.owner_name_in(key)
                for stored in self._opened(name, await self._connection.ask("HGETALL", key)):
                    moved += await self._move_enrolment(stored)
        async for keys in self._connection.scan(keyspace.EVERY_RECOVERY):
            for key in keys:
                moved += await self._move_set(keyspace.owner_name_in(key))
        return moved

    async def _move_enrolment(self, stored: _StoredEnrolment) -> bool:
        first = self._names(stored.owned.owner)[0]
        if stored.name == first:
            return False
        octets = challenge_records.owned_octets(stored.owned)
        moved = stored._replace(name=first, sealed=self._sealed(octets, _bound_to(first, stored.field)))
        # The new one is written first, and removed again if somebody has removed the old one meanwhile. So
        # nothing is lost, and nothing comes back.
        is_new = await self._connection.ask(
            "EVAL",
            _ADD,
            1,
            keyspace.enrolments(first),
            moved.field,
            moved.sealed,
            2 * retention.ENROLMENTS_PER_PERSON,
        )
        is_removed = await self._connection.ask(*_removing(stored))
        if is_new and not is_removed:
            await self._connection.ask(*_removing(moved))
        return bool(is_removed)

    async def _move_set(self, name: str) -> bool:
        sealed = await self._connection.ask("GET", keyspace.recovery(name))
        recovery_set = self._opened_or_counted(sealed, name)
        if recovery_set is None or name == self._names(recovery_set.owner)[0]:
            return False
        first = self._names(recovery_set.owner)[0]
        moved = self._sealed(challenge_records.recovery_set_octets(recovery_set), first)
        is_new = await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(first), b"", moved)
        is_removed = await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(name), sealed, b"")
        if is_new and not is_removed:
            await self._connection.ask("EVAL", _SET_IF, 1, keyspace.recovery(first), moved, b"")
        return bool(is_removed)

    async def _belongings(self, owner: tuple[str, ...]) -> _Belongings:
        # The first name comes last: what `reseal` moves there at this moment is found under one name or both.
        names = self._names(owner)[::-1]
        answers = await self._connection.all(
            [
                *(("HGETALL", keyspace.enrolments(name)) for name in names),
                *(("GET", keyspace.recovery(name)) for name in names),
            ],
            in_order=True,
        )
        hashes, sealed_sets = answers[: len(names)], answers[len(names) :]
        enrolments = [
            stored for name, flat in zip(names, hashes, strict=True) for stored in self._opened(name, flat)
        ]
        # Sets that do not open are counted in `_recovery_set` only, where a code is looked for.
        sets = [
            _StoredSet(name, sealed, recovery_set)
            for name, sealed in zip(names, sealed_sets, strict=True)
            if (recovery_set := self._opened_set(sealed, name)) is not None
        ]
        return _Belongings(enrolments, sets, sealed_sets[-1])

    def _opened(self, name: str, flat: Sequence[bytes]) -> list[_StoredEnrolment]:
        """The enrolments in a person's hash, which comes as a list of fields and values by turns. Those that
        do not open are left out."""
        opened: list[_StoredEnrolment] = []
        for octets, sealed in zip(flat[::2], flat[1::2], strict=True):
            field = octets.decode("ascii", "replace")
            plaintext = self._keys.open(Purpose.ENROLMENT, sealed, bound_to=_bound_to(name, field))
            owned = None if plaintext is None else challenge_records.owned_in(plaintext)
            if owned is None:
                self.unreadable += 1
            else:
                opened.append(_StoredEnrolment(name, field, sealed, owned))
        return opened

    async def _recovery_set(self, owner: tuple[str, ...]) -> RecoverySet | None:
        names = self._names(owner)[::-1]
        found = await self._connection.all([("GET", keyspace.recovery(name)) for name in names])
        opened = [self._opened_or_counted(sealed, name) for name, sealed in zip(names, found, strict=True)]
        return next((recovery_set for recovery_set in reversed(opened) if recovery_set is not None), None)

    async def _prepare_codes(self, recovery_set: RecoverySet, hashes: Sequence[str]) -> str:
        """Stores codes that do not count yet, and returns their key."""
        key = _codes_key(recovery_set)
        codes = [keyspace.recovery_code_name(recovery_set.set_id, code_hash) for code_hash in hashes]
        await self._connection.all(
            [("SADD", key, *codes), ("PEXPIRE", key, values.span_in_milliseconds(_PREPARED_FOR))]
        )
        return key

    async def _drop_sets(self, belongings: _Belongings) -> bool:
        answers = await self._connection.confirmed(
            [
                (
                    "EVAL",
                    _DROP_SET,
                    2,
                    keyspace.recovery(stored.name),
                    keyspace.enrolments(stored.name),
                    stored.sealed,
                    *(listed.field for listed in belongings.old_listings if listed.name == stored.name),
                )
                for stored in belongings.sets
            ]
        )
        dropped = [stored for stored, answer in zip(belongings.sets, answers, strict=True) if answer]
        await self._delete_codes(stored.recovery_set for stored in dropped)
        return bool(dropped)

    async def _delete_codes_of(self, names: Sequence[str], sealed_sets: Sequence[bytes | None]) -> None:
        """Deletes the codes of sets that were under these names."""
        opened = [
            self._opened_or_counted(sealed, name) for name, sealed in zip(names, sealed_sets, strict=True)
        ]
        await self._delete_codes(recovery_set for recovery_set in opened if recovery_set is not None)

    async def _delete_codes(self, sets: Iterable[RecoverySet]) -> None:
        keys = [_codes_key(recovery_set) for recovery_set in sets]
        if keys:
            await self._connection.all([("DEL", key) for key in keys])

    def _opened_or_counted(self, sealed: bytes | None, name: str) -> RecoverySet | None:
        recovery_set = self._opened_set(sealed, name)
        self.unreadable += sealed is not None and recovery_set is None
        return recovery_set

    def _opened_set(self, sealed: bytes | None, name: str) -> RecoverySet | None:
        plaintext = None if sealed is None else self._keys.open(Purpose.ENROLMENT, sealed, bound_to=name)
        return None if plaintext is None else challenge_records.recovery_set_in(plaintext)

    def _sealed(self, octets: bytes, bound_to: str) -> bytes:
        return self._keys.seal(Purpose.ENROLMENT, octets, bound_to=bound_to)

    def _names(self, owner: tuple[str, ...]) -> tuple[str, ...]:
        return self._keys.owner_names("enrolments", owner)


def _removing(stored: _StoredEnrolment) -> Command:
    return ("EVAL", _REMOVE, 1, keyspace.enrolments(stored.name), stored.field, stored.sealed)


def _swapping(name: str, sealed: bytes = b"") -> Command:
    """Writes the set of recovery codes under this name, or removes it. The answer is the one before."""
    return ("EVAL", _SWAP, 1, keyspace.recovery(name), sealed)


def _unlisted(recovery_set: RecoverySet) -> Enrolment:
    """A listing for a set that has none."""
    name = keyspace.recovery_set_name(recovery_set.set_id)[:_SET_ID_SIZE]
    return Enrolment(
        enrolment_id=f"recovery-{name}",
        method="recovery",
        label="",
        enrolled_at=retention.ENROLLED_AT_UNKNOWN,
    )


def _bound_to(name: str, field: str) -> str:
    """An enrolment does not open if somebody moves it to another person, or puts it in the field of
    another."""
    return f"{name} {field}"


def _codes_key(recovery_set: RecoverySet) -> str:
    return keyspace.recovery_codes(keyspace.recovery_set_name(recovery_set.set_id))
