"""Audit events: who signed in where and how, what ended a session, what was refused (ASVS 5.0 V16.3). They
have a stream of their own.

A person appears as a keyed hash of their id in the register, or of issuer and subject. So the same person is
recognisable throughout the stream, but only somebody with the key can tell who it is. No name, address, tax
number, ticket or token is ever part of an event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypedDict, Unpack

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.telemetry.line_writer import Appending
from authproxy.telemetry.logging import context, logger

STREAM: Final = "audit"
"""The name of the audit stream in `LineWriter`."""
_LONGEST = 256


class Event(StrEnum):
    """Every audit event. README.md has their meanings, and a test compares."""

    GATEWAY_STARTED = "gateway.started"
    GATEWAY_STOPPED = "gateway.stopped"
    SETTINGS_RELOADED = "settings.reloaded"
    AUDIT_RESUMED = "audit.resumed"
    ACT_ANNOUNCED = "act.announced"
    ACT_ABANDONED = "act.abandoned"
    ACT_UNREADABLE = "act.unreadable"
    KEY_LOADED = "key.loaded"
    KEY_ROTATED = "key.rotated"
    SIGN_IN_BEGUN = "sign_in.begun"
    SIGN_IN_REFUSED = "sign_in.refused"
    CERTIFICATE_ACCEPTED = "certificate.accepted"
    CERTIFICATE_REFUSED = "certificate.refused"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SESSION_REVOKED = "session.revoked"
    SESSION_UNREADABLE = "session.unreadable"
    PROVIDER_LOGOUT_ACCEPTED = "provider_logout.accepted"
    PROVIDER_LOGOUT_REFUSED = "provider_logout.refused"
    PERSON_IMPORTED = "person.imported"
    PERSON_BLOCKED = "person.blocked"
    PERSON_UNBLOCKED = "person.unblocked"
    PERSON_LINKED = "person.linked"
    PERSON_UNLINKED = "person.unlinked"
    PERSON_ROLES = "person.roles_changed"
    PERSON_FORGOTTEN = "person.forgotten"
    PEOPLE_RESEALED = "people.resealed"
    PEOPLE_EXPORTED = "people.exported"
    LINK_REFUSED = "link.refused"
    MACHINE_ADDED = "machine.added"
    MACHINE_REVOKED = "machine.revoked"
    MACHINE_ADMITTED = "machine.admitted"
    MACHINE_REFUSED = "machine.refused"
    CHALLENGE_ISSUED = "challenge.issued"
    CHALLENGE_APPROVED = "challenge.approved"
    CHALLENGE_REFUSED = "challenge.refused"
    CHALLENGE_EXHAUSTED = "challenge.exhausted"
    STEP_UP_BLOCKED = "step_up.blocked"
    METHOD_ENROLLED = "method.enrolled"
    METHOD_REMOVED = "method.removed"
    REQUEST_HELD = "request.held"
    REQUEST_RELEASED = "request.released"
    ACCESS_DENIED = "access.denied"
    REQUEST_REFUSED = "request.refused"


class EventFields(TypedDict, total=False):
    """The fields of an event. A missing `request_id`, `client` or `portal` is taken from what `logging.bound`
    says of the current request. With a `session`, its portal, id and person are used, and its method
    unless `method` is given."""

    session: Session | None
    person: Person | None
    reason: str | None
    by: str | None
    operator: str | None
    detail: str | None
    request_id: str | None
    client: str | None
    portal: str | None
    method: str | None
    session_id: str | None
    person_name: str | None
    at: datetime | None


class Audit:
    """Formats events and writes them as lines. `record` never raises: the decision that it records has been
    made. Lost events are counted in `lost` and logged.

    `write` queues a line without waiting. `written` waits until a line has been written and returns whether
    it was. `is_required`: nobody is let in while events cannot be written. `works` returns whether the last
    events could be written.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: Callable[[], datetime],
        person_key: bytes,
        written: Callable[[str], Awaitable[bool]] | None = None,
        is_required: bool = False,
        works: Callable[[], bool] = lambda: True,
    ) -> None:
        self.lost = 0
        self.is_required = is_required
        self._works = works
        self._write = write
        self._written = written
        self._clock = clock
        self._person_key = person_key

    def record(self, event: Event, **fields: Unpack[EventFields]) -> None:
        """Records an event. Fields that are not known are null."""
        try:
            self._write(self.line(event, **fields))
        except Exception as failure:  # noqa: BLE001  (a failed record must not break the action that it records)
            self._note_loss(event.value, failure)

    def demand(self) -> None:
        """Raises CannotAsk(AUDIT_UNAVAILABLE) if events are required and the last ones could not be written.
        Called before a sign-in begins: refusing it at the end would waste the person's code."""
        if self.is_required and not self._works():
            raise CannotAsk(Reason.AUDIT_UNAVAILABLE, "audit events cannot be written")

    async def assure(self, event: Event, **fields: Unpack[EventFields]) -> None:
        """Like `record`, before somebody is let in. If events are required, it returns when this one has been
        written, and raises CannotAsk(AUDIT_UNAVAILABLE) if it could not be."""
        if not self.is_required:
            self.record(event, **fields)
        elif not await self.confirm(event, **fields):
            raise CannotAsk(Reason.AUDIT_UNAVAILABLE, f"the audit event {event.value} could not be written")

    async def confirm(self, event: Event, **fields: Unpack[EventFields]) -> bool:
        """Like `record`, but returns whether the event has been written."""
        if self._written is None:
            lost = self.lost
            self.record(event, **fields)
            return self.lost == lost
        return await self._written(self.line(event, **fields))

    def line(self, event: Event, **fields: Unpack[EventFields]) -> str:
        """The event as one line that ends with a line feed."""
        bound = context()
        session, portal, method = fields.get("session"), fields.get("portal"), fields.get("method")
        person = session.person if session is not None else fields.get("person")
        values: dict[str, object] = {
            "at": (fields.get("at") or self._clock()).isoformat(timespec="milliseconds"),
            "event": event.value,
            "request_id": fields.get("request_id") or bound.get("request_id"),
            "portal": portal or (bound.get("portal") if session is None else session.portal),
            "client": fields.get("client") or bound.get("client"),
            "method": method or (None if session is None else session.method),
            "level": None if session is None else int(session.level),
            "session": fields.get("session_id") if session is None else session.session_id,
            "person": fields.get("person_name") if person is None else self.name_of(person),
            "reason": fields.get("reason"),
            "by": fields.get("by"),
            "operator": fields.get("operator"),
            "detail": fields.get("detail"),
        }
        return (
            json.dumps(
                {
                    name: value[:_LONGEST] if isinstance(value, str) else value
                    for name, value in values.items()
                }
            )
            + "\n"
        )

    def resumed(self, lost: Mapping[str, int]) -> str:
        """The line that marks the gap where events are missing."""
        return self.line(Event.AUDIT_RESUMED, request_id="-", detail=f"{sum(lost.values())} events lost")

    def note_loss(self, stream: str, text: str, failure: OSError | None) -> None:
        """Counts and logs a queued event that could not be written. Losses of other streams are ignored."""
        if stream == STREAM:
            self._note_loss(str(json.loads(text)["event"]), failure)

    def name_of(self, person: Person) -> str:
        """The pseudonym of a person in the stream: 32 hexadecimal digits."""
        # A member has one pseudonym for all sign-in methods.
        identifiers = [person.member] if person.member is not None else [person.issuer, person.subject]
        identity = json.dumps(identifiers).encode()
        return hmac.new(self._person_key, identity, hashlib.sha256).hexdigest()[:32]

    def _note_loss(self, event: str, failure: Exception | None) -> None:
        self.lost += 1
        error, number = (
            ("no room", None)
            if failure is None
            else (type(failure).__name__, getattr(failure, "errno", None))
        )
        logger("audit").error("audit.lost", audit_event=event, error=error, number=number)


class AuditFile(Appending):
    """An append-only file with one event per line, readable by its owner and group. `reopen` follows a log
    rotation."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        super().__init__(self._opened())
        self._written_to = -1

    def write(self, octets: bytes) -> None:
        """Appends whole lines. Where others have written since, the last of their lines may be torn, too."""
        status = os.fstat(self._descriptor)
        is_file = stat.S_ISREG(status.st_mode)
        if is_file and status.st_size != self._written_to:
            self._is_torn = self._ends_within_a_line()
        try:
            super().write(octets)
        finally:
            if is_file:
                self._written_to = os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def reopen(self) -> None:
        """Continues in a new file under the same path (log rotation). Raises OSError and keeps the old file
        if the new one cannot be opened."""
        old, self._descriptor = self._descriptor, self._opened()
        self._written_to = -1
        os.close(old)

    def close(self) -> None:
        os.close(self._descriptor)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _ends_within_a_line(self) -> bool:
        """Whether the last line is incomplete, because its writer was killed or the disk was full. The next
        event must not become part of it."""
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return False
        try:
            with self._path.open("rb") as read:
                read.seek(-1, os.SEEK_END)
                return read.read(1) != b"\n"
        except OSError:  # the file may be write-only for us; then an empty line does no harm
            return True
