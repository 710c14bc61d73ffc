"""The register of people as commands change it: every change with its audit event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.command_audit import CommandAudit, audited_command
from authproxy.bootstrap.stores import Stores, open_stores_of_command
from authproxy.challenges.enrolment import Enrolment
from authproxy.flows.register.backups import NotEmpty, PutBack, RegisterBackups
from authproxy.flows.register.operators import (
    AccountBlocked,
    AccountIsBlocked,
    AccountIsOf,
    AccountUnblocked,
    Changed,
    Contradicted,
    Forgotten,
    MayNotEnter,
    MethodsRemoved,
    NotGiven,
    NotLinked,
    NotLost,
    PersonMethods,
    RegisterOperations,
    Resealed,
    StaysBlocked,
    TakenOver,
)
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.identity.member import Account, CertificateName, Member, PortalRole
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.register import ListedPerson
from authproxy.settings.schema import Settings
from authproxy.storage.memory import MemoryMachineKeys
from authproxy.storage.records.backups import Backup
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from authproxy.telemetry.audit import Event, EventFields


@dataclass(frozen=True, slots=True)
class AuditedRegister:
    """Every method raises CannotAsk. `issuer` is the gateway's own: people whom only the register knows are
    named by it."""

    people: RegisterOperations
    backups: RegisterBackups
    audit: CommandAudit
    issuer: Issuer
    certificates: KeptCertificates
    machine_keys: RedisMachineKeys | MemoryMachineKeys

    def audit_name_of(self, who: Member | Account | str) -> str:
        """The name under which the person appears in the audit trail. A text is an id in the register."""
        return self.audit.audit.name_of(self._person(who))

    async def take_over(
        self, listed: Sequence[ListedPerson], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:
        outcome = await self.people.take_over(listed, replaces=replaces, is_rehearsal=is_rehearsal)
        if isinstance(outcome, TakenOver) and not is_rehearsal:
            detail = f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed"
            await self.audit.record_change(Event.PERSON_IMPORTED, detail=detail)
        return outcome

    async def begin_anew(
        self, listed: Sequence[ListedPerson], *, keeps_methods: bool
    ) -> TakenOver | Contradicted | NotLost:
        outcome = await self.people.begin_anew(listed, keeps_methods=keeps_methods)
        if isinstance(outcome, TakenOver):
            methods = "kept" if keeps_methods else "removed"
            await self.audit.record_change(
                Event.PERSON_IMPORTED, detail=f"a new register: {outcome.added} added; methods {methods}"
            )
        return outcome

    async def block(self, member_id: str, reason: str | None) -> Changed | None:
        outcome = await self.people.block(member_id, reason=reason)
        if outcome is not None:
            await self._record(
                Event.PERSON_BLOCKED, outcome.member, f"{outcome.sessions_ended} sessions ended"
            )
        return outcome

    async def unblock(self, member_id: str, *, removes_methods: bool = False) -> Changed | None:
        """Removes the methods first, so that nobody can use them between the two steps."""
        member = await self.people.named(member_id) if removes_methods else None
        if member is not None:
            await self.remove_methods(member)
        outcome = await self.people.unblock(member_id)
        if outcome is not None:
            await self._record(
                Event.PERSON_UNBLOCKED,
                outcome.member,
                f"{outcome.sessions_ended} sessions ended; {_lifted(was_lifted=outcome.was_lifted)}",
            )
        return outcome

    async def block_account(self, account: Account, reason: str | None) -> AccountBlocked | AccountIsOf:
        """For somebody who is not in the register."""
        outcome = await self.people.block_account(account, reason=reason)
        if isinstance(outcome, AccountBlocked):
            detail = f"{outcome.sessions_ended} sessions ended"
            await self.audit.record_change(Event.PERSON_BLOCKED, person=self._person(account), detail=detail)
        return outcome

    async def unblock_account(self, account: Account, *, removes_methods: bool = False) -> AccountUnblocked:
        if removes_methods:
            await self.remove_methods(account)
        outcome = await self.people.unblock_account(account)
        await self.audit.record_change(
            Event.PERSON_UNBLOCKED,
            person=self._person(account),
            detail=_lifted(was_lifted=outcome.was_lifted),
        )
        return outcome

    async def methods(self, who: Member | Account) -> PersonMethods:
        return await self.people.methods(who)

    async def remove_method(self, who: Member | Account, enrolment_id: str) -> MethodsRemoved:
        return await self._record_removed(who, await self.people.remove_method(who, enrolment_id))

    async def remove_methods(self, who: Member | Account) -> MethodsRemoved:
        return await self._record_removed(who, await self.people.remove_methods(who))

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """Adds a method that the person has enrolled elsewhere; False if they have too many."""
        is_enrolled = await self.people.enrol(member_id, enrolment)
        member = await self.people.named(member_id)
        if is_enrolled and member is not None:
            await self.audit.record_change(
                Event.METHOD_ENROLLED, person=member.person(self.issuer), method=enrolment.method
            )
        return is_enrolled

    async def forget(self, who: str | Account) -> Forgotten | StaysBlocked | AccountIsOf | None:
        """Forgets the person of the register with this id, or the account of somebody outside. Their name in
        the audit trail stays there."""
        outcome = (
            await self.people.forget(who) if isinstance(who, str) else await self.people.forget_account(who)
        )
        if isinstance(outcome, Forgotten):
            detail = f"{len(outcome.methods)} methods removed; {outcome.sessions_ended} sessions ended"
            await self.audit.record_change(Event.PERSON_FORGOTTEN, person=self._person(who), detail=detail)
        return outcome

    async def link(
        self,
        member_id: str,
        *,
        certificate: CertificateName | None = None,
        account: tuple[str, str] | None = None,
    ) -> Changed | Contradicted | AccountIsBlocked | None:
        """Links the certificate or the account (issuer and subject)."""
        outcome: Changed | Contradicted | AccountIsBlocked | None
        if certificate is not None:
            outcome = await self.people.link_certificate(member_id, certificate)
        else:
            issuer, subject = account or ("", "")
            outcome = await self.people.link_account(
                member_id, Account(issuer=Issuer(issuer), subject=Subject(subject))
            )
        if isinstance(outcome, Changed):
            detail = "account" if certificate is None else _named(certificate)
            await self._record(Event.PERSON_LINKED, outcome.member, detail)
        return outcome

    async def unlink(self, member_id: str, link: CertificateName | Account) -> Changed | NotLinked | None:
        outcome = await self.people.unlink(member_id, link)
        if isinstance(outcome, Changed):
            name = "account" if isinstance(link, Account) else _named(link)
            await self._record(
                Event.PERSON_UNLINKED, outcome.member, f"{name}; {outcome.sessions_ended} sessions ended"
            )
        return outcome

    async def change_roles(
        self, member_id: str, *, added: Sequence[PortalRole] = (), removed: Sequence[PortalRole] = ()
    ) -> Changed | MayNotEnter | NotGiven | None:
        outcome = await self.people.change_roles(member_id, added=added, removed=removed)
        if isinstance(outcome, Changed):
            changes = [*(f"+{role}" for role in added), *(f"-{role}" for role in removed)]
            detail = f"{' '.join(changes)}; {outcome.sessions_ended} sessions ended"
            await self._record(Event.PERSON_ROLES, outcome.member, detail)
        return outcome

    async def refused_certificate(self, code: str) -> bytes | None:
        """The certificate (DER) that was refused with this code because nobody in the register has it. It is
        kept for some days only."""
        return await self.certificates.refused(code)

    async def export(self) -> tuple[Member, ...]:
        """Everybody in the register, with all that it holds about them."""
        members = (await self.people.every()).members
        await self.audit.record_change(Event.PEOPLE_EXPORTED, detail=f"{len(members)} people")
        return members

    async def backup(self) -> tuple[Backup, int]:
        """Everything about people that is nowhere but in the store, and how many of its records do not
        open."""
        snapshot, methods = await self.backups.content()
        backup = Backup(
            made_at=utc_now(), people=snapshot.members, blocked=snapshot.blocked, methods=methods.owned
        )
        detail = f"a backup: {len(backup.people)} people, {len(backup.methods)} with methods"
        await self.audit.record_change(Event.PEOPLE_EXPORTED, detail=detail)
        return backup, methods.unreadable

    async def put_back(
        self,
        backup: Backup,
        *,
        keeps_methods: bool | None = None,
        adds_missing: bool,
        brings_recovery: bool,
        is_rehearsal: bool = False,
    ) -> PutBack | NotEmpty | NotLost | Contradicted:
        """Brings back what the store does not have. With `keeps_methods` it makes the backup the register,
        after the register was lost; that has no rehearsal."""
        content = backup.people, backup.blocked, backup.methods
        outcome: PutBack | NotEmpty | NotLost | Contradicted
        if keeps_methods is None:
            outcome = await self.backups.put_back(
                *content,
                adds_missing=adds_missing,
                brings_recovery=brings_recovery,
                is_rehearsal=is_rehearsal,
            )
        else:
            outcome = await self.backups.begin_anew(
                *content,
                keeps_methods=keeps_methods,
                adds_missing=adds_missing,
                brings_recovery=brings_recovery,
            )
        is_new_register = keeps_methods is not None
        if isinstance(outcome, PutBack) and not is_rehearsal and (is_new_register or outcome.is_change):
            detail = (
                f"a backup of {backup.made_at:%Y-%m-%dT%H:%M:%SZ}: {outcome.people} added, {outcome.methods} "
                f"with methods; {outcome.sessions_ended} sessions ended"
            )
            await self.audit.record_change(Event.PERSON_IMPORTED, detail=detail)
        return outcome

    async def reseal(self) -> Resealed:
        """Also seals the API keys of programs anew, so that one command is enough before a key of the ring is
        dropped."""
        resealed = await self.people.reseal()
        keys = await self.machine_keys.reseal()
        detail = f"{resealed.people} people, {resealed.enrolments} enrolments moved, {keys} API keys"
        await self.audit.record_change(Event.PEOPLE_RESEALED, detail=detail)
        return resealed

    async def _record_removed(self, who: Member | Account, outcome: MethodsRemoved) -> MethodsRemoved:
        for method in outcome.removed:
            await self.audit.record_change(Event.METHOD_REMOVED, person=self._person(who), method=method)
        return outcome

    def _person(self, who: Member | Account | str) -> Person:
        if isinstance(who, Member):
            return who.person(self.issuer)
        if isinstance(who, str):
            return Person(issuer=self.issuer, subject=Subject(who), member=MemberId(who))
        return Person(issuer=who.issuer, subject=who.subject)

    async def _record(self, event: Event, member: Member, detail: str) -> None:
        await self.audit.record_change(event, person=member.person(self.issuer), detail=detail)


def _lifted(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


def _named(certificate: CertificateName) -> str:
    if certificate.fingerprint is not None:
        return f"certificate {certificate.fingerprint}"
    return f"certificate {certificate.serial or 0:x}@{certificate.issuer}"


def register_in(
    stores: Stores, audit: CommandAudit, settings: Settings, clock: Callable[[], datetime]
) -> AuditedRegister:
    people = RegisterOperations(
        store=stores.people,
        sessions=stores.sessions,
        limits=stores.limits,
        enrolments=stores.enrolments,
        messages=stores.notices,
        clock=clock,
    )
    backups = RegisterBackups(
        operations=people, store=stores.people, enrolments=stores.enrolments, clock=clock
    )
    return AuditedRegister(
        people,
        backups,
        audit,
        Issuer(settings.assertions.issuer),
        KeptCertificates(stores.shared_octets),
        stores.machine_keys,
    )


@asynccontextmanager
async def audited_register(
    settings: Settings, command: str | None = None, *, person: str | Account | None = None
) -> AsyncIterator[AuditedRegister]:
    """The register in the store of the settings. `command` names a command that changes something; `person`
    is the person whom it concerns, by their id or their account. Both are in the audit trail before the block
    is entered.

    Raises CannotAsk if they cannot be written: nothing is changed without a record."""
    concerned: EventFields = {}
    if isinstance(person, Account):
        concerned["person"] = Person(issuer=person.issuer, subject=person.subject)
    elif person is not None:
        issuer = Issuer(settings.assertions.issuer)
        concerned["person"] = Person(issuer=issuer, subject=Subject(person), member=MemberId(person))
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, command, **concerned) as audit,
    ):
        yield register_in(stores, audit, settings, utc_now)
