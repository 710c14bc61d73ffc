"""Keep-alive connections to one portal: hands out the one that was used last, opens new ones within a limit,
and closes those that were idle too long.

Connections are never shared between portals, and reused only after a complete exchange. A connection on which
somebody has authenticated serves only the client connection that has it (see `authenticated_connection`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from authproxy.dns.resolver import Resolver
from authproxy.edge.rules.public_addresses import PublicAddresses
from authproxy.edge.rules.via import Via
from authproxy.edge.upstream.connection import UpstreamConnection

_REUSES_AGAIN_AFTER: Final = 600.0
"""Seconds without unasked bytes after which a portal's connections are reused again."""
_NO_VIA: Final = Via()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where a portal listens: a Unix socket, or host and port with or without TLS."""

    host: str = ""
    port: int = 0
    unix_path: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    server_name: str | None = None
    tolerated: frozenset[str] = frozenset()
    """Faults of its answers that are mended (`sloppy_head`)."""
    authority: bytes = b""
    """The upstream's own authority, sent as Host where the public one is not wanted."""
    addresses: PublicAddresses | None = None
    """What its answers call it although browsers do not; None if there is no such thing."""


class UpstreamUnreachable(Exception):  # noqa: N818
    """No connection to the portal. `is_timeout` tells 504 from 502."""

    def __init__(self, cause: str, *, is_timeout: bool) -> None:
        super().__init__(cause)
        self.is_timeout = is_timeout


class PoolUse:
    """What the connections of a pool do at the moment, and how many requests wait for one."""

    __slots__ = ("idle", "in_use", "long", "waiting")

    def __init__(self, *, in_use: int, idle: int, long: int, waiting: int) -> None:
        self.in_use = in_use
        self.idle = idle
        self.long = long
        self.waiting = waiting


