"""Sessions in this process: the twin of `storage/sessions.py`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.identity.member import Member, masked
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId, SessionSummary
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.near_cache import NearCache
from authproxy.storage.outages import Outages
from authproxy.storage.records.sealing import StoredSession

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _KeptSession:
    session: Session
    secret_hash: bytes = field(repr=False)
    browser: str
    last_active_at: datetime
    outages: Outages

    def forgiven(self, now: datetime) -> timedelta:
        return self.outages.forgiven(self.last_active_at, now)

    def is_over(self, now: datetime) -> bool:
        return self.session.is_over(last_active_at=self.last_active_at, now=now, forgiven=self.forgiven(now))

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
    """Tells the near cache itself what has changed: build that with `silence=None`."""

    def __init__(self, near_cache: NearCache | None = None, *, outages: Outages | None = None) -> None:
        """An in-process store has no outages; whoever knows of one says so."""
        self._near_cache = near_cache
        self._outages = outages or Outages()
        self._kept: dict[SessionId, _KeptSession] = {}
        self._successors: dict[SessionId, tuple[SessionId, datetime]] = {}
        self._swept_at = _LONG_AGO

    async def create(self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime) -> None:
        if session.session_id != ticket.session_id:
            raise ValueError("the session is not the ticket's")
        self._sweep(now)
        self._kept[session.session_id] = _KeptSession(
            session=session,
            secret_hash=hashlib.sha256(ticket.secret).digest(),
            browser=browser,
            last_active_at=now,
            outages=self._outages,
        )

    async def rotate(
        self, old: SessionTicket, new: SessionTicket, session: Session, *, browser: str | None, now: datetime
    ) -> bool:
        kept = self._kept.get(old.session_id)
        words = browser if browser is not None or kept is None else kept.browser
        await self.create(new, session, browser=words or "", now=now)
        if kept is None or kept.is_over(now):
            await self.revoke(new.session_id)
            return False
        await self.revoke(old.session_id)
        self._successors[old.session_id] = new.session_id, session.expires_at
        return True

    async def load(self, ticket: SessionTicket, *, now: datetime) -> StoredSession | None:
        kept = self._kept.get(ticket.session_id)
        if kept is None or not hmac.compare_digest(kept.secret_hash, hashlib.sha256(ticket.secret).digest()):
            return None
        if kept.is_over(now):
            if self._outages.forgives:
                await self.revoke(ticket.session_id)  # an outage that becomes known later must not wake it
            return None
        return StoredSession(
            session=kept.session, last_active_at=kept.last_active_at, forgiven=kept.forgiven(now)
        )

    async def touch(self, ticket: SessionTicket, *, now: datetime) -> None:
        kept = self._kept.get(ticket.session_id)
        if kept is not None and not kept.is_over(now) and now > kept.last_active_at:
            kept.last_active_at = now
            self._forget(ticket.session_id)

    def note_missed(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Nothing is ever missed here."""

    async def revoke(self, session_id: SessionId) -> bool:
        """With the one that has taken its place, however often that has happened."""
        while session_id not in self._kept and session_id in self._successors:
            session_id, _ = self._successors[session_id]
        self._forget(session_id)
        return self._kept.pop(session_id, None) is not None

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
        return frozenset([session_id for session_id in session_ids if await self.revoke(session_id)])

    async def revoke_subject(self, issuer: str, subject: str) -> int:
        return len(await self.revoke_all([kept.session.session_id for kept in self._of(issuer, subject)]))

    async def revoke_member(self, member: Member) -> int:
        accounts = {(account.issuer, account.subject) for account in member.accounts}
        return len(
            await self.revoke_all(
                [
                    session.session_id
                    for session in (kept.session for kept in self._kept.values())
                    if session.person.member == member.member_id
                    or (session.person.issuer, session.person.subject) in accounts
                    or (
                        session.person.member is None
                        and member.tax_number is not None
                        and session.person.tax_number == member.tax_number
                    )
                ]
            )
        )

    async def summaries(self, issuer: str, subject: str, *, now: datetime) -> tuple[SessionSummary, ...]:
        return _live(self._of(issuer, subject), now)

    async def of_person(self, person: Person, *, now: datetime) -> tuple[SessionSummary, ...]:
        return _live(
            [
                kept
                for kept in self._kept.values()
                if (kept.session.person.issuer, kept.session.person.subject)
                == (person.issuer, person.subject)
                or (person.member is not None and kept.session.person.member == person.member)
            ],
            now,
        )

    async def of_provider_session(
        self, issuer: str, provider_session: str, *, now: datetime
    ) -> tuple[SessionSummary, ...]:
        wanted = (issuer, provider_session)
        found = [
            kept
            for kept in self._kept.values()
            if (kept.session.person.issuer, kept.session.provider_session) == wanted
        ]
        return _live(found, now)

    async def all_summaries(self, *, now: datetime) -> AsyncIterator[SessionSummary]:
        for kept in list(self._kept.values()):
            if not kept.is_over(now):
                yield kept.summary()

    def _of(self, issuer: str, subject: str) -> list[_KeptSession]:
        return [
            kept
            for kept in self._kept.values()
            if (kept.session.person.issuer, kept.session.person.subject) == (issuer, subject)
        ]

    def _forget(self, session_id: SessionId) -> None:
        if self._near_cache is not None:
            self._near_cache.forget(session_id)

    def _sweep(self, now: datetime) -> None:
        """Drops what is over. Redis does this by time to live; here sign-ins pay for it, at most once a
        minute."""
        if now - self._swept_at >= _SWEPT_EVERY:
            self._swept_at = now
            self._kept = {
                session_id: kept for session_id, kept in self._kept.items() if not kept.is_over(now)
            }
            self._successors = {
                old: (new, until) for old, (new, until) in self._successors.items() if now < until
            }


def _live(every: Sequence[_KeptSession], now: datetime) -> tuple[SessionSummary, ...]:
    found = [kept.summary() for kept in every if not kept.is_over(now)]
    return tuple(sorted(found, key=lambda summary: summary.started_at, reverse=True))
