"""PURE: what a person has enrolled to prove themselves with: an application that makes codes, a phone with a
key, recovery codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from authproxy.identity.assurance import Level
from authproxy.identity.person import Person

EnrolledMethod = Literal["totp", "push", "recovery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """`secret` is what the method verifies with: of `totp` the shared secret in base32, of `push` the phone's
    public key (P-256, SubjectPublicKeyInfo in PEM), of `recovery` nothing: its codes are kept apart, as keyed
    hashes, and each is spent by being found."""

    enrolment_id: str
    method: EnrolledMethod
    label: str = field(repr=False)
    """What its person calls it."""
    enrolled_at: datetime
    secret: str = field(default="", repr=False)
    device_id: str | None = field(default=None, repr=False)
    """The name of the phone at the service that delivers notifications."""
    level: Level = Level.LOW
    """How far its person was trusted when it was made. What it proves is worth no more than this."""


def owner_of(person: Person) -> tuple[str, ...]:
    """Whose an enrolment is: of a person of the register, however they signed in; otherwise of the
    account."""
    if person.member is not None:
        return "member", person.member
    return "account", person.issuer, person.subject
