"""PURE: what a person has enrolled: an application that makes codes, a phone with a key, recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from authproxy.identity.assurance import Level
from authproxy.identity.person import Person

EnrolledMethod = Literal["totp", "push", "recovery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """`secret` is what the method verifies an answer with: for `totp` the shared secret in base32, for `push`
    the phone's public key (P-256, SubjectPublicKeyInfo in PEM). For `recovery` it is empty: the store keeps
    keyed hashes of the codes apart, and deletes each one when it is used."""

    enrolment_id: str
    method: EnrolledMethod
    label: str = field(repr=False)
    """The name that its person gave it."""
    enrolled_at: datetime
    secret: str = field(default="", repr=False)
    device_id: str | None = field(default=None, repr=False)
    """The phone's name at the service that delivers notifications."""
    level: Level = Level.LOW
    """How far its person was trusted when it was enrolled. A proof by it is worth no more than this."""
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySheet:
    """Somebody's recovery codes, as a backup has them. `codes` are hashes that mean something only together
    with the name of the set, so nobody can type them."""

    set_id: str = field(repr=False)
    codes: tuple[str, ...] = field(repr=False)
    listing: Enrolment | None = None
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedMethods:
    """Everything that one person has enrolled, as a backup has it. `owner` is `owner_of` the person."""

    owner: tuple[str, ...]
    enrolments: tuple[Enrolment, ...] = ()
    """Without the listing of recovery codes."""
    recovery: RecoverySheet | None = None


@dataclass(frozen=True, slots=True)
class EverybodysMethods:
    owned: tuple[OwnedMethods, ...]
    unreadable: int
    """Records that none of the keys opens. They are not among the others."""


class EnrolmentStore(Protocol):
    """Every method raises CannotAsk. `owner` is `owner_of` the person."""

    async def of(self, owner: tuple[str, ...]) -> Sequence[Enrolment]:
        """The owner's enrolments, the oldest first, without recovery codes that an older version never
        listed."""
        ...

    async def every(self, owner: tuple[str, ...]) -> Sequence[Enrolment]:
        """The same, with those recovery codes."""
        ...

    async def add(self, owner: tuple[str, ...], enrolment: Enrolment) -> bool:
        """False, and nothing changes, if the owner has the most that are allowed."""
        ...

    async def remove(self, owner: tuple[str, ...], enrolment_id: str) -> bool:
        """False if there was none."""
        ...

    async def remove_all(self, owners: Sequence[tuple[str, ...]]) -> None:
        """Removes everything of these owners, recovery codes too."""
        ...

    async def reseal(self) -> int:
        """Seals under the first key what is sealed under another one; how many enrolments that were."""
        ...

    async def accept_step(self, enrolment_id: str, step: int) -> bool:
        """Whether this time step is later than every step accepted before. If so, it is accepted now."""
        ...

    async def make_recovery(
        self, owner: tuple[str, ...], hashes: Sequence[str], listing: Enrolment, *, instead_of: str | None
    ) -> bool:
        """Replaces the recovery codes that are listed under the id `instead_of` (None: there are none).
        False, and nothing changes, if others are there by now."""
        ...

    async def recovery_left(self, owner: tuple[str, ...]) -> int: ...

    async def spend_recovery(self, owner: tuple[str, ...], code_hash: str) -> bool:
        """Whether this is one of the owner's codes. If so, it is used up now."""
        ...

    async def everybodys(self) -> EverybodysMethods:
        """What everybody has enrolled, for a backup."""
        ...

    async def put_back(self, methods: OwnedMethods) -> bool:
        """Enrols what a backup has. False, and nothing changes, if the owner has anything enrolled."""
        ...


def owner_of(person: Person) -> tuple[str, ...]:
    """Who owns the person's enrolments: the entry in the register, however they signed in, or otherwise the
    account."""
    if person.member is not None:
        return "member", person.member
    return "account", person.issuer, person.subject
