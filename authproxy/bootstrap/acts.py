"""Audit events that no request causes: sessions that end by time, and operators' commands. A command records
who runs it, where and when, before it does anything, and afterwards what came of it.

A command writes its events into the store, because it may run on another machine or as a user who may not
write the gateway's files. A running gateway takes them over; if none runs, the next one to start does.
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
from authproxy.bootstrap.auditing import Writing, person_key
from authproxy.bootstrap.clock import utc_now
from authproxy.settings.schema import Settings
from authproxy.storage.redis.audit_queue import RedisAuditQueue
from authproxy.storage.redis.open_sessions import EndedByTime, RedisOpenSessions
from authproxy.telemetry.audit import Audit, Event, EventFields
from authproxy.telemetry.logging import logger

_LOOKED_EVERY: Final = 1.0
_USER_NAME: Final = re.compile(r"[\w.@+$-]{1,64}", re.ASCII)


class Act:
    """What one run of a command, or the gateway itself, does to the register, the sessions or the keys. All
    its events have one `request_id`. Every method raises CannotAsk where an event cannot be written."""

    def __init__(self, audit: Audit, *, operator: str | None = None) -> None:
        self.audit = audit
        self._operator = operator
        self._act_id = secrets.token_hex(8)
        self.has_told = False
        """Whether an event has said what was done."""

    async def announce(self, command: str, **concerned: Unpack[EventFields]) -> None:
        """Records the command before it does anything. If this raises, the command must end."""
        try:
            await self._write(Event.ACT_ANNOUNCED, **concerned | EventFields(detail=command))
        except CannotAsk as failure:
            raise CannotAsk(
                failure.reason, f"nothing was changed, because it could not be written down: {failure}"
            ) from failure

    async def tell(self, event: Event, **fields: Unpack[EventFields]) -> None:
        """Records what has been done."""
        self.has_told = True
        try:
            await self._write(event, **fields)
        except CannotAsk as failure:
            raise CannotAsk(
                failure.reason, f"it was done, but that could not be written down: {failure}"
            ) from failure

    async def abandon(self, detail: str) -> None:
        await self._write(Event.ACT_ABANDONED, detail=detail)

    async def _write(self, event: Event, **fields: Unpack[EventFields]) -> None:
        if not await self.audit.confirm(
            event, **fields | EventFields(by="operator", operator=self._operator, request_id=self._act_id)
        ):
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE, f"{event.value} could not be written into the audit trail"
            )


@asynccontextmanager
async def act(
    settings: Settings, acts: RedisAuditQueue | None, command: str | None, **concerned: Unpack[EventFields]
) -> AsyncIterator[Act]:
    """The act of a command, announced if it has a name (one that only reads has none). Raises CannotAsk, and
    the block is not entered, if it cannot be written down."""
    begun = Act(audit_of_commands(settings, acts), operator=operator())
    if command is None:
        yield begun
        return
    await begun.announce(command, **concerned)
    try:
        yield begun
    except BaseException as failure:
        with suppress(CannotAsk):
            await begun.abandon(f"it failed: {type(failure).__name__}")
        raise
    if not begun.has_told:
        await begun.abandon("nothing was changed")


def audit_of_commands(settings: Settings, acts: RedisAuditQueue | None) -> Audit:
    """The audit trail of commands: its events wait in the store until a gateway takes them over."""

    async def written(line: str) -> bool:
        if acts is None:
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE, f"store.url is {settings.store.url}, which no gateway shares"
            )
        if not await acts.append(line.encode()):
            raise CannotAsk(
                Reason.AUDIT_UNAVAILABLE,
                "too many acts wait in the store for a gateway to write them down; does one run?",
            )
        return True

    return Audit(_not_without_being_asked, clock=utc_now, person_key=person_key(settings), written=written)


def _not_without_being_asked(_line: str) -> None:
    raise OSError(95, "events of commands are confirmed, never only handed over")


def operator() -> str:
    """Who runs this command: `ops as root at gw1`, the first name only where sudo says it."""
    user = str(os.geteuid())
    with suppress(KeyError):  # containers run as numbers
        user = pwd.getpwuid(os.geteuid()).pw_name
    caller = os.environ.get("SUDO_USER", "")
    # Anybody can set it: what is no name must neither read like another line nor push the user out of the
    # event, which is cut.
    is_name = _USER_NAME.fullmatch(caller) is not None
    return f"{caller} as {user} at {socket.gethostname()}" if is_name else f"{user} at {socket.gethostname()}"


async def take_over(acts: RedisAuditQueue, writing: Writing) -> None:
    """Writes what waits in the store into the trail, for ever. An entry leaves the store when it has been
    written."""
    taker = secrets.token_hex(16)
    is_away = False
    while True:
        await asyncio.sleep(_LOOKED_EVERY)
        writing.trail.retry()
        try:
            await _taken_over(acts, writing, taker)
            is_away = False
        except CannotAsk as failure:
            if not is_away:
                logger("audit").warning("acts.not_taken_over", error=str(failure))
            is_away = True


async def _taken_over(acts: RedisAuditQueue, writing: Writing, taker: str) -> None:
    entries = await acts.claim(taker)
    written = 0
    for entry in entries:
        # An entry under a key that has been dropped cannot be recorded; the alarm shows the gap.
        line = writing.audit.line(Event.ACT_UNREADABLE) if entry is None else entry.decode()
        if not await writing.confirmed(line):
            break
        written += 1
    if entries:
        await acts.settle(taker, written)


async def tell_of_ended(opened: RedisOpenSessions, audit: Audit, clock: Callable[[], datetime]) -> None:
    """Records sessions that end by time, for ever: each once, by one gateway."""
    taker = secrets.token_hex(16)
    while True:
        await asyncio.sleep(_LOOKED_EVERY)
        with suppress(CannotAsk):  # the heartbeat of the store tells of outages
            ended = await opened.ended(taker, now=clock())
            told = [each for each in ended if await _is_told(audit, each)]
            if ended:
                await opened.settle(taker, told)


async def _is_told(audit: Audit, ended: EndedByTime) -> bool:
    return await audit.confirm(
        Event.SESSION_ENDED,
        session_id=ended.session_id,
        portal=ended.portal,
        method=ended.method,
        person_name=ended.person_name,
        by="time",
        detail="absolute" if ended.is_absolute else "idle",
    )
