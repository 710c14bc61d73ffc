"""What operators do with the register of people: take over a list, show, block, let in again, link. Nothing
is changed in part.

Whoever loses something by a change (a portal, a certificate, an account, everything) loses their sessions
too, at once and everywhere. Whoever leaves the register, or has another tax number in it than before, loses
what they have enrolled to prove themselves with: it must not become somebody else's. People outside the
register are named by their account, and can be blocked, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import EnrolledMethod, Enrolment, EnrolmentStore
from authproxy.challenges.limits import person_name
from authproxy.flows.stores import AnswerLimits, PeopleStore, SessionStore
from authproxy.identity import register
from authproxy.identity.member import Account, BlockedAccount, CertificateName, Member, RegisterKey
from authproxy.identity.person import MemberId
from authproxy.identity.register import Conflict, ListedPerson
from authproxy.identity.stored_register import RegisterSnapshot, StoredMember

_TRIES: Final = 5
Owner = tuple[str, ...]
"""Whose something is, as `challenges.enrolment.owner_of` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """What a list has made of the register, or would make of it."""

    added: int
    changed: int
    removed: int
    unchanged: int
    sessions_ended: int = 0


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Nothing has changed: the list and the register, or the list by itself, have two people for one key."""

    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class NotLost:
    """Nothing has changed: the register is there and whole."""


@dataclass(frozen=True, slots=True)
class Changed:
    member: Member
    sessions_ended: int
    was_lifted: bool = False
    """Their wrong answers are forgotten: a block from step-ups has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMethods:
    """What somebody has enrolled, by whatever name they come in. `recovery_left` are recovery codes that
    still work."""

    enrolments: tuple[Enrolment, ...]
    recovery_left: int

    @property
    def kinds(self) -> tuple[EnrolledMethod, ...]:
        """The method of each, for the audit trail."""
        return tuple(each.method for each in self.enrolments)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsRemoved:
    removed: tuple[EnrolledMethod, ...]
    sessions_ended: int


@dataclass(frozen=True, slots=True)
class AccountBlocked:
    sessions_ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUnblocked:
    was_blocked: bool
    was_lifted: bool
    """Their wrong answers are forgotten."""


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """Whose the account is in the register, and whether it is blocked itself."""

    member_id: MemberId | None
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class AccountIsBlocked:
    """Nothing has changed: the block of the account must be ended first."""


@dataclass(frozen=True, slots=True)
class NotLinked:
    """Nothing has changed: the person does not have this certificate or account."""


@dataclass(frozen=True, slots=True)
class AccountIsOf:
    """Nothing has changed: the account is that of somebody in the register."""

    member_id: MemberId


@dataclass(frozen=True, slots=True)
class Resealed:
    people: int
    enrolments: int
    """Those that were under another key: what is under the first already needs nothing."""


