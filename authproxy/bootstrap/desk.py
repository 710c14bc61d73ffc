"""The desk at which operators change the register of people while gateways run elsewhere: every change with its audit event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from authproxy.bootstrap import auditing
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.names import resolver
from authproxy.bootstrap.stores import stores
from authproxy.challenges.enrolment import Enrolment
from authproxy.flows.people import Changed, Contradicted, People, TakenOver
from authproxy.identity.member import Account, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.register import Listed
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit, Event


@dataclass(frozen=True, slots=True)
class Desk:
    """Every method raises CannotAsk. `issuer` is ours, for people who are known to the register alone."""

    people: People
    audit: Audit
    issuer: Issuer

    async def take_over(
        self, listed: Sequence[Listed], *, replaces: bool, is_rehearsal: bool = False
    ) -> TakenOver | Contradicted:  # fmt: skip
        outcome = await self.people.take_over(listed, replaces=replaces, is_rehearsal=is_rehearsal)
        if isinstance(outcome, TakenOver) and not is_rehearsal:
            detail = f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed"
            self.audit.record(Event.PERSON_IMPORTED, by="operator", detail=detail)
        return outcome

    async def block(self, member_id: str, reason: str | None) -> Changed | None:
        return self._recorded(Event.PERSON_BLOCKED, await self.people.block(member_id, reason=reason))

    async def unblock(self, member_id: str) -> Changed | None:
        return self._recorded(Event.PERSON_UNBLOCKED, await self.people.unblock(member_id))

    async def forgive(self, issuer: str, subject: str) -> bool:
        """Ends what wrong answers have brought upon somebody who is not in the register; whether there was anything."""
        account = Account(issuer=Issuer(issuer), subject=Subject(subject))
        was_lifted = await self.people.forgive_account(account)
        person = Person(issuer=account.issuer, subject=account.subject)
        self.audit.record(Event.PERSON_UNBLOCKED, person=person, by="operator", detail=_lifted(was_lifted=was_lifted))
        return was_lifted

    async def enrol(self, member_id: MemberId, enrolment: Enrolment) -> bool:
        """What somebody of the register has enrolled elsewhere; False if they have too many methods."""
        is_enrolled = await self.people.enrol(member_id, enrolment)
        member = await self.people.named(member_id)
        if is_enrolled and member is not None:
            self.audit.record(Event.METHOD_ENROLLED, person=member.person(self.issuer), by="operator", method=enrolment.method)
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
            self._record(Event.PERSON_LINKED, outcome.member, "certificate" if certificate is not None else "account")
        return outcome

    def _recorded(self, event: Event, outcome: Changed | None) -> Changed | None:
        if outcome is not None:
            words = [f"{outcome.sessions_ended} sessions ended"]
            words += [_lifted(was_lifted=outcome.was_lifted)] if event is Event.PERSON_UNBLOCKED else []
            self._record(event, outcome.member, "; ".join(words))
        return outcome

    def _record(self, event: Event, member: Member, detail: str) -> None:
        self.audit.record(event, person=member.person(self.issuer), by="operator", detail=detail)


def _lifted(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """Raises OSError if the audit file cannot be opened: nothing is changed that nobody would hear of."""
    async with AsyncExitStack() as resources:
        audit = auditing.audit_of_a_command(settings, resources)
        names = await resources.enter_async_context(resolver(settings))
        opened = await resources.enter_async_context(stores(settings, names=names))
        people = People(
            store=opened.people, sessions=opened.sessions, limits=opened.limits, enrolments=opened.enrolments, clock=utc_now
        )
        yield Desk(people, audit, Issuer(settings.assertions.issuer))
