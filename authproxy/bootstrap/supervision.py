"""The management listener: what supervisors and monitoring systems are told of the parts."""

from __future__ import annotations

from aiohttp import web

from authproxy.bootstrap import meanings
from authproxy.bootstrap.own_certificates import OwnCertificates
from authproxy.bootstrap.parts import Parts
from authproxy.edge.client.listener import Listener
from authproxy.edge.site import Gate
from authproxy.web.management import WARNING_ONLY, Check, management

TIME_LIMITS = "time_limits"
"""The permanent task that enforces time limits. While it rests, the gateway is not ready."""
ENDS_WITHIN = 0.5
"""Seconds that answers of our own applications may take once everything else has ended; then they are
cancelled."""
_BACKLOG = 128


async def serve_management(
    parts: Parts, listener: Listener, gate: Gate, own: OwnCertificates
) -> tuple[str, int] | None:
    """Opens the management listener; its host and port, or None on a Unix socket."""

    async def check_provider() -> Check:
        health = parts.provider.health(parts.clock())
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
        return Check(status="ok", detail=f"{len(parts.signer.jwks()['keys'])} keys published")

    async def check_names() -> Check:
        troubles = parts.names.troubles
        detail = "; ".join(f"{name}: {said}" for name, said in sorted(troubles.items()))
        return Check(status="warning" if troubles else "ok", detail=detail[:500] or "all answered")

    kept = parts.background.checks
    built = management(
        checks={
            "store": parts.stores.check,
            "provider": check_provider,
            "signer": check_signer,
            "listener": check_listener,
            "names": check_names,
            "descriptors": parts.descriptors.check,
            "log": parts.writing.check_log,
            "audit": parts.writing.check_audit,
            **kept,
            **({"own_certificates": own.check} if own.are_there else {}),
            **({} if parts.delivery.sms is None else {"sms": parts.delivery.check_sms}),
            **({} if parts.delivery.mail is None else {"mail": parts.delivery.check_mail}),
            **({} if parts.delivery.onepass is None else {"onepass": parts.delivery.check_onepass}),
            **({} if parts.certificates is None else {"revocation": parts.certificates.check}),
            **({} if parts.accounts is None else {"accounts": parts.accounts.check}),
        },
        is_draining=lambda: listener.is_draining,
        exposition=lambda accept: _exposition(parts, listener, gate, own, accept),
        warning_only=WARNING_ONLY | (kept.keys() - {TIME_LIMITS}),
    )
    runner = web.AppRunner(built, access_log=None, handle_signals=False, shutdown_timeout=ENDS_WITHIN)
    await runner.setup()
    parts.resources.push_async_callback(runner.cleanup)
    bound = parts.bound[meanings.management_address(parts.settings)]
    for listening in bound.sockets:
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
    bound.publish()
    name = bound.sockets[0].getsockname()
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _exposition(
    parts: Parts, listener: Listener, gate: Gate, own: OwnCertificates, accept: str
) -> tuple[bytes, str]:
    """What others count for themselves is fetched when somebody looks."""
    metrics = parts.metrics
    metrics.connections[()] = listener.connection_count
    metrics.tunnels[()] = listener.tunnel_count
    metrics.connections_refused[("limit",)] = listener.refused_at_limit
    metrics.connections_refused[("descriptors",)] = listener.refused_without_descriptor
    parts.background.count(metrics)
    for portal, pool in (
        ("", gate.pages),
        *((site.portal.portal_id, site.pool) for site in gate.sites.values()),
    ):
        use = pool.use
        for state, count in (
            ("in_use", use.in_use),
            ("idle", use.idle),
            ("long", use.long),
            ("waiting", use.waiting),
        ):
            metrics.upstream_connections[portal, state] = count
        metrics.upstream_unasked[(portal,)] = pool.unasked
    metrics.near_cache_lookups[("hit",)] = parts.access.hits
    metrics.near_cache_lookups[("miss",)] = parts.access.misses
    parts.writing.count(metrics)
    metrics.store_errors[()] = parts.stores.connection.failures if parts.stores.connection is not None else 0
    metrics.fail_open["tunnel",] = parts.access.let_go_on
    for record, number in parts.stores.unreadable.items():
        metrics.store_unreadable[(record,)] = number
    metrics.name_questions["answered",] = parts.names.answered
    metrics.name_questions["failed",] = parts.names.failed
    metrics.names_stale[()] = parts.names.stale
    parts.delivery.count(metrics)
    own.count(metrics)
    if parts.certificates is not None:
        parts.certificates.count(metrics)
    if parts.accounts is not None:
        parts.accounts.count(metrics)
    return metrics.exposition(accept)
