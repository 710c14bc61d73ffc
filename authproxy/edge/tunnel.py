"""A WebSocket: bytes pass both ways as they come, until one side ends, the session ends, or the gateway goes
down.

The tunnel follows only where frames begin and end. So it can end the connection with a close frame (RFC 6455
§5.5.1) to the browser and one to the portal, between two frames. Both would take a cut for a fault of the
network.
"""

from __future__ import annotations

import asyncio
from typing import Final

from authproxy.edge.client_side import ClientSide
from authproxy.edge.rules.websocket import POLICY_VIOLATION, Frames, close_frame, masked_close_frame
from authproxy.edge.upstream.connection import UpstreamConnection
from authproxy.edge.watch import Watch

_CLOSE_WITHIN: Final = 2.0
"""Seconds in which a frame that has begun may end and the client may answer a close frame; then the
connection is closed."""


class Tunnel:
    """`check` must be called about once a second: it closes WebSockets whose session was revoked."""

    __slots__ = (
        "_client",
        "_close_timer",
        "_code",
        "_connection",
        "_from_client",
        "_from_portal",
        "_has_sent_close",
        "_watch",
    )

    def __init__(
        self,
        *,
        client: ClientSide,
        connection: UpstreamConnection,
        watch: Watch,
    ) -> None:
        self._client = client
        self._connection = connection
        self._watch = watch
        self._from_client = Frames(are_masked=True)
        self._from_portal = Frames(are_masked=False)
        self._code = 0
        """The close code (RFC 6455 §7.4) with which we are ending the connection; 0 while we are not."""
        self._has_sent_close = False
        self._close_timer: asyncio.TimerHandle | None = None

    def from_client(self, data: bytes) -> None:
        self._from_client.pass_on(data)
        if self._code:
            # Nothing more goes to the portal. A close frame is the client's answer to ours.
            if self._from_client.has_closed and self._has_sent_close:
                self._end()
        elif self._connection.is_open:
            self._connection.write(data)

    def from_portal(self, data: bytes) -> bytes:
        """Returns the bytes that go to the client."""
        if not self._code:
            self._from_portal.pass_on(data)
            return data
        if self._has_sent_close:
            return b""
        # The frame that has begun is finished first. Our close frame follows.
        end_of_frame = data[: self._from_portal.to_border(data)]
        return end_of_frame + self._close_frame() if self._from_portal.is_at_border else end_of_frame

    def close(self, code: int) -> None:
        """Sends both sides a close frame and ends the connection when they have answered, or after two
        seconds."""
        if self._code:
            return
        self._code = code
        if self._from_portal.are_lost:
            self._client.abort()  # this is no WebSocket protocol, so there are no close frames
            return
        self._close_timer = asyncio.get_running_loop().call_later(_CLOSE_WITHIN, self._end)
        if self._connection.is_open and self._from_client.is_at_border and not self._from_client.has_closed:
            self._connection.write(masked_close_frame(code))
        if self._from_portal.is_at_border:
            self._client.write(self._close_frame())
        self._connection.resume()
        if self._has_sent_close and self._from_client.has_closed:
            self._end()

    def _close_frame(self) -> bytes:
        """RFC 6455 §5.5.1: nothing may follow a close frame, so it is empty if the portal has sent its
        own."""
        self._has_sent_close = True
        return b"" if self._from_portal.has_closed else close_frame(self._code)

    def _end(self) -> None:
        self.stop()
        if self._client.is_clogged:
            self._client.abort()
        else:
            self._connection.end()

    def stop(self) -> None:
        """One side is gone: no close frame is needed any more."""
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None

    def client_may_flow(self, *, flows: bool) -> None:
        if flows:
            self._connection.resume()
        else:
            self._connection.pause()

    def check(self) -> None:
        if not self._code:
            self._watch.look(
                self._from_client.messages + self._from_portal.messages,
                is_finite=False,
                ended=self._session_is_over,
                failed=self._client.abort,
            )

    def _session_is_over(self) -> None:
        self.close(POLICY_VIOLATION)
