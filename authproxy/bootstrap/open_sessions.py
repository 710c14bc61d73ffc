"""`authproxy sessions`: who is signed in, and ending sessions, while gateways run elsewhere."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.command_audit import audit_of_commands, audited_command
from authproxy.bootstrap.stores import Stores, open_stores_of_command
from authproxy.flows.register.membership import Membership
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId, SessionStanding, SessionSummary
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Event


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A live session. `audit_name` is its person's name in the audit trail; it is empty for a session that an
    older version of the gateway has stored."""

    summary: SessionSummary
    audit_name: str

    def is_of(self, person: str) -> bool:
        """Whether `person` is the session's person, by id in the register, `sub`, or name in the audit
        trail."""
        known = self.summary.person
        return known is not None and person in {known.member, known.subject, self.audit_name}


class SeveralPeople(ValueError):  # noqa: N818
    """The name fits more than one person. The message has their names in the audit trail."""


async def list_sessions(
    settings: Settings, *, person: str | None = None, portal: str | None = None
) -> list[OpenSession]:
    """The live sessions, the newest first: of one person (`OpenSession.is_of`) or everybody, at one portal or
    all of them. Raises CannotAsk."""
    async with open_stores_of_command(settings) as stores:
        sessions = await _open_sessions(settings, stores)
    return [
        session
        for session in sessions
        if (person is None or session.is_of(person)) and portal in (None, session.summary.portal)
    ]


async def session_standing(settings: Settings, session_id: str) -> SessionStanding | None:
    """What is known without a ticket of the live session of this id, or of the one that has replaced it. None
    if there is none. Raises CannotAsk."""
    async with open_stores_of_command(settings) as stores:
        await _hear_of_outages(stores)
        now = utc_now()
        summary = await stores.sessions.summary(SessionId(session_id), now=now)
        if summary is None:
            return None
        if summary.person is None:
            return SessionStanding(summary=summary, asked_at=now)
        return SessionStanding(
            summary=summary,
            roles=await _roles(stores, summary.person, summary.portal),
            is_blocked=await Membership(store=stores.people).is_blocked(summary.person),
            asked_at=now,
        )


async def _roles(stores: Stores, person: Person, portal_id: str) -> tuple[str, ...] | None:
    """The roles of the person at the portal; None if the register does not have its member any more."""
    if person.member is None:
        return ()  # only the register gives roles
    [found] = (await stores.people.look_up([RegisterKey("id", person.member)])).people
    return None if found is None else found.member.roles_at(portal_id)


async def revoke_sessions_of(settings: Settings, person: str) -> int:
    """Ends all sessions of the person (`OpenSession.is_of`); returns how many there were. Raises
    SeveralPeople, and CannotAsk, also if it cannot be recorded."""
    async with open_stores_of_command(settings) as stores:
        sessions = [session for session in await _open_sessions(settings, stores) if session.is_of(person)]
        people = {session.audit_name: session.summary.person for session in sessions}
        if len(people) > 1:
            raise SeveralPeople(f"several people are known by that: say one of {', '.join(sorted(people))}")
        [known] = people.values() or [None]
        if known is None:
            return 0
        async with audited_command(
            settings, stores.audit_queue, "sessions revoke --person", person=known
        ) as audit:
            session_ids = [session.summary.session_id for session in sessions]
            ended = len(await stores.sessions.revoke_all(session_ids))
            if ended:
                await audit.record_change(
                    Event.SESSION_REVOKED, person=known, detail=f"{ended} sessions of this person"
                )
        return ended


async def revoke_session(settings: Settings, session_id: str) -> int:
    """Ends one session; returns 0 if there was none. Raises CannotAsk, also if it cannot be recorded."""
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "sessions revoke", session_id=session_id) as audit,
    ):
        ended = int(await stores.sessions.revoke(SessionId(session_id)))
        if ended:
            await audit.record_change(Event.SESSION_REVOKED, session_id=session_id)
    return ended


async def revoke_sessions_of_subject(settings: Settings, subject: str, issuer: str | None = None) -> int:
    """Ends all sessions of the provider's `sub`; `issuer` is the configured provider unless given. Returns
    how many there were. Raises CannotAsk, also if it cannot be recorded."""
    person = Person(issuer=Issuer(issuer or settings.rekono.issuer), subject=Subject(subject))
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "sessions revoke --subject", person=person) as audit,
    ):
        ended = await stores.sessions.revoke_subject(person.issuer, person.subject)
        if ended:
            await audit.record_change(
                Event.SESSION_REVOKED, person=person, detail=f"{ended} sessions of this person"
            )
    return ended


async def revoke_every_session(settings: Settings) -> int:
    """Ends everybody's sessions; returns how many there were. Raises CannotAsk, also if it cannot be
    recorded."""
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "sessions revoke --all") as audit,
    ):
        ended = await stores.sessions.revoke_everybodys()
        await audit.record_change(Event.SESSION_REVOKED, detail=f"everybody's {ended} sessions")
    return ended


async def _open_sessions(settings: Settings, stores: Stores) -> list[OpenSession]:
    await _hear_of_outages(stores)
    audit = audit_of_commands(settings, stores.audit_queue)
    sessions = [
        OpenSession(summary, "" if summary.person is None else audit.name_of(summary.person))
        async for summary in stores.sessions.all_summaries(now=utc_now())
    ]
    return sorted(sessions, key=lambda session: session.summary.started_at, reverse=True)


async def _hear_of_outages(stores: Stores) -> None:
    """Reads what instances know of idle time that the store has missed, so that sessions are judged here as
    they are there. A store that takes no writes is no obstacle."""
    if stores.heartbeat is not None:
        with suppress(CannotAsk):
            await stores.heartbeat.beat(utc_now())
