"""What flows ask of the stores. `storage` implements each of these twice, in Redis and in memory; flows may
not import it.

Every method that waits raises CannotAsk if the store cannot be asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge, ChallengeId, Standing, State
from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.grant import Grant, GrantTurn
from authproxy.identity.machine_client import ApiKey
from authproxy.identity.member import Account, BlockedAccount, Member, RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import (
    EndedSession,
    NoSession,
    Session,
    SessionId,
    SessionSummary,
    StoredSession,
)
from authproxy.identity.stored_register import Departure, LookedUp, RegisterSnapshot, StoredMember
from authproxy.identity.ticket import SessionTicket


class RememberedSession(Protocol):
    """A session in the cache. What was made of it is kept in `extras` until the session changes."""

    session: Session
    stored: StoredSession
    extras: dict[str, object]


class SessionCache(Protocol):
    """Sessions that were read lately (`storage/near_cache.py`)."""

    def lookup(self, ticket_text: str, now: datetime) -> RememberedSession | None: ...
    def begin_read(self) -> int: ...
    def remembered(self, ticket_text: str) -> StoredSession | None: ...
    def drop(self, ticket_text: str) -> None: ...
    def remember(
        self, ticket_text: str, stored: StoredSession, now: datetime, *, read: int
    ) -> RememberedSession: ...


class SessionStore(Protocol):
    """Sessions and their summaries. What is revoked has ended on every instance when the method returns."""

    async def load(
        self, ticket: SessionTicket, *, now: datetime, before: StoredSession | None = None
    ) -> StoredSession | None:
        """None if the ticket opens nothing. `before` is what this ticket has opened before: if the record is
        the same, so is the session, and nothing is opened again."""
        ...

    def reread(
        self,
        before: StoredSession,
        *,
        now: datetime,
        told: Callable[[StoredSession | NoSession | CannotAsk | None], None],
    ) -> None:
        """As `load` with `before`, without a task: `told` is called once. It gets `before` itself if nothing
        has changed, and None if only `load` can say what is so. It must not raise."""
        ...

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
        """False if there was no such session."""
        ...

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
        """Those that were there and have ended."""
        ...

    async def revoke_member(self, member: Member) -> int:
        """Ends all sessions of a person of the register; how many."""
        ...

    async def revoke_subject(self, issuer: str, subject: str) -> int:
        """Ends all sessions of an account; how many."""
        ...


class EndedSessions(Protocol):
    """Part of the store of sessions: whose they were."""

    async def whose(self, ticket: SessionTicket, *, now: datetime) -> EndedSession | None:
        """Whose session this ticket opens or has opened. None if somebody has ended the session, or if it
        ended by time longer ago than is remembered."""
        ...


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


class ChallengeStore(Protocol):
    async def open(self, challenge: Challenge, *, tries: int, now: datetime) -> None: ...
    async def find(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None: ...
    async def count_try(self, challenge_id: ChallengeId, *, now: datetime) -> Standing | None: ...

    async def resolve(self, challenge_id: ChallengeId, state: State, *, now: datetime) -> bool:
        """Whether the challenge was pending. If so, it has this state now."""
        ...

    async def current(self, session_id: SessionId, *, now: datetime) -> Sequence[ChallengeId]:
        """The session's pending challenges, the newest first."""
        ...

    async def take_turn(self, name: str, owner: str) -> bool:
        """Whether nobody else has this turn to issue a challenge. It is over with `end_turn`, or after a few
        seconds. `owner` is a name that nobody else uses."""
        ...

    async def end_turn(self, name: str, owner: str) -> None:
        """Ends the turn, if it is still this owner's."""
        ...


class AnswerLimits(Protocol):
    """Limits on wrong codes, counted under several names at once (`challenges/limits.py`)."""

    async def try_answer(self, names: Sequence[str], *, now: datetime) -> datetime | None:
        """Counts an answer and returns None, or counts nothing and returns when a block of one of the names
        ends."""
        ...

    async def forgive(self, names: Sequence[str]) -> None: ...
    async def blocked_until(self, names: Sequence[str], *, now: datetime) -> datetime | None: ...
    async def lift(self, names: Sequence[str]) -> bool:
        """Forgets wrong answers, also where they have closed something; whether there were any."""
        ...


class LogoutTokens(Protocol):
    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool:
        """Whether nobody has taken the token before. It can be taken again after a moment, unless `keep` is
        called."""
        ...

    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None:
        """The token has had its effect, and must not be taken again before it expires."""
        ...


class GrantStore(Protocol):
    """What the provider can be asked with about an account, by the secret in the session's record."""

    async def keep(
        self, secret: str, grant: Grant, *, due_at: datetime, lives_for: timedelta, now: datetime
    ) -> None: ...
    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None:
        """The turn to ask; None if that is not due, or another instance has it."""
        ...

    async def settle(self, secret: str, grant: Grant | None = None) -> bool:
        """Says which grant is valid after a question: `grant`, or the stored one if that is None. False if
        the stored one is gone."""
        ...

    async def take(self, secret: str) -> Grant | None:
        """Deletes the grant and returns it."""
        ...


class PeopleStore(Protocol):
    """The register of people."""

    async def find(self, wanted: Sequence[RegisterKey]) -> Sequence[StoredMember | None]: ...
    async def look_up(self, wanted: Sequence[RegisterKey]) -> LookedUp: ...
    async def every(self) -> RegisterSnapshot: ...
    async def revision(self) -> int: ...
    async def is_lost(self) -> bool:
        """Whether the register was there once and is not any more."""
        ...

    async def change(self, found: StoredMember, replacement: Member, *, departs: bool) -> bool:
        """False if somebody else has changed this person in between. `departs`: their sessions must end."""
        ...

    async def take_over(
        self,
        members: Sequence[Member],
        *,
        revision: int,
        departures: Sequence[Member],
        blocked: Sequence[BlockedAccount] = (),
    ) -> bool:
        """`blocked` are accounts to block beside those that are."""
        ...

    async def begin_anew(self, members: Sequence[Member], blocked: Sequence[BlockedAccount] = ()) -> int: ...
    async def block_account(self, blocked: BlockedAccount, *, revision: int) -> bool: ...
    async def unblock_account(self, account: Account, *, revision: int) -> bool: ...
    async def departures(self) -> Sequence[Departure]: ...
    async def settle(self, departures: Sequence[Departure]) -> None: ...


class MachineKeyStore(Protocol):
    """API keys of programs."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key, also if it has ended."""
        ...


class LastNumbers(Protocol):
    """The telephone number to which codes of a person went last."""

    async def swap_number(self, owner: tuple[str, ...], number: str) -> str | None:
        """Remembers the telephone number and returns the one before; None if none is known."""
        ...


class Messages(Protocol):
    """Messages about changes that wait for their person, and the number to which their codes went last."""

    async def forget(self, owner: tuple[str, ...]) -> None:
        """Removes everything that is kept about the person."""
        ...
