"""Sessions in Redis. Time limits and revocation are enforced where the record is: by its time to live and by
scripts.

Each session is a hash under its id. Indexes list the sessions of a subject, of a person of the register and
of a session at the provider; their names are keyed hashes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.member import Member
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import (
    EndedSession,
    NoSession,
    Session,
    SessionId,
    SessionSummary,
    StoredSession,
)
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.records import sessions as records
from authproxy.storage.records import values
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.redis import activity, rereads, succession
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import RedisConnection, WrongType, pages
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.open_sessions import RedisOpenSessions
from authproxy.storage.redis.reads import GatheredReads
from authproxy.storage.redis.rereads import Rereads

_NOT_YET_VALID_FOR: Final = timedelta(seconds=10)
"""How long a new session lives before it has replaced the old one: longer than the question in between
takes."""
_MOST_REPORTED: Final = 1000

# Times in scripts are milliseconds since 1970 by the gateway's clock. Times to live are spans, so Redis' own
# clock does not matter.
_CREATE: Final = """
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'summary', ARGV[2], 'seen', ARGV[3], 'idle', ARGV[4], 'ends', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[8] then
  redis.call('HSET', KEYS[1], 'remembered', ARGV[8])
  redis.call('SET', KEYS[2], ARGV[7], 'PX', ARGV[6] + ARGV[8])
