"""The desk at which operators change the register of people while gateways run elsewhere: every change with
its audit event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from authproxy.bootstrap.acts import Act, act
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.stores import stores
from authproxy.challenges.enrolment import Enrolment
from authproxy.flows.register.operators import (
    AccountBlocked,
    AccountIsBlocked,
    AccountIsOf,
    AccountUnblocked,
    Changed,
    Contradicted,
    Methods,
    MethodsRemoved,
    NotLinked,
    NotLost,
    People,
    Resealed,
    TakenOver,
)
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.identity.member import Account, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.register import ListedPerson
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Event, EventFields


@dataclass(frozen=True, slots=True)
class Desk:
    """Every method raises CannotAsk. `issuer` is ours, for people who are known to the register alone."""

    people: People
    act: Act
    issuer: Issuer
    certificates: KeptCertificates

    def audit_name_of(self, who: Member | Account) -> str:
        """The name under which the person appears in the audit trail."""
        return self.act.audit.name_of(self._person(who))

    async def take_over(
        self, listed: Sequence[ListedPerson], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:
        outcome = await self.people.take_over(listed, replaces=replaces, is_rehearsal=is_rehearsal)
        if isinstance(outcome, TakenOver) and not is_rehearsal:
            detail = f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed"
            await self.act.tell(Event.PERSON_IMPORTED, detail=detail)
        return outcome

    async def begin_anew(
        self, listed: Sequence[ListedPerson], *, keeps_methods: bool
    ) -> TakenOver | Contradicted | NotLost:
        outcome = await self.people.begin_anew(listed, keeps_methods=keeps_methods)
        if isinstance(outcome, TakenOver):
            kept = "kept" if keeps_methods else "removed"
            await self.act.tell(
                Event.PERSON_IMPORTED, detail=f"a new register: {outcome.added} added; methods {kept}"
            )
        return outcome

    async def block(self, member_id: str, reason: str | None) -> Changed | None:
        return await self._told(Event.PERSON_BLOCKED, await self.people.block(member_id, reason=reason))

    async def unblock(self, member_id: str, *, removes_methods: bool = False) -> Changed | None:
        """Their methods go before the block does: in between, nobody can use them."""
        member = await self.people.named(member_id) if removes_methods else None
        if member is not None:
            await self.remove_methods(member)
        return await self._told(Event.PERSON_UNBLOCKED, await self.people.unblock(member_id))

    async def block_account(self, account: Account, reason: str | None) -> AccountBlocked | AccountIsOf:
        """For somebody who is not in the register."""
        outcome = await self.people.block_account(account, reason=reason)
        if isinstance(outcome, AccountBlocked):
            detail = f"{outcome.sessions_ended} sessions ended"
            await self.act.tell(Event.PERSON_BLOCKED, person=self._person(account), detail=detail)
        return outcome

    async def unblock_account(self, account: Account, *, removes_methods: bool = False) -> AccountUnblocked:
        if removes_methods:
            await self.remove_methods(account)
        outcome = await self.people.unblock_account(account)
        await self.act.tell(
            Event.PERSON_UNBLOCKED,
            person=self._person(account),
            detail=_lifted(was_lifted=outcome.was_lifted),
        )
        return outcome

    async def methods(self, who: Member | Account) -> Methods:
        return await self.people.methods(who)

    async def remove_method(self, who: Member | Account, enrolment_id: str) -> MethodsRemoved:
        return await self._told_removed(who, await self.people.remove_method(who, enrolment_id))

    async def remove_methods(self, who: Member | Account) -> MethodsRemoved:
        return await self._told_removed(who, await self.people.remove_methods(who))

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """What somebody of the register has enrolled elsewhere; False if they have too many methods."""
        is_enrolled = await self.people.enrol(member_id, enrolment)
        member = await self.people.named(member_id)
        if is_enrolled and member is not None:
            await self.act.tell(
                Event.METHOD_ENROLLED, person=member.person(self.issuer), method=enrolment.method
            )
        return is_enrolled

    async def link(
        self,
        member_id: str,
        *,
        certificate: CertificateName | None = None,
        account: tuple[str, str] | None = None,
    ) -> Changed | Contradicted | AccountIsBlocked | None:
        """Links one of the two."""
        outcome: Changed | Contradicted | AccountIsBlocked | None
        if certificate is not None:
            outcome = await self.people.link_certificate(member_id, certificate)
        else:
            issuer, subject = account or ("", "")
            outcome = await self.people.link_account(
                member_id, Account(issuer=Issuer(issuer), subject=Subject(subject))
            )
        if isinstance(outcome, Changed):
            await self._tell(
                Event.PERSON_LINKED, outcome.member, "account" if certificate is None else _named(certificate)
            )
        return outcome

    async def unlink(self, member_id: str, what: CertificateName | Account) -> Changed | NotLinked | None:
        outcome = await self.people.unlink(member_id, what)
        if isinstance(outcome, Changed):
            told = "account" if isinstance(what, Account) else _named(what)
            await self._tell(
                Event.PERSON_UNLINKED, outcome.member, f"{told}; {outcome.sessions_ended} sessions ended"
            )
        return outcome

    async def refused_certificate(self, code: str) -> bytes | None:
        """The certificate (DER) that was refused with this code because nobody in the register has it; None
        after some days."""
        return await self.certificates.refused(code)

    async def export(self) -> tuple[Member, ...]:
        """Everybody in the register, with all that it holds of them."""
        members = (await self.people.every()).members
        await self.act.tell(Event.PEOPLE_EXPORTED, detail=f"{len(members)} people")
        return members

    async def reseal(self) -> Resealed:
        resealed = await self.people.reseal()
        await self.act.tell(
            Event.PEOPLE_RESEALED, detail=f"{resealed.people} people, {resealed.enrolments} enrolments moved"
        )
        return resealed

    async def _told(self, event: Event, outcome: Changed | None) -> Changed | None:
        if outcome is not None:
            words = [f"{outcome.sessions_ended} sessions ended"]
            words += [_lifted(was_lifted=outcome.was_lifted)] if event is Event.PERSON_UNBLOCKED else []
            await self._tell(event, outcome.member, "; ".join(words))
        return outcome

    async def _told_removed(self, who: Member | Account, outcome: MethodsRemoved) -> MethodsRemoved:
        for method in outcome.removed:
            await self.act.tell(Event.METHOD_REMOVED, person=self._person(who), method=method)
        return outcome

    def _person(self, who: Member | Account) -> Person:
        return (
            who.person(self.issuer)
            if isinstance(who, Member)
            else Person(issuer=who.issuer, subject=who.subject)
        )

    async def _tell(self, event: Event, member: Member, detail: str) -> None:
        await self.act.tell(event, person=member.person(self.issuer), detail=detail)


def _lifted(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


def _named(certificate: CertificateName) -> str:
    if certificate.fingerprint is not None:
        return f"certificate {certificate.fingerprint}"
    return f"certificate {certificate.serial or 0:x}@{certificate.issuer}"


@asynccontextmanager
async def desk(
    settings: Settings, command: str | None = None, *, person: str | Account | None = None
) -> AsyncIterator[Desk]:
    """`command` is the name of a command that changes something, `person` the id of the person whom it
    concerns, or their account. Both are in the audit trail before the block is entered. Raises CannotAsk if
    they cannot be written, so that nothing is changed without a record.
    """
    issuer = Issuer(settings.assertions.issuer)
    concerned: EventFields = {}
    if isinstance(person, Account):
        concerned["person"] = Person(issuer=person.issuer, subject=person.subject)
    elif person is not None:
        concerned["person"] = Person(issuer=issuer, subject=Subject(person), member=MemberId(person))
    async with AsyncExitStack() as resources:
        names = await resources.enter_async_context(resolver(settings))
        opened = await resources.enter_async_context(stores(settings, names=names))
        own = await resources.enter_async_context(act(settings, opened.audit_queue, command, **concerned))
        people = People(
            store=opened.people,
            sessions=opened.sessions,
            limits=opened.limits,
            enrolments=opened.enrolments,
            clock=utc_now,
        )
        yield Desk(people, own, issuer, KeptCertificates(opened.shared_octets))
