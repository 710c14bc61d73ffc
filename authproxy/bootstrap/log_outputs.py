"""Where lines are written: logs to standard output, audit events to their file, or among the logs if there is
none."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import select
import stat
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from authproxy.bootstrap.keys import person_key
from authproxy.identity.assurance import AuthenticationEvent
from authproxy.identity.session import Session
from authproxy.settings.schema import Settings
from authproxy.telemetry import logging as logs
from authproxy.telemetry.audit import STREAM, Audit, AuditFile, Event
from authproxy.telemetry.line_writer import Appending, LineWriter, to_nowhere
from authproxy.telemetry.logging import logger
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check

_FLUSHED_WITHIN = 1.0
"""Seconds for which the gateway, at its end, waits for a reader of its lines."""
_WRITTEN_WITHIN = 1.0
"""Seconds for which a sign-in waits for the trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOutputs:
    """The writers of logs and of the audit trail: the same one if the trail has no file."""

    log: LineWriter
    trail: LineWriter
    audit: Audit
    file: AuditFile | None
    direct_logs: Callable[[], None]
    """Directs the process's logs here."""

    def reopen(self) -> None:
        """Opens the audit file anew after a rotation. Lines that wait are still written to the old file."""
        if self.file is not None:
            self.trail.between_lines(self._reopen)

    async def record_proof(self, session: Session, event: AuthenticationEvent) -> None:
        """Records a fresh proof before it counts. Raises CannotAsk(AUDIT_UNAVAILABLE) if events are required
        and this one cannot be written."""
        await self.audit.assure(Event.CHALLENGE_APPROVED, session=session, method=event.method)

    async def confirmed(self, line: str) -> bool:
        """Whether the line has been written into the trail."""
        return await _written(self.trail, line)

    def flush(self) -> bool:
        """Waits a moment until every line so far is written, and returns whether it is."""
        is_trail_written = self.trail.flush(_FLUSHED_WITHIN)
        return self.log.flush(_FLUSHED_WITHIN) and is_trail_written

    async def check_log(self) -> Check:
        lost = sum(self.log.lost.values())
        if self.log.is_failing or self.log.is_stuck:
            return Check(
                status="warning", detail=f"standard output takes no lines; {lost} are lost since the start"
            )
        return Check(status="ok", detail=f"{lost} lines lost since the start")

    async def check_audit(self) -> Check:
        self.trail.retry()
        if not (self.trail.fails(STREAM) or self.trail.is_stuck):
            return Check(status="ok", detail=f"{self.audit.lost} events lost since the start")
        detail = f"audit events cannot be written; {self.audit.lost} are lost since the start"
        if self.audit.is_required:
            return Check(status="failed", detail=f"{detail}; nobody is let in meanwhile")
        return Check(status="warning", detail=detail)

    def count(self, metrics: Metrics) -> None:
        metrics.audit_lost[()] = self.audit.lost
        for stream, lines in self.log.lost.items():
            metrics.log_lines_lost[(stream,)] = lines

    def _reopen(self) -> None:
        try:
            if self.file is not None:
                self.file.reopen()
        except OSError as failure:
            logger("audit").error("audit.not_reopened", error=type(failure).__name__, number=failure.errno)


def open_log_outputs(
    settings: Settings, clock: Callable[[], datetime], resources: AsyncExitStack
) -> LogOutputs:
    """Opens both, and directs the process's logs there. Raises OSError for an audit file that cannot be
    opened."""
    telemetry = settings.telemetry
    audit = Audit(
        lambda line: trail.write(line, stream=STREAM),
        clock=clock,
        person_key=person_key(settings),
        written=lambda line: _written(trail, line),
        works=lambda: not (trail.fails(STREAM) or trail.is_stuck),
        is_required=telemetry.audit_required,
    )
    file = None if telemetry.audit_file is None else AuditFile(Path(telemetry.audit_file))
    log = LineWriter(
        _standard_output(has_others=settings.server.workers != 1),
        loss_line=lambda lost: logs.lines_lost(lost, clock()),
        on_loss=audit.note_loss,
    )
    resources.callback(log.close, _FLUSHED_WITHIN)

    def direct_logs() -> None:
        logs.configure(telemetry.log_level, clock=clock, write=log.write)

    direct_logs()
    trail = log
    if file is not None:
        trail = LineWriter(file.write, loss_line=audit.resumed, on_loss=audit.note_loss)
        resources.callback(_close, trail, file)
    return LogOutputs(log=log, trail=trail, audit=audit, file=file, direct_logs=direct_logs)


def _standard_output(*, has_others: bool) -> Callable[[bytes], object]:
    """Writes to standard output, which other workers may have, too."""
    stream = sys.stdout
    if stream is None:  # the parent process closed it, and its descriptor may belong to another file by now
        return to_nowhere
    try:
        descriptor = stream.fileno()
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return Appending(
            descriptor, at_once=select.PIPE_BUF if has_others and not is_file else sys.maxsize
        ).write
    except io.UnsupportedOperation:  # a program that embeds the gateway has replaced it
        return lambda octets: stream.write(octets.decode())


def _close(trail: LineWriter, file: AuditFile) -> None:
    # If the thread hangs in a write, the file stays open: the write could otherwise continue into the next
    # file that gets the same descriptor.
    if trail.close(_FLUSHED_WITHIN):
        file.close()


async def _written(trail: LineWriter, line: str) -> bool:
    """Whether the line was written within the time for which a sign-in waits."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[bool] = loop.create_future()

    def settle(is_written: bool) -> None:  # noqa: FBT001  (handed to a callback of the loop)
        if not outcome.done():
            outcome.set_result(is_written)

    def settled(is_written: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, is_written)

    trail.write(line, stream=STREAM, settled=settled)
    try:
        async with asyncio.timeout(_WRITTEN_WITHIN):
            return await outcome
    except TimeoutError:
        return False
