"""What all connections share: the portals behind the edge, its limits, and the services that it asks. Fixed
at start-up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from typing import Any, Final, Protocol

from authproxy.access import policy
from authproxy.access.consent import Consents
from authproxy.access.decision import Allowed, Decision, PerRequestDecision, Reason, StepUpRequired
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Activity, Portal, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget, TargetRefused, canonical_host
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.edge.rules.connection_shares import ConnectionShares
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.rules.known_heads import KnownHeads
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.upstream.pool import UpstreamPool
from authproxy.identity.session import EndedSession, Session
from authproxy.telemetry.identifiers import Identifiers
from authproxy.telemetry.logging import logger
from authproxy.telemetry.requests import AnsweredRequest

_SILENT_PROXIES: Final = 64
"""So many proxies are warned about; further warnings would tell the operator nothing new."""


class Access(Protocol):
    """The decision about a request."""

    def decide_now(
        self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime
    ) -> Decision | None:
        """The decision if it can be made without the store; None: ask `decide`."""
        ...

    def decide_soon(
        self,
        portal: Portal,
        target: RequestTarget,
        sender: Sender,
        now: datetime,
        then: Callable[[Decision | None], None],
    ) -> Decision | None:
        """The decision if it can be made without the store. Otherwise None, and `then` is called once: with
        the decision, or with None: ask `decide`. `then` must not raise."""
        ...

    async def decide(self, portal: Portal, target: RequestTarget, sender: Sender, now: datetime) -> Decision:
        """The decision. A failure of the store or of the signer is the decision Unavailable, not an
        exception."""
        ...

    async def admit_once(
        self, required: StepUpRequired, target: RequestTarget, binding: str, now: datetime
    ) -> PerRequestDecision:
        """The decision on a request that needs a proof of its own. Allowed uses the proof up. Never
        raises."""
        ...

    async def give_back(self, proof: str) -> None:
        """Makes a proof valid again: the request that it was used for has not been sent."""
        ...

    def still_allowed_now(
        self,
        allowed: Allowed,
        sender: Sender,
        now: datetime,
        *,
        activity: Activity | None,
        is_finite: bool,
    ) -> bool | None:
        """Whether what was allowed, and is still open, may go on, if that needs no question to the store;
        None: ask `still_allowed`. `activity` is what has happened since the last question. What is finite
        does not end because a proof has aged."""
        ...

    async def still_allowed(
        self,
        allowed: Allowed,
        sender: Sender,
        now: datetime,
        *,
        activity: Activity | None,
        is_finite: bool,
    ) -> bool:
        """As `still_allowed_now`. If the store cannot be asked, the answer is yes."""
        ...


class HeldRequestKeeper(Protocol):
    """Forms that wait for a fresh proof or a sign-in of their person. The coroutines raise CannotAsk."""

    def takes(self, content_type: str, size: int) -> bool:
        """Whether forms of this kind and size are kept."""
        ...

    async def whose(self, ticket_text: str | None, *, portal_id: str, now: datetime) -> EndedSession | None:
        """Whose session at this portal the ticket has opened; None if that is not known."""
        ...

    async def keep(
        self, session: Session | EndedSession, request: HeldRequest, *, now: datetime
    ) -> str | None:
        """The name under which the form is kept; None if it is not."""
        ...

    async def find(self, name: str, session: Session) -> HeldRequest | None:
        """The form, if it is this person's. It stays where it is."""
        ...

    async def take(self, name: str, session: Session, target: str) -> HeldRequest | None:
        """The form, once, if it is this person's and was sent to this target."""
        ...

    async def give_back(self, name: str, session: Session, request: HeldRequest) -> None:
        """Puts back a form that was taken and could not be sent."""
        ...


