"""The audit trail of operators' commands, and of sessions that end by time: events that no request causes.

A command records who runs it, where and when, before it changes anything, and afterwards what it has done.
It writes its events into the store, because it may run on another machine or as a user who may not write the
gateway's files. A running gateway moves them into its trail; if none runs, the next one to start does.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final, Unpack

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.keys import person_key
from authproxy.bootstrap.log_outputs import LogOutputs
from authproxy.settings.schema import Settings
from authproxy.storage.redis.audit_queue import RedisAuditQueue
from authproxy.storage.redis.open_sessions import EndedByTime, RedisOpenSessions
from authproxy.telemetry.audit import Audit, Event, EventFields
from authproxy.telemetry.logging import logger

_LOOKED_EVERY: Final = 1.0
_USER_NAME: Final = re.compile(r"[\w.@+$-]{1,64}", re.ASCII)


class CommandAudit:
    """The events of one command, or of the gateway where it acts like one. They share one `request_id`. Every
    method raises CannotAsk if the event cannot be written."""

    def __init__(self, audit: Audit, *, operator: str | None = None) -> None:
        self.audit = audit
        self._operator = operator
        self._command_id = secrets.token_hex(8)
        self.has_recorded_changes = False

    async def announce(self, command: str, **concerned: Unpack[EventFields]) -> None:
        """Records the command before it does anything. If this raises, the command must end."""
        try:
            await self._write(Event.ACT_ANNOUNCED, **concerned | EventFields(detail=command))
        except CannotAsk as failure:
            raise CannotAsk(
                failure.reason, f"nothing was changed, because it could not be written down: {failure}"
            ) from failure

    async def record_change(self, event: Event, **fields: Unpack[EventFields]) -> None:
        """Records what has been done."""
        self.has_recorded_changes = True
        try:
            await self._write(event, **fields)
        except CannotAsk as failure:
            raise CannotAsk(
                failure.reason, f"it was done, but that could not be written down: {failure}"
            ) from failure

    async def abandon(self, detail: str) -> None:
        """Records that the command has ended without a change."""
        await self._write(Event.ACT_ABANDONED, detail=detail)

    async def _write(self, event: Event, **fields: Unpack[EventFields]) -> None:
        if not await self.audit.confirm(
            event, **fields | EventFields(by="operator", operator=self._operator, request_id=self._command_id)
        ):
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE, f"{event.value} could not be written into the audit trail"
            )


@asynccontextmanager
async def audited_command(
    settings: Settings,
    audit_queue: RedisAuditQueue | None,
    command: str | None,
    **concerned: Unpack[EventFields],
) -> AsyncIterator[CommandAudit]:
    """Announces the command and enters the block; if the block ends without a change, records that as well.
    `command` is None for a command that only reads: it is not announced.

    Raises CannotAsk before the block if the announcement cannot be written."""
    command_audit = CommandAudit(audit_of_commands(settings, audit_queue), operator=operator())
    if command is None:
        yield command_audit
        return
    await command_audit.announce(command, **concerned)
    try:
        yield command_audit
    except BaseException as failure:
        with suppress(CannotAsk):
            await command_audit.abandon(f"it failed: {type(failure).__name__}")
        raise
    if not command_audit.has_recorded_changes:
        await command_audit.abandon("nothing was changed")


def audit_of_commands(settings: Settings, audit_queue: RedisAuditQueue | None) -> Audit:
    """The audit trail of commands: its events wait in the store until a gateway moves them."""

    async def store_line(line: str) -> bool:
        if audit_queue is None:
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE, f"store.url is {settings.store.url}, which no gateway shares"
            )
        if not await audit_queue.append(line.encode()):
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE,
                "too many acts wait in the store for a gateway to write them down; does one run?",
            )
        return True

    return Audit(_refuse_unconfirmed, clock=utc_now, person_key=person_key(settings), written=store_line)


def _refuse_unconfirmed(_line: str) -> None:
    raise OSError(95, "events of commands are confirmed, never only handed over")


def operator() -> str:
    """Who runs this command: `root at gw1`, or `ops as root at gw1` where sudo names the caller."""
    user = str(os.geteuid())
    with suppress(KeyError):  # containers run as numbers
        user = pwd.getpwuid(os.geteuid()).pw_name
    caller = os.environ.get("SUDO_USER", "")
    # Anybody can set the variable. A value that is no user name is dropped: it could look like a line of its
    # own, or be so long that the user is cut off.
    is_user_name = _USER_NAME.fullmatch(caller) is not None
    host = socket.gethostname()
    return f"{caller} as {user} at {host}" if is_user_name else f"{user} at {host}"


async def move_command_events(audit_queue: RedisAuditQueue, outputs: LogOutputs) -> None:
    """Moves commands' events from the store into the trail, for ever. An event leaves the store once it has
    been written."""
    claimant = secrets.token_hex(16)
    is_away = False
    while True:
        await asyncio.sleep(_LOOKED_EVERY)
        outputs.trail.retry()
        try:
            await _move_waiting(audit_queue, outputs, claimant)
            is_away = False
        except CannotAsk as failure:
            if not is_away:
                logger("audit").warning("acts.not_taken_over", error=str(failure))
            is_away = True


async def _move_waiting(audit_queue: RedisAuditQueue, outputs: LogOutputs, claimant: str) -> None:
    entries = await audit_queue.claim(claimant)
    written = 0
    for entry in entries:
        # Nobody can read an entry whose key has been dropped. An event of its own shows the gap.
        line = outputs.audit.line(Event.ACT_UNREADABLE) if entry is None else entry.decode()
        if not await outputs.confirmed(line):
            break
        written += 1
    if entries:
        await audit_queue.settle(claimant, written)


async def record_ended_sessions(
    open_sessions: RedisOpenSessions, audit: Audit, clock: Callable[[], datetime]
) -> None:
    """Records sessions that end by time, for ever. Of several gateways one records each session."""
    claimant = secrets.token_hex(16)
    while True:
        await asyncio.sleep(_LOOKED_EVERY)
        with suppress(CannotAsk):  # the task `store_pulse` reports outages
            ended = await open_sessions.ended(claimant, now=clock())
            recorded = [session for session in ended if await _is_recorded(audit, session)]
            if ended:
                await open_sessions.settle(claimant, recorded)


async def _is_recorded(audit: Audit, ended: EndedByTime) -> bool:
    return await audit.confirm(
        Event.SESSION_ENDED,
        session_id=ended.session_id,
        portal=ended.portal,
        method=ended.method,
        person_name=ended.person_name,
        by="time",
        detail="absolute" if ended.is_absolute else "idle",
    )
