"""Listens on the sockets of the edge, knows all connections, ends what waits too long, and drains when the
gateway goes down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from authproxy.access.client_networks import network_of
from authproxy.edge.client.acceptor import Acceptor
from authproxy.edge.client.connection import ClientConnection
from authproxy.edge.client.occupancy import Seat
from authproxy.edge.client.sockets import BoundAddress, CannotListen
from authproxy.edge.site import Gate, report
from authproxy.edge.upstream.pool import UpstreamPool
from authproxy.telemetry.logging import logger

_TICK: Final = 1.0
_BACKLOG: Final = 2048
_IDLE_CLOSE_DELAY: Final = 0.1
"""Seconds between the closing of the listening sockets and that of idle connections. A request that is on its
way in this time is answered."""
_WINDS_DOWN_FOR: Final = 2.0
"""Seconds for the close frames of WebSockets and the last chunks of streams that have outlived a reload."""
_CUT_FOR: Final = 1.0
"""Seconds that connections may take to go after they were cut."""
_HANDED_OUT_AGAIN: Final = 0.01
"""Seconds after which an idle connection that could not be handed out yet is tried again."""
_HANDED_OUT_TRIES: Final = 300
"""Then it is closed. A head that has begun to arrive has had as much time."""


class Listener:
    """All listening sockets of the edge and the connections that came in through them.

    A client connection with a descriptor above `last_descriptor` is closed at once. The descriptors above are
    for portals, the store and everything else, so that a request that was accepted can be served. 0: there
    are enough for everything. `seat` is that of one of several workers."""

    def __init__(
        self,
        gate: Gate,
        *,
        tls: ssl.SSLContext | None = None,
        last_descriptor: int = 0,
        seat: Seat | None = None,
    ) -> None:
        self._gate = gate
        self._tls = tls
        self._last_descriptor = last_descriptor
        self._seat = seat
        self._bound: list[BoundAddress] = []
        self._servers: list[asyncio.AbstractServer] = []
        self._acceptors: list[Acceptor] = []
        self._connections: set[ClientConnection] = set()
        self._arriving: dict[ClientConnection, str] = {}
        """Connections that are accepted and not made yet, above all those in their TLS handshake. Each with
        the name under which the handshake is counted; empty if it is not counted."""
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._hurried = asyncio.Event()
        self._successor: Listener | None = None
        self._give: Callable[[int], bool] | None = None
        self._resting: dict[ClientConnection, int] = {}
        """Idle connections that other processes should get, and how often that was tried."""
        self._adopting = 0
        self._handed_out = asyncio.Event()
        self.is_closed = False
        self.is_draining = False
        self.refused_at_limit = 0
        """Connections that were closed at once because there were as many as the settings allow."""
        self.refused_without_descriptor = 0
        """Connections that were closed at once because the process has too few descriptors."""
        self._reported_at_limit = 0
        self._reported_without_descriptor = 0
        self._refused_in_episode = 0

    async def open(self, addresses: Iterable[BoundAddress]) -> tuple[tuple[str, int], ...]:
        """Listens on all addresses, or raises OSError or CannotListen and listens on none. The listener
        closes them at its end. Returns host and port of the TCP ones."""
        self._bound.extend(addresses)
        try:
            for bound in self._bound:
                for listening in bound.sockets:
                    await self._listen(listening, is_unix=bound.address.unix_path is not None)
            for bound in self._bound:
                bound.publish()
        except (OSError, CannotListen):
            self._close()
            raise
        names = [listening.getsockname() for bound in self._bound for listening in bound.sockets]
        return tuple((name[0], name[1]) for name in names if isinstance(name, tuple))

    async def _listen(self, listening: socket.socket, *, is_unix: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._has_acceptor(is_unix=is_unix):
            acceptor = Acceptor(
                listening,
                None if is_unix else self._tls,
                self,
                handshake_for=self._gate.limits.head_timeout,
                spawn=self._gate.spawn,
                seat=self._seat,
            )
            self._acceptors.append(acceptor)
            self._say_count()
            acceptor.open(_BACKLOG)
        elif is_unix:
            self._servers.append(
                await loop.create_unix_server(self._connection, sock=listening, backlog=_BACKLOG)
            )
        else:
            self._servers.append(await loop.create_server(self._connection, sock=listening, backlog=_BACKLOG))

    def _has_acceptor(self, *, is_unix: bool) -> bool:
        """Whether an acceptor listens on such a socket, and not the loop's own server."""
        return self._seat is not None or (self._tls is not None and not is_unix)

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Shows another certificate from the next connection on. For a listener that was made with TLS."""
        self._tls = tls
        for acceptor in self._acceptors:
            acceptor.renew(tls)

    def _connection(self) -> ClientConnection:
        return ClientConnection(self._gate, self)

    @property
    def lost_addresses(self) -> tuple[str, ...]:
        """Unix sockets whose path now has another socket or none, so that no new client reaches us there."""
        return tuple(
            str(bound.address) for bound in self._bound if not self.is_draining and not bound.is_ours
        )

    # What acceptors report.

    def accepted(self, descriptor: int, peer: str) -> ClientConnection | None:
        if not self._has_room(descriptor):
            return None
        # Handshakes are counted apart from the connections of the address. An address with too many
        # connections gets a 503, and that needs a handshake.
        is_counted = bool(peer) and not self._gate.trusted_proxies.trusts(peer)
        share = f"handshakes of {network_of(peer)}" if is_counted else ""
        if share and not self._gate.connections_per_address.take(share):
            return None
        connection = self._connection()
        self._arriving[connection] = share
        self._all_gone.clear()
        self._say_count()
        return connection

    def arrived(self, connection: ClientConnection) -> None:
        share = self._arriving.pop(connection, "")
        if share:
            self._gate.connections_per_address.give_back(share)
        self._note_end()

    def descriptors_exhausted(self) -> None:
        self.refused_without_descriptor += 1

    # What connections report.

    def opened(self, connection: ClientConnection) -> bool:
        if self._successor is not None:
            # Accepted before the hand-over; the event loop or a TLS handshake had it until now.
            self.arrived(connection)
            return self._successor.take_new(connection)
        is_admitted = connection in self._arriving
        if not is_admitted and not self._has_room(connection.descriptor if self._last_descriptor else 0):
            return False
        self._connections.add(connection)
        self._all_gone.clear()
        if is_admitted:
            self.arrived(connection)
        else:
            self._say_count()
        if self._give is not None and connection.has_tls:
            # It cannot be given away. Its first request is on its way, and is served here.
            asyncio.get_running_loop().call_later(_TICK, connection.wind_down)
        elif self._give is not None:
            self._hand_out_later(connection)
        return True

    def _has_room(self, descriptor: int) -> bool:
        if self.is_closed:
            return False
        if self.connection_count >= self._gate.limits.connections:
            self.refused_at_limit += 1
            return False
        if descriptor > self._last_descriptor > 0:
            self.refused_without_descriptor += 1
            return False
        return True

    def rests(self, connection: ClientConnection) -> None:
        if self._successor is not None:
            self._successor.take(connection)
        elif self._give is not None:
            connection.hold()
            self._hand_out_later(connection)

    def take(self, connection: ClientConnection) -> None:
        """Takes a connection without a current request over from a listener before. Where clients now have to
        speak TLS, one that does not is closed instead."""
        if self._successor is not None:
            self._successor.take(connection)
        elif self._tls is not None and connection.is_plain_tcp:
            connection.close_between_requests()
        else:
            connection.move_to(self._gate, self)

    def take_new(self, connection: ClientConnection) -> bool:
        """Takes a connection over that begins now. False if there is no room for one more."""
        connection.begin_at(self._gate, self)
        return self.opened(connection)

    def adopt(self, accepted: socket.socket) -> None:
        """As `take`, with a connection of another process, which has no TLS."""
        if self._tls is not None and accepted.family != socket.AF_UNIX:
            accepted.close()
        else:
            self._adopting += 1
            self._gate.start(self._adopt(accepted), accepted.close)

    async def _adopt(self, accepted: socket.socket) -> None:
        try:
            await self._serve_accepted(accepted)
        finally:
            self._adopting -= 1

    def closed(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        self._resting.pop(connection, None)
        self._note_end()

    def _note_end(self) -> None:
        if not self._connections and not self._arriving:
            self._all_gone.set()
        self._say_count()

    @property
    def connection_count(self) -> int:
        return len(self._connections) + len(self._arriving)

    def _say_count(self) -> None:
        """Lets the other workers know how many connections are here."""
        if self._seat is not None:
            self._seat.say(self.connection_count)

    @property
    def is_handed_over(self) -> bool:
        return self._successor is not None or self._give is not None

    @property
    def tunnel_count(self) -> int:
        return sum(connection.is_tunnel for connection in self._connections)

    # Time.

    async def watch(self, pools: tuple[UpstreamPool, ...]) -> None:
        """Checks every connection about once a second, until cancelled. One sweep is cheaper than a timer for
        every request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            self.sweep(loop.time(), pools)

    def sweep(self, now: float, pools: tuple[UpstreamPool, ...]) -> None:
        """Ends what has waited too long. `now` is the gate's time. A connection whose check fails is cut, and
        the others are checked."""
        for connection in tuple(self._connections):
            try:
                connection.check(now)
            except Exception as error:  # noqa: BLE001  (whatever it is: the time limits of all others must work)
                report(error, "a connection could not be looked after and was cut")
                with contextlib.suppress(Exception):
                    connection.abort()
        for pool in pools:
            try:
                pool.expire(now)
            except Exception as error:  # noqa: BLE001
                report(error, "idle connections to a portal could not be looked after")
        self._gate.known_heads.forget_old(now)
        self._report_refusals()

    def _report_refusals(self) -> None:
        """Logs once that connections are refused, and once that they are accepted again."""
        lacked_descriptor = self.refused_without_descriptor > self._reported_without_descriptor
        new_refusals = (
            self.refused_at_limit
            + self.refused_without_descriptor
            - self._reported_at_limit
            - self._reported_without_descriptor
        )
        self._reported_at_limit, self._reported_without_descriptor = (
            self.refused_at_limit,
            self.refused_without_descriptor,
        )
        if new_refusals and not self._refused_in_episode:
            cause = "no descriptors left" if lacked_descriptor else "server.limits.connections reached"
            logger("edge").error("connections.refused", cause=cause, open=len(self._connections))
        elif self._refused_in_episode and not new_refusals:
            logger("edge").warning("connections.accepted_again", refused=self._refused_in_episode)
        self._refused_in_episode = self._refused_in_episode + new_refusals if new_refusals else 0

    # The end.

    def hurry(self) -> None:
        """Ends the waiting in `leave` and `drain`. What still runs is cut."""
        self._hurried.set()

    @property
    def is_hurried(self) -> bool:
        return self._hurried.is_set()

    async def leave(self, for_seconds: float) -> None:
        """Goes on serving for some time. Every answer closes its connection, and supervisors see
        `is_draining`."""
        self.is_draining = True
        await self._first_of(for_seconds, self._hurried)

    def hand_over(self, successor: Listener) -> None:
        """Accepts no more connections: the successor listens on the same sockets. Connections go to it as
        soon as none of their requests is being answered, and it judges their next one. Running requests are
        finished here, and their answers close their connections."""
        self._successor = successor
        self.is_draining = True
        self._close()
        for connection in tuple(self._connections):
            try:
                successor.take(connection)
            except Exception as error:  # noqa: BLE001  (whatever it is: all others must go on)
                report(error, "a connection could not be handed over")

    async def hand_out(self, give: Callable[[int], bool]) -> None:
        """As `hand_over`, to other processes, which listen on the same sockets. `give` gets the descriptors
        of idle connections. It closes them, and says whether another process will have them. Connections with
        TLS cannot be given away: idle ones are closed, as they are at the end.

        Returns when all that are idle are elsewhere. Others follow when they are idle."""
        self._give = give
        self.is_draining = True
        self._close()
        self._resting.update(dict.fromkeys(self._connections, 0))
        self._hand_out()
        await self._handed_out.wait()

    def _hand_out_later(self, connection: ClientConnection) -> None:
        if not self._resting and self._handed_out.is_set():
            asyncio.get_running_loop().call_later(_HANDED_OUT_AGAIN, self._hand_out)
        self._resting[connection] = 0

    def _hand_out(self) -> None:
        if self._give is None:
            return
        for connection, tries in tuple(self._resting.items()):
            try:
                is_done = connection.give_away(self._give, is_last_try=tries >= _HANDED_OUT_TRIES)
            except Exception as error:  # noqa: BLE001  (whatever it is: all others must go on)
                report(error, "a connection could not be handed out")
                is_done = True
            if is_done:
                self._resting.pop(connection, None)
            else:
                self._resting[connection] = tries + 1
        # Without TLS, whoever is arriving is here in a moment.
        if self._resting or self._adopting or (self._arriving and self._tls is None):
            asyncio.get_running_loop().call_later(_HANDED_OUT_AGAIN, self._hand_out)
        else:
            self._handed_out.set()

    async def finish(self, within: float) -> None:
        """After `hand_over` or `hand_out`: lets everything that runs go on for at most `within` seconds, TLS
        handshakes, WebSockets and event streams too. Then it drains."""
        await self._first_of(within, self._all_gone, self._hurried)
        if not self._all_gone.is_set():
            await self.drain(_WINDS_DOWN_FOR)

    async def drain(self, within: float) -> bool:
        """Stops listening, lets running requests finish for at most `within` seconds, and cuts the rest.
        Returns whether all had finished. Tunnels and event streams, which would not finish, are ended at
        once."""
        self.is_draining = True
        self._stop_listening()
        await self._first_of(min(_IDLE_CLOSE_DELAY, within), self._hurried)
        self.is_closed = True
        for acceptor in self._acceptors:
            acceptor.cut()
        for connection in tuple(self._connections):
            try:
                connection.wind_down()
            except Exception as error:  # noqa: BLE001  (whatever it is: all others must be ended, too)
                report(error, "a connection could not be wound down")
        await self._first_of(within, self._all_gone, self._hurried)
        if self._all_gone.is_set():
            return True
        for connection in tuple(self._connections):
            connection.abort()
        await self._first_of(_CUT_FOR, self._all_gone)
        return False

    def cut(self) -> None:
        """Stops listening and cuts all connections at once. Does nothing after `drain`."""
        if self.is_closed:
            return
        self.is_draining = self.is_closed = True
        self._close()
        for connection in tuple(self._connections):
            connection.abort()

    def _stop_listening(self) -> None:
        """Stops listening. Connections that the kernel has already made for us are still accepted and
        served."""
        remaining = []
        for bound in self._bound:
            bound.withdraw()
            # An acceptor does this itself when it is closed.
            if not self._has_acceptor(is_unix=bound.address.unix_path is not None):
                remaining += [listening.dup() for listening in bound.sockets if listening.fileno() >= 0]
        self._close()
        for listening in remaining:
            with listening:
                self._accept_rest(listening)

    def _accept_rest(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:  # there is no further one, or it has gone again
                return
            self._gate.start(self._serve_accepted(accepted), accepted.close)

    async def _serve_accepted(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted)

    def _close(self) -> None:
        if self._seat is not None:
            self._seat.leave()
        for server in self._servers:
            server.close()
        for acceptor in self._acceptors:
            acceptor.close()
        for bound in self._bound:
            bound.close()

    @staticmethod
    async def _first_of(within: float, *events: asyncio.Event) -> None:
        """Waits until one of the events has happened, for at most `within` seconds."""
        if within <= 0 or any(event.is_set() for event in events):
            return
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
