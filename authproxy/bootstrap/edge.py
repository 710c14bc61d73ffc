"""The edge: portals with their connection pools, limits, and what records requests."""

from __future__ import annotations

import asyncio
import secrets
from typing import get_args

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.components import Components
from authproxy.bootstrap.keys import question_keys
from authproxy.bootstrap.portals import default_site, site
from authproxy.bootstrap.server import limits
from authproxy.bootstrap.ways import ways
from authproxy.edge.rules.client_address import TrustedProxies
from authproxy.edge.rules.connection_shares import ConnectionShares
from authproxy.edge.rules.via import Via
from authproxy.edge.site import FormKeeping, Gate, TurnClock
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.flows.held.requests import HeldRequests
from authproxy.settings.schema import FrontProxy
from authproxy.telemetry.access_log import AccessLog
from authproxy.telemetry.identifiers import Identifiers
from authproxy.telemetry.requests import RequestRecorder

_LOG_FLUSHED_WITHIN = 0.2


def make_gate(components: Components, pages_socket: str, held_requests: HeldRequests) -> Gate:
    """What every connection of a client needs. `pages_socket` is where the pages are. Its connections to
    portals are closed at the end: the process may go on with another gate."""
    server, portals = components.settings.server, components.portals.by_host
    clock, time = components.clock, asyncio.get_running_loop().time
    recorder = _recorder(components)
    via = Via(server.via)
    sites = {
        host: site(portal, of_portal, ways(portal, of_portal, server, names=components.names, via=via))
        for host, portal in portals.items()
        for of_portal in [components.settings.portals[portal.portal_id]]
    }
    gate = Gate(
        sites=sites,
        default_site=default_site(sites, server.default_portal),
        pages=UpstreamPool(
            Upstream(unix_path=pages_socket, authority=b"localhost"),
            upstream_connections=server.limits.upstream_connections,
            connect_timeout=server.timeouts.connect.total_seconds(),
            upstream_idle_timeout=server.timeouts.upstream_idle.total_seconds(),
            upstream_streams=server.limits.upstream_streams,
        ),
        access=components.access,
        trusted_proxies=TrustedProxies.of(server.trusted_proxies),
        unheard=frozenset(get_args(FrontProxy)) - frozenset(server.subrequests),
        question_keys=question_keys(server),
        leave_kept_for=int(server.subrequests_kept_for.total_seconds()),
        limits=limits(server),
        connections_per_address=ConnectionShares(server.limits.connections_per_address),
        connections_per_session=ConnectionShares(server.limits.connections_per_session),
        observer=recorder,
        form_keeping=FormKeeping(
            requests=held_requests, when_kept=recorder.held, when_released=recorder.released
        ),
        identifiers=Identifiers(secrets.token_bytes),
        # Only the real clock: one of a test may move at any moment.
        clock=TurnClock(clock, time) if clock is utc_now else clock,
        time=time,
        spawn=components.background.spawn,
        consents=components.consents,
        default_port=443 if all(portal.origin.startswith("https:") for portal in portals.values()) else 80,
    )
    for pool in (gate.pages, *(pool for of_host in sites.values() for pool in of_host.pools())):
        components.resources.callback(pool.close)
    return gate


def _recorder(components: Components) -> RequestRecorder:
    log = None
    if components.settings.telemetry.access_log:
        loop = asyncio.get_running_loop()
        log = AccessLog(
            components.outputs.log.stream("access"),
            clock=components.clock,
            later=lambda flush: loop.call_later(_LOG_FLUSHED_WITHIN, flush),
        )
        components.resources.callback(log.flush)
    return RequestRecorder(access_log=log, metrics=components.metrics, audit=components.audit)
