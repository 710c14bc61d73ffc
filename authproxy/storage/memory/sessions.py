"""Sessions, in memory."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import Member, masked
from authproxy.identity.person import Person
from authproxy.identity.session import (
    NO_SESSION,
    EndedSession,
    NoSession,
    Session,
    SessionId,
    SessionSummary,
    StoredSession,
)
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.expiring import Expiring
from authproxy.storage.near_cache import NearCache
from authproxy.storage.outages import Outages


@dataclass(slots=True, kw_only=True)
class _OpenSession:
    session: Session
    secret_hash: bytes = field(repr=False)
    browser: str
    last_active_at: datetime
    outages: Outages

    def forgiven(self, now: datetime) -> timedelta:
        return self.outages.forgiven(self.last_active_at, now)

    def is_over(self, now: datetime) -> bool:
        return self.session.is_over(last_active_at=self.last_active_at, now=now, forgiven=self.forgiven(now))

    @property
    def ends_at_the_latest(self) -> datetime:
        """If its person does nothing more and everything that may be forgiven is."""
        idle_end = self.last_active_at + self.session.idle_for + self.outages.forgives
        return min(idle_end, self.session.expires_at)

    def stored(self, now: datetime) -> StoredSession:
        return StoredSession(
            session=self.session, last_active_at=self.last_active_at, forgiven=self.forgiven(now)
        )

    def summary(self) -> SessionSummary:
        person = self.session.person
        return SessionSummary(
            session_id=self.session.session_id,
            portal=self.session.portal,
            method=self.session.method,
            level=self.session.level,
            started_at=self.session.started_at,
            expires_at=self.session.expires_at,
            last_active_at=self.last_active_at,
            browser=self.browser,
            certificates=self.session.certificates,
            provider_session=self.session.provider_session,
            person=Person(
                issuer=person.issuer, subject=person.subject, member=person.member, name=person.name
            ),
            tax_number=None if person.tax_number is None else masked(person.tax_number),
        )


class MemorySessions:
    """It tells the near cache itself what has changed. That near cache must be built with `silence=None`."""

    def __init__(
        self,
        near_cache: NearCache | None = None,
        *,
        outages: Outages | None = None,
        remembered_for: timedelta = timedelta(),
    ) -> None:
        """`remembered_for` is how long it is known whose a session was that has ended by time. A store in
        memory has no outages of its own; tests hand some in."""
        self._near_cache = near_cache
        self._remembered_for = remembered_for
        self._ended: Expiring[SessionId, tuple[bytes, EndedSession]] = Expiring()
        """With the hash of the ticket's secret."""
        self._outages = outages or Outages()
        self._sessions: Expiring[SessionId, _OpenSession] = Expiring()
        self._successors: Expiring[SessionId, SessionId] = Expiring()

    async def create(self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime) -> None:
        if session.session_id != ticket.session_id:
            raise ValueError("the session is not the ticket's")
        opened = _OpenSession(
            session=session,
            secret_hash=hashlib.sha256(ticket.secret).digest(),
            browser=browser,
            last_active_at=now,
            outages=self._outages,
        )
        self._sessions.put(session.session_id, opened, until=opened.ends_at_the_latest, now=now)
        self._remember(opened, now)
        self._successors.sweep(now)

    async def rotate(
        self, old: SessionTicket, new: SessionTicket, session: Session, *, browser: str | None, now: datetime
    ) -> bool:
        replaced = self._open(old.session_id, now)
        if browser is None:
            browser = "" if replaced is None else replaced.browser
        await self.create(new, session, browser=browser, now=now)
        if replaced is None:
            await self.revoke(new.session_id)
            return False
        await self.revoke(old.session_id)
        self._successors.put(old.session_id, new.session_id, until=session.expires_at, now=now)
        return True

    async def load(
        self, ticket: SessionTicket, *, now: datetime, before: StoredSession | None = None
    ) -> StoredSession | None:
        del before  # there are no records that would have to be opened
        found = self._sessions.peek(ticket.session_id)
        if found is None or not hmac.compare_digest(
            found.secret_hash, hashlib.sha256(ticket.secret).digest()
        ):
            return None
        if found.is_over(now):
            if self._outages.forgives:
                # Otherwise an outage that becomes known later would revive it.
                self._end(ticket.session_id)
            return None
        return found.stored(now)

    def reread(
        self,
        before: StoredSession,
        *,
        now: datetime,
        told: Callable[[StoredSession | NoSession | CannotAsk | None], None],
    ) -> None:
        found = self._sessions.peek(before.session.session_id)
        if found is None:
            told(NO_SESSION)
        elif found.session is not before.session or found.is_over(now):
            told(None)
        else:
            stored = found.stored(now)
            told(before if stored == before else stored)

    async def whose(self, ticket: SessionTicket, *, now: datetime) -> EndedSession | None:
        secret_hash, ended = self._ended.get(ticket.session_id, now) or (b"", None)
        is_right = hmac.compare_digest(secret_hash, hashlib.sha256(ticket.secret).digest())
        return ended if is_right else None

    async def touch(self, ticket: SessionTicket, *, now: datetime) -> None:
        found = self._open(ticket.session_id, now)
        if found is not None and now > found.last_active_at:
            found.last_active_at = now
            self._sessions.put(ticket.session_id, found, until=found.ends_at_the_latest, now=now)
            self._remember(found, now)
            self._forget(ticket.session_id)

    def note_missed(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Does nothing: every touch is written."""

    async def revoke(self, session_id: SessionId) -> bool:
        """Ends the session, or the one that has replaced it under a new ticket, however often."""
        successor = self._successors.peek(session_id)
        while session_id not in self._sessions and successor is not None:
            self._ended.discard(session_id)
            session_id, successor = successor, self._successors.peek(successor)
        self._ended.discard(session_id)
        return self._end(session_id)

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
        return frozenset([session_id for session_id in session_ids if await self.revoke(session_id)])

    async def revoke_everybodys(self) -> int:
        return await self._revoke_where(lambda _session: True)

    async def revoke_subject(self, issuer: str, subject: str) -> int:
        return await self._revoke_where(lambda session: _is_of(session, issuer, subject))

    async def revoke_member(self, member: Member) -> int:
        accounts = {(account.issuer, account.subject) for account in member.accounts}
        return await self._revoke_where(
            lambda session: (
                session.person.member == member.member_id
                or (session.person.issuer, session.person.subject) in accounts
                or (
                    session.person.member is None
                    and member.tax_number is not None
                    and session.person.tax_number == member.tax_number
                )
            )
        )

    async def summaries(self, issuer: str, subject: str, *, now: datetime) -> tuple[SessionSummary, ...]:
        return self._summaries(now, lambda session: _is_of(session, issuer, subject))

    async def of_person(self, person: Person, *, now: datetime) -> tuple[SessionSummary, ...]:
        return self._summaries(
            now,
            lambda session: (
                _is_of(session, person.issuer, person.subject)
                or (person.member is not None and session.person.member == person.member)
            ),
        )

    async def of_provider_session(
        self, issuer: str, provider_session: str, *, now: datetime
    ) -> tuple[SessionSummary, ...]:
        return self._summaries(
            now,
            lambda session: (session.person.issuer, session.provider_session) == (issuer, provider_session),
        )

    async def summary(self, session_id: SessionId, *, now: datetime) -> SessionSummary | None:
        """The live session of this id, or the one that has replaced it."""
        successor = self._successors.peek(session_id)
        while session_id not in self._sessions and successor is not None:
            session_id, successor = successor, self._successors.peek(successor)
        found = self._open(session_id, now)
        return None if found is None else found.summary()

    async def all_summaries(self, *, now: datetime) -> AsyncIterator[SessionSummary]:
        for opened in self._sessions.all():
            if not opened.is_over(now):
                yield opened.summary()

    def _remember(self, opened: _OpenSession, now: datetime) -> None:
        if not self._remembered_for:
            return
        session = opened.session
        person = Person(
            issuer=session.person.issuer, subject=session.person.subject, member=session.person.member
        )
        self._ended.put(
            session.session_id,
            (opened.secret_hash, EndedSession(portal=session.portal, person=person)),
            until=opened.ends_at_the_latest + self._remembered_for,
            now=now,
        )

    def _end(self, session_id: SessionId) -> bool:
        """False if there was none."""
        self._forget(session_id)
        is_there = session_id in self._sessions
        self._sessions.discard(session_id)
        return is_there

    async def _revoke_where(self, is_meant: Callable[[Session], bool]) -> int:
        meant = [opened.session for opened in self._sessions.all() if is_meant(opened.session)]
        return len(await self.revoke_all([session.session_id for session in meant]))

    def _summaries(self, now: datetime, is_meant: Callable[[Session], bool]) -> tuple[SessionSummary, ...]:
        """Of the sessions that are not over, the newest first."""
        summaries = [
            opened.summary()
            for opened in self._sessions.all()
            if is_meant(opened.session) and not opened.is_over(now)
        ]
        return tuple(sorted(summaries, key=lambda summary: summary.started_at, reverse=True))

    def _open(self, session_id: SessionId, now: datetime) -> _OpenSession | None:
        found = self._sessions.peek(session_id)
        return None if found is None or found.is_over(now) else found

    def _forget(self, session_id: SessionId) -> None:
        if self._near_cache is not None:
            self._near_cache.forget(session_id)


def _is_of(session: Session, issuer: str, subject: str) -> bool:
    return (session.person.issuer, session.person.subject) == (issuer, subject)
