"""Whether a person who signs in is in the register of people, and may come in at a portal.

A certificate belongs to a person because an operator has linked it. An account is linked once, by a tax
number that the provider vouches for at level 20 or above. From then on it is that person, whatever else it
states. One person never has two accounts at a provider.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from authproxy.access.decision import Reason
from authproxy.access.routes import Members
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.stores import PeopleStore
from authproxy.identity.assurance import Level
from authproxy.identity.member import (
    Account,
    Member,
    RegisterKey,
    issuer_and_serial,
    tax_number_key,
)
from authproxy.identity.person import Person, TaxNumber
from authproxy.identity.stored_register import StoredMember

_LINKED_FROM: Final = Level.MEDIUM
"""An account below this level may have been registered by anybody who knows a name, a date of birth and a tax
number. To link it would need a code that the bank has sent to the person, and this release sends none."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """`person` is as they signed in, with their id in the register if they are in it. `roles` are theirs at
    the portal. `is_new_link`: the account has been linked to them just now."""

    person: Person
    roles: tuple[str, ...] = ()
    is_new_link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdmitted:
    """`detail` is for operators and names nobody. `is_alarm`: the account states something that belongs to
    somebody else. `member` is the person whom that concerns."""

    reason: Reason
    detail: str
    is_alarm: bool = False
    is_new_link: bool = False
    level_needed: Level | None = None
    member: Member | None = field(default=None, repr=False)


def refusal(member: Member, *, portal_id: str, members: Members) -> NotAdmitted | None:
    """Why this person may not come in at the portal; None if they may. Blocked and not-a-member show the same
    page, so that a stolen certificate or password does not reveal which it is."""
    if member.is_blocked:
        return NotAdmitted(reason=Reason.NOT_A_MEMBER, detail="the person is blocked", member=member)
    if members == "register" and not member.may_enter(portal_id):
        return NotAdmitted(
            reason=Reason.NOT_A_MEMBER,
            detail="the register does not name this portal for the person",
            member=member,
        )
    return None


def changed_meanwhile() -> CannotAsk:
    """The error if the register names somebody else at the end of a sign-in than at its beginning, or gives
    them other roles."""
    return CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people was changed during the sign-in")


class Membership:
    """Asks the store at every sign-in and remembers nothing, so a change counts from the next sign-in on.
    Every method raises CannotAsk."""

    def __init__(self, *, store: PeopleStore) -> None:
        self._store = store

    async def by_certificate(
        self, fingerprint: str, issuer_serial: tuple[str, int], *, tax_number: TaxNumber | None = None
    ) -> Member | None:
        """The person of a certificate that has been validated. `refusal` says whether they may come in.

        `tax_number` is the one in the certificate, if the settings trust the authority that far. A
        certificate that leads to two people is nobody's.
        """
        wanted = [RegisterKey("fingerprint", fingerprint), issuer_and_serial(*issuer_serial)]
        if tax_number is not None:
            wanted.append(tax_number_key(tax_number))
        by_fingerprint, by_serial, *by_number = await self._store.find(wanted)
        people = [stored.member for stored in (by_fingerprint, *by_number) if stored is not None]
        if by_serial is not None:
            if _contradicts(by_serial.member, fingerprint, issuer_serial):
                return None
            people.append(by_serial.member)
        return people[0] if len({member.member_id for member in people}) == 1 else None

    async def by_account(self, account: Account) -> Member | None:
        """The person to whom this account is linked. Links nobody. A blocked account is nobody's."""
        looked_up = await self._store.look_up([account.key])
        [owner] = looked_up.people
        return None if owner is None or looked_up.blocked else owner.member

    async def is_blocked(self, person: Person) -> bool:
        """Whether an operator has blocked a person who has a session, or their account."""
        account = Account(issuer=person.issuer, subject=person.subject)
        looked_up = await self._store.look_up(
            [account.key, *([] if person.member is None else [RegisterKey("id", person.member)])]
        )
        return bool(looked_up.blocked) or any(
            stored is not None and stored.member.is_blocked for stored in looked_up.people
        )

    async def by_sign_in(
        self, person: Person, level: Level, *, portal_id: str, members: Members
    ) -> Admitted | NotAdmitted:
        """What the register answers about somebody for whom the provider has just vouched. Links their
        account if this is the first time.

        Must be asked again when the session has been stored. If the register changes in between, either the
        operator's command finds the session, or the second question finds the change.
        """
        account = Account(issuer=person.issuer, subject=person.subject)
        wanted = [account.key, RegisterKey("id", person.subject)]
        if person.tax_number is not None:
            wanted.append(tax_number_key(person.tax_number))
        for _ in range(_TRIES):
            looked_up = await self._store.look_up(wanted)
            linked, namesake, *numbered = looked_up.people
            owner = next(iter(numbered), None)
            if looked_up.blocked:
                return NotAdmitted(reason=Reason.NOT_A_MEMBER, detail="the account is blocked")
            if linked is not None:
                return _alarm_of(linked.member, owner, person) or _admission(
                    linked.member, person, portal_id, members
                )
            if namesake is not None:
                return _alarm("the account's subject is the id of a person of the register", namesake.member)
            if owner is None:
                return _stranger(person, level, members)
            answer = _unlinked(owner.member, person, level, portal_id, members)
            if answer is not None:
                return answer
            linked_member = owner.member.with_account(account)
            if await self._store.change(owner, linked_member, departs=False):
                return replace(_admission(linked_member, person, portal_id, members), is_new_link=True)
        raise CannotAsk(
            Reason.STORE_UNAVAILABLE, "the person's entry in the register changes faster than it can be read"
        )


