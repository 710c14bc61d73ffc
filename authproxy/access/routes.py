"""PURE: portals and their routes: which host is whose, and what a route demands of a session.

These frozen dataclasses are also types of the settings file: pydantic validates them and refuses unknown
keys. So the operator's names and the rules' names are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from authproxy.access import methods as http_methods
from authproxy.access.client_networks import Network
from authproxy.access.path_patterns import PathPattern
from authproxy.access.path_readings import ANY_SEGMENT, Paths
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.provider_demand import NOTHING, ProviderDemand
from authproxy.identity.assurance import (
    STEP_UP_METHODS,
    AuthenticationEvent,
    Level,
    SignInMethod,
    StepUpMethod,
)

Members = Literal["anyone", "register"]
"""Who may enter: anyone who signs in, or only people whom the register lists for the portal."""
Claim = Literal["tax_number", "name", "birthdate", "address", "email", "phone_number"]
RouteAccess = Literal["required", "public", "deny"]
"""Who may come in: people with a session (and programs, where the route lets them), everybody, or nobody."""
Activity = Literal["requests", "streams", "websocket_messages"]
"""What can keep a session from being idle: requests when they come, bytes that flow in a request or an answer
that takes long, messages of a WebSocket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUp:
    """Demands a proof within the session by one of these methods, at most `max_age` old. Without `max_age`
    any such proof of the session will do. If `acr` has values, a proof by `rekono` must state one of them."""

    methods: tuple[StepUpMethod, ...] = STEP_UP_METHODS
    max_age: timedelta | None = None
    acr: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    """The fields of the form, or of the query of a GET, that the person sees when they prove themselves."""

    @property
    def is_per_request(self) -> bool:
        """Whether every request needs a proof of its own (`max_age: 0`). Then no earlier proof of the session
        will do."""
        return self.max_age is not None and not self.max_age

    def is_met_by(
        self, events: Iterable[AuthenticationEvent], now: datetime, level: Level = Level.LOW
    ) -> bool:
        """Whether one of the events is such a proof now, by somebody who had at least that level then. A
        fresh proof by another method does not refresh an old one. A proof with a future time, which remains
        when the clock is set back, counts as made now."""
        if self.is_per_request:
            return False
        return any(
            event.is_step_up
            and event.method in self.methods
            and event.worth >= level
            and (self.max_age is None or now - event.at <= self.max_age)
            and (not self.acr or event.method != "rekono" or event.acr in self.acr)
            for event in events
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDemand:
    """Which programs may come in without a person: by access token, by API key, and with all of these
    scopes."""

    tokens: bool = False
    keys: bool = False
    scopes: tuple[str, ...] = ()

    def with_all_of(self, other: MachineDemand) -> MachineDemand:
        """The demand that is met only by programs that meet both."""
        return MachineDemand(
            tokens=self.tokens and other.tokens,
            keys=self.keys and other.keys,
            scopes=tuple(dict.fromkeys((*self.scopes, *other.scopes))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a route demands of a session, and from where it may be asked. `claims` are demanded in addition to
    those that the portal demands of every sign-in."""

    level: Level = Level.LOW
    methods: tuple[SignInMethod, ...] = ("rekono",)
    claims: tuple[Claim, ...] = ()
    step_up: StepUp | None = None
    networks: tuple[frozenset[Network], ...] = ()
    """The client's address must be in a network of each of these sets."""
    roles: tuple[frozenset[str], ...] = ()
    """The person must have a role of each of these sets."""
    machines: MachineDemand | None = None
    """Programs that may come in; None: none. Of the demands above only `networks` holds for them."""

    @property
    def is_per_request(self) -> bool:
        """Whether every request needs a proof of its own."""
        return self.step_up is not None and self.step_up.is_per_request

    @property
    def varies(self) -> bool:
        """Whether a session that meets it now may fail it at its next request: because time has passed, or
        because that request comes from another address."""
        return bool(self.networks) or (self.step_up is not None and self.step_up.max_age is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A part of a portal with its own demand. `path` is a pattern (`path_patterns.py`): `/admin` covers
    `/admin` and `/admin/x`, but not `/administer`."""

    name: str
    path: str
    methods: tuple[str, ...] = ()
    """HTTP methods that the route covers; empty for all."""
    requirement: Requirement
    access: RouteAccess = "required"
    strict: bool = False
    """Whether every request asks the store instead of the near cache."""
    provider_demand: ProviderDemand = NOTHING
    """What the provider must confirm for sign-ins and proofs that lead here."""
    upstream: str = ""
    """The server that answers here; empty if it is the portal's own. Two routes with different servers cannot
    both apply to one request."""
    way: int = 0
    """How requests are passed on here (`Site.ways` of the edge); 0 for the portal's own way. A combined route
    says nothing; its `parts` do."""
    parts: tuple[Route, ...] = ()
    """The routes whose demands this one combines (`combination.py`); empty for a route of the settings."""


class RouteTable:
    """The routes of a portal, with their patterns ready to be compared, and the combinations of them that
    paths with several readings have needed. Made once; only the combinations are added."""

    __slots__ = ("combinations", "rows")

    def __init__(self, routes: Iterable[Route], paths: Paths) -> None:
        self.rows = [(PathPattern(route.path, paths), route.methods, route) for route in routes]
        self.combinations: dict[tuple[int, ...], Route | None] = {}
        """By the `id` of each route, in the order of the portal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A portal as the rules see it. `origin` is its public scheme and authority (`https://acq.bankart.si`).
    Absolute URLs are built from it, never from a header."""

    portal_id: str
    origin: str
    host: str
    routes: tuple[Route, ...]
    required_claims: tuple[Claim, ...] = ("tax_number", "name", "birthdate", "address")
    members: Members = "anyone"
    methods: frozenset[str] = http_methods.ORDINARY
    """HTTP methods that are passed on, including those of WebDAV."""
    webdav: bool = False
    """Whether the portal speaks WebDAV. Then DELETE can remove whole collections."""
    passes_preflights: bool = False
    """Whether the portal answers CORS preflights itself. They come without a session."""
    accepts_encoded_slash: bool = False
    accepts_encoded_percent: bool = False
    machines: MachineDemand | None = None
    """The kinds of credentials by which programs come in somewhere at this portal; None: no route lets them
    in."""
    paths: Paths = "exact"
    """How the portal compares paths. It decides what the path of a request may be taken for."""
    binds_assertion: bool = False
    """Whether every request gets an assertion of its own, bound to its method and URL (`htm`, `htu`)."""
    activity: frozenset[Activity] = frozenset({"requests"})
    """What keeps sessions of this portal from being idle."""
    personal_cookies: PersonalCookies | None = None
    """The portal's cookies that belong to one person; None if the settings name none."""
    sign_out_paths: frozenset[str] = frozenset()
    """Canonical paths of the portal's own sign-out, as readings are compared. They lead to ours."""

    table: RouteTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", RouteTable(self.routes, self.paths))

    def route(self, reading: str, method: str) -> Route | None:
        """The first route that covers a reading of a path; None if none does, which denies the request."""
        for pattern, methods, route in self.table.rows:
            if (not methods or method in methods) and pattern.covers(reading):
                return route
        return None

    def possible_routes(self, reading: str, method: str) -> list[Route]:
        """The routes of which one covers the reading: more than one only if it has `ANY_SEGMENT`. The last of
        them covers it whatever the segment is; empty if none does."""
        found: list[Route] = []
        for pattern, methods, route in self.table.rows:
            if not methods or method in methods:
                if pattern.covers(reading):
                    return [*found, route]
                if ANY_SEGMENT in reading and pattern.may_cover(reading):
                    found.append(route)
        return []


@dataclass(frozen=True, slots=True)
class Portals:
    """All portals of this gateway, found by canonical host (lower case, no trailing dot, no default port)."""

    by_host: dict[str, Portal] = field(default_factory=dict)

    def at(self, host: str) -> Portal | None:
        return self.by_host.get(host)
