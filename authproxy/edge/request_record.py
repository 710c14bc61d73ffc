"""What is known about one request, for access log, metrics and audit.

The exchange fills a record in while it runs. What the readers ask for is worked out when they ask, because
most requests are only counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.edge.rules.client_address import LOCAL_PEER, TrustedProxies
from authproxy.edge.rules.preflight import Preflight
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import Dialect
from authproxy.edge.site import Site
from authproxy.identity.machine_client import MachineClient
from authproxy.identity.session import EndedSession, Session

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_NAMES: Final[dict[type[object], str]] = {
    Allowed: "allowed",
    AuthenticationRequired: "authentication_required",
    StepUpRequired: "step_up_required",
    Denied: "denied",
    Unavailable: "unavailable",
    Preflight: "preflight",
}


class RequestRecord(Sender):
    """Complete once the exchange has ended. Times ending in `_at` are the gate's, in seconds."""

    __slots__ = (
        "_client",
        "_is_trusted_peer",
        "_peer",
        "_trusted",
        "asked_by",
        "bytes_in",
        "bytes_out",
        "decided_at",
        "ended_at",
        "ended_session",
        "failure",
        "head",
        "outcome",
        "sent_at",
        "site",
        "started_at",
        "status",
        "target",
    )

    def __init__(
        self, head: RequestHead, peer: str, trusted: TrustedProxies, *, is_trusted_peer: bool
    ) -> None:
        super().__init__()
        self.head = head
        self._peer = peer
        self._is_trusted_peer = is_trusted_peer
        self._trusted = trusted
        self._client = ""
        self.site: Site | None = None
        self.target: RequestTarget | None = None
        """What was judged; in a subrequest, the original request."""
        self.asked_by: Dialect | None = None
        """The kind of front proxy that asks in a subrequest; None for a request of a client."""
        self.outcome: Decision | Preflight | None = None
        self.ended_session: EndedSession | None = None
        """Whose session has ended, if a form was sent after that."""
        self.failure: Reason | None = None
        """What went wrong beside the decision."""
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        """Of what came from a portal or the pages."""
        self.started_at = self.decided_at = self.sent_at = self.ended_at = 0.0

    def vouch_for_peer(self) -> None:
        """The peer has proved that it is a front proxy, so it is believed like one that is listed."""
        self._is_trusted_peer = True
        self._peer = LOCAL_PEER

    @property
    def given_request_id(self) -> str | None:
        """The request id in the head, if it is one that can be used."""
        given = self.head.all(b"x-request-id")
        return given[0].decode("ascii") if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) else None

    def counted(self) -> tuple[str, str, str]:
        """Portal, decision and reason; empty for none."""
        site = self.site
        portal = site.portal.portal_id if site is not None else ""
        if isinstance(self.outcome, Allowed) and self.failure is None:
            return portal, "allowed", ""
        return portal, self.decision, self.reason or ""

    @property
    def portal(self) -> str | None:
        return self.site.portal.portal_id if self.site is not None else None

    @property
    def method(self) -> str:
        return self.target.method if self.target is not None else self.head.method

    @property
    def path(self) -> str | None:
        """Never with the query."""
        return self.target.path if self.target is not None else None

    @property
    def decision(self) -> str:
        return _NAMES.get(type(self.outcome), "own_page")

    @property
    def reason(self) -> str | None:
        if self.failure is not None:
            return self.failure.value
        outcome = self.outcome
        return None if outcome is None or isinstance(outcome, (Allowed, Preflight)) else outcome.reason.value

    @property
    def rule(self) -> str | None:
        outcome = self.outcome
        route = outcome.route if isinstance(outcome, (Allowed, StepUpRequired, Denied)) else None
        return route.name if route is not None else None

    @property
    def session(self) -> Session | None:
        outcome = self.outcome
        return outcome.session if isinstance(outcome, (Allowed, StepUpRequired, Denied)) else None

    @property
    def client(self) -> str:
        """The address of the client: the peer, or the address that a trusted peer forwards for."""
        if not self._client:
            forwarded = self.head.all(b"x-forwarded-for") if self._is_trusted_peer else ()
            self._client = self._trusted.client(self._peer, forwarded) if forwarded else self._peer
        return self._client

    @property
    def client_is_nobody(self) -> bool:
        """Whether `client` is the address of a proxy that does not say for whom it forwards."""
        return self._is_trusted_peer and self._trusted.is_nobody(
            self._peer, self.head.all(b"x-forwarded-for")
        )

    @property
    def address(self) -> str:
        return "" if self.client_is_nobody else self.client

    @property
    def authorization(self) -> Sequence[bytes]:
        # From the index, which keeps the field when it is removed from what goes to the portal: an open
        # tunnel is judged by it again.
        return self.head.all(b"authorization")

    @property
    def machine(self) -> MachineClient | None:
        outcome = self.outcome
        return outcome.machine if isinstance(outcome, (Allowed, Denied)) else None

    @property
    def dialect(self) -> str | None:
        return self.asked_by.name if self.asked_by is not None else None

    @property
    def seconds(self) -> float:
        return self.ended_at - self.started_at

    @property
    def decision_seconds(self) -> float:
        return max(0.0, self.decided_at - self.started_at)

    @property
    def upstream_seconds(self) -> float:
        return self.ended_at - self.sent_at if self.sent_at else 0.0
