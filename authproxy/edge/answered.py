"""What there is to tell of an answered request, worked out only when somebody asks: most requests are merely
counted."""

from __future__ import annotations

import re
from typing import Final, Generic, Protocol, TypeVar

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.target import RequestTarget
from authproxy.edge.rules.preflight import Preflight
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import Dialect
from authproxy.edge.site import Gate, Site
from authproxy.edge.transfer import Transfer
from authproxy.identity.session import Session

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_NAMES: Final[dict[type[object], str]] = {
    Allowed: "allowed",
    AuthenticationRequired: "authentication_required",
    StepUpRequired: "step_up_required",
    Denied: "denied",
    Unavailable: "unavailable",
    Preflight: "preflight",
}


class Peer(Protocol):
    @property
    def peer(self) -> str: ...
    @property
    def is_trusted(self) -> bool: ...


PeerT = TypeVar("PeerT", bound=Peer)


class Answered(Generic[PeerT]):
    """The telling half of an exchange. Complete once the exchange has ended; times are seconds."""

    __slots__ = (
        "_address",
        "_client",
        "_decided_at",
        "_decision",
        "_dialect",
        "_ended_at",
        "_failure",
        "_gate",
        "_received",
        "_site",
        "_started",
        "_status",
        "_target",
        "_transfer",
        "head",
        "request_id",
    )

    def __init__(self, client: PeerT, gate: Gate, head: RequestHead) -> None:
        self.head = head
        self.request_id = ""
        self._address = ""
        self._client = client
        self._gate = gate
        self._site: Site | None = None
        self._target: RequestTarget | None = None
        self._decision: Decision | Preflight | None = None
        self._failure: Reason | None = None
        self._dialect: Dialect | None = None
        self._transfer: Transfer | None = None
        self._status = 0
        self._received = 0
        self._started = self._decided_at = self._ended_at = 0.0

    def _its_request_id(self) -> str:
        given = self.head.all(b"x-request-id")
        if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
            return given[0].decode("ascii")
        return self._gate.identifiers.request_id()

    def counted(self) -> tuple[str, str, str]:
        """Portal, decision and reason; empty for none."""
        site, decision = self._site, self._decision
        portal = site.portal.portal_id if site is not None else ""
        if isinstance(decision, Allowed) and self._failure is None:
            return portal, "allowed", ""
        return portal, self.decision, self.reason or ""

    @property
    def portal(self) -> str | None:
        return self._site.portal.portal_id if self._site is not None else None

    @property
    def method(self) -> str:
        return self._target.method if self._target is not None else self.head.method

    @property
    def path(self) -> str | None:
        """Never with the query."""
        return self._target.path if self._target is not None else None

    @property
    def status(self) -> int:
        return self._status or (self._transfer.status if self._transfer is not None else 0)

    @property
    def decision(self) -> str:
        return _NAMES.get(type(self._decision), "own_page")

    @property
    def reason(self) -> str | None:
        if self._failure is not None:
            return self._failure.value
        decision = self._decision
        return (
            None if decision is None or isinstance(decision, (Allowed, Preflight)) else decision.reason.value
        )

    @property
    def rule(self) -> str | None:
        route = (
            self._decision.route if isinstance(self._decision, (Allowed, StepUpRequired, Denied)) else None
        )
        return route.name if route is not None else None

    @property
    def session(self) -> Session | None:
        return (
            self._decision.session if isinstance(self._decision, (Allowed, StepUpRequired, Denied)) else None
        )

    @property
    def client(self) -> str:
        """The address of the client: of the peer, or of whom a trusted peer speaks for."""
        if not self._address:
            client = self._client
            said = self.head.all(b"x-forwarded-for") if client.is_trusted else ()
            self._address = self._gate.trusted_proxies.client(client.peer, said) if said else client.peer
        return self._address

    @property
    def client_is_nobody(self) -> bool:
        """Whether `client` is the address of a proxy that does not say for whom it speaks."""
        client = self._client
        return client.is_trusted and self._gate.trusted_proxies.is_nobody(
            client.peer, self.head.all(b"x-forwarded-for")
        )

    @property
    def dialect(self) -> str | None:
        return self._dialect.name if self._dialect is not None else None

    @property
    def bytes_in(self) -> int:
        return self._received

    @property
    def bytes_out(self) -> int:
        return self._transfer.sent if self._transfer is not None else 0

    @property
    def seconds(self) -> float:
        return self._ended_at - self._started

    @property
    def decision_seconds(self) -> float:
        return max(0.0, self._decided_at - self._started)

    @property
    def upstream_seconds(self) -> float:
        transfer = self._transfer
        return self._ended_at - transfer.sent_at if transfer is not None and transfer.sent_at else 0.0
