"""Asks whether sessions that were read before are still as they were: without a task, because most requests that
ask the store ask this."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import NO_SESSION, NoSession, SessionId, StoredSession
from authproxy.storage.records import values
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command
from authproxy.storage.redis.connection import WrongType
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.reads import GatheredReads

Told = Callable[[StoredSession | NoSession | CannotAsk | None], None]


def question(session_id: SessionId) -> Command:
    """The answer has the record and `seen`."""
    return "HMGET", keyspace.session(session_id), "record", "seen"


def packed(asked: Command) -> bytes:
    """A `question` as it is sent. hiredis, which packs every command, takes 6,300 instructions for it."""
    key = str(asked[1]).encode()
    return b"*4\r\n$5\r\nHMGET\r\n$%d\r\n%s\r\n$6\r\nrecord\r\n$4\r\nseen\r\n" % (len(key), key)


class Rereads:
    __slots__ = ("_heartbeat", "_reads")

    def __init__(self, reads: GatheredReads, heartbeat: Heartbeat) -> None:
        self._reads = reads
        self._heartbeat = heartbeat

    def ask(self, before: StoredSession, now: datetime, told: Told) -> None:
        """`told` is called once: with `before` itself if nothing has changed, with NO_SESSION if it is gone,
        with None if the answer says too little, or with why the store cannot be asked. It must not raise."""
        session_id = before.session.session_id
        if session_id in self._heartbeat.endings:
            told(NO_SESSION)
        else:
            asked = question(session_id)
            self._reads.ask(asked, functools.partial(self._answered, before, now, told), packed(asked))

    def unchanged(
        self, before: StoredSession, record: bytes | None, seen: bytes | None, now: datetime
    ) -> StoredSession | None:
        """The session that is in the record, if it is that of `before` and not over."""
        if not record or record != before.sealed or seen is None:
            return None
        last_active_at = before.last_active_at if seen == before.seen else values.moment(seen)
        if last_active_at is None:
            return None
        forgiven = self._heartbeat.outages.forgiven(last_active_at, now)
        if before.session.is_over(last_active_at=last_active_at, now=now, forgiven=forgiven):
            return None
        if seen == before.seen and forgiven == before.forgiven:
            return before
        return replace(before, last_active_at=last_active_at, forgiven=forgiven, seen=seen)

    def _answered(self, before: StoredSession, now: datetime, told: Told, answer: Any) -> None:
        if isinstance(answer, WrongType):
            told(None)
        elif isinstance(answer, CannotAsk):
            self._heartbeat.outages.note_failure(now, before.session.session_id)
            told(answer)
        else:
            record, seen = answer
            told(NO_SESSION if record is None else self.unchanged(before, record, seen, now))
