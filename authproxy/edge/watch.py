"""Whether something that is open for long may go on: a WebSocket, an event stream, a slow answer or upload.

It ends with the session that has opened it. Whoever holds it calls `look` about once a second, from the one
check of all connections: nothing here has a timer of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from authproxy.access.decision import Allowed
from authproxy.access.routes import Activity
from authproxy.access.sender import Sender
from authproxy.edge.site import Gate


class Watch:
    """`activity` is what progress counts as, where the portal takes it for activity of the person."""

    __slots__ = ("_activity", "_allowed", "_gate", "_is_asking", "_progress", "_sender")

    def __init__(self, gate: Gate, allowed: Allowed, sender: Sender, activity: Activity) -> None:
        self._gate = gate
        self._allowed = allowed
        self._sender = sender
        self._activity: Activity = activity
        self._progress = 0
        self._is_asking = False

    def look(
        self, progress: int, *, is_finite: bool, ended: Callable[[], None], failed: Callable[[], None]
    ) -> None:
        """Calls `ended` if it must not go on, at once or when the store has said so, and `failed` if nobody
        can tell for a bug of ours: otherwise it could outlive its session. `progress` is a number that grows
        while something happens. What is `is_finite` does not end because a proof has aged: it had one when it
        began."""
        gate, now = self._gate, self._gate.clock()
        session = self._allowed.session
        if session is not None and now >= session.expires_at:
            # The absolute end is known, so it holds while the store is away, too.
            ended()
            return
        if self._is_asking:
            return
        activity = self._activity if progress != self._progress else None
        self._progress = progress
        goes_on = gate.access.still_allowed_now(
            self._allowed, self._sender, now, activity=activity, is_finite=is_finite
        )
        if goes_on is None:
            self._is_asking = True
            gate.start(self._ask(activity, ended, is_finite=is_finite), failed)
        elif not goes_on:
            ended()

    async def _ask(self, activity: Activity | None, ended: Callable[[], None], *, is_finite: bool) -> None:
        try:
            goes_on = await self._gate.access.still_allowed(
                self._allowed,
                self._sender,
                self._gate.clock(),
                activity=activity,
                is_finite=is_finite,
            )
        finally:
            self._is_asking = False
        if not goes_on:
            ended()
