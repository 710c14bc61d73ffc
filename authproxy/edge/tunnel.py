"""A WebSocket: bytes both ways as they come, until one side ends, the session behind it does, or the gateway
goes down.

Of the frames only their borders are known. That is enough to say goodbye between two of them, by a close
frame (RFC 6455 §5.5.1) to the browser and one to the portal, instead of cutting what neither can tell from a
fault of the network.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.edge.rules.websocket import POLICY_VIOLATION, Frames, close_frame, masked_close_frame
from authproxy.edge.site import Gate
from authproxy.edge.upstream.connection import UpstreamConnection

_GOODBYE_FOR: Final = 2.0
"""Seconds in which a frame that has begun may end and the client may answer a close frame; then the
connection is closed."""


class TunnelEnd(Protocol):
    @property
    def is_clogged(self) -> bool:
        """Whether the client does not take what was written to it."""
        ...

    def write(self, *pieces: bytes) -> None: ...
    def abort(self) -> None: ...


class Tunnel:
    """`check` is to be called about once a second; it is what makes a revocation close WebSockets."""

    __slots__ = (
        "_client",
        "_code",
        "_connection",
        "_from_client",
        "_from_portal",
        "_gate",
        "_goodbye",
        "_has_said_goodbye",
        "_is_asking",
        "_portal",
        "_target",
        "_ticket",
    )

    def __init__(
        self,
        *,
        client: TunnelEnd,
        connection: UpstreamConnection,
        gate: Gate,
        portal: Portal,
        target: RequestTarget,
        ticket: str | None,
    ) -> None:
        self._client = client
        self._connection = connection
        self._gate = gate
        self._portal = portal
        self._target = target
        self._ticket = ticket
        self._is_asking = False
        self._from_client = Frames(are_masked=True)
        self._from_portal = Frames(are_masked=False)
        self._code = 0
        """Why the connection is being closed by us; 0 while it is not."""
        self._has_said_goodbye = False
        self._goodbye: asyncio.TimerHandle | None = None

    def from_client(self, data: bytes) -> None:
        self._from_client.pass_on(data)
        if self._code:
            # Nothing more goes to the portal. A close frame is the client's answer to ours.
            if self._from_client.has_closed and self._has_said_goodbye:
                self._end()
        elif self._connection.is_open:
            self._connection.write(data)

    def from_portal(self, data: bytes) -> bytes:
        """Returns the part of it that goes to the client."""
        if not self._code:
            self._from_portal.pass_on(data)
            return data
        if self._has_said_goodbye:
            return b""
        # The frame that has begun is finished, and ours follows.
        last = data[: self._from_portal.to_border(data)]
        return last + self._farewell() if self._from_portal.is_at_border else last

    def close(self, code: int) -> None:
        """Says to both sides that the connection ends, and ends it: in order where they take part, after a
        while in any case."""
        if self._code:
            return
        self._code = code
        if self._from_portal.are_lost:
            self._client.abort()  # whatever is spoken here has no close frames
            return
        self._goodbye = asyncio.get_running_loop().call_later(_GOODBYE_FOR, self._end)
        if self._connection.is_open and self._from_client.is_at_border and not self._from_client.has_closed:
            self._connection.write(masked_close_frame(code))
        if self._from_portal.is_at_border:
            self._client.write(self._farewell())
        self._connection.resume()
        if self._has_said_goodbye and self._from_client.has_closed:
            self._end()

    def _farewell(self) -> bytes:
        """Our close frame; nothing, where the portal has sent one: a second would be an error (RFC 6455
        §5.5.1)."""
        self._has_said_goodbye = True
        return b"" if self._from_portal.has_closed else close_frame(self._code)

    def _end(self) -> None:
        self.stop()
        if self._client.is_clogged:
            self._client.abort()
        else:
            self._connection.end()

    def stop(self) -> None:
        """One side is gone."""
        if self._goodbye is not None:
            self._goodbye.cancel()
            self._goodbye = None

    def client_may_flow(self, *, flows: bool) -> None:
        if flows:
            self._connection.resume()
        else:
            self._connection.pause()

    def check(self) -> None:
        if not self._is_asking and not self._code:
            self._is_asking = True
            # An error that nobody expected cuts the tunnel: it must not outlive its session because nobody
            # could look.
            self._gate.start(self._ask(), self._client.abort)

    async def _ask(self) -> None:
        try:
            if not await self._gate.access.still_allowed(
                self._portal, self._target, self._ticket, self._gate.clock()
            ):
                self.close(POLICY_VIOLATION)
        finally:
            self._is_asking = False
