"""An upgraded connection: bytes both ways as they come, until one side ends or the session behind it does.

Nothing is understood of the protocol inside, so a tunnel whose session has ended is cut, not closed politely.
"""

from __future__ import annotations

from typing import Protocol

from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.edge.site import Gate
from authproxy.edge.upstream_connection import UpstreamConnection


class TunnelEnd(Protocol):
    def abort(self) -> None: ...


class Tunnel:
    """`check` is to be called about once a second; it is what makes a revocation close WebSockets."""

    __slots__ = ("_client", "_connection", "_gate", "_is_asking", "_portal", "_target", "_ticket")

    def __init__(
        self, *, client: TunnelEnd, connection: UpstreamConnection, gate: Gate, portal: Portal, target: RequestTarget, ticket: str | None
    ) -> None:
        self._client = client
        self._connection = connection
        self._gate = gate
        self._portal = portal
        self._target = target
        self._ticket = ticket
        self._is_asking = False

    def from_client(self, data: bytes) -> None:
        if self._connection.is_open:
            self._connection.write(data)

    def client_may_flow(self, *, flows: bool) -> None:
        if flows:
            self._connection.resume()
        else:
            self._connection.pause()

    def check(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            # An error that nobody expected cuts the tunnel: it must not outlive its session because nobody could look.
            self._gate.start(self._ask(), self._client.abort)

    async def _ask(self) -> None:
        try:
            if not await self._gate.access.still_allowed(self._portal, self._target, self._ticket, self._gate.clock()):
                self._client.abort()
        finally:
            self._is_asking = False
