"""The settings of a portal and its routes → how their requests are passed on: servers, connections, limits
for bodies and times.

A route has what it says, otherwise what its portal says, otherwise what `server` says. Reads the certificates
that `upstream_tls` names.
"""

from __future__ import annotations

import dataclasses
import ssl
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from authproxy.access.routes import Portal
from authproxy.bootstrap.server import limits
from authproxy.dns.resolver import Resolver
from authproxy.edge.rules.public_addresses import public_addresses
from authproxy.edge.rules.via import Via
from authproxy.edge.site import EdgeLimits, Way
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.settings.schema import (
    PassingLimitSettings,
    PassingTimeoutSettings,
    PortalSettings,
    RouteSettings,
    ServerSettings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connections:
    """The connections that a way uses. Ways with equal values share them."""

    upstream: str
    most: int
    connect_timeout: float
    idle_timeout: float
    only_for: str
    """The path of the route that has connections for itself, because it says how many; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A way before anything is opened for it."""

    name: str
    connections: _Connections
    limits: EdgeLimits


def numbers(settings: PortalSettings) -> tuple[int, ...]:
    """For each route the number of its way (`Route.way`); 0 if it is passed on like the rest of the
    portal."""
    found: list[int] = []
    for route in settings.routes:
        found.append(max(found, default=0) + 1 if _differs(route) else 0)
    return tuple(found)


def connection_limits(settings: PortalSettings, server: ServerSettings) -> tuple[int, ...]:
    """How many connections the portal may have: one number for each set of connections that its routes share
    or do not share."""
    return tuple(connections.most for connections in {plan.connections for plan in _plans(settings, server)})


def ways(
    portal: Portal, settings: PortalSettings, server: ServerSettings, *, names: Resolver, via: Via
) -> tuple[Way, ...]:
    """The portal's own way, and behind it those of the routes that differ from it, in the order of their
    numbers."""
    upstreams: dict[str, Upstream] = {}
    pools: dict[_Connections, UpstreamPool] = {}
    made: list[Way] = []
    for plan in _plans(settings, server):
        connections = plan.connections
        if connections.upstream not in upstreams:
            upstreams[connections.upstream] = _upstream(connections.upstream, settings, portal.origin)
        to = upstreams[connections.upstream]
        if connections not in pools:
            pools[connections] = UpstreamPool(
                to,
                upstream_connections=connections.most,
                connect_timeout=connections.connect_timeout,
                upstream_idle_timeout=connections.idle_timeout,
                upstream_streams=server.limits.upstream_streams,
                reuses=settings.upstream_reuse != "never",
                names=names,
                via=via,
            )
        made.append(
            Way(
                pool=pools[connections],
                host=b"" if settings.preserve_host else to.authority,
                scheme=b"http" if to.tls is None else b"https",
                limits=plan.limits,
                name=plan.name,
            )
        )
    return tuple(made)


def _differs(route: RouteSettings) -> bool:
    return (
        route.upstream is not None
        or route.timeouts != PassingTimeoutSettings()
        or route.limits != PassingLimitSettings()
    )


def _plans(settings: PortalSettings, server: ServerSettings) -> list[_Plan]:
    return [
        _plan(settings, server, None),
        *(_plan(settings, server, route) for route in settings.routes if _differs(route)),
    ]


def _plan(settings: PortalSettings, server: ServerSettings, route: RouteSettings | None) -> _Plan:
    timeouts = [said.timeouts for said in (route, settings) if said is not None]
    sizes = [said.limits for said in (route, settings) if said is not None]

    def seconds(name: str) -> float:
        said = (getattr(each, name) for each in timeouts)
        found: timedelta = next(
            (value for value in said if value is not None), getattr(server.timeouts, name)
        )
        return found.total_seconds()

    def size(name: str) -> int:
        said = (getattr(each, name) for each in sizes)
        found: int = next((value for value in said if value is not None), getattr(server.limits, name))
        return found

    has_own_number = route is not None and route.limits.upstream_connections is not None
    return _Plan(
        name=route.path if route is not None else "",
        connections=_Connections(
            upstream=(route.upstream if route is not None else None) or settings.upstream,
            most=size("upstream_connections"),
            connect_timeout=seconds("connect"),
            idle_timeout=seconds("upstream_idle"),
            only_for=route.path if route is not None and has_own_number else "",
        ),
        limits=dataclasses.replace(
            limits(server),
            body_size=size("body_size"),
            body_timeout=seconds("body"),
            first_byte_timeout=seconds("first_byte"),
            whole_timeout=seconds("whole"),
        ),
    )


def _upstream(text: str, settings: PortalSettings, origin: str) -> Upstream:
    url = urlsplit("http://localhost" if text.startswith("unix:") else text)
    addresses = public_addresses(
        origin=origin, scheme=url.scheme, authority=url.netloc, preserves_host=settings.preserve_host
    )
    tolerated = frozenset[str](settings.tolerates)
    if text.startswith("unix:"):
        return Upstream(
            unix_path=text.removeprefix("unix:"),
            authority=url.netloc.encode(),
            addresses=addresses,
            tolerated=tolerated,
        )
    tls = None
    if url.scheme == "https":
        tls = ssl.create_default_context(cafile=settings.upstream_tls.ca_file)
        tls.set_alpn_protocols(["http/1.1"])
        if settings.upstream_tls.certificate_file is not None:
            tls.load_cert_chain(settings.upstream_tls.certificate_file, settings.upstream_tls.key_file)
    return Upstream(
        host=url.hostname or "",
        port=url.port or (443 if tls else 80),
        tls=tls,
        # The name belongs to one server. Another one is checked by the host of its own address.
        server_name=settings.upstream_tls.server_name if text == settings.upstream else None,
        authority=url.netloc.encode("ascii"),
        addresses=addresses,
        tolerated=tolerated,
    )
