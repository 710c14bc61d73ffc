"""What operators do with the register of people: take over a list, show, block, unblock, link. Every change
is made as a whole or not at all.

A person who loses something by a change (a portal, a certificate, an account, everything) also loses their
sessions, at once and everywhere. A person who leaves the register, or gets another tax number in it, also
loses what they have enrolled to prove themselves with, so that it never becomes somebody else's. People
outside the register are named by their account. They can be blocked too.
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
from authproxy.flows.stores import AnswerLimits, Messages, PeopleStore, SessionStore
from authproxy.identity import register
from authproxy.identity.member import (
    Account,
    BlockedAccount,
    CertificateName,
    Member,
    PortalRole,
    RegisterKey,
)
from authproxy.identity.person import MemberId
from authproxy.identity.register import Conflict, ListedPerson
from authproxy.identity.stored_register import RegisterSnapshot, StoredMember

TRIES: Final = 5
Owner = tuple[str, ...]
"""As `challenges.enrolment.owner_of` gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """How many people a list has changed in the register, or would change."""

    added: int
    changed: int
    removed: int
    unchanged: int
    sessions_ended: int = 0


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Nothing has changed, because one key would belong to two people of the list and the register."""

    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class NotLost:
    """Nothing has changed, because the register is there and complete."""


@dataclass(frozen=True, slots=True)
class Changed:
    member: Member
    sessions_ended: int
    was_lifted: bool = False
    """Wrong answers of the person were forgotten, so a block from step-ups has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMethods:
    """What a person has enrolled, under any of their names. `recovery_left` counts the recovery codes that
    still work."""

    enrolments: tuple[Enrolment, ...]
    recovery_left: int

    @property
    def kinds(self) -> tuple[EnrolledMethod, ...]:
        """The method of each, for the audit trail."""
        return tuple(enrolment.method for enrolment in self.enrolments)


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
    """Wrong answers were forgotten."""


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """The person of the register to whom the account is linked, and whether the account itself is blocked."""

    member_id: MemberId | None
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class AccountIsBlocked:
    """Nothing has changed: the account must be unblocked first."""


@dataclass(frozen=True, slots=True)
class NotLinked:
    """Nothing has changed: the person does not have this certificate or account."""


@dataclass(frozen=True, slots=True)
class MayNotEnter:
    """Nothing has changed: the person may not enter this portal, so they can have no role there."""

    portal_id: str


@dataclass(frozen=True, slots=True)
class NotGiven:
    """Nothing has changed: the person does not have this role. They may have it by another entry (`*`)."""

    role: PortalRole


