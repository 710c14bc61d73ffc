"""PURE: the JSON inside sealed sessions, summaries, grants and attempts, written and read field by field.

Unknown fields are kept, and missing optional fields get their default. So neighbouring versions can read
each other's records, and write them again without a loss. pydantic is not used: its datetimes have a time
zone of its own class, and to compare them takes 1.1 µs instead of 0.1 on every request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.grant import Grant
from authproxy.identity.member import masked
from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber
from authproxy.identity.session import EndedSession, Session, SessionId, SessionSummary
from authproxy.storage.records.values import (
    UNREADABLE,
    milliseconds,
    moment_at,
    newer_in,
    octets_of,
    optional_time_in,
    optional_time_text,
    time_in,
    time_text,
    with_newer,
)

_NOTHING: Final = timedelta()
_MICROSECOND: Final = timedelta(microseconds=1)
# The fields that this version knows. The others are kept (`newer_in`).
_SESSION: Final = frozenset(
    [
        "session_id",
        "portal",
        "person",
        "method",
        "level",
        "events",
        "started_at",
        "expires_at",
        "idle_for",
        "id_token",
        "provider_session",
        "roles",
        "claims",
        "grant",
    ]
)
_PERSON: Final = frozenset(["issuer", "subject", "name", "email", "tax_number", "member", "phone"])
_EVENT: Final = frozenset(
    ["method", "at", "source", "acr", "amr", "is_step_up", "level", "is_dated", "asked_for", "bound_to"]
)
_SUMMARY: Final = frozenset(
    [
        "portal",
        "method",
        "level",
        "started_at",
        "expires_at",
        "idle_for",
        "browser",
        "provider_session",
        "certificates",
        "person",
        "tax_number",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSessionDetails:
    """What the audit trail says of a session that has ended by time. `person_name` is the person's name
    there."""

    portal: str
    method: str
    person_name: str
    expires_at: datetime


def session_octets(session: Session) -> bytes:
    fields = {
        "session_id": session.session_id,
        "portal": session.portal,
        "person": _person_fields(session.person),
        "method": session.method,
        "level": session.level,
        "events": [_event_fields(event) for event in session.events],
        "started_at": time_text(session.started_at),
        "expires_at": time_text(session.expires_at),
        "idle_for": session.idle_for // _MICROSECOND,
        "id_token": session.id_token,
        "provider_session": session.provider_session,
        "roles": session.roles,
        "claims": session.claims,
        "grant": session.grant,
    }
    return octets_of(with_newer(fields, session.newer_fields))


def session_in(octets: bytes) -> Session | None:
    try:
        fields = json.loads(octets)
        return Session(
            session_id=SessionId(fields["session_id"]),
            portal=fields["portal"],
            person=_person(fields["person"]),
            method=fields["method"],
            level=Level(fields["level"]),
            events=tuple(_event(event) for event in fields["events"]),
            started_at=time_in(fields["started_at"]),
            expires_at=time_in(fields["expires_at"]),
            idle_for=fields["idle_for"] * _MICROSECOND,
            id_token=fields.get("id_token"),
            provider_session=fields.get("provider_session"),
            roles=tuple(fields.get("roles", ())),
            claims=tuple(fields.get("claims", ())),
            grant=fields.get("grant"),
            newer_fields=newer_in(fields, _SESSION),
        )
    except UNREADABLE:
        return None


def ended_session_octets(session: Session) -> bytes:
    """What is remembered of a session that has ended by time."""
    person = session.person
    return octets_of({"portal": session.portal, "person": [person.issuer, person.subject, person.member]})


def ended_session_in(octets: bytes) -> EndedSession | None:
    try:
        fields = json.loads(octets)
        issuer, subject, member = fields["person"]
        return EndedSession(
            portal=fields["portal"], person=Person(issuer=issuer, subject=subject, member=member)
        )
    except UNREADABLE:
        return None


def summary_octets(session: Session, browser: str, newer_fields: str = "") -> bytes:
    """Without `last_active_at`, which the store has in a field beside the summary. `newer_fields` are those
    of the summary that this one replaces."""
    fields = {
        "portal": session.portal,
        "method": session.method,
        "level": session.level,
        "started_at": time_text(session.started_at),
        "expires_at": time_text(session.expires_at),
        "idle_for": session.idle_for // _MICROSECOND,
        "browser": browser,
        "provider_session": session.provider_session,
        "certificates": session.certificates,
        "person": [
            session.person.issuer,
            session.person.subject,
            session.person.member,
            session.person.name,
        ],
        "tax_number": None if session.person.tax_number is None else masked(session.person.tax_number),
    }
    return octets_of(with_newer(fields, newer_fields))


def live_summary_in(
    octets: bytes,
    *,
    session_id: SessionId,
    last_active_at: datetime,
    now: datetime,
    forgiven: timedelta = _NOTHING,
) -> SessionSummary | None:
    """None also if the session is over. `forgiven` is as in `Session.is_over`."""
    try:
        fields = json.loads(octets)
        summary = SessionSummary(
            session_id=session_id,
            portal=fields["portal"],
            method=fields["method"],
            level=Level(fields["level"]),
            started_at=time_in(fields["started_at"]),
            expires_at=time_in(fields["expires_at"]),
            last_active_at=last_active_at,
            browser=fields["browser"],
            certificates=tuple(fields.get("certificates", ())),
            provider_session=fields.get("provider_session"),
            person=_named(fields.get("person")),
            tax_number=fields.get("tax_number"),
        )
        idle_for: timedelta = fields["idle_for"] * _MICROSECOND
    except UNREADABLE:
        return None
    return None if now >= summary.expires_at or now - last_active_at - forgiven >= idle_for else summary


def _named(fields: list[Any] | None) -> Person | None:
    if fields is None:
        return None
    issuer, subject, member, name = fields
    return Person(issuer=issuer, subject=subject, member=member, name=name)


def lasting_in(octets: bytes) -> tuple[str, str] | None:
    """What stays in a summary when the session changes its ticket: the description of the browser, and the
    fields that this version does not know."""
    try:
        fields = json.loads(octets)
        return str(fields["browser"]), newer_in(fields, _SUMMARY)
    except UNREADABLE:
        return None


def open_session_octets(session: Session, person_name: str) -> bytes:
    return octets_of(
        {
            "portal": session.portal,
            "method": session.method,
            "person": person_name,
            "ends": milliseconds(session.expires_at),
        }
    )


def open_session_in(octets: bytes) -> OpenSessionDetails | None:
    try:
        fields = json.loads(octets)
        return OpenSessionDetails(
            portal=fields["portal"],
            method=fields["method"],
            person_name=fields["person"],
            expires_at=moment_at(int(fields["ends"])),
        )
    except UNREADABLE:
        return None


def grant_octets(grant: Grant) -> bytes:
    fields = {
        "refresh_token": grant.refresh_token,
        "access_token": grant.access_token,
        "ends_at": optional_time_text(grant.ends_at),
    }
    return octets_of(fields)


def grant_in(octets: bytes) -> Grant | None:
    try:
        fields = json.loads(octets)
        return Grant(
            refresh_token=fields.get("refresh_token"),
            access_token=fields.get("access_token"),
            ends_at=optional_time_in(fields.get("ends_at")),
        )
    except UNREADABLE:
        return None


def attempt_octets(attempt: Attempt) -> bytes:
    """Without the path to return to. The names are short, because all of it travels in an address."""
    fields = {
        "p": attempt.portal,
        "b": attempt.browser,
        "s": attempt.secret,
        "t": milliseconds(attempt.opened_at),
        "m": attempt.method,
        "u": attempt.step_up_of,
        "r": attempt.route or None,
        "h": attempt.held,
        "x": attempt.binding,
    }
    return octets_of({name: value for name, value in fields.items() if value is not None})


def attempt_in(octets: bytes, return_to: str) -> Attempt | None:
    try:
        fields = json.loads(octets)
        return Attempt(
            portal=fields["p"],
            return_to=return_to,
            browser=fields["b"],
            secret=fields["s"],
            opened_at=moment_at(fields["t"]),
            method=fields["m"],
            step_up_of=fields.get("u"),
            route=fields.get("r", ""),
            held=fields.get("h"),
            binding=fields.get("x"),
        )
    except UNREADABLE:
        return None


def showing_octets(showing: Showing) -> bytes:
    """Without the attempt."""
    return octets_of({"c": showing.fingerprint, "t": milliseconds(showing.shown_at)})


def showing_in(octets: bytes, attempt: Attempt) -> Showing | None:
    try:
        fields = json.loads(octets)
        return Showing(attempt=attempt, fingerprint=fields["c"], shown_at=moment_at(fields["t"]))
    except UNREADABLE:
        return None


def _person(fields: dict[str, Any]) -> Person:
    tax_number, member = fields.get("tax_number"), fields.get("member")
    return Person(
        issuer=Issuer(fields["issuer"]),
        subject=Subject(fields["subject"]),
        name=fields.get("name"),
        email=fields.get("email"),
        tax_number=None if tax_number is None else TaxNumber(tax_number),
        member=None if member is None else MemberId(member),
        phone=fields.get("phone"),
        newer_fields=newer_in(fields, _PERSON),
    )


def _person_fields(person: Person) -> dict[str, Any]:
    fields = {
        "issuer": person.issuer,
        "subject": person.subject,
        "name": person.name,
        "email": person.email,
        "tax_number": person.tax_number,
        "member": person.member,
        "phone": person.phone,
    }
    return with_newer(fields, person.newer_fields)


def _event_fields(event: AuthenticationEvent) -> dict[str, Any]:
    fields = {
        "method": event.method,
        "at": time_text(event.at),
        "source": event.source,
        "acr": event.acr,
        "amr": event.amr,
        "is_step_up": event.is_step_up,
        "level": event.level,
        "asked_for": event.asked_for,
        **({} if event.is_dated else {"is_dated": False}),
        **({} if event.bound_to is None else {"bound_to": event.bound_to}),
    }
    return with_newer(fields, event.newer_fields)


def _event(fields: dict[str, Any]) -> AuthenticationEvent:
    level = fields.get("level")
    return AuthenticationEvent(
        method=fields["method"],
        at=time_in(fields["at"]),
        source=fields["source"],
        acr=fields.get("acr"),
        amr=tuple(fields.get("amr", ())),
        is_step_up=fields["is_step_up"],
        level=None if level is None else Level(level),
        is_dated=fields.get("is_dated", True),
        asked_for=fields.get("asked_for"),
        bound_to=fields.get("bound_to"),
        newer_fields=newer_in(fields, _EVENT),
    )
