"""PURE: portals and their routes: which host is whose, and what a route demands of a session.

These frozen dataclasses are at the same time the types of the settings file (pydantic validates them and
refuses unknown keys), so that the names which an operator writes are the names which the rules use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from authproxy.access import methods as http_methods
from authproxy.access.provider_demand import NOTHING, ProviderDemand
from authproxy.identity.assurance import (
    STEP_UP_METHODS,
    AuthenticationEvent,
    Level,
    SignInMethod,
    StepUpMethod,
)

Members = Literal["anyone", "register"]
"""Who may come in: whoever signs in, or only those whom the register of people names for the portal."""
Claim = Literal["tax_number", "name", "birthdate", "address", "email", "phone_number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUp:
    """A proof inside the session by one of these methods, at most `max_age` old; without that any time in the
    session will do. If there are values of `acr`, a proof by `rekono` must state one of them."""

    methods: tuple[StepUpMethod, ...] = STEP_UP_METHODS
    max_age: timedelta | None = None
    acr: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    """Fields of the form (of a GET: of its query) that the person sees where they prove themselves."""

    @property
    def is_per_request(self) -> bool:
        """Whether every request needs a proof of its own (`max_age: 0`). No evidence of the session will do
        then."""
        return self.max_age is not None and not self.max_age

    def is_met_by(
        self, events: Iterable[AuthenticationEvent], now: datetime, level: Level = Level.LOW
    ) -> bool:
        """Whether one of the events is such a proof now, made by somebody who was trusted to that level then.
        A fresh proof by another method does not help an old one of these. A proof from the future, which a
        clock that was set back leaves behind, counts as one of now."""
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
class Requirement:
    """What a route demands of a session. `claims` are beyond those that every sign-in at the portal must
    bring."""

    level: Level = Level.LOW
    methods: tuple[SignInMethod, ...] = ("rekono",)
    claims: tuple[Claim, ...] = ()
    step_up: StepUp | None = None

    @property
    def is_per_request(self) -> bool:
        """Whether every request needs a proof of its own."""
        return self.step_up is not None and self.step_up.is_per_request

    @property
    def decays(self) -> bool:
        """Whether a session that meets it now can cease to do so by nothing but time."""
        return self.step_up is not None and self.step_up.max_age is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A part of a portal with a demand of its own. `path` is a prefix at a segment border: `/admin` covers
    `/admin` and `/admin/x`, not `/administer`."""

    name: str
    path: str
    methods: tuple[str, ...] = ()
    """HTTP methods that the route covers; empty for all."""
    requirement: Requirement
    strict: bool = False
    """Ask the store on every request: the near cache is never used here."""
    provider_demand: ProviderDemand = NOTHING
    """What the provider is asked for beyond the protocol, for sign-ins and proofs that lead here."""

    def covers(self, path: str, method: str) -> bool:
        if self.methods and method not in self.methods:
            return False
        prefix = self.path
        return prefix in (path, "/") or path.startswith(prefix if prefix.endswith("/") else prefix + "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A portal as the rules see it. `origin` is the public scheme and authority (`https://acq.bankart.si`)
    from which every absolute URL is built: never from a header."""

    portal_id: str
    origin: str
    host: str
    routes: tuple[Route, ...]
    required_claims: tuple[Claim, ...] = ("tax_number", "name", "birthdate", "address")
    members: Members = "anyone"
    methods: frozenset[str] = http_methods.ORDINARY
    """HTTP methods that are passed on, those of WebDAV included."""
    webdav: bool = False
    """Whether the portal knows WebDAV: then DELETE acts on whole collections, too."""
    passes_preflights: bool = False
    """Whether the portal answers CORS preflights itself. Nobody is signed in for them."""
    accepts_encoded_slash: bool = False
    accepts_encoded_percent: bool = False
    binds_assertion: bool = False
    """Mint an assertion for every request, bound to its method and URL (`htm`, `htu`)."""

    def route(self, path: str, method: str) -> Route | None:
        """The first route that covers the path; None if none does (which is a refusal: the default is to
        deny)."""
        for route in self.routes:
            if route.covers(path, method):
                return route
        return None


@dataclass(frozen=True, slots=True)
class Portals:
    """All portals of this gateway, found by canonical host (lower case, no trailing dot, no default port)."""

    by_host: dict[str, Portal] = field(default_factory=dict)

    def at(self, host: str) -> Portal | None:
        return self.by_host.get(host)
