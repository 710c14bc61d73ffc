"""The in-process twin of the Redis stores, for one process and for tests: the same answers, and nothing outlives the process."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from authproxy.identity.attempt import Attempt, TakenAttempt
from authproxy.identity.member import Member, RegisterKey
from authproxy.identity.person import Person
from authproxy.identity.session import Session, SessionId, SessionSummary
from authproxy.identity.ticket import SessionTicket
from authproxy.storage import retention
from authproxy.storage.codec import StoredSession
from authproxy.storage.near_cache import NearCache
from authproxy.storage.people import Snapshot, StoredMember

_SWEPT_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class _KeptSession:
    session: Session
    secret_hash: bytes = field(repr=False)
    browser: str
    last_active_at: datetime

    def is_over(self, now: datetime) -> bool:
        return self.session.is_over(last_active_at=self.last_active_at, now=now)

    def summary(self) -> SessionSummary:
        return SessionSummary(
            session_id=self.session.session_id,
            portal=self.session.portal,
            method=self.session.method,
            level=self.session.level,
            started_at=self.session.started_at,
            expires_at=self.session.expires_at,
            last_active_at=self.last_active_at,
            browser=self.browser,
            provider_session=self.session.provider_session,
        )


class MemorySessions:
    """Tells the near cache itself what has changed: build that with `silence=None`."""

    def __init__(self, near_cache: NearCache | None = None) -> None:
        self._near_cache = near_cache
        self._kept: dict[SessionId, _KeptSession] = {}
        self._swept_at = _LONG_AGO

    async def create(self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime) -> None:
        if session.session_id != ticket.session_id:
            raise ValueError("the session is not the ticket's")
        self._sweep(now)
        self._kept[session.session_id] = _KeptSession(
            session=session, secret_hash=hashlib.sha256(ticket.secret).digest(), browser=browser, last_active_at=now
        )

    async def load(self, ticket: SessionTicket, *, now: datetime) -> StoredSession | None:
        kept = self._kept.get(ticket.session_id)
        if kept is None or not hmac.compare_digest(kept.secret_hash, hashlib.sha256(ticket.secret).digest()) or kept.is_over(now):
            return None
        return StoredSession(session=kept.session, last_active_at=kept.last_active_at)

    async def touch(self, ticket: SessionTicket, *, now: datetime) -> None:
        kept = self._kept.get(ticket.session_id)
        if kept is not None and not kept.is_over(now) and now > kept.last_active_at:
            kept.last_active_at = now
            self._forget(ticket.session_id)

    async def revoke(self, session_id: SessionId) -> bool:
        self._forget(session_id)
        return self._kept.pop(session_id, None) is not None

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
        return frozenset([session_id for session_id in session_ids if await self.revoke(session_id)])

    async def revoke_subject(self, issuer: str, subject: str) -> int:
        return len(await self.revoke_all([kept.session.session_id for kept in self._of(issuer, subject)]))

    async def revoke_member(self, member: Member) -> int:
        accounts = {(account.issuer, account.subject) for account in member.accounts}
        return len(await self.revoke_all([
            session.session_id
            for session in (kept.session for kept in self._kept.values())
            if session.person.member == member.member_id
            or (session.person.issuer, session.person.subject) in accounts
            or (session.person.member is None and member.tax_number is not None and session.person.tax_number == member.tax_number)
        ]))

    async def summaries(self, issuer: str, subject: str, *, now: datetime) -> tuple[SessionSummary, ...]:
        return _live(self._of(issuer, subject), now)

    async def of_person(self, person: Person, *, now: datetime) -> tuple[SessionSummary, ...]:
        return _live([
            kept for kept in self._kept.values()
            if (kept.session.person.issuer, kept.session.person.subject) == (person.issuer, person.subject)
            or (person.member is not None and kept.session.person.member == person.member)
        ], now)  # fmt: skip

    async def of_provider_session(self, issuer: str, provider_session: str, *, now: datetime) -> tuple[SessionSummary, ...]:
        wanted = (issuer, provider_session)
        found = [kept for kept in self._kept.values() if (kept.session.person.issuer, kept.session.provider_session) == wanted]
        return _live(found, now)

    async def all_summaries(self, *, now: datetime) -> AsyncIterator[SessionSummary]:
        for kept in list(self._kept.values()):
            if not kept.is_over(now):
                yield kept.summary()

    def _of(self, issuer: str, subject: str) -> list[_KeptSession]:
        return [
            kept for kept in self._kept.values() if (kept.session.person.issuer, kept.session.person.subject) == (issuer, subject)
        ]

    def _forget(self, session_id: SessionId) -> None:
        if self._near_cache is not None:
            self._near_cache.forget(session_id)

    def _sweep(self, now: datetime) -> None:
        """Drops what is over. Redis does this by time to live; here sign-ins pay for it, at most once a minute."""
        if now - self._swept_at >= _SWEPT_EVERY:
            self._swept_at = now
            self._kept = {session_id: kept for session_id, kept in self._kept.items() if not kept.is_over(now)}


def _live(every: Sequence[_KeptSession], now: datetime) -> tuple[SessionSummary, ...]:
    found = [kept.summary() for kept in every if not kept.is_over(now)]
    return tuple(sorted(found, key=lambda summary: summary.started_at, reverse=True))


class MemoryPeople:
    def __init__(self) -> None:
        self._revision = 0
        self._members: Mapping[str, Member] = {}
        self._departures: dict[bytes, Member] = {}

    async def find(self, wanted: Sequence[RegisterKey]) -> tuple[StoredMember | None, ...]:
        owners = {key: member for member in self._members.values() for key in member.keys}
        return tuple(StoredMember(owners[key], b"") if key in owners else None for key in wanted)

    async def every(self) -> Snapshot:
        return Snapshot(self._revision, tuple(self._members.values()))

    async def change(self, was: StoredMember, now: Member, *, departs: bool) -> bool:
        if was.member.member_id != now.member_id:
            raise ValueError("a person's id does not change")
        others = {key for member in self._members.values() if member.member_id != now.member_id for key in member.keys}
        if self._members.get(now.member_id) != was.member or others & now.keys:
            return False
        self._take([*(member for member in self._members.values() if member.member_id != now.member_id), now], [was.member] * departs)
        return True

    async def take_over(self, members: Sequence[Member], *, revision: int, departures: Sequence[Member]) -> bool:
        if len({key for member in members for key in member.keys}) != sum(len(member.keys) for member in members):
            raise ValueError("two people have the same key")
        if revision != self._revision:
            return False
        self._take(members, departures)
        return True

    async def departures(self) -> tuple[StoredMember, ...]:
        return tuple(StoredMember(member, version) for version, member in self._departures.items())

    async def settle(self, departures: Sequence[StoredMember]) -> None:
        for each in departures:
            self._departures.pop(each.version, None)

    async def is_under_first_key(self) -> bool:
        return True

    def _take(self, members: Iterable[Member], departures: Sequence[Member]) -> None:
        self._revision += 1
        self._members = {member.member_id: member for member in members}
        self._departures |= {f"{self._revision} {at}".encode(): member for at, member in enumerate(departures)}


class MemoryLogoutTokens:
    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], datetime] = {}

    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool:
        self._taken = {key: until for key, until in self._taken.items() if now < until}
        if (issuer, token_id) in self._taken:
            return False
        self._taken[issuer, token_id] = now + retention.LOGOUT_TOKEN_HELD_FOR
        return True

    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None:
        self._taken[issuer, token_id] = max(until, now + retention.LOGOUT_TOKEN_HELD_FOR)


class MemoryKept:
    """`clock` tells when what was kept is over."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[bytes, datetime]] = {}

    async def get(self, key: str) -> bytes | None:
        value, until = self._kept.get(key, (None, _LONG_AGO))
        return value if self._clock() < until else None

    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None:
        now = self._clock()
        self._kept = {kept: (octets, until) for kept, (octets, until) in self._kept.items() if now < until}
        self._kept[key] = value, now + lives_for

    async def take(self, key: str) -> bytes | None:
        value = await self.get(key)
        self._kept.pop(key, None)
        return value


