"""Records an answered request: a line in the access log, the counters, and an audit event if a signed-in
person was refused or the request could be understood in two ways."""

from __future__ import annotations

from typing import Final, Protocol

from authproxy.identity.machine_client import MachineClient
from authproxy.identity.person import Person
from authproxy.identity.session import EndedSession, Session
from authproxy.telemetry.access_log import AccessLog
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.durations import Durations, Tally
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics

_SUSPICIOUS: Final = frozenset(
    {"request_unreadable", "target_ambiguous", "untrusted_peer", "subrequest_unreadable", "foreign_origin"}
)


class AnsweredRequest(Protocol):
    """What the edge knows about an answered request. (A Protocol, because telemetry must not import the
    edge.) Times are in seconds; `path` never has the query."""

    request_id: str

    def counted(self) -> tuple[str, str, str]:
        """Portal, decision and reason; an empty text for none."""
        ...

    @property
    def portal(self) -> str | None: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def status(self) -> int: ...
    @property
    def decision(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def rule(self) -> str | None: ...
    @property
    def session(self) -> Session | None: ...
    @property
    def machine(self) -> MachineClient | None: ...
    @property
    def ended_session(self) -> EndedSession | None: ...
    @property
    def client(self) -> str: ...
    @property
    def dialect(self) -> str | None: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def decision_seconds(self) -> float: ...
    @property
    def upstream_seconds(self) -> float: ...


class RequestRecorder:
    """With `access_log` None no line is written, but everything is counted."""

    def __init__(self, *, access_log: AccessLog | None, metrics: Metrics, audit: Audit) -> None:
        self._access_log = access_log
        self._metrics = metrics
        self._audit = audit
        # Plain dictionaries for speed; the metrics hold the same objects.
        self._allowed: dict[str, Tally] = {}
        self._subrequests_allowed: dict[str, Tally] = {}
        self._seconds: dict[str, Durations] = {}
        self._upstream_seconds: dict[str, Durations] = {}

    def __call__(self, answered: AnsweredRequest) -> None:
        portal, decision, reason = answered.counted()
        metrics, dialect = self._metrics, answered.dialect
        if decision == "allowed" and not reason:
            allowed = self._allowed.get(portal)
            if allowed is None:
                allowed = self._allowed[portal] = metrics.requests.tally(portal, decision, reason)
            allowed.count += 1
        else:
            metrics.requests[portal, decision, reason] += 1
        if dialect is not None:
            self._count_subrequest(dialect, answered.status)
        elif portal:
            self._observe(portal, answered.seconds, answered.upstream_seconds)
        if self._access_log is not None:
            try:
                self._write_line(self._access_log, answered)
            except Exception as failure:  # noqa: BLE001  (the connection must go on: time limits, the next request)
                logger("telemetry").error("request.not_logged", error=type(failure).__name__)
        if reason in _SUSPICIOUS:
            self._record(Event.REQUEST_REFUSED, answered)
        elif decision == "denied" and answered.session is not None:
            self._record(Event.ACCESS_DENIED, answered)

    def held(self, answered: AnsweredRequest) -> None:
        """A form is held until its person gives a fresh proof or signs in again."""
        ended = answered.ended_session
        self._record(Event.REQUEST_HELD, answered, None if ended is None else ended.person)

    def released(self, answered: AnsweredRequest) -> None:
        """A held form is sent on to the portal."""
        self._record(Event.REQUEST_RELEASED, answered)

    def _count_subrequest(self, dialect: str, status: int) -> None:
        if status != 200:
            self._metrics.subrequests[dialect, str(status)] += 1
            return
        allowed = self._subrequests_allowed.get(dialect)
        if allowed is None:
            allowed = self._subrequests_allowed[dialect] = self._metrics.subrequests.tally(dialect, "200")
        allowed.count += 1

    def _observe(self, portal: str, seconds: float, upstream_seconds: float) -> None:
        durations = self._seconds.get(portal)
        if durations is None:
            durations = self._seconds[portal] = self._metrics.request_seconds[portal]
        durations.observe(seconds)
        if upstream_seconds:
            durations = self._upstream_seconds.get(portal)
            if durations is None:
                durations = self._upstream_seconds[portal] = self._metrics.upstream_seconds[portal]
            durations.observe(upstream_seconds)

    @staticmethod
    def _write_line(log: AccessLog, answered: AnsweredRequest) -> None:
        session = answered.session
        machine = answered.machine if session is None else None
        log.write(
            request_id=answered.request_id,
            portal=answered.portal,
            method=answered.method,
            path=answered.path or "",
            status=answered.status,
            decision=answered.decision,
            reason=answered.reason,
            rule=answered.rule,
            level=int(session.level) if session is not None else None,
            session=session.session_id if session is not None else None,
            machine=machine.client_id if machine is not None else None,
            client=answered.client,
            bytes_in=answered.bytes_in,
            bytes_out=answered.bytes_out,
            total=answered.seconds,
            deciding=answered.decision_seconds,
            upstream=answered.upstream_seconds,
        )

    def _record(self, event: Event, answered: AnsweredRequest, person: Person | None = None) -> None:
        """`person` is known where no session is open."""
        self._audit.record(
            event,
            session=answered.session,
            person=person,
            reason=answered.reason,
            request_id=answered.request_id,
            client=answered.client,
            portal=answered.portal,
        )