class RegisterOperations:
    """Every method raises CannotAsk. If it does so after a change, sessions are still to be ended: the next
    change by anybody ends them."""

    def __init__(
        self,
        *,
        store: PeopleStore,
        sessions: SessionStore,
        limits: AnswerLimits,
        enrolments: EnrolmentStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._limits = limits
        self._enrolments = enrolments
        self._clock = clock

    async def take_over(
        self, listed: Sequence[ListedPerson], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:
        """Takes the list over as a whole or not at all. `replaces` removes whoever is not in it; a rehearsal
        changes nothing."""
        for _ in range(_TRIES):
            snapshot = await self._store.every()
            before = {member.member_id: member for member in snapshot.members}
            after = register.taken_over(before, listed, replaces=replaces, now=self._clock())
            conflicts = tuple(register.conflicts(after.values()))
            if conflicts:
                return Contradicted(conflicts)
            common = before.keys() & after.keys()
            outcome = TakenOver(
                added=len(after) - len(common),
                changed=sum(before[member_id] != after[member_id] for member_id in common),
                removed=len(before) - len(common),
                unchanged=sum(before[member_id] == after[member_id] for member_id in common),
            )
            if is_rehearsal:
                return outcome
            departures = tuple(register.shut_out(before, after))
            # Before they are known here: somebody else may have had their id, and left while nobody looked
            # after that.
            await self._enrolments.remove_all([_own(member_id) for member_id in after.keys() - before.keys()])
            if await self._store.take_over(
                tuple(after.values()), revision=snapshot.revision, departures=departures
            ):
                return replace(outcome, sessions_ended=await self._end_sessions())
        raise _too_busy()

    async def begin_anew(
        self, listed: Sequence[ListedPerson], *, keeps_methods: bool
    ) -> TakenOver | Contradicted | NotLost:
        """Makes the list the whole register after the one before was lost. Nobody can say who has left since,
        so somebody must say whether people keep what they have enrolled under their ids."""
        if not await self._store.is_lost():
            return NotLost()
        after = register.taken_over({}, listed, replaces=True, now=self._clock())
        conflicts = tuple(register.conflicts(after.values()))
        if conflicts:
            return Contradicted(conflicts)
        if not keeps_methods:
            await self._enrolments.remove_all([_own(member_id) for member_id in after])
        await self._store.begin_anew(tuple(after.values()))
        ended = [await self._sessions.revoke_member(member) for member in register.shut_out({}, after)]
        return TakenOver(
            added=len(after),
            changed=0,
            removed=0,
            unchanged=0,
            sessions_ended=sum(ended) + await self._end_sessions(),
        )

    async def every(self) -> RegisterSnapshot:
        return await self._store.every()

    async def named(self, member_id: str) -> Member | None:
        found = await self._found(member_id)
        return None if found is None else found.member

    async def block(self, member_id: str, *, reason: str | None) -> Changed | None:
        """From now on the person signs in nowhere, and is signed out. None if there is nobody of this id, as
        with all of these."""
        return await self._change(
            member_id, lambda member: member.blocked(member.blocked_at or self._clock(), reason)
        )

    async def unblock(self, member_id: str) -> Changed | None:
        """The person may sign in again, and answer again after wrong answers."""
        changed = await self._change(member_id, Member.unblocked)
        if changed is None:
            return None
        return replace(
            changed,
            was_lifted=await self._limits.lift([person_name(owner) for owner in owners_of(changed.member)]),
        )

    async def block_account(self, account: Account, *, reason: str | None) -> AccountBlocked | AccountIsOf:
        """From now on the account signs in nowhere, and is signed out. It must be one of which the register
        knows nobody."""
        for _ in range(_TRIES):
            revision = await self._store.revision()
            found = await self._store.look_up([account.key])
            [owner] = found.people
            if owner is not None:
                return AccountIsOf(owner.member.member_id)
            known = found.blocked.get(account.key)
            blocked = BlockedAccount(
                account=account,
                blocked_at=self._clock() if known is None else known.blocked_at,
                reason=reason,
            )
            if await self._store.block_account(blocked, revision=revision):
                return AccountBlocked(await self._end_sessions())
        raise _too_busy()

    async def unblock_account(self, account: Account) -> AccountUnblocked:
        """The account may sign in again, and answer again after wrong answers."""
        was_lifted = await self.forgive_account(account)
        for _ in range(_TRIES):
            revision = await self._store.revision()
            if not (await self._store.look_up([account.key])).blocked:
                return AccountUnblocked(was_blocked=False, was_lifted=was_lifted)
            if await self._store.unblock_account(account, revision=revision):
                return AccountUnblocked(was_blocked=True, was_lifted=was_lifted)
        raise _too_busy()

    async def whose(self, account: Account) -> AccountStanding:
        """What is known of an account."""
        found = await self._store.look_up([account.key])
        [owner] = found.people
        return AccountStanding(
            None if owner is None else owner.member.member_id, is_blocked=bool(found.blocked)
        )

    async def methods(self, who: Member | Account) -> PersonMethods:
        """What this person has enrolled to prove themselves with."""
        owners = owners_of(who)
        found = [each for owner in owners for each in await self._enrolments.every(owner)]
        return PersonMethods(
            enrolments=tuple(found),
            recovery_left=sum([await self._enrolments.recovery_left(owner) for owner in owners]),
        )

    async def remove_method(self, who: Member | Account, enrolment_id: str) -> MethodsRemoved:
        """Takes one method away, and signs the person out everywhere: what it has proved is in doubt. Nothing
        where there is no such."""
        removed: list[EnrolledMethod] = []
        for owner in owners_of(who):
            for each in await self._enrolments.every(owner):
                if each.enrolment_id == enrolment_id:
                    await self._enrolments.remove(owner, enrolment_id)
                    removed.append(each.method)
        return MethodsRemoved(
            removed=tuple(removed), sessions_ended=await self._end_all(who) if removed else 0
        )

    async def remove_methods(self, who: Member | Account) -> MethodsRemoved:
        """Takes all of them away, recovery codes too, and signs the person out everywhere."""
        there = (await self.methods(who)).kinds
        await self._enrolments.remove_all(owners_of(who))
        return MethodsRemoved(removed=there, sessions_ended=await self._end_all(who))

    async def forgive_account(self, account: Account) -> bool:
        """Somebody who is not in the register may answer again after wrong answers; whether there were
        any."""
        return await self._limits.lift([person_name(owner) for owner in owners_of(account)])

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """The operator knows that this is the person's, and vouches for it: in the place of an earlier one of
        the same id. False if they have too many already."""
        owner = _own(member_id)
        await self._enrolments.remove(owner, enrolment.enrolment_id)
        return await self._enrolments.add(owner, enrolment)

    async def link_certificate(
        self, member_id: str, certificate: CertificateName
    ) -> Changed | Contradicted | None:
        """The operator has seen the certificate and knows whose it is."""
        return await self._link(
            member_id, lambda member: member.with_certificate(certificate), tuple(certificate.keys)
        )

    async def link_account(
        self, member_id: str, account: Account
    ) -> Changed | Contradicted | AccountIsBlocked | None:
        """The operator knows whose account this is. It takes the place of the person's earlier one at this
        provider."""
        if (await self.whose(account)).is_blocked:
            return AccountIsBlocked()
        return await self._link(member_id, lambda member: member.with_account(account), (account.key,))

    async def unlink(self, member_id: str, what: CertificateName | Account) -> Changed | NotLinked | None:
        """The certificate or account signs in as this person no more. Their sessions end."""
        found = await self._found(member_id)
        if found is None:
            return None
        if not self._without(found.member, what).keys < found.member.keys:
            return NotLinked()
        return await self._change(member_id, lambda member: self._without(member, what))

    @staticmethod
    def _without(member: Member, what: CertificateName | Account) -> Member:
        return member.without_account(what) if isinstance(what, Account) else member.without_certificate(what)

    async def reseal(self) -> Resealed:
        """Writes everything anew under the first key, so that the others may be dropped."""
        for _ in range(_TRIES):
            snapshot = await self._store.every()
            if await self._store.take_over(snapshot.members, revision=snapshot.revision, departures=()):
                await self._end_sessions()  # departures that a command has left behind are not resealed
                return Resealed(len(snapshot.members), await self._enrolments.reseal())
        raise _too_busy()

    async def _link(
        self, member_id: str, changed: Callable[[Member], Member], keys: tuple[RegisterKey, ...]
    ) -> Changed | Contradicted | None:
        owners = zip(keys, await self._store.find(keys), strict=True)
        conflicts = tuple(
            Conflict(MemberId(member_id), owner.member.member_id, key)
            for key, owner in owners
            if owner is not None and owner.member.member_id != member_id
        )
        return Contradicted(conflicts) if conflicts else await self._change(member_id, changed)

    async def _change(self, member_id: str, changed: Callable[[Member], Member]) -> Changed | None:
        for _ in range(_TRIES):
            found = await self._found(member_id)
            if found is None:
                return None
            now = changed(found.member)
            # Blocked again: their sessions end again, should they have come in by whatever gap.
            if await self._store.change(
                found, now, departs=now.is_blocked or register.has_lost(found.member, now)
            ):
                return Changed(now, await self._end_sessions())
        raise _too_busy()

    async def _found(self, member_id: str) -> StoredMember | None:
        return (await self._store.find([RegisterKey("id", member_id)]))[0]

    async def _end_sessions(self) -> int:
        """Ends the sessions of everybody who has lost something, by this change or by one that could not
        finish."""
        ended = 0
        while departures := await self._store.departures():
            for departure in departures:
                ended += await self._sessions.revoke_member(departure.member)
            await self._enrolments.remove_all(
                [_own(each.member.member_id) for each in departures if each.is_leaving]
            )
            await self._store.settle(departures)
        return ended

    async def _end_all(self, who: Member | Account) -> int:
        if isinstance(who, Member):
            return await self._sessions.revoke_member(who)
        return await self._sessions.revoke_subject(who.issuer, who.subject)


def owners_of(who: Member | Account) -> list[Owner]:
    """Under which names somebody's methods and wrong answers are kept. Of a person of the register also their
    accounts: a session from before the register knew them goes under its account's name."""
    if isinstance(who, Account):
        return [("account", who.issuer, who.subject)]
    return [_own(who.member_id), *(owner for account in who.accounts for owner in owners_of(account))]


def _own(member_id: MemberId) -> Owner:
    return "member", member_id


def _too_busy() -> CannotAsk:
    return CannotAsk(
        Reason.STORE_UNAVAILABLE, "the register of people is being changed by others all the time; try again"
    )