class MemoryAttempts:
    def __init__(self) -> None:
        self._attempts: dict[str, TakenAttempt] = {}
        self._states: dict[str, deque[str]] = {}
        self._sign_ins: dict[str, deque[datetime]] = {}
        self._swept_at = _LONG_AGO

    async def open(self, state: str, attempt: Attempt, *, now: datetime) -> None:
        self._sweep(now)
        states = self._states.setdefault(attempt.browser, deque())
        states.append(state)
        if len(states) > retention.ATTEMPTS_PER_BROWSER:
            self._attempts.pop(states.popleft(), None)
        self._attempts[state] = TakenAttempt(attempt=attempt, already_used=False)

    async def find(self, state: str, *, now: datetime) -> Attempt | None:
        kept = self._attempts.get(state)
        return kept.attempt if kept is not None and not kept.already_used and retention.is_kept(kept.attempt, now) else None

    async def take(self, state: str, *, now: datetime) -> TakenAttempt | None:
        taken = self._attempts.get(state)
        if taken is None or not retention.is_kept(taken.attempt, now):
            return None
        self._attempts[state] = TakenAttempt(attempt=taken.attempt, already_used=True)
        return taken

    async def note_sign_in(self, browser: str, *, now: datetime) -> int:
        times = self._sign_ins.setdefault(browser, deque(maxlen=retention.SIGN_INS_COUNTED))
        times.append(now)
        return retention.recent(times, now)

    async def recent_sign_ins(self, browser: str, *, now: datetime) -> int:
        return retention.recent(self._sign_ins.get(browser, ()), now)

    def _sweep(self, now: datetime) -> None:
        if now - self._swept_at < _SWEPT_EVERY:
            return
        self._swept_at = now
        self._attempts = {state: taken for state, taken in self._attempts.items() if retention.is_kept(taken.attempt, now)}
        self._states = {
            browser: kept
            for browser, states in self._states.items()
            if (kept := deque(state for state in states if state in self._attempts))
        }
        self._sign_ins = {browser: times for browser, times in self._sign_ins.items() if retention.recent(times, now)}
