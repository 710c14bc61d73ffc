"""PURE: what a store answers when it is asked about the register of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authproxy.identity.member import BlockedAccount, Member, RegisterKey


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A person as the store has them. A change hands `version` back, so that it is made only if nobody has
    changed this person in between."""

    member: Member
    version: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the store knew of some keys at one moment."""

    people: tuple[StoredMember | None, ...]
    """In the order of the keys."""
    blocked: Mapping[RegisterKey, BlockedAccount] = field(default_factory=dict)
    """The keys that are blocked accounts of people outside the register."""


@dataclass(frozen=True, slots=True)
class RegisterSnapshot:
    """The whole register at one moment. Every change raises the revision; 0 means that the register was never
    filled."""

    revision: int
    members: tuple[Member, ...]
    blocked: tuple[BlockedAccount, ...] = ()
    """Accounts of people outside the register."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A person, as they were before a change, whose sessions must end because of it."""

    member: Member
    version: bytes = field(repr=False)
    is_leaving: bool = False
    """What they have enrolled must be removed too, before somebody else gets their id."""
