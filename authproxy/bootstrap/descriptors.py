"""File descriptors: how many the system allows, and whether they suffice for the limits of the settings."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass

from authproxy.bootstrap.ways import connection_limits
from authproxy.settings.schema import Settings
from authproxy.web.management import Check

_CERTIFICATE_CONNECTIONS = 2000
"""The limit of the certificate listener (`web/certificate_listener/tls.py`)."""
_REST = 256
"""For the store, the provider, revocation, messages, listeners, files, and the management listener."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """`limit` is how many descriptors this process may have, `needed` how many it may come to need."""

    limit: int
    needed: int
    connections: int
    """`server.limits.connections`."""
    streams: int = 0
    """The part of `needed` that is for WebSockets and event streams. None of them are reserved."""

    @property
    def are_enough(self) -> bool:
        return self.limit >= self.needed

    @property
    def last_for_clients(self) -> int:
        """The highest descriptor that a client's connection may have; 0 for no limit. The system always gives
        the lowest free one, so all above it, at least half, stay free for portals and the store."""
        if self.are_enough:
            return 0
        return self.limit - max(min(self.needed - self.connections - self.streams, self.limit // 2), 1)

    @property
    def problem(self) -> str:
        return (
            f"this process may open {self.limit} files and sockets, and {self.connections} connections with "
            f"what belongs to them need {self.needed}: raise its limit (LimitNOFILE=, ulimit -n) or lower "
            "server.limits"
        )

    async def check(self) -> Check:
        if self.are_enough:
            return Check(status="ok", detail=f"{self.limit} allowed, at most {self.needed} needed")
        return Check(status="warning", detail=self.problem)


def raise_limit() -> None:
    """Raises the soft limit of this process to the hard one. The usual 1024 exist for programs that use
    select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors(settings: Settings) -> Descriptors:
    limits = settings.server.limits
    to_portals = [
        most for portal in settings.portals.values() for most in connection_limits(portal, settings.server)
    ]
    requests, streams = sum(to_portals), len(to_portals) * limits.upstream_streams
    # Every connection to a portal serves a client's connection, so there are no more of them. A connection to
    # our pages has both ends in this process and counts twice.
    requests = min(requests, limits.connections)
    streams = min(streams, limits.connections - requests)
    needed = limits.connections + requests + streams + 2 * limits.upstream_connections + _REST
    if settings.acnlb is not None and settings.acnlb.presented_by == "listener":
        needed += _CERTIFICATE_CONNECTIONS
    return Descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0], needed, limits.connections, streams)