Observer = Callable[[AnsweredRequest], None]
"""Called once for every answered request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormKeeping:
    """What keeps forms, and what is called when one was kept or is sent on."""

    requests: HeldRequestKeeper
    when_kept: Observer
    when_released: Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """Sizes in bytes, times in seconds."""

    head_size: int = 32 * 1024
    target_size: int = 8 * 1024
    header_count: int = 100
    body_size: int = 0
    body_rate: int = 256
    """Bytes per second that a body must have on average; 0 for none."""
    connections: int = 20_000
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 60.0
    first_byte_timeout: float = 60.0
    whole_timeout: float = 0.0
    """For a request and its answer, except for answers without end and tunnels; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How requests are passed on: to which server, and within which limits. A portal has one, and one more
    for each of its routes that differ from it."""

    pool: UpstreamPool
    host: bytes = b""
    """The Host that is sent; empty for the public one."""
    scheme: bytes = b"http"
    """The scheme by which the server is reached, and that it takes for its own."""
    limits: EdgeLimits = field(default_factory=EdgeLimits)
    """Those of the server, except for what the portal or the route says about bodies and times."""
    name: str = ""
    """The path of the first route with this way; empty for the portal's own."""


@dataclass(slots=True, kw_only=True)
class Site:
    """A portal behind the edge."""

    portal: Portal
    way: Way
    filter: RequestFilter
    forwarded: bytes = field(repr=False)
    """Finished lines that every request gets: X-Forwarded-Proto, X-Forwarded-Host, and those of the settings,
    which may hold a password."""
    websocket_origins: frozenset[bytes]
    ways: tuple[Way, ...] = ()
    """Those of routes, by `Route.way` less one."""

    def way_of(self, target: RequestTarget) -> Way:
        """The way of the route that covers the target. Where several routes are combined, it is that of the
        one which takes the smallest bodies: all of them lead to the same server."""
        if not self.ways:
            return self.way
        route = policy.route_of(self.portal, target)
        if route is None:
            return self.way
        if route.parts:
            return min(map(self._way_of_route, route.parts), key=_largest_body)
        return self._way_of_route(route)

    def _way_of_route(self, route: Route) -> Way:
        return self.ways[route.way - 1] if route.way else self.way

    def may_upgrade(self, head: RequestHead) -> bool:
        """Whether this request may open a WebSocket, by the page that it comes from."""
        # Cross-site WebSocket hijacking: a browser sends the portal's cookies with a handshake that any site
        # has started, and names that site in Origin. Only pages of the portal may open sockets to it. A
        # program without an Origin sends its cookie on purpose.
        return all(origin in self.websocket_origins for origin in head.all(b"origin"))

    def pools(self) -> dict[UpstreamPool, str]:
        """The pools of all ways, each with the name of the first way that has it."""
        pools: dict[UpstreamPool, str] = {}
        for way in (self.way, *self.ways):
            pools.setdefault(way.pool, way.name)
        return pools


class TurnClock:
    """A clock that is read once in a turn of the loop: uvloop's own time stands still until the next one. A
    reading costs 2,000 instructions, a twelfth of an answered subrequest."""

    __slots__ = ("_at", "_clock", "_now", "_time")

    def __init__(self, clock: Callable[[], datetime], time: Callable[[], float]) -> None:
        self._clock = clock
        self._time = time
        self._at = time()
        self._now = clock()

    def __call__(self) -> datetime:
        at = self._time()
        if at != self._at:
            self._at, self._now = at, self._clock()
        return self._now