end
"""
# Sessions leave the index at their absolute end and not before. If a session left when its record is gone,
# one whose record is just being written might leave, and would not be found when its person is signed out. A
# value of another type under the index's key is deleted: otherwise this person could never sign in again.
_INDEX: Final = """
local cleared = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
if type(cleared) == 'table' and string.find(cleared.err, 'WRONGTYPE', 1, true) then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], last[2] - ARGV[2])
"""


class RedisSessions:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        keys: KeyRing,
        heartbeat: Heartbeat | None = None,
        on_unreadable: Callable[[SessionId], None] | None = None,
        open_sessions: RedisOpenSessions | None = None,
        on_idle_end: Callable[[Session], None] | None = None,
        remembered_for: timedelta = timedelta(),
    ) -> None:
        """`remembered_for` is how long it is known whose a session was that has ended by time. `open_sessions`
        records sessions that begin. `on_idle_end` is called when a session ends here
        because its person was idle, and `on_unreadable` once for each session whose record cannot be read.
        Without a `heartbeat` nothing is forgiven."""
        self._connection = connection
        self._heartbeat = heartbeat or Heartbeat(connection)
        self._on_unreadable = on_unreadable
        self._open_sessions = open_sessions
        self._on_idle_end = on_idle_end
        self._remembered_for = remembered_for
        self._reported: set[SessionId] = set()
        self._reads = GatheredReads(connection)
        self._rereads = Rereads(self._reads, self._heartbeat)
        self._keys = keys
        self.unreadable = 0
        """Records that did not open since the start: wrong secret, dropped key or tampering. For metrics."""

    async def create(self, ticket: SessionTicket, session: Session, *, browser: str, now: datetime) -> None:
        """Stores the session, last active `now`. `browser` is a description for summaries. Afterwards the
        session is found by its ticket, by its subject and by the provider's session."""
        await self._connection.all(
            self._storing(ticket, session, browser, now, lives_for=self._lifetime(session, now))
        )

    async def rotate(
        self, old: SessionTicket, new: SessionTicket, session: Session, *, browser: str | None, now: datetime
    ) -> bool:
        """Replaces the session of the old ticket by `session`, which is the new ticket's. It was last active
        `now`. With `browser` None it keeps the old description. False if the old session has ended, or one of
        the two is revoked meanwhile; then the new one has ended too. If this process dies half-way, the new
        session ends by itself, and nobody has its ticket."""
        try:
            [sealed] = await self._connection.ask("HMGET", keyspace.session(old.session_id), "summary")
        except WrongType:
            self._note_unreadable(old.session_id)
            return False
        if sealed is None:
            return False
        described, newer = self._lasting(sealed, old.session_id)
        browser = described if browser is None else browser
        await self._connection.all(
            self._storing(new, session, browser, now, lives_for=_NOT_YET_VALID_FOR, newer_fields=newer)
        )
        if not await succession.replace(
            self._connection, old.session_id, new.session_id, self._heartbeat, now=now
        ):
            await self.revoke(new.session_id)
            return False
        lives_for = self._lifetime(session, now)
        questions: list[Command] = [
            ("PEXPIRE", keyspace.session(new.session_id), values.span_in_milliseconds(lives_for))
        ]
        if self._remembered_for:
            remembered = values.span_in_milliseconds(lives_for + self._remembered_for)
            questions.append(("PEXPIRE", keyspace.ended_session(new.session_id), remembered))
        return bool((await self._connection.all(questions))[0])

    async def load(
        self, ticket: SessionTicket, *, now: datetime, before: StoredSession | None = None
    ) -> StoredSession | None:
        """The session of this ticket. None if there is none, if the secret does not open it, or if it is
        over. `before` is what this very ticket has opened before. A record with the same octets is the same
        session, because the octets authenticate it."""
        session_id = ticket.session_id
        if session_id in self._heartbeat.endings:
            return None
        try:
            record, seen = await self._reads.read(*rereads.question(session_id))
        except WrongType:
            self._note_unreadable(session_id)
            return None
        except CannotAsk:
            self._heartbeat.outages.note_failure(now, session_id)
            raise
        if record is None:
            return None
        unchanged = None if before is None else self._rereads.unchanged(before, record, seen, now)
        if unchanged is not None:
            return unchanged
        plaintext = self._keys.open(Purpose.SESSION, record, bound_to=session_id, secret=ticket.secret)
        session = None if plaintext is None else records.session_in(plaintext)
        last_active_at = values.moment(seen)
        if session is None or last_active_at is None:
            self._note_unreadable(session_id)
            return None
        forgiven = self._heartbeat.outages.forgiven(last_active_at, now)
        if not session.is_over(last_active_at=last_active_at, now=now, forgiven=forgiven):
            return StoredSession(
                session=session, last_active_at=last_active_at, forgiven=forgiven, sealed=record, seen=seen
            )
        return (
            None
            if now >= session.expires_at
            else await self._unless_idle(ticket, session, seen, last_active_at, now)
        )

    def reread(
        self,
        before: StoredSession,
        *,
        now: datetime,
        told: Callable[[StoredSession | NoSession | CannotAsk | None], None],
    ) -> None:
        """As `load` with `before`, without a task: `told` is called once. It gets `before` itself if nothing
        has changed, and None if only `load` can say what is so. It must not raise."""
        self._rereads.ask(before, now, told)

    async def whose(
        self,
        ticket: SessionTicket,
        *,
        now: datetime,  # noqa: ARG002  (the record's time to live decides)
    ) -> EndedSession | None:
        """Whose session this ticket opens or has opened. None if somebody has ended the session, or if it
        ended by time longer ago than is remembered."""
        session_id = ticket.session_id
        try:
            sealed = await self._connection.ask("GET", keyspace.ended_session(session_id))
        except WrongType:
            return None
        octets = (
            None
            if sealed is None
            else self._keys.open(Purpose.ENDED_SESSION, sealed, bound_to=session_id, secret=ticket.secret)
        )
        return None if octets is None else records.ended_session_in(octets)

    async def touch(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Notes activity. It never moves the absolute end, and never brings back a session that is gone or
        over. Activity that cannot be written now is written as soon as the store takes writes."""
        outages = self._heartbeat.outages
        try:
            await self._connection.ask(*activity.touch(ticket.session_id, outages, at=now, now=now))
        except WrongType:
            self._note_unreadable(ticket.session_id)
        except CannotAsk:
            outages.note_failure(now, ticket.session_id)
            self.note_missed(ticket, now=now)
            raise

    def note_missed(self, ticket: SessionTicket, *, now: datetime) -> None:
        """Remembers activity that could not be written, and writes it as soon as the store takes writes. Does
        nothing if outages are not forgiven."""
        if self._heartbeat.outages.forgives:
            self._heartbeat.remember_activity(ticket.session_id, now)

    async def revoke(self, session_id: SessionId) -> bool:
        """Ends the session, or the one that has replaced it, for every instance. False if there was none."""
        return bool(await self.revoke_all([session_id]))

    async def revoke_all(self, session_ids: Sequence[SessionId]) -> frozenset[SessionId]:
        """Ends these sessions, or those that have replaced them, for every instance. Returns those that led
        to a session."""
        return await succession.end(self._connection, session_ids, self._heartbeat.endings)

    async def revoke_subject(self, issuer: str, subject: str) -> int:
        """Ends all sessions of this subject, also those under retiring keys. Returns how many there were."""
        return len(await self.revoke_all(await self._members(self._subject_indexes(issuer, subject))))

    async def revoke_member(self, member: Member) -> int:
        """Ends all sessions of this person of the register, however they signed in, also sessions that began
        before the person was in the register or was linked. Returns how many there were."""
        names = [*self._keys.person_names("member", member.member_id)]
        if member.tax_number is not None:
            names += self._keys.person_names("tax number", member.tax_number)
        indexes = [keyspace.person(name) for name in names]
        for account in member.accounts:
            indexes += self._subject_indexes(account.issuer, account.subject)
        return len(await self.revoke_all(sorted(set(await self._members(indexes)))))

    async def revoke_everybodys(self) -> int:
        """Ends every session, also those whose records do not open. Returns how many there were. A session
        that begins meanwhile may stay."""
        ended = 0
        async for keys in self._connection.scan(keyspace.EVERY_SESSION):
            found = [session_id for key in keys if (session_id := keyspace.session_id_in(key)) is not None]
            ended += len(await self.revoke_all(found))
        return ended

    async def summaries(self, issuer: str, subject: str, *, now: datetime) -> tuple[SessionSummary, ...]:
        """The live sessions of this subject, the newest first."""
        return await self._summaries(self._subject_indexes(issuer, subject), now)

    async def of_person(self, person: Person, *, now: datetime) -> tuple[SessionSummary, ...]:
        """The live sessions of this person, the newest first. For a person of the register it does not matter
        how they signed in."""
        indexes = self._subject_indexes(person.issuer, person.subject)
        if person.member is not None:
            indexes += [keyspace.person(name) for name in self._keys.person_names("member", person.member)]
        return await self._summaries(indexes, now)

    async def of_provider_session(
        self, issuer: str, provider_session: str, *, now: datetime
    ) -> tuple[SessionSummary, ...]:
        """The live sessions at all portals that were begun from this session at the provider, the newest
        first."""
        names = self._keys.provider_session_names(Issuer(issuer), provider_session)
        return await self._summaries([keyspace.provider_session(name) for name in names], now)

    async def summary(self, session_id: SessionId, *, now: datetime) -> SessionSummary | None:
        """The live session of this id, or the one that has replaced it."""
        return next(iter(await self._followed([session_id], now)), None)

    async def all_summaries(self, *, now: datetime) -> AsyncIterator[SessionSummary]:
        """Every live session once, in no order. Sessions that begin or end meanwhile may be missing."""
        seen: set[SessionId] = set()
        async for keys in self._connection.scan(keyspace.EVERY_SESSION):
            found = {
                session_id for key in keys if (session_id := keyspace.session_id_in(key)) is not None
            } - seen
            seen |= found
            for summary in await self._live(sorted(found), now):
                yield summary

    def _lifetime(self, session: Session, now: datetime) -> timedelta:
        """How long the record lives without activity: as long as the session could live if outages are
        forgiven."""
        return min(session.idle_for + self._heartbeat.outages.forgives, session.expires_at - now)

    def _storing(
        self,
        ticket: SessionTicket,
        session: Session,
        browser: str,
        now: datetime,
        *,
        lives_for: timedelta,
        newer_fields: str = "",
    ) -> list[Command]:
        if session.session_id != ticket.session_id:
            raise ValueError("the session is not the ticket's")
        record = self._keys.seal(
            Purpose.SESSION,
            records.session_octets(session),
            bound_to=session.session_id,
            secret=ticket.secret,
        )
        summary = self._keys.seal(
            Purpose.SUMMARY,
            records.summary_octets(session, browser, newer_fields),
            bound_to=session.session_id,
        )
        seen, ends = values.milliseconds(now), values.milliseconds(session.expires_at)
        idle, lives = values.span_in_milliseconds(session.idle_for), values.span_in_milliseconds(lives_for)
        remembered: tuple[bytes | int, ...] = ()
        if self._remembered_for:
            ended = self._keys.seal(
                Purpose.ENDED_SESSION,
                records.ended_session_octets(session),
                bound_to=session.session_id,
                secret=ticket.secret,
            )
            remembered = ended, values.span_in_milliseconds(self._remembered_for)
        return [
            *(("EVAL", _INDEX, 1, index, session.session_id, seen, ends) for index in self._indexes(session)),
            (
                "EVAL",
                _CREATE,
                2,
                keyspace.session(session.session_id),
                keyspace.ended_session(session.session_id),
                record,
                summary,
                seen,
                idle,
                ends,
                lives,
                *remembered,
            ),
            *(() if self._open_sessions is None else (self._open_sessions.recording(session, now),)),
        ]

    async def _unless_idle(
        self, ticket: SessionTicket, session: Session, seen: bytes, last_active_at: datetime, now: datetime
    ) -> StoredSession | None:
        """The session, or None if it is idle. Other instances may know of outages, so they are asked first.
        The record of an idle session is deleted before None is returned, so that an outage that becomes known
        later does not revive it. If it cannot be deleted, that is an outage too, and the session is judged
        again."""
        outages = self._heartbeat.outages
        if not outages.forgives:
            return None
        try:
            await self._heartbeat.beat(now)  # other instances may know of an outage
            forgiven = outages.forgiven(last_active_at, now)
            if session.is_over(last_active_at=last_active_at, now=now, forgiven=forgiven):
                if await self._connection.ask(*activity.end(ticket.session_id, seen)):
                    self._heartbeat.endings.add([ticket.session_id])
                    if self._on_idle_end is not None:
                        self._on_idle_end(session)
                    return None
                return await self.load(ticket, now=now)  # it was active since, or has ended
        except CannotAsk:
            outages.note_failure(now)
            forgiven = outages.forgiven(last_active_at, now)
            if session.is_over(last_active_at=last_active_at, now=now, forgiven=forgiven):
                return None
        return StoredSession(session=session, last_active_at=last_active_at, forgiven=forgiven)

    def _note_unreadable(self, session_id: SessionId) -> None:
        self.unreadable += 1
        if (
            self._on_unreadable is not None
            and session_id not in self._reported
            and len(self._reported) < _MOST_REPORTED
        ):
            self._reported.add(session_id)
            self._on_unreadable(session_id)

    def _lasting(self, sealed: bytes, session_id: SessionId) -> tuple[str, str]:
        plaintext = self._keys.open(Purpose.SUMMARY, sealed, bound_to=session_id)
        lasting = None if plaintext is None else records.lasting_in(plaintext)
        self.unreadable += lasting is None
        return lasting or ("", "")

    def _indexes(self, session: Session) -> Iterator[str]:
        """The indexes that list a new session, with names made with the first key."""
        person = session.person
        issuer = person.issuer
        yield keyspace.subject(self._keys.subject_names(issuer, person.subject)[0])
        if person.member is not None:
            yield keyspace.person(self._keys.person_names("member", person.member)[0])
        elif person.tax_number is not None:
            yield keyspace.person(self._keys.person_names("tax number", person.tax_number)[0])
        if session.provider_session is not None:
            yield keyspace.provider_session(
                self._keys.provider_session_names(issuer, session.provider_session)[0]
            )

    def _subject_indexes(self, issuer: str, subject: str) -> list[str]:
        return [keyspace.subject(name) for name in self._keys.subject_names(Issuer(issuer), Subject(subject))]

    async def _summaries(self, indexes: Sequence[str], now: datetime) -> tuple[SessionSummary, ...]:
        return await self._followed(await self._members(indexes), now)

    async def _followed(self, session_ids: Sequence[SessionId], now: datetime) -> tuple[SessionSummary, ...]:
        """Of these sessions, or those that have replaced them."""
        found: dict[SessionId, SessionSummary] = {}
        followed: set[SessionId] = set()
        waiting = list(dict.fromkeys(session_ids))
        while waiting:
            # A session that is gone may have changed its ticket since its id was read. The caller may want to
            # sign its person out, so the successor belongs to the answer.
            successors: list[SessionId] = []
            for page in pages(waiting):
                live = await self._live(page, now)
                found |= {summary.session_id: summary for summary in live}
                successors += await succession.successors(
                    self._connection, [session_id for session_id in page if session_id not in found]
                )
            waiting = [
                session_id
                for session_id in successors
                if session_id not in found and session_id not in followed
            ]
            followed |= set(waiting)
        return tuple(sorted(found.values(), key=lambda summary: summary.started_at, reverse=True))

    async def _members(self, indexes: Sequence[str]) -> list[SessionId]:
        answers = await self._connection.each([("ZRANGE", index, 0, -1) for index in indexes])
        members = [member for answer in answers for member in _unless_wrong_type(answer, [])]
        return [SessionId(member.decode("ascii", "replace")) for member in members]

    async def _live(self, session_ids: Sequence[SessionId], now: datetime) -> list[SessionSummary]:
        if not session_ids:
            return []
        questions: list[Command] = [
            ("HMGET", keyspace.session(session_id), "summary", "seen") for session_id in session_ids
        ]
        found: list[SessionSummary] = []
        for session_id, answer in zip(session_ids, await self._connection.each(questions), strict=True):
            sealed, seen = _unless_wrong_type(answer, (None, None))
            last_active_at = values.moment(seen)
            if sealed is None or last_active_at is None or session_id in self._heartbeat.endings:
                continue
            plaintext = self._keys.open(Purpose.SUMMARY, sealed, bound_to=session_id)
            if plaintext is None:
                self.unreadable += 1
                continue
            summary = records.live_summary_in(
                plaintext,
                session_id=session_id,
                last_active_at=last_active_at,
                now=now,
                forgiven=self._heartbeat.outages.forgiven(last_active_at, now),
            )
            if summary is not None:
                found.append(summary)
        return found


def _unless_wrong_type(answer: Any, otherwise: Any) -> Any:
    """The answer, or `otherwise` if the key holds a value of another type. Raises CannotAsk for other
    refusals."""
    if isinstance(answer, WrongType):
        return otherwise
    if isinstance(answer, CannotAsk):
        raise answer
    return answer
