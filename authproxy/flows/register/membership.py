"""Who of those who sign in is in the register of people, and whether they may come in at a portal.

A certificate names its person because an operator has linked it. An account is linked once, by a tax number
that the provider vouches for at level 20 or above, and is then the person, whatever else it states; one
person never has two accounts at a provider.
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
"""Below, whoever knows a name, a date of birth and a tax number may have registered the account: linking
would need a code that the bank has sent to its person, and this release sends none."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """`person` is as they signed in, with their id in the register if they are in it; `is_new_link`: the
    account is theirs from now on."""

    person: Person
    is_new_link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdmitted:
    """`found` is for operators and names nobody. `is_alarm`: the account states what belongs to somebody
    else."""

    reason: Reason
    found: str
    is_alarm: bool = False
    is_new_link: bool = False
    level_needed: Level | None = None
    member: Member | None = field(default=None, repr=False)


def refusal(member: Member, *, portal_id: str, members: Members) -> NotAdmitted | None:
    """Why this person may not come in at the portal; None if they may. The page for all of it is one: what an
    operator has decided about a person is not told to whoever has their certificate or password."""
    if member.is_blocked:
        return NotAdmitted(reason=Reason.NOT_A_MEMBER, found="the person is blocked", member=member)
    if members == "register" and not member.may_enter(portal_id):
        return NotAdmitted(
            reason=Reason.NOT_A_MEMBER,
            found="the register does not name this portal for the person",
            member=member,
        )
    return None


def changed_meanwhile() -> CannotAsk:
    """For whoever finds, asking again, that the register means somebody else than it did when the sign-in
    began."""
    return CannotAsk(Reason.STORE_UNAVAILABLE, "the register of people was changed during the sign-in")


class Membership:
    """Asks the store for every sign-in and remembers nothing: a change counts from the next one on. Raises
    CannotAsk."""

    def __init__(self, *, store: PeopleStore) -> None:
        self._store = store

    async def by_certificate(
        self, fingerprint: str, issuer_serial: tuple[str, int], *, tax_number: TaxNumber | None = None
    ) -> Member | None:
        """The person of a certificate that has been validated; `refusal` says whether they may come in.

        `tax_number` is one in the certificate, where the settings trust the authority that far. A certificate
        that leads to two people is nobody's.
        """
        wanted = [RegisterKey("fingerprint", fingerprint), issuer_and_serial(*issuer_serial)]
        if tax_number is not None:
            wanted.append(tax_number_key(tax_number))
        by_fingerprint, by_serial, *by_number = await self._store.find(wanted)
        people = [found.member for found in (by_fingerprint, *by_number) if found is not None]
        if by_serial is not None:
            if _contradicts(by_serial.member, fingerprint, issuer_serial):
                return None
            people.append(by_serial.member)
        return people[0] if len({member.member_id for member in people}) == 1 else None

    async def by_account(self, account: Account) -> Member | None:
        """The person of the register to whom this account is linked; links nobody. A blocked account is
        nobody's."""
        found = await self._store.look_up([account.key])
        [owner] = found.people
        return None if owner is None or found.blocked else owner.member

    async def is_blocked(self, person: Person) -> bool:
        """Whether an operator has blocked somebody who has a session, or their account."""
        account = Account(issuer=person.issuer, subject=person.subject)
        found = await self._store.look_up(
            [account.key, *([] if person.member is None else [RegisterKey("id", person.member)])]
        )
        return bool(found.blocked) or any(
            each is not None and each.member.is_blocked for each in found.people
        )

    async def by_sign_in(
        self, person: Person, level: Level, *, portal_id: str, members: Members
    ) -> Admitted | NotAdmitted:
        """What the register says to somebody whom the provider has just vouched for; links their account if
        it is the first time.

        To be asked again when the session has been stored: of a change in between, one of the two knows.
        """
        account = Account(issuer=person.issuer, subject=person.subject)
        wanted = [account.key, RegisterKey("id", person.subject)]
        if person.tax_number is not None:
            wanted.append(tax_number_key(person.tax_number))
        for _ in range(_TRIES):
            found = await self._store.look_up(wanted)
            linked, namesake, *numbered = found.people
            owner = next(iter(numbered), None)
            if found.blocked:
                return NotAdmitted(reason=Reason.NOT_A_MEMBER, found="the account is blocked")
            if linked is not None:
                return _alarm_of(linked.member, owner, person) or _admission(
                    linked.member, person, portal_id, members
                )
            if namesake is not None:
                return _alarm("the account's subject is the id of a person of the register", namesake.member)
            if owner is None:
                return _stranger(person, level, members)
            told = _unlinked(owner.member, person, level, portal_id, members)
            if told is not None:
                return told
            now = owner.member.with_account(account)
            if await self._store.change(owner, now, departs=False):
                return replace(_admission(now, person, portal_id, members), is_new_link=True)
        raise CannotAsk(
            Reason.STORE_UNAVAILABLE, "the person's entry in the register changes faster than it can be read"
        )


def _unlinked(
    owner: Member, person: Person, level: Level, portal_id: str, members: Members
) -> Admitted | NotAdmitted | None:
    """What is said to an account that nobody has linked, with the tax number of `owner`; None if it is to be
    linked."""
    if owner.account_at(person.issuer) is not None:
        return _alarm("the tax number belongs to a person who has another account", owner)
    if owner.is_blocked:
        return refusal(owner, portal_id=portal_id, members=members)
    return _stranger(person, level, members) if level < _LINKED_FROM else None


def _stranger(person: Person, level: Level, members: Members) -> Admitted | NotAdmitted:
    if members == "anyone":
        return Admitted(person=person)
    # Before anything that depends on the tax number: whoever only claims one must not learn whether it is in
    # the register.
    if level < _LINKED_FROM:
        found = (
            "the account is not linked to the register, and below level 20 none is: that would need an "
            "activation code"
        )
        return NotAdmitted(reason=Reason.LEVEL_TOO_LOW, found=found, level_needed=_LINKED_FROM)
    return NotAdmitted(
        reason=Reason.NOT_A_MEMBER, found="nobody in the register has this account or tax number"
    )


def _admission(member: Member, person: Person, portal_id: str, members: Members) -> Admitted | NotAdmitted:
    refused = refusal(member, portal_id=portal_id, members=members)
    # Where codes go the bank says itself, of whom it has entered: no account at the provider changes that.
    return refused or Admitted(person=replace(person, member=member.member_id, phone=member.phone))


def _alarm_of(linked: Member, owner: StoredMember | None, person: Person) -> NotAdmitted | None:
    if owner is not None and owner.member.member_id != linked.member_id:
        return _alarm("the linked account states the tax number of somebody else", linked)
    if None not in (linked.tax_number, person.tax_number) and linked.tax_number != person.tax_number:
        return _alarm("the linked account states another tax number than the register", linked)
    return None


def _alarm(found: str, member: Member) -> NotAdmitted:
    return NotAdmitted(reason=Reason.NOT_A_MEMBER, found=found, is_alarm=True, member=member)


def _contradicts(member: Member, fingerprint: str, issuer_serial: tuple[str, int]) -> bool:
    """Whether the register knows a certificate of this issuer and serial with another fingerprint: then this
    is a different one."""
    key = issuer_and_serial(*issuer_serial)
    return any(
        key in certificate.keys and certificate.fingerprint not in (None, fingerprint)
        for certificate in member.certificates
    )
