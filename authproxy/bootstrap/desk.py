"""The desk at which operators change the register of people while gateways run elsewhere: every change with its audit event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from authproxy.bootstrap.acts import Act, act
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.stores import stores
from authproxy.challenges.enrolment import Enrolment
from authproxy.flows.people import Changed, Contradicted, People, Resealed, TakenOver
from authproxy.identity.member import Account, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.register import Listed
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Event, Fields


@dataclass(frozen=True, slots=True)
class Desk:
    """Every method raises CannotAsk. `issuer` is ours, for people who are known to the register alone."""

    people: People
    act: Act
    issuer: Issuer

    def audit_name_of(self, member: Member) -> str:
        """The name under which the person appears in the audit trail."""
        return self.act.audit.name_of(member.person(self.issuer))

    async def take_over(
        self, listed: Sequence[Listed], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:  # fmt: skip
        outcome = await self.people.take_over(listed, replaces=replaces, is_rehearsal=is_rehearsal)
        if isinstance(outcome, TakenOver) and not is_rehearsal:
            detail = f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed"
            await self.act.tell(Event.PERSON_IMPORTED, detail=detail)
        return outcome

    async def block(self, member_id: str, reason: str | None) -> Changed | None:
        return await self._told(Event.PERSON_BLOCKED, await self.people.block(member_id, reason=reason))

    async def unblock(self, member_id: str) -> Changed | None:
        return await self._told(Event.PERSON_UNBLOCKED, await self.people.unblock(member_id))

    async def forgive(self, issuer: str, subject: str) -> bool:
        """Ends what wrong answers have brought upon somebody who is not in the register; whether there was anything."""
        account = Account(issuer=Issuer(issuer), subject=Subject(subject))
        was_lifted = await self.people.forgive_account(account)
        person = Person(issuer=account.issuer, subject=account.subject)
        await self.act.tell(Event.PERSON_UNBLOCKED, person=person, detail=_lifted(was_lifted=was_lifted))
        return was_lifted

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """What somebody of the register has enrolled elsewhere; False if they have too many methods."""
        is_enrolled = await self.people.enrol(member_id, enrolment)
        member = await self.people.named(member_id)
        if is_enrolled and member is not None:
            await self.act.tell(Event.METHOD_ENROLLED, person=member.person(self.issuer), method=enrolment.method)
        return is_enrolled

    async def link(
        self, member_id: str, *, certificate: CertificateName | None = None, account: tuple[str, str] | None = None
    ) -> Changed | Contradicted | None:  # fmt: skip
        """Links one of the two."""
        if certificate is not None:
            outcome = await self.people.link_certificate(member_id, certificate)
        else:
            issuer, subject = account or ("", "")
            outcome = await self.people.link_account(member_id, Account(issuer=Issuer(issuer), subject=Subject(subject)))
        if isinstance(outcome, Changed):
            await self._tell(Event.PERSON_LINKED, outcome.member, "certificate" if certificate is not None else "account")
        return outcome

    async def reseal(self) -> Resealed:
        resealed = await self.people.reseal()
        await self.act.tell(Event.PEOPLE_RESEALED, detail=f"{resealed.people} people, {resealed.enrolments} enrolments moved")
        return resealed

    async def _told(self, event: Event, outcome: Changed | None) -> Changed | None:
        if outcome is not None:
            words = [f"{outcome.sessions_ended} sessions ended"]
            words += [_lifted(was_lifted=outcome.was_lifted)] if event is Event.PERSON_UNBLOCKED else []
            await self._tell(event, outcome.member, "; ".join(words))
        return outcome

    async def _tell(self, event: Event, member: Member, detail: str) -> None:
        await self.act.tell(event, person=member.person(self.issuer), detail=detail)


def _lifted(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


@asynccontextmanager
async def desk(settings: Settings, command: str | None = None, *, person: str | None = None) -> AsyncIterator[Desk]:
    """`command` is the name of a command that changes something, `person` the id of the person whom it concerns. Both are in the audit
    trail before the block is entered. Raises CannotAsk if they cannot be written, so that nothing is changed without a record."""
    issuer = Issuer(settings.assertions.issuer)
    concerned: Fields = {}
    if person is not None:
        concerned["person"] = Person(issuer=issuer, subject=Subject(person), member=MemberId(person))
    async with AsyncExitStack() as resources:
        names = await resources.enter_async_context(resolver(settings))
        opened = await resources.enter_async_context(stores(settings, names=names))
        own = await resources.enter_async_context(act(settings, opened.acts, command, **concerned))
        people = People(
            store=opened.people, sessions=opened.sessions, limits=opened.limits, enrolments=opened.enrolments, clock=utc_now
        )
        yield Desk(people, own, issuer)
