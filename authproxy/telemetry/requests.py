"""What is written down about an answered request: a line in the access log, the counters, and an audit event where somebody who is
signed in was refused or a request could be read in two ways."""

from __future__ import annotations

from authproxy.telemetry.access_log import AccessLog
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics

_SUSPICIOUS = frozenset({"request_unreadable", "target_ambiguous", "untrusted_peer", "subrequest_unreadable", "foreign_origin"})


class RequestRecorder:
    """`access_log` None writes no line per request; everything is counted all the same."""

    def __init__(self, *, access_log: AccessLog | None, metrics: Metrics, audit: Audit) -> None:
        self._access_log = access_log
        self._metrics = metrics
        self._audit = audit

    def __call__(  # noqa: PLR0913  (a record object would cost as much as the whole line)
        self, *, request_id: str, portal: str | None, method: str, path: str | None, status: int, decision: str, reason: str | None,
        rule: str | None, level: int | None, session: str | None, client: str, dialect: str | None, bytes_in: int, bytes_out: int,
        seconds: float, decision_seconds: float, upstream_seconds: float,
    ) -> None:  # fmt: skip
        metrics = self._metrics
        metrics.requests[portal or "", decision, reason or ""] += 1
        if dialect is not None:
            metrics.subrequests[dialect, str(status)] += 1
        elif portal is not None:
            metrics.request_seconds[portal].observe(seconds)
            if upstream_seconds:
                metrics.upstream_seconds[portal].observe(upstream_seconds)
        if self._access_log is not None:
            self._access_log.write(
                request_id=request_id, portal=portal, method=method, path=path or "", status=status, decision=decision, reason=reason,
                rule=rule, level=level, session=session, client=client, bytes_in=bytes_in, bytes_out=bytes_out,
                total=seconds, deciding=decision_seconds, upstream=upstream_seconds,
            )  # fmt: skip
        if reason in _SUSPICIOUS:
            self._record(Event.REQUEST_REFUSED, request_id, portal, client, reason, session)
        elif decision == "denied" and session is not None:
            self._record(Event.ACCESS_DENIED, request_id, portal, client, reason, session)

    def _record(
        self, event: Event, request_id: str, portal: str | None, client: str, reason: str | None, session: str | None
    ) -> None:
        self._audit.record(event, reason=reason, request_id=request_id, client=client, portal=portal, session_id=session)