class UpstreamPool:
    """Timeouts are seconds. At most `upstream_connections` exist; further requests wait until one is free.
    Beside them up to `upstream_streams` connections serve exchanges that last. `names` finds the addresses of
    the upstream's host, within `connect_timeout` too.

    With `reuses` False every connection serves one request. With True it serves many, except for a while
    after the portal has sent bytes that belong to no answer. `via` is the name under which requests and
    answers are forwarded; none if the other side is a part of the gateway."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        upstream_connections: int,
        connect_timeout: float,
        upstream_idle_timeout: float,
        upstream_streams: int = 0,
        reuses: bool = True,
        names: Resolver | None = None,
        via: Via = _NO_VIA,
    ) -> None:
        self.via = via
        self.tolerated = upstream.tolerated or None
        """Faults of answers that are mended (`tolerates`); None if none are."""
        self._names = names or Resolver()
        self._upstream = upstream
        self._limit = upstream_connections
        self._streams = upstream_streams
        self._may_reuse = reuses
        self._connect_timeout = connect_timeout
        self._idle_timeout = upstream_idle_timeout
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._authenticated: dict[UpstreamConnection, None] = {}
        """Idle connections that wait for their one client, oldest first."""
        self._connecting = 0
        self._stream_count = 0
        self._is_distrusted = False
        self._distrusted_since: float | None = None
        self.unasked = 0
        """How often the portal has sent bytes that belong to no answer."""
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()

    @property
    def upstream(self) -> Upstream:
        return self._upstream

    @property
    def reuses(self) -> bool:
        return self._may_reuse and not self._is_distrusted

    @property
    def addresses(self) -> PublicAddresses | None:
        return self._upstream.addresses

    @property
    def use(self) -> PoolUse:
        idle = len(self._idle) + len(self._authenticated)
        return PoolUse(
            in_use=len(self._open) - idle - self._stream_count,
            idle=idle,
            long=self._stream_count,
            waiting=len(self._waiting),
        )

    def __repr__(self) -> str:
        return (
            f"<UpstreamPool {len(self._open) - len(self._idle)} busy, {len(self._idle)} idle, "
            f"{len(self._waiting)} waiting>"
        )

    def take_idle(self, now: float) -> UpstreamConnection | None:
        """An idle connection, if there is one. `now` is the loop's time."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if (
                connection.is_open
                and connection.is_reusable
                and now - connection.idle_since < self._idle_timeout
            ):
                return connection
            self._discard(connection)
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection, or one that becomes free if the limit is reached. Raises UpstreamUnreachable."""
        try:
            async with asyncio.timeout(self._connect_timeout):
                while self._is_full():
                    if self._authenticated:
                        # One person authenticates to the portal again. That is better than if another waits
                        # although a connection is idle.
                        self._evict(next(iter(self._authenticated)))
                    connection = await self._wait_for_turn()
                    if connection is not None:
                        return connection
                return await self._open_one()
        except TimeoutError:
            raise UpstreamUnreachable("connecting to the portal took too long", is_timeout=True) from None
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnreachable(
                f"no connection to the portal: {type(error).__name__}", is_timeout=False
            ) from None

    def _is_full(self) -> bool:
        return len(self._open) + self._connecting - self._stream_count >= self._limit

    async def _wait_for_turn(self) -> UpstreamConnection | None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[UpstreamConnection | None] = loop.create_future()
        self._waiting.append(turn)
        try:
            connection = await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and (unused := turn.result()) is not None:
                self.give_back(unused, loop.time())
            else:
                self._wake_next(None)
            raise
        if connection is not None and not (connection.is_open and connection.is_reusable):
            self._discard(connection)
            return None
        return connection

    async def _open_one(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        upstream = self._upstream
        self._connecting += 1
        try:
            if upstream.unix_path is not None:
                _, connection = await loop.create_unix_connection(
                    lambda: UpstreamConnection(self), upstream.unix_path
                )
            else:
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    sock=await self._names.connect(upstream.host, upstream.port),
                    ssl=upstream.tls,
                    server_hostname=(upstream.server_name or upstream.host) if upstream.tls else None,
                )
        finally:
            self._connecting -= 1
        self._open.add(connection)
        if not connection.is_open:
            self._open.discard(connection)
            raise ConnectionResetError
        return connection

    def give_back(self, connection: UpstreamConnection, now: float) -> None:
        """Takes a connection back after a complete exchange. It waits for the next one if both sides allow
        it."""
        if connection.is_stream:
            self._count_as_request(connection)
        if connection.is_open and connection.is_reusable:
            connection.idle_since = now
            # A waiting request gets it directly. Through the pool, a later request could overtake.
            if not self._wake_next(connection):
                self._idle.append(connection)
        else:
            self._discard(connection)

    def keep_authenticated(self, connection: UpstreamConnection, now: float) -> bool:
        """As `give_back`, but the connection waits for its own client only. False if it is closed instead."""
        if connection.is_stream:
            self._count_as_request(connection)
        if not (connection.is_open and connection.is_reusable) or self._waiting:
            self._discard(connection)
            return False
        connection.idle_since = now
        self._authenticated[connection] = None
        return True

    def take_authenticated(self, connection: UpstreamConnection) -> bool:
        """Takes a connection that `keep_authenticated` has kept. False if it is not there any more."""
        if connection not in self._authenticated:
            return False
        del self._authenticated[connection]
        if connection.is_open and connection.is_reusable:
            return True
        self._discard(connection)
        return False

    def drop_authenticated(self, connection: UpstreamConnection) -> None:
        """Closes a connection that was kept, because its client connection has gone."""
        if connection in self._authenticated:
            self._evict(connection)

    def _evict(self, connection: UpstreamConnection) -> None:
        del self._authenticated[connection]
        self._discard(connection)

    def count_as_stream(self, connection: UpstreamConnection) -> None:
        """The exchange on this connection takes long. If there is room among the streams, it counts there,
        and another request gets its place."""
        if not connection.is_stream and connection.is_open and self._stream_count < self._streams:
            connection.is_stream = True
            self._stream_count += 1
            self._wake_next(None)

    def _count_as_request(self, connection: UpstreamConnection) -> None:
        connection.is_stream = False
        self._stream_count -= 1
        if len(self._open) + self._connecting - self._stream_count > self._limit:
            connection.is_reusable = False

    def spoke_unasked(self) -> None:
        """A connection has brought bytes that belong to no answer. Others may do so too, at the wrong moment,
        so no connection is reused."""
        self.unasked += 1
        self._is_distrusted = True
        self._distrusted_since = None
        for connection in self._open:
            connection.is_reusable = False
        for connection in (*self._idle, *self._authenticated):
            self._discard(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        self._authenticated.pop(connection, None)
        if connection.is_stream:
            connection.is_stream = False
            self._stream_count -= 1
        with contextlib.suppress(ValueError):  # it may have been in use
            self._idle.remove(connection)
        self._wake_next(None)

    def expire(self, now: float) -> None:
        """Closes connections that were idle too long. Called about once a second."""
        while self._idle and now - self._idle[0].idle_since >= self._idle_timeout:
            self._discard(self._idle.popleft())
        for connection in [
            kept for kept in self._authenticated if now - kept.idle_since >= self._idle_timeout
        ]:
            self._evict(connection)
        if self._is_distrusted:
            if self._distrusted_since is None:
                self._distrusted_since = now
            elif now - self._distrusted_since >= _REUSES_AGAIN_AFTER:
                self._is_distrusted = False

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.abandon()
        self._idle.clear()
        self._authenticated.clear()

    def _discard(self, connection: UpstreamConnection) -> None:
        if connection.is_open:
            connection.abandon()

    def _wake_next(self, connection: UpstreamConnection | None) -> bool:
        """Gives the request that waits longest a connection, or the chance to open one. False if none
        waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False
