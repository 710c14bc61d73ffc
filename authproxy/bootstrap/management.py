"""The management listener: readiness and metrics, put together from all components."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from authproxy.bootstrap.components import Components
from authproxy.bootstrap.own_certificates import OwnCertificates
from authproxy.bootstrap.reloads import SETTINGS, Reloads
from authproxy.bootstrap.server import management_address
from authproxy.edge.client.listener import Listener
from authproxy.edge.site import Gate
from authproxy.web.management import WARNING_ONLY, Check, Checks, checked, management

TIME_LIMITS = "time_limits"
"""The task that enforces time limits. While it rests after a failure, the gateway is not ready."""
ENDS_WITHIN = 0.5
"""Seconds that requests to our own applications may still take at the end; then they are cancelled."""
ASKS_WITHIN = 0.1
"""Seconds that whoever has just connected has for a request, when one of these listeners ends. A client that
connected before the end would otherwise see its connection closed without an answer."""
_BACKLOG = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementListener:
    """`address` is its host and port; None on a Unix socket."""

    address: tuple[str, int] | None
    stop: Callable[[], Awaitable[None]]
    """Stops listening, and then closes its connections, `ASKS_WITHIN` later. May be called again."""
    exposition: Callable[[], str]
    """The metrics of this gateway alone."""
    checks: Callable[[], Awaitable[Mapping[str, Check]]]
    """The results of what `/readyz` checks."""


async def serve_management(
    components: Components,
    listener: Listener,
    gate: Gate,
    own_certificates: OwnCertificates,
    reloads: Reloads | None,
) -> ManagementListener:
    """Opens the management listener."""

    def own(accept: str) -> tuple[bytes, str]:
        return _exposition(components, listener, gate, own_certificates, accept)

    def text() -> str:
        return own("")[0].decode()

    checks = _checks(components, listener, own_certificates, reloads)
    warning_only = WARNING_ONLY | (components.background.checks.keys() - {TIME_LIMITS}) | {SETTINGS}
    built = management(
        checks=checks,
        is_draining=lambda: listener.is_draining and not listener.is_handed_over,
        exposition=own if reloads is None else reloads.counts.added_to(own),
        warning_only=warning_only,
    )
    runner = web.AppRunner(built, access_log=None, handle_signals=False, shutdown_timeout=ENDS_WITHIN)
    await runner.setup()
    closing = AsyncExitStack()
    closing.push_async_callback(runner.cleanup)
    components.resources.push_async_callback(closing.aclose)
    bound = components.bound[management_address(components.settings.server)]
    for listening in bound.sockets:
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
    bound.publish()
    name = bound.sockets[0].getsockname()
    address = (name[0], name[1]) if isinstance(name, tuple) else None

    async def stop() -> None:
        for site in list(runner.sites):
            await site.stop()
        await asyncio.sleep(ASKS_WITHIN)
        await closing.aclose()

    return ManagementListener(
        address=address,
        stop=stop,
        exposition=text,
        checks=lambda: checked(checks, warning_only),
    )


def _checks(
    components: Components, listener: Listener, own_certificates: OwnCertificates, reloads: Reloads | None
) -> Checks:
    """Those of counterparts that the settings leave out are left out."""

    async def check_provider() -> Check:
        health = components.provider.health(components.clock())
        if health.metadata_known and health.usable_keys and health.last_error is None:
            return Check(status="ok", detail=f"{health.usable_keys} usable keys")
        return Check(status="failed", detail=health.last_error or "not asked yet")

    async def check_listener() -> Check:
        if listener.lost_addresses:
            lost = ", ".join(listener.lost_addresses)
            return Check(
                status="failed",
                detail=f"{lost} is no longer our socket (removed or replaced by somebody): restart the "
                "gateway",
            )
        return Check(status="ok", detail=f"{listener.connection_count} connections")

    async def check_signer() -> Check:
        return Check(status="ok", detail=f"{len(components.signer.jwks()['keys'])} keys published")

    async def check_names() -> Check:
        failures = components.names.unanswered_names
        detail = "; ".join(f"{name}: {failure}" for name, failure in sorted(failures.items()))
        return Check(status="warning" if failures else "ok", detail=detail[:500] or "all answered")

    return {
        "store": components.stores.check,
        **({} if reloads is None else {SETTINGS: reloads.check}),
        "provider": check_provider,
        "signer": check_signer,
        "listener": check_listener,
        "names": check_names,
        "descriptors": components.descriptors.check,
        "log": components.outputs.check_log,
        "audit": components.outputs.check_audit,
        **components.background.checks,
        **({"own_certificates": own_certificates.check} if own_certificates.are_there else {}),
        **components.delivery.checks,
        **({} if components.certificates is None else {"revocation": components.certificates.check}),
        **({} if components.accounts is None else {"accounts": components.accounts.check}),
        **({} if components.machines is None else {"machines": components.machines.check}),
    }


def _exposition(
    components: Components,
    listener: Listener,
    gate: Gate,
    own_certificates: OwnCertificates,
    accept: str,
) -> tuple[bytes, str]:
    """Copies what components count themselves into the metrics, and writes them out."""
    metrics = components.metrics
    metrics.connections[()] = listener.connection_count
    metrics.tunnels[()] = listener.tunnel_count
    metrics.connections_refused[("limit",)] = listener.refused_at_limit
    metrics.connections_refused[("descriptors",)] = listener.refused_without_descriptor
    components.background.count(metrics)
    for portal, route, pool in (
        ("", "", gate.pages),
        *(
            (site.portal.portal_id, route, pool)
            for site in gate.sites.values()
            for pool, route in site.pools().items()
        ),
    ):
        use = pool.use
        for state, count in (
            ("in_use", use.in_use),
            ("idle", use.idle),
            ("long", use.long),
            ("waiting", use.waiting),
        ):
            metrics.upstream_connections[portal, state, route] = count
        metrics.upstream_unasked[portal, route] = pool.unasked
    metrics.near_cache_lookups[("hit",)] = components.access.hits
    metrics.near_cache_lookups[("miss",)] = components.access.misses
    components.outputs.count(metrics)
    connection = components.stores.connection
    metrics.store_errors[()] = connection.failures if connection is not None else 0
    metrics.fail_open["tunnel",] = components.access.kept_open
    for record, number in components.stores.unreadable.items():
        metrics.store_unreadable[(record,)] = number
    metrics.name_questions["answered",] = components.names.answered
    metrics.name_questions["failed",] = components.names.failed
    metrics.names_stale[()] = components.names.stale
    components.delivery.count(metrics)
    own_certificates.count(metrics)
    if components.certificates is not None:
        components.certificates.count(metrics)
    if components.accounts is not None:
        components.accounts.count(metrics)
    return metrics.exposition(accept)
