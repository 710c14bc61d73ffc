"""What operators do with the register of people: take over a list, show, block, let in again, link. Nothing is changed in part.

Whoever loses something by a change (a portal, a certificate, an account, everything) loses their sessions too, at once and everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import Enrolment
from authproxy.challenges.names import person_name
from authproxy.flows.membership import Found, PeopleStore
from authproxy.identity import register
from authproxy.identity.member import Account, CertificateName, Member, RegisterKey
from authproxy.identity.person import MemberId
from authproxy.identity.register import Conflict, Listed

_TRIES: Final = 5


class Snapshot(Protocol):
    @property
    def revision(self) -> int: ...
    @property
    def members(self) -> tuple[Member, ...]: ...


class Store(PeopleStore, Protocol):
    async def every(self) -> Snapshot: ...
    async def take_over(self, members: Sequence[Member], *, revision: int, departures: Sequence[Member]) -> bool: ...
    async def departures(self) -> Sequence[Found]: ...
    async def settle(self, departures: Any) -> None: ...


class Sessions(Protocol):
    async def revoke_member(self, member: Member) -> int: ...


class Limits(Protocol):
    async def lift(self, names: Sequence[str]) -> bool: ...


class Enrolments(Protocol):
    async def add(self, owner: tuple[str, ...], enrolment: Enrolment) -> bool: ...
    async def remove(self, owner: tuple[str, ...], enrolment_id: str) -> bool: ...
    async def reseal(self) -> int: ...


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
class Changed:
    member: Member
    sessions_ended: int
    was_lifted: bool = False
    """Their wrong answers are forgotten: a block from step-ups has ended."""


@dataclass(frozen=True, slots=True)
class Resealed:
    people: int
    enrolments: int
    """Those that were under another key: what is under the first already needs nothing."""


class People:
    """Every method raises CannotAsk. If it does so after a change, sessions are still to be ended: the next change by anybody ends them."""

    def __init__(
        self, *, store: Store, sessions: Sessions, limits: Limits, enrolments: Enrolments, clock: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._store = store
        self._sessions = sessions
        self._limits = limits
        self._enrolments = enrolments
        self._clock = clock

    async def take_over(self, listed: Sequence[Listed], *, replaces: bool, is_rehearsal: bool = False) -> TakenOver | Contradicted:
        """Takes the list over as a whole or not at all. `replaces` removes whoever is not in it; a rehearsal changes nothing."""
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
            if await self._store.take_over(tuple(after.values()), revision=snapshot.revision, departures=departures):
                return replace(outcome, sessions_ended=await self._end_sessions())
        raise _too_busy()

    async def every(self) -> Snapshot:
        return await self._store.every()

    async def named(self, member_id: str) -> Member | None:
        found = await self._found(member_id)
        return None if found is None else found.member

    async def block(self, member_id: str, *, reason: str | None) -> Changed | None:
        """From now on the person signs in nowhere, and is signed out. None if there is nobody of this id, as with all of these."""
        return await self._change(member_id, lambda member: member.blocked(member.blocked_at or self._clock(), reason))

    async def unblock(self, member_id: str) -> Changed | None:
        """The person may sign in again, and answer again after wrong answers."""
        changed = await self._change(member_id, Member.unblocked)
        if changed is None:
            return None
        # Their accounts too: a session from before the register knew them answers under its account's name.
        owners = [("member", member_id), *(("account", account.issuer, account.subject) for account in changed.member.accounts)]
        return replace(changed, was_lifted=await self._limits.lift([person_name(owner) for owner in owners]))

    async def forgive_account(self, account: Account) -> bool:
        """Somebody who is not in the register may answer again after wrong answers; whether there were any."""
        return await self._limits.lift([person_name(("account", account.issuer, account.subject))])

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """The operator knows that this is the person's, and vouches for it: in the place of an earlier one of the same id. False if they
        have too many already."""
        owner = ("member", member_id)
        await self._enrolments.remove(owner, enrolment.enrolment_id)
        return await self._enrolments.add(owner, enrolment)

    async def link_certificate(self, member_id: str, certificate: CertificateName) -> Changed | Contradicted | None:
        """The operator has seen the certificate and knows whose it is."""
        return await self._link(member_id, lambda member: member.with_certificate(certificate), tuple(certificate.keys))

    async def link_account(self, member_id: str, account: Account) -> Changed | Contradicted | None:
        """The operator knows whose account this is. It takes the place of the person's earlier one at this provider."""
        return await self._link(member_id, lambda member: member.with_account(account), (account.key,))

    async def reseal(self) -> Resealed:
        """Writes everything anew under the first key, so that the others may be dropped."""
        for _ in range(_TRIES):
            snapshot = await self._store.every()
            if await self._store.take_over(snapshot.members, revision=snapshot.revision, departures=()):
                return Resealed(len(snapshot.members), await self._enrolments.reseal())
        raise _too_busy()

    async def _link(
        self, member_id: str, changed: Callable[[Member], Member], keys: tuple[RegisterKey, ...]
    ) -> Changed | Contradicted | None:  # fmt: skip
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
            if await self._store.change(found, now, departs=now.is_blocked or register.has_lost(found.member, now)):
                return Changed(now, await self._end_sessions())
        raise _too_busy()

    async def _found(self, member_id: str) -> Found | None:
        return (await self._store.find([RegisterKey("id", member_id)]))[0]

    async def _end_sessions(self) -> int:
        """Ends the sessions of everybody who has lost something, by this change or by one that could not finish."""
        ended = 0
        while departures := await self._store.departures():
            for departure in departures:
                ended += await self._sessions.revoke_member(departure.member)
            await self._store.settle(departures)
        return ended


def _too_busy() -> CannotAsk:
    return CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people is being changed by others all the time; try again")