@dataclass(slots=True, kw_only=True)
class Gate:
    """What every connection and exchange can ask."""

    sites: dict[str, Site]
    pages: UpstreamPool
    access: Access
    trusted_proxies: TrustedProxies
    limits: EdgeLimits
    observer: Observer
    identifiers: Identifiers
    clock: Callable[[], datetime]
    time: Callable[[], float]
    """The loop's monotonic time in seconds, for limits and durations."""
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts background work that outlives all connections; the edge uses it through `start` only."""
    default_port: int = 80
    default_site: Site | None = None
    """The portal for requests of HTTP/1.0 that name no host; None if there is none."""
    connections_per_address: ConnectionShares = field(default_factory=ConnectionShares)
    """Connections per client address; behind a trusted proxy, requests per client address that it names."""
    connections_per_session: ConnectionShares = field(default_factory=ConnectionShares)
    """Requests, streams and tunnels per session, per program, and of nobody per client address."""
    known_heads: KnownHeads = field(default_factory=KnownHeads)
    unheard: frozenset[str] = frozenset()
    """The dialects in which no questions are answered."""
    question_keys: Sequence[bytes] = ()
    """Those by which a front proxy may prove that a question is its own."""
    leave_kept_for: int = 0
    """For how many seconds a front proxy may repeat a leave to pass; 0: it asks about every request."""
    form_keeping: FormKeeping | None = None
    """None: no forms are kept, and a person who needs a fresh proof or a sign-in for one is told that it is
    lost."""
    consents: Consents | None = None
    """Recognises orders of `authproxy doctor`; None: none is obeyed."""
    _date: bytes = b""
    _date_until: float = 0.0
    _by_raw_host: dict[tuple[bytes, int], tuple[str, Site | None]] = field(default_factory=dict)
    silent_proxies: set[str] = field(default_factory=set)
    """Those that were warned about."""
    _refused_questions: set[tuple[str, str]] = field(default_factory=set)

    def warn_of_silent_proxy(self, proxy: str) -> None:
        """Warns, once for each address, of a proxy that does not say for whom it forwards."""
        if proxy not in self.silent_proxies and len(self.silent_proxies) < _SILENT_PROXIES:
            self.silent_proxies.add(proxy)
            logger("edge").warning(
                "proxy.names_no_client",
                proxy=proxy,
                consequence="limits per address do not count its users",
                remedy="let it set X-Forwarded-For",
            )

    def warn_of_refused_question(self, peer: str, flaw: str) -> None:
        """Warns, once for each address and flaw, of a question that is refused because of who asks, or of
        what the front proxy leaves out or contradicts."""
        if (peer, flaw) not in self._refused_questions and len(self._refused_questions) < _SILENT_PROXIES:
            self._refused_questions.add((peer, flaw))
            logger("edge").warning(
                "question.refused",
                peer=peer,
                flaw=flaw,
                remedy="see deploy/README.md, The questions of front proxies",
            )

    def date_line(self) -> bytes:
        """RFC 9110 §6.6.1: the finished Date line of an answer that is made now. Formatted once a second."""
        now = self.time()
        if now >= self._date_until:
            at = self.clock().timestamp()
            self._date = b"Date: %s\r\n" % formatdate(at, usegmt=True).encode()
            self._date_until = now + 1.0 - at % 1.0
        return self._date

    def start(self, work: Coroutine[Any, Any, None], failed: Callable[[], None]) -> None:
        """Runs `work` in the background. If it raises, that is reported and `failed` is called, so that
        nobody waits for its result forever."""
        self.spawn(_guarded(work, failed))

    def site_at(self, raw_host: bytes, default_port: int) -> tuple[str, Site | None]:
        """The canonical host and its site. Raises TargetRefused. Remembers the spellings that lead to a site;
        there are few of them."""
        known = self._by_raw_host.get((raw_host, default_port))
        if known is not None:
            return known
        try:
            text = raw_host.decode("ascii")
        except UnicodeDecodeError:
            raise TargetRefused(Reason.REQUEST_UNREADABLE, "host contains raw non-ASCII bytes") from None
        canonical = canonical_host(text, default_port)
        site = self.sites.get(canonical)
        if site is not None and len(self._by_raw_host) < 1024:
            self._by_raw_host[raw_host, default_port] = canonical, site
        return canonical, site

    def portal_at(self, raw_host: bytes, default_port: int) -> tuple[str, Portal | None]:
        """As `site_at`, with the portal instead of the site."""
        canonical, site = self.site_at(raw_host, default_port)
        return canonical, site.portal if site is not None else None


def _largest_body(way: Way) -> int:
    return way.limits.body_size or sys.maxsize


async def _guarded(work: Coroutine[Any, Any, None], failed: Callable[[], None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001  (it is reported, and `failed` answers the request)
        report(error, "background work of the edge failed")
        failed()


def report(error: Exception, what: str) -> None:
    """Passes an unexpected error to the loop's exception handler, which logs it."""
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": error})
