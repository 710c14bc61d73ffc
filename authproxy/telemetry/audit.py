"""Audit events: who signed in where and how, what ended a session, what was refused (ASVS 5.0 V16.3). A stream of its own.

A person appears as a keyed hash of their id in the register, or of issuer and subject: the same person is recognisable in the whole
stream, and only with the key can somebody tell who it is. No name, address, tax number, ticket or token is ever part of an event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import structlog

from authproxy.identity.person import Person
from authproxy.identity.session import Session
from authproxy.telemetry.logging import logger

_LONGEST = 256


class Event(StrEnum):
    GATEWAY_STARTED = "gateway.started"
    GATEWAY_STOPPED = "gateway.stopped"
    KEY_LOADED = "key.loaded"
    SIGN_IN_BEGUN = "sign_in.begun"
    SIGN_IN_REFUSED = "sign_in.refused"
    CERTIFICATE_ACCEPTED = "certificate.accepted"
    CERTIFICATE_REFUSED = "certificate.refused"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SESSION_REVOKED = "session.revoked"
    PROVIDER_LOGOUT_ACCEPTED = "provider_logout.accepted"
    PROVIDER_LOGOUT_REFUSED = "provider_logout.refused"
    PERSON_IMPORTED = "person.imported"
    PERSON_BLOCKED = "person.blocked"
    PERSON_UNBLOCKED = "person.unblocked"
    PERSON_LINKED = "person.linked"
    LINK_REFUSED = "link.refused"
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


MEANINGS: Mapping[Event, str] = {
    Event.GATEWAY_STARTED: "The gateway accepts requests.",
    Event.GATEWAY_STOPPED: "The gateway has answered its last request.",
    Event.KEY_LOADED: "A key that signs assertions was read and is in use or published; `detail` is its `kid` and place.",
    Event.SIGN_IN_BEGUN: "A browser was sent to the provider, or to where certificates are shown; `method` says which.",
    Event.SIGN_IN_REFUSED: "A sign-in signed nobody in; `reason` says why.",
    Event.CERTIFICATE_ACCEPTED: "A certificate holds; `detail` is the beginning of its SHA-256 and who says that it is not revoked. With "
    "the `reason` `revocation_unavailable` nobody could say so, and the portal lets that pass.",
    Event.CERTIFICATE_REFUSED: "A certificate was shown, or none, and signs nobody in; `detail` names the rule.",
    Event.SESSION_STARTED: "A person signed in and received a session.",
    Event.SESSION_ENDED: "A session ended by its own person (`by` is `person`) or by time (`by` is `time`).",
    Event.SESSION_REVOKED: "A session was ended from elsewhere; `by` is `operator`, `provider`, `person` (from another browser) or "
    "`authority` (which has revoked the certificate).",
    Event.PROVIDER_LOGOUT_ACCEPTED: "The provider said who has signed out there; `detail` is how many sessions ended, and what named them.",
    Event.PROVIDER_LOGOUT_REFUSED: "A logout token must not be believed, and nothing ended; `detail` says why.",
    Event.PERSON_IMPORTED: "A list was taken over into the register of people; `detail` says how many were added, changed and removed.",
    Event.PERSON_BLOCKED: "An operator has blocked a person; their sessions have ended.",
    Event.PERSON_UNBLOCKED: "An operator has let a blocked person in again, or made the gateway forget their wrong answers; `detail` says "
    "which.",
    Event.PERSON_LINKED: "An account or a certificate now signs in as this person; `by` is `operator`, or `provider` for a proven tax "
    "number.",
    Event.LINK_REFUSED: "Alarm: an account states what belongs to somebody else in the register; `detail` says what. Somebody should look.",
    Event.CHALLENGE_ISSUED: "A signed-in person was asked for a fresh proof by `method`: a code or a notification was sent, or the browser "
    "was sent to the provider or to where certificates are shown.",
    Event.CHALLENGE_APPROVED: "The person has proved themselves by `method`, and the session has a new ticket.",
    Event.CHALLENGE_REFUSED: "A fresh proof did not come about; `reason` says why.",
    Event.CHALLENGE_EXHAUSTED: "The last wrong answer that a challenge takes was given: nobody can answer it any more.",
    Event.STEP_UP_BLOCKED: "An answer was not looked at: the person or the address has given too many wrong ones. `detail` says until "
    "when.",
    Event.METHOD_ENROLLED: "A person has added a `method` for fresh proofs.",
    Event.METHOD_REMOVED: "A person has taken a `method` for fresh proofs away.",
    Event.REQUEST_HELD: "A form that met the demand for a fresh proof is kept for its person.",
    Event.REQUEST_RELEASED: "The person has seen a kept form and sent it on to the portal.",
    Event.ACCESS_DENIED: "A signed-in person asked for what their session does not allow.",
    Event.REQUEST_REFUSED: "A request could be read in two ways, or was made to look like ours: somebody may be trying something.",
}
"""The catalogue: every event there is."""


class Audit:
    """Writes events. `write` receives one line without its end; a failure to write is logged, counted in `lost` and not raised:
    the answer that waits for it has been decided already."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], datetime], person_key: bytes) -> None:
        self.lost = 0
        self._write = write
        self._clock = clock
        self._person_key = person_key

    def record(  # noqa: PLR0913  (the fields of an event, all of them by name)
        self, event: Event, *, session: Session | None = None, person: Person | None = None, reason: str | None = None,
        by: str | None = None, detail: str | None = None, request_id: str | None = None, client: str | None = None,
        portal: str | None = None, method: str | None = None, session_id: str | None = None,
    ) -> None:  # fmt: skip
        """Records an event with the fields that every event has, null where nothing is known.

        `request_id`, `client` and `portal` are those bound to the request in hand by structlog's context variables if not given;
        `portal`, `session_id` and `person` are those of `session`, if there is one, and so is `method` if not given.
        """
        bound = structlog.contextvars.get_contextvars()
        who = session.person if session is not None else person
        fields = {
            "at": self._clock().isoformat(timespec="milliseconds"),
            "event": event.value,
            "request_id": request_id or bound.get("request_id"),
            "portal": portal or (bound.get("portal") if session is None else session.portal),
            "client": client or bound.get("client"),
            "method": method or (None if session is None else session.method),
            "level": None if session is None else int(session.level),
            "session": session_id if session is None else session.session_id,
            "person": None if who is None else self.name_of(who),
            "reason": reason,
            "by": by,
            "detail": detail,
        }
        line = json.dumps({name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()})
        try:
            self._write(line)
        except OSError as failure:
            self.lost += 1
            logger("audit").error("audit.lost", audit_event=event.value, error=type(failure).__name__, number=failure.errno)

    def name_of(self, person: Person) -> str:
        """The name under which a person appears in the stream: 32 hexadecimal digits."""
        # Whoever is in the register is one person, by whatever way they come.
        known_by = [person.member] if person.member is not None else [person.issuer, person.subject]
        identity = json.dumps(known_by).encode()
        return hmac.new(self._person_key, identity, hashlib.sha256).hexdigest()[:32]


class AuditFile:
    """A file that is only ever appended to, one event a line, readable by its owner and group. `reopen` follows a rotation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()

    def write(self, line: str) -> None:
        """One system call per event, so that lines of several processes do not mix. Raises OSError."""
        octets = line.encode() + b"\n"
        written = os.write(self._descriptor, octets)
        if written != len(octets):
            raise OSError(28, "the event was written in part")

    def reopen(self) -> None:
        """Goes on in a new file under the same path (after SIGHUP). Raises OSError and keeps the old one if there can be none."""
        old, self._descriptor = self._descriptor, self._opened()
        os.close(old)

    def close(self) -> None:
        os.close(self._descriptor)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
