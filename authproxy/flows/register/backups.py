"""A backup of the register with what people have enrolled: what is in it, and what it brings back.

A backup is older than the store. So it never changes anybody who is in the register: somebody who was blocked
since stays blocked, and what was removed since stays removed. It signs nobody in, because no session is in
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from authproxy.challenges import totp
from authproxy.challenges.enrolment import EnrolmentStore, EverybodysMethods, OwnedMethods
from authproxy.flows.register.operators import (
    TRIES,
    Contradicted,
    NotLost,
    Owner,
    RegisterOperations,
    member_owner,
    owners_of,
    too_busy,
)
from authproxy.flows.stores import PeopleStore
from authproxy.identity import register
from authproxy.identity.member import BlockedAccount, Member
from authproxy.identity.person import MemberId
from authproxy.identity.stored_register import RegisterSnapshot

_AT_ONCE: Final = 20
"""A store at another site is far away, and nobody gets in until everybody's methods are back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """What a backup has brought into the register, or would bring."""

    people: int
    present: int
    """People who are in the register, and are as they were."""
    blocked: int
    """Accounts outside the register."""
    methods: int
    """People whose methods came back."""
    sheets_left_out: int
    """Sets of recovery codes that did not come back."""
    not_blocked_here: tuple[MemberId, ...] = ()
    """People who are blocked in the backup and not in the register."""
    sessions_ended: int = 0

    @property
    def is_change(self) -> bool:
        return bool(self.people or self.blocked or self.methods)


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Nothing has changed, because the store has people, blocked accounts or methods already."""


class RegisterBackups:
    """Every method raises CannotAsk."""

    def __init__(
        self,
        *,
        operations: RegisterOperations,
        store: PeopleStore,
        enrolments: EnrolmentStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._operations = operations
        self._store = store
        self._enrolments = enrolments
        self._clock = clock

    async def content(self) -> tuple[RegisterSnapshot, EverybodysMethods]:
        """The register, and what its people and people outside it have enrolled."""
        # Read in this order, nobody who leaves meanwhile leaves methods in the backup.
        methods = await self._enrolments.everybodys()
        snapshot = await self._store.every()
        owners = {member_owner(member.member_id) for member in snapshot.members}
        kept = tuple(each for each in methods.owned if each.owner[0] != "member" or each.owner in owners)
        return snapshot, EverybodysMethods(kept, methods.unreadable)

    async def put_back(
        self,
        people: Sequence[Member],
        blocked: Sequence[BlockedAccount],
        methods: Sequence[OwnedMethods],
        *,
        adds_missing: bool,
        brings_recovery: bool,
        is_rehearsal: bool = False,
    ) -> PutBack | NotEmpty | Contradicted:
        """Puts a backup into an empty store. With `adds_missing` it adds to a store that is not empty whoever
        is not there. Whoever is there stays as they are: nobody is unblocked, and no method comes back that
        was removed. Recovery codes may have been used since the backup was made, so they come back only with
        `brings_recovery`. A rehearsal changes nothing."""
        for _ in range(TRIES):
            snapshot = await self._store.every()
            before = {member.member_id: member for member in snapshot.members}
            new = {member.member_id: member for member in people if member.member_id not in before}
            conflicts = tuple(register.conflicts([*before.values(), *new.values()]))
            if conflicts:
                return Contradicted(conflicts)
            owners = {owner for member in before.values() for owner in owners_of(member)}
            accounts = _missing_accounts(blocked, snapshot, owners)
            missing = [each for each in methods if await self._is_missing(each.owner, new, owners)]
            returning = missing if brings_recovery else _without_recovery(missing)
            outcome = PutBack(
                people=len(new),
                present=len(people) - len(new),
                blocked=len(accounts),
                methods=len(returning),
                sheets_left_out=0 if brings_recovery else sum(each.recovery is not None for each in missing),
                not_blocked_here=tuple(
                    member.member_id
                    for member in people
                    if member.is_blocked and member.member_id in before
                    if not before[member.member_id].is_blocked
                ),
            )
            if not (new or accounts or returning):
                return outcome
            is_empty = not before and not snapshot.blocked
            if not adds_missing and not (is_empty and await self._nobody_has_methods()):
                return NotEmpty()
            if is_rehearsal:
                return outcome
            if await self._bring_back(snapshot.revision, before, new, accounts, returning):
                return replace(outcome, sessions_ended=await self._operations.end_departed())
        raise too_busy()

    async def _bring_back(
        self,
        revision: int,
        before: register.Register,
        new: register.Register,
        accounts: Sequence[BlockedAccount],
        methods: Sequence[OwnedMethods],
    ) -> bool:
        """False if the register has changed since `revision`."""
        # What an earlier command could not finish must not end what comes back now.
        await self._operations.end_departed()
        await self._enrolments.remove_all([member_owner(member_id) for member_id in new])
        # Methods come before their people. If this dies half-way, it can be done again.
        await self._enrol_again(methods)
        after = {**before, **new}
        return await self._store.take_over(
            tuple(after.values()),
            revision=revision,
            departures=(
                *register.members_to_sign_out(before, after),
                *(Member(member_id=MemberId(""), name="", accounts=(each.account,)) for each in accounts),
            ),
            blocked=accounts,
        )

    async def begin_anew(
        self,
        people: Sequence[Member],
        blocked: Sequence[BlockedAccount],
        methods: Sequence[OwnedMethods],
        *,
        keeps_methods: bool,
        adds_missing: bool,
        brings_recovery: bool,
    ) -> PutBack | NotLost | Contradicted:
        """Makes a backup the whole register, after the register was lost. If people keep their methods and
        the store still has some, those are newer than the backup's. Then nothing is added to them but with
        `adds_missing`."""
        if not await self._store.is_lost():
            return NotLost()
        conflicts = tuple(register.conflicts(people))
        if conflicts:
            return Contradicted(conflicts)
        returns = keeps_methods and (adds_missing or await self._nobody_has_methods())
        returning = list(methods) if returns else []
        put_back = await self._enrol_again(returning if brings_recovery else _without_recovery(returning))
        ended = await self._operations.replace_lost(
            {member.member_id: member for member in people}, blocked, keeps_methods=keeps_methods
        )
        return PutBack(
            people=len(people),
            present=0,
            blocked=len(blocked),
            methods=put_back,
            sheets_left_out=0 if brings_recovery else sum(each.recovery is not None for each in returning),
            sessions_ended=ended,
        )

    async def _is_missing(self, owner: Owner, new: register.Register, present: Collection[Owner]) -> bool:
        """Whether a backup may bring this owner's methods back: those of people who come back with it, and of
        accounts outside the register that have none. `present` are the owners whom the register has."""
        if owner[0] == "member":
            return owner[1] in new
        return owner not in present and not await self._enrolments.every(owner)

    async def _nobody_has_methods(self) -> bool:
        found = await self._enrolments.everybodys()
        return not found.owned and not found.unreadable

    async def _enrol_again(self, returning: Sequence[OwnedMethods]) -> int:
        """Returns how many people had none and have their methods again. No code of an application that has
        been shown until now is good any more: it may have been used before the store was lost."""
        step = totp.latest_step(self._clock())
        enrolled = 0
        for start in range(0, len(returning), _AT_ONCE):
            some = returning[start : start + _AT_ONCE]
            enrolled += sum(await asyncio.gather(*(self._enrol_one(methods, step) for methods in some)))
        return enrolled

    async def _enrol_one(self, methods: OwnedMethods, step: int) -> bool:
        for enrolment in methods.enrolments:
            if enrolment.method == "totp":
                await self._enrolments.accept_step(enrolment.enrolment_id, step)
        return await self._enrolments.put_back(methods)


def _missing_accounts(
    blocked: Sequence[BlockedAccount], snapshot: RegisterSnapshot, present: Collection[Owner]
) -> tuple[BlockedAccount, ...]:
    """Blocked accounts that are not blocked in the store, and are nobody's in the register."""
    known = {account.account for account in snapshot.blocked}
    return tuple(
        each
        for each in blocked
        if each.account not in known and not any(owner in present for owner in owners_of(each.account))
    )


def _without_recovery(methods: Sequence[OwnedMethods]) -> list[OwnedMethods]:
    """The same without recovery codes, and without people who have nothing else."""
    return [replace(each, recovery=None) for each in methods if each.enrolments]
