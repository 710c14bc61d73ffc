"""Removes from the near cache what has changed in Redis (CLIENT TRACKING in broadcasting mode).

The connection is subscribed to its own invalidations. In a cluster there is one to each primary, and nothing is
used unless all of them work. When any instance notes activity, the session changes
too, and every instance reads it once more: at most every tenth of the idle time. NOLOOP would not help,
because activity is written over other connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from secrets import SystemRandom
from typing import Any, Final

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.session import SessionId
from authproxy.storage.near_cache import NearCache
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.servers import DedicatedConnection
from authproxy.telemetry.logging import logger

PING_EVERY: Final = timedelta(milliseconds=300)
_PATIENCE: Final = timedelta(seconds=1)
"""A PING that is not answered within this time ends the connection."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_CHANNEL: Final = "__redis__:invalidate"
_random = SystemRandom()
_log = logger(__name__)


async def listen(
    connection: RedisConnection, near_cache: NearCache, *, clock: Callable[[], datetime]
) -> None:
    """Keeps `near_cache` up to date until the task is cancelled. Failures of the store raise nothing: while
    Redis does not answer, the near cache is empty and unused, and a new connection is tried after pauses that
    grow to two seconds."""
    failures = 0
    while True:
        try:
            async with contextlib.AsyncExitStack() as open_channels:
                connection.demand()
                servers, shape = await connection.primaries(), connection.shape
                channels = [
                    await open_channels.enter_async_context(connection.dedicated(server))
                    for server in servers
                ]
                for channel in channels:
                    await _subscribe(channel)
                while shape == connection.shape:
                    # Sessions may be ended elsewhere while this store is not to be asked.
                    connection.demand()
                    await _ping(channels, near_cache, clock)
                    if failures:
                        _log.info("store.invalidation_resumed")
                    failures = 0
                    await _obey_until_next_ping(channels, near_cache)
        except CannotAsk as error:
            failures += 1
            if failures == 1:
                _log.warning("store.invalidation_lost", detail=str(error))
        finally:
            near_cache.lost()
        if not failures:
            continue  # other servers have the keys now
        longest = min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE)
        await asyncio.sleep(_random.uniform(longest / 2, longest))


async def _subscribe(channel: DedicatedConnection) -> None:
    await channel.send("CLIENT", "ID")
    own_id = await _answer(channel)
    await channel.send("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", "PREFIX", keyspace.PREFIX)
    await _answer(channel)
    await channel.send("SUBSCRIBE", _CHANNEL)
    await _answer(channel)


async def _ping(
    channels: Sequence[DedicatedConnection], near_cache: NearCache, clock: Callable[[], datetime]
) -> None:
    # The answers prove that every change before the PINGs has been delivered. They prove nothing about later,
    # because they may have been delayed on the way. So the channels count as heard when the PINGs were sent.
    asked_at = clock()
    for channel in channels:
        await channel.send("PING")
    for channel in channels:
        while not _is_pong(message := await _answer(channel)):
            _apply(message, near_cache)
    near_cache.heard(asked_at)


async def _obey_until_next_ping(channels: Sequence[DedicatedConnection], near_cache: NearCache) -> None:
    ends_at = asyncio.get_running_loop().time() + PING_EVERY.total_seconds()
    ends = await asyncio.gather(
        *(_obey(channel, near_cache, ends_at) for channel in channels), return_exceptions=True
    )
    for end in ends:
        if end is not None:
            raise end


async def _obey(channel: DedicatedConnection, near_cache: NearCache, ends_at: float) -> None:
    loop = asyncio.get_running_loop()
    while (left := ends_at - loop.time()) > 0:
        message = await channel.receive(timedelta(seconds=left))
        if message is not None:
            _apply(message, near_cache)


async def _answer(channel: DedicatedConnection) -> Any:
    message = await channel.receive(_PATIENCE)
    if message is None:
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the session store's invalidation channel is silent")
    return message


def _is_pong(message: Any) -> bool:
    return isinstance(message, list) and message[:1] == [b"pong"]


def _apply(message: Any, near_cache: NearCache) -> None:
    """Removes the sessions that a message names. If it cannot be read, everything is removed: it may have
    named any session. Anybody who may write to the store can publish such a message."""
    try:
        names = _names(message)
    except (ValueError, TypeError, AttributeError):
        _log.warning("store.invalidation_unreadable")
        names = None
    if names is None:
        near_cache.forget_all()
        return
    session_ids, has_machine_key = names
    for session_id in session_ids:
        near_cache.forget(session_id)
    if has_machine_key:
        near_cache.forget_machine_keys()


def _names(message: Any) -> tuple[list[SessionId], bool] | None:
    """The sessions that a message names, and whether it names an API key; None means everything. Raises
    ValueError, TypeError or AttributeError if it is not a message of this channel."""
    _, _, keys = message
    if keys is None:  # FLUSHALL, FLUSHDB
        return None
    if not isinstance(keys, list):
        raise TypeError
    session_ids = [session_id for key in keys if (session_id := keyspace.session_id_in(key)) is not None]
    return session_ids, any(keyspace.machine_key_id_in(key) for key in keys)
