"""What flows ask of the stores. `storage` implements each of these twice, in Redis and in memory; flows may
not import it.

Every method that waits raises CannotAsk if the store cannot be asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.grant import Grant, GrantTurn
from authproxy.identity.member import BlockedAccount, Member, RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId, SessionSummary
from authproxy.identity.ticket import SessionTicket


class LoadedSession(Protocol):
    @property
    def session(self) -> Session: ...
    @property
    def last_active_at(self) -> datetime: ...
    @property
    def forgiven(self) -> timedelta: ...


class RememberedSession(LoadedSession, Protocol):
    extras: dict[str, object]


class SessionCache(Protocol):
    def lookup(self, ticket_text: str, now: datetime) -> RememberedSession | None: ...
    def begin_read(self) -> int: ...
    def remember(self, ticket_text: str, stored: Any, now: datetime, *, read: int) -> RememberedSession: ...


class SessionStore(Protocol):
    async def load(self, ticket: SessionTicket, *, now: datetime) -> LoadedSession | None: ...
    async def create(
        self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime
    ) -> None: ...
    async def rotate(
        self, old: SessionTicket, new: SessionTicket, session: Session, *, browser: str | None, now: datetime
    ) -> bool:
        """Puts the session under the new ticket; the old one opens nothing from then on. False if the old one
        opens nothing already."""
        ...

    async def touch(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Notes activity."""
        ...

    def note_missed(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Notes activity that could not be written, because the store is away."""
        ...

    async def of_person(self, person: Person, *, now: datetime) -> tuple[SessionSummary, ...]: ...
    async def summaries(self, issuer: str, subject: str, *, now: datetime) -> tuple[SessionSummary, ...]: ...
    async def of_provider_session(
        self, issuer: str, provider_session: str, *, now: datetime
    ) -> tuple[SessionSummary, ...]: ...
    def all_summaries(self, *, now: datetime) -> AsyncIterator[SessionSummary]: ...

    async def revoke(self, session_id: SessionId) -> bool:
        """Ends a session on every instance; False if there was none."""
        ...

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]: ...
    async def revoke_member(self, member: Member) -> int: ...
    async def revoke_subject(self, issuer: str, subject: str) -> int: ...


class AttemptSeals(Protocol):
    """Attempts as text that only this gateway can write and read."""

    def attempt_sealed(self, attempt: Attempt) -> str: ...
    def attempt_in(self, text: str) -> Attempt | None: ...
    def showing_sealed(self, showing: Showing) -> str: ...
    def showing_in(self, text: str) -> Showing | None: ...


class AttemptStore(Protocol):
    async def take(self, attempt: Attempt, *, good_until: datetime, now: datetime) -> bool:
        """Whether nobody has taken the attempt before."""
        ...

    async def note_sign_in(self, browser: str, *, now: datetime) -> int: ...
    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int: ...


class OctetStore(Protocol):
    """Octets under a name, for a time."""

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...
    async def take(self, key: str) -> bytes | None: ...


class UsedProofs(Protocol):
    """Proofs for one request, which count once."""

    async def use(self, proof: str) -> bool:
        """Whether nobody has used it before."""
        ...

    async def give_back(self, proof: str) -> None: ...
    async def is_used(self, proof: str) -> bool: ...


class LogoutTokens(Protocol):
    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool: ...
    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None: ...


class GrantStore(Protocol):
    async def keep(
        self, secret: str, grant: Grant, *, due_at: datetime, lives_for: timedelta, now: datetime
    ) -> None: ...
    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None: ...
    async def settle(self, secret: str, grant: Grant | None = None) -> bool: ...
    async def take(self, secret: str) -> Grant | None: ...


class StoredMember(Protocol):
    @property
    def member(self) -> Member: ...


class RegisterAnswer(Protocol):
    """`blocked` are those of the keys asked for that are blocked accounts of people outside the register."""

    @property
    def people(self) -> Sequence[StoredMember | None]: ...
    @property
    def blocked(self) -> Mapping[RegisterKey, BlockedAccount]: ...


class PeopleStore(Protocol):
    """The register of people, as a sign-in needs it."""

    async def find(self, wanted: Sequence[RegisterKey]) -> Sequence[StoredMember | None]: ...
    async def look_up(self, wanted: Sequence[RegisterKey]) -> RegisterAnswer: ...
    async def change(self, was: Any, now: Member, *, departs: bool) -> bool: ...