@dataclass(frozen=True, slots=True)
class StaysBlocked:
    """Nothing has changed: the person is blocked. If they were forgotten, they could sign in again wherever
    anyone may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    methods: tuple[EnrolledMethod, ...]
    sessions_ended: int


@dataclass(frozen=True, slots=True)
class AccountIsOf:
    """Nothing has changed: the account is linked to this person of the register."""

    member_id: MemberId


@dataclass(frozen=True, slots=True)
class Resealed:
    people: int
    enrolments: int
    """Only those that were sealed under another key than the first."""


class RegisterOperations:
    """Every method raises CannotAsk. If that happens after a change, some sessions have not ended yet; the
    next change by any operator ends them."""

    def __init__(
        self,
        *,
        store: PeopleStore,
        sessions: SessionStore,
        limits: AnswerLimits,
        enrolments: EnrolmentStore,
        messages: Messages,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._limits = limits
        self._enrolments = enrolments
        self._messages = messages
        self._clock = clock

    async def take_over(
        self, listed: Sequence[ListedPerson], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:
        """Takes the list over as a whole or not at all. `replaces` removes everybody who is not in the list.
        A rehearsal changes nothing."""
        for _ in range(TRIES):
            snapshot = await self._store.every()
            before = {member.member_id: member for member in snapshot.members}
            after = register.after_import(before, listed, replaces=replaces, now=self._clock())
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
            departures = tuple(register.members_to_sign_out(before, after))
            # Before the new people are in the register: somebody else may have had one of their ids and left
            # without losing their methods.
            await self._enrolments.remove_all(
                [member_owner(member_id) for member_id in after.keys() - before.keys()]
            )
            if await self._store.take_over(
                tuple(after.values()), revision=snapshot.revision, departures=departures
            ):
                return replace(outcome, sessions_ended=await self.end_departed())
        raise too_busy()

    async def begin_anew(
        self, listed: Sequence[ListedPerson], *, keeps_methods: bool
    ) -> TakenOver | Contradicted | NotLost:
        """Makes the list the whole register, after the earlier one was lost. Nobody knows who had left by
        then, so the operator must say whether people keep what is enrolled under their ids. Nobody knows
        either who has lost a portal or a role, so everybody who was in the register is signed out."""
        if not await self._store.is_lost():
            return NotLost()
        after = register.after_import({}, listed, replaces=True, now=self._clock())
        conflicts = tuple(register.conflicts(after.values()))
        if conflicts:
            return Contradicted(conflicts)
        ended = await self.replace_lost(after, (), keeps_methods=keeps_methods)
        return TakenOver(added=len(after), changed=0, removed=0, unchanged=0, sessions_ended=ended)

    async def replace_lost(
        self, after: register.Register, blocked: Sequence[BlockedAccount], *, keeps_methods: bool
    ) -> int:
        """Makes this the register, with accounts to block beside those that still are. Returns how many
        sessions have ended."""
        if not keeps_methods:
            await self._enrolments.remove_all([member_owner(member_id) for member_id in after])
        await self._store.begin_anew(tuple(after.values()), blocked)
        ended = [
            await self._sessions.revoke_member(member) for member in register.members_to_sign_out({}, after)
        ]
        of_members = [
            summary.session_id
            async for summary in self._sessions.all_summaries(now=self._clock())
            if summary.person is None or summary.person.member is not None
        ]
        ended.append(len(await self._sessions.revoke_all(of_members)))
        ended += [
            await self._sessions.revoke_subject(each.account.issuer, each.account.subject) for each in blocked
        ]
        return sum(ended) + await self.end_departed()

    async def every(self) -> RegisterSnapshot:
        return await self._store.every()

    async def named(self, member_id: str) -> Member | None:
        stored = await self._stored(member_id)
        return None if stored is None else stored.member

    async def block(self, member_id: str, *, reason: str | None) -> Changed | None:
        """Signs the person out, and from now on they can sign in nowhere. None if nobody has this id, as in
        all these methods."""
        return await self._change(
            member_id, lambda member: member.blocked(member.blocked_at or self._clock(), reason)
        )

    async def unblock(self, member_id: str) -> Changed | None:
        """The person may sign in again, and wrong answers no longer block them."""
        changed = await self._change(member_id, Member.unblocked)
        if changed is None:
            return None
        return replace(
            changed,
            was_lifted=await self._limits.lift([person_name(owner) for owner in owners_of(changed.member)]),
        )

    async def block_account(self, account: Account, *, reason: str | None) -> AccountBlocked | AccountIsOf:
        """Signs the account out, and from now on it can sign in nowhere. It must not be linked to a person of
        the register."""
        for _ in range(TRIES):
            revision = await self._store.revision()
            looked_up = await self._store.look_up([account.key])
            [owner] = looked_up.people
            if owner is not None:
                return AccountIsOf(owner.member.member_id)
            known = looked_up.blocked.get(account.key)
            blocked = BlockedAccount(
                account=account,
                blocked_at=self._clock() if known is None else known.blocked_at,
                reason=reason,
            )
            if await self._store.block_account(blocked, revision=revision):
                return AccountBlocked(await self.end_departed())
        raise too_busy()

    async def unblock_account(self, account: Account) -> AccountUnblocked:
        """The account may sign in again, and wrong answers no longer block it."""
        was_lifted = await self.forgive_account(account)
        for _ in range(TRIES):
            revision = await self._store.revision()
            if not (await self._store.look_up([account.key])).blocked:
                return AccountUnblocked(was_blocked=False, was_lifted=was_lifted)
            if await self._store.unblock_account(account, revision=revision):
                return AccountUnblocked(was_blocked=True, was_lifted=was_lifted)
        raise too_busy()

    async def whose(self, account: Account) -> AccountStanding:
        """What is known of an account."""
        looked_up = await self._store.look_up([account.key])
        [owner] = looked_up.people
        return AccountStanding(
            None if owner is None else owner.member.member_id, is_blocked=bool(looked_up.blocked)
        )

    async def methods(self, who: Member | Account) -> PersonMethods:
        """What this person has enrolled to prove themselves with."""
        owners = owners_of(who)
        enrolments = [enrolment for owner in owners for enrolment in await self._enrolments.every(owner)]
        return PersonMethods(
            enrolments=tuple(enrolments),
            recovery_left=sum([await self._enrolments.recovery_left(owner) for owner in owners]),
        )

    async def remove_method(self, who: Member | Account, enrolment_id: str) -> MethodsRemoved:
        """Removes one method and signs the person out everywhere, because what the method has proved is in
        doubt. Does nothing if there is no such method."""
        removed: list[EnrolledMethod] = []
        for owner in owners_of(who):
            for enrolment in await self._enrolments.every(owner):
                if enrolment.enrolment_id == enrolment_id:
                    await self._enrolments.remove(owner, enrolment_id)
                    removed.append(enrolment.method)
        return MethodsRemoved(
            removed=tuple(removed), sessions_ended=await self._end_all(who) if removed else 0
        )

    async def remove_methods(self, who: Member | Account) -> MethodsRemoved:
        """Removes all methods, recovery codes too, and signs the person out everywhere."""
        removed = (await self.methods(who)).kinds
        await self._enrolments.remove_all(owners_of(who))
        return MethodsRemoved(removed=removed, sessions_ended=await self._end_all(who))

    async def forget(self, member_id: str) -> Forgotten | StaysBlocked | None:
        """Removes the person from the register, with all that is stored about them, and signs them out. If it
        fails half-way, it can be done again."""
        for _ in range(TRIES):
            snapshot = await self._store.every()
            known = {member.member_id: member for member in snapshot.members}
            member = known.pop(MemberId(member_id), None)
            if member is None:
                return None
            if member.is_blocked:
                return StaysBlocked()
            methods = (await self.methods(member)).kinds
            await self._forget_what_is_kept(member)
            if await self._store.take_over(
                tuple(known.values()), revision=snapshot.revision, departures=(member,)
            ):
                ended = await self.end_departed()
                # Once more: the person could enrol something until their sessions had ended.
                await self._forget_what_is_kept(member)
                return Forgotten(methods=methods, sessions_ended=ended)
        raise too_busy()

    async def forget_account(self, account: Account) -> Forgotten | StaysBlocked | AccountIsOf:
        """The same for somebody outside the register."""
        standing = await self.whose(account)
        if standing.member_id is not None:
            return AccountIsOf(standing.member_id)
        if standing.is_blocked:
            return StaysBlocked()
        methods = (await self.methods(account)).kinds
        ended = await self._end_all(account)
        await self._forget_what_is_kept(account)
        return Forgotten(methods=methods, sessions_ended=ended)

    async def _forget_what_is_kept(self, who: Member | Account) -> None:
        owners = owners_of(who)
        await self._enrolments.remove_all(owners)
        await self._limits.lift([person_name(owner) for owner in owners])
        for owner in owners:
            await self._messages.forget(owner)

    async def forgive_account(self, account: Account) -> bool:
        """Forgets the wrong answers of a person outside the register; False if there were none."""
        return await self._limits.lift([person_name(owner) for owner in owners_of(account)])

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """Adds a method for which the operator vouches. It replaces one of the same id. False if the person
        has too many already."""
        owner = member_owner(member_id)
        await self._enrolments.remove(owner, enrolment.enrolment_id)
        return await self._enrolments.add(owner, enrolment)

    async def link_certificate(
        self, member_id: str, certificate: CertificateName
    ) -> Changed | Contradicted | None:
        """Links a certificate that the operator has seen, and of which they know whose it is."""
        return await self._link(
            member_id, lambda member: member.with_certificate(certificate), tuple(certificate.keys)
        )

    async def link_account(
        self, member_id: str, account: Account
    ) -> Changed | Contradicted | AccountIsBlocked | None:
        """Links an account of which the operator knows whose it is. It replaces the person's earlier account
        at this provider."""
        if (await self.whose(account)).is_blocked:
            return AccountIsBlocked()
        return await self._link(member_id, lambda member: member.with_account(account), (account.key,))

    async def unlink(self, member_id: str, what: CertificateName | Account) -> Changed | NotLinked | None:
        """From now on the certificate or account does not sign in as this person. Their sessions end."""
        stored = await self._stored(member_id)
        if stored is None:
            return None
        if not self._without(stored.member, what).keys < stored.member.keys:
            return NotLinked()
        return await self._change(member_id, lambda member: self._without(member, what))

    @staticmethod
    def _without(member: Member, what: CertificateName | Account) -> Member:
        return member.without_account(what) if isinstance(what, Account) else member.without_certificate(what)

    async def change_roles(
        self, member_id: str, *, added: Sequence[PortalRole] = (), removed: Sequence[PortalRole] = ()
    ) -> Changed | MayNotEnter | NotGiven | None:
        """Gives the person roles, or takes roles away. Their sessions end if they lose one. A new one counts
        from their next sign-in on."""
        stored = await self._stored(member_id)
        if stored is None:
            return None
        for role in added:
            if not role.is_within(stored.member.portals):
                return MayNotEnter(role.portal)
        for role in removed:
            if role not in stored.member.roles:
                return NotGiven(role)
        return await self._change(
            member_id, lambda member: member.with_roles({*member.roles, *added}.difference(removed))
        )

    async def reseal(self) -> Resealed:
        """Seals everything under the first key, so that the other keys can be dropped."""
        for _ in range(TRIES):
            snapshot = await self._store.every()
            if await self._store.take_over(snapshot.members, revision=snapshot.revision, departures=()):
                await self.end_departed()  # unfinished departures of earlier commands are not resealed
                return Resealed(len(snapshot.members), await self._enrolments.reseal())
        raise too_busy()

    async def _link(
        self, member_id: str, change: Callable[[Member], Member], keys: tuple[RegisterKey, ...]
    ) -> Changed | Contradicted | None:
        owners = zip(keys, await self._store.find(keys), strict=True)
        conflicts = tuple(
            Conflict(MemberId(member_id), owner.member.member_id, key)
            for key, owner in owners
            if owner is not None and owner.member.member_id != member_id
        )
        return Contradicted(conflicts) if conflicts else await self._change(member_id, change)

    async def _change(self, member_id: str, change: Callable[[Member], Member]) -> Changed | None:
        for _ in range(TRIES):
            stored = await self._stored(member_id)
            if stored is None:
                return None
            member = change(stored.member)
            # If somebody is blocked a second time, their sessions end again, should there be any.
            if await self._store.change(
                stored, member, departs=member.is_blocked or register.has_lost(stored.member, member)
            ):
                return Changed(member, await self.end_departed())
        raise too_busy()

    async def _stored(self, member_id: str) -> StoredMember | None:
        return (await self._store.find([RegisterKey("id", member_id)]))[0]

    async def end_departed(self) -> int:
        """Ends the sessions of everybody who has lost something, by this change or by an earlier one that was
        not finished."""
        ended = 0
        while departures := await self._store.departures():
            for departure in departures:
                ended += await self._sessions.revoke_member(departure.member)
            await self._enrolments.remove_all(
                [member_owner(departure.member.member_id) for departure in departures if departure.is_leaving]
            )
            await self._store.settle(departures)
        return ended

    async def _end_all(self, who: Member | Account) -> int:
        if isinstance(who, Member):
            return await self._sessions.revoke_member(who)
        return await self._sessions.revoke_subject(who.issuer, who.subject)


def owners_of(who: Member | Account) -> list[Owner]:
    """The owner names under which a person's methods and wrong answers are stored. For a person of the
    register these include their accounts, because a session from before they were entered uses its
    account's name."""
    if isinstance(who, Account):
        return [("account", who.issuer, who.subject)]
    return [
        member_owner(who.member_id),
        *(owner for account in who.accounts for owner in owners_of(account)),
    ]


def member_owner(member_id: MemberId) -> Owner:
    return "member", member_id


def too_busy() -> CannotAsk:
    return CannotAsk(
        Reason.STORE_UNAVAILABLE, "the register of people is being changed by others all the time; try again"
    )
