"""Hears from Redis which sessions have changed and empties the near cache accordingly (CLIENT TRACKING,
broadcasting mode).

The connection follows itself: it is subscribed to its own invalidations. A touch by any instance is a change
too: it costs every instance one read of that session, at most every tenth of its idle time. (NOLOOP would not
help: touches go over other connections.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from secrets import SystemRandom
from typing import Any, Final

import structlog

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import SessionId
from authproxy.storage.near_cache import NearCache
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import Line, RedisConnection

HEARTBEAT: Final = timedelta(milliseconds=300)
_PATIENCE: Final = timedelta(seconds=1)
"""How long a heartbeat may stay unanswered before the connection is given up."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_CHANNEL: Final = "__redis__:invalidate"
_random = SystemRandom()
_log = structlog.get_logger(__name__)


async def listen(
    connection: RedisConnection, near_cache: NearCache, *, clock: Callable[[], datetime]
) -> None:
    """Keeps `near_cache` true until it is cancelled. Never raises for the store's sake: while Redis does not
    answer, the near cache is empty and unused, and the connection is tried again after growing pauses of at
    most two seconds."""
    failures = 0
    while True:
        try:
            async with connection.line() as line:
                await _subscribe(line)
                while True:
                    await _beat(line, near_cache, clock)
                    if failures:
                        _log.info("store.invalidation_resumed")
                    failures = 0
                    await _rest(line, near_cache)
        except CannotAsk as error:
            failures += 1
            if failures == 1:
                _log.warning("store.invalidation_lost", detail=str(error))
        finally:
            near_cache.lost()
        longest = min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE)
        await asyncio.sleep(_random.uniform(longest / 2, longest))


async def _subscribe(line: Line) -> None:
    await line.say("CLIENT", "ID")
    own_id = await _answer(line)
    await line.say("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", "PREFIX", keyspace.PREFIX)
    await _answer(line)
    await line.say("SUBSCRIBE", _CHANNEL)
    await _answer(line)


async def _beat(line: Line, near_cache: NearCache, clock: Callable[[], datetime]) -> None:
    # An answer proves that every change before its question has been delivered, and nothing about later: a
    # reply that was held up somewhere must not count as fresh. So the channel counts as heard at the moment
    # of asking.
    asked_at = clock()
    await line.say("PING")
    while not _is_pong(message := await _answer(line)):
        _apply(message, near_cache)
    near_cache.heard(asked_at)


async def _rest(line: Line, near_cache: NearCache) -> None:
    """Until the next heartbeat is due, invalidations are obeyed as they come."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + HEARTBEAT.total_seconds()
    while (left := ends_at - loop.time()) > 0:
        message = await line.hear(timedelta(seconds=left))
        if message is not None:
            _apply(message, near_cache)


async def _answer(line: Line) -> Any:
    message = await line.hear(_PATIENCE)
    if message is None:
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the session store's invalidation channel is silent")
    return message


def _is_pong(message: Any) -> bool:
    return isinstance(message, list) and message[:1] == [b"pong"]


def _apply(message: Any, near_cache: NearCache) -> None:
    """Drops what a message names. If a message cannot be read, everything is dropped, because nobody knows
    what it names. Anybody who may write to the store can publish such a message."""
    try:
        session_ids = _session_ids(message)
    except (ValueError, TypeError, AttributeError):
        _log.warning("store.invalidation_unreadable")
        session_ids = None
    if session_ids is None:
        near_cache.forget_all()
        return
    for session_id in session_ids:
        near_cache.forget(session_id)


def _session_ids(message: Any) -> list[SessionId] | None:
    """None for all of them. Raises ValueError, TypeError or AttributeError for what is no message of this
    channel."""
    _, _, keys = message
    if keys is None:  # FLUSHALL, FLUSHDB
        return None
    if not isinstance(keys, list):
        raise TypeError
    return [session_id for key in keys if (session_id := keyspace.session_id_in(key)) is not None]