def _unlinked(
    owner: Member, person: Person, level: Level, portal_id: str, members: Members
) -> Admitted | NotAdmitted | None:
    """The answer to an unlinked account with the tax number of `owner`; None if it is to be linked."""
    if owner.account_at(person.issuer) is not None:
        return _alarm("the tax number belongs to a person who has another account", owner)
    if owner.is_blocked:
        return refusal(owner, portal_id=portal_id, members=members)
    return _stranger(person, level, members) if level < _LINKED_FROM else None


def _stranger(person: Person, level: Level, members: Members) -> Admitted | NotAdmitted:
    if members == "anyone":
        return Admitted(person=person)
    # Judged before anything that depends on the tax number: somebody who only claims a number must not learn
    # whether it is in the register.
    if level < _LINKED_FROM:
        detail = (
            "the account is not linked to the register, and below level 20 none is: that would need an "
            "activation code"
        )
        return NotAdmitted(reason=Reason.LEVEL_TOO_LOW, detail=detail, level_needed=_LINKED_FROM)
    return NotAdmitted(
        reason=Reason.NOT_A_MEMBER, detail="nobody in the register has this account or tax number"
    )


def _admission(member: Member, person: Person, portal_id: str, members: Members) -> Admitted | NotAdmitted:
    refused = refusal(member, portal_id=portal_id, members=members)
    # The bank says where a member's codes go. No account at the provider changes that.
    return refused or Admitted(
        person=replace(person, member=member.member_id, phone=member.phone), roles=member.roles_at(portal_id)
    )


def _alarm_of(linked: Member, owner: StoredMember | None, person: Person) -> NotAdmitted | None:
    if owner is not None and owner.member.member_id != linked.member_id:
        return _alarm("the linked account states the tax number of somebody else", linked)
    if None not in (linked.tax_number, person.tax_number) and linked.tax_number != person.tax_number:
        return _alarm("the linked account states another tax number than the register", linked)
    return None


def _alarm(detail: str, member: Member) -> NotAdmitted:
    return NotAdmitted(reason=Reason.NOT_A_MEMBER, detail=detail, is_alarm=True, member=member)


def _contradicts(member: Member, fingerprint: str, issuer_serial: tuple[str, int]) -> bool:
    """Whether the register knows a certificate of this issuer and serial with another fingerprint. Then this
    is a different certificate."""
    key = issuer_and_serial(*issuer_serial)
    return any(
        key in certificate.keys and certificate.fingerprint not in (None, fingerprint)
        for certificate in member.certificates
    )
