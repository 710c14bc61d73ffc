"""What the gateway says about itself to `authproxy doctor`: nothing that is a secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from authproxy import __version__
from authproxy.access.routes import Portal
from authproxy.assertions.keys import KeyRefused
from authproxy.bootstrap.components import Components
from authproxy.bootstrap.keys import key_files, signing_keys
from authproxy.web.management import Check


async def _nothing() -> Mapping[str, Check]:
    return {}


class GatewayDiagnosis:
    """`checks` are those of `/readyz`, which are made after the pages."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self.checks: Callable[[], Awaitable[Mapping[str, Check]]] = _nothing

    async def of(self, portal_id: str) -> Mapping[str, object]:
        """For one portal. What names servers is about all of them, because one that can be reached past the
        gateway is a hole whichever portal it is."""
        components = self._components
        settings = components.settings
        provider = components.provider.health(components.clock())
        checks = await self.checks()
        return {
            "version": __version__,
            "workers": settings.server.workers,
            "issuer": settings.assertions.issuer,
            "assertion_seconds": settings.assertions.lifetime.total_seconds(),
            "checks": {name: asdict(check) for name, check in checks.items()},
            "keys": self._keys(),
            "listen": [] if settings.server.tls else _over_tcp(settings.server.listen),
            "subrequests": list(settings.server.subrequests),
            "provider": {"seconds_ahead": provider.seconds_ahead},
            "portals": [
                {
                    "id": portal.portal_id,
                    "url": portal.origin,
                    "servers": _servers(settings.portals[portal.portal_id].upstream, portal),
                }
                for portal in components.portals.by_host.values()
            ],
            "routes": [
                {"path": route.path, "methods": list(route.methods), "access": route.access}
                for portal in components.portals.by_host.values()
                if portal.portal_id == portal_id
                for route in portal.routes
            ],
        }

    def _keys(self) -> list[dict[str, object]]:
        """The assertion keys of the settings, with the age of their files."""
        settings, now = self._components.settings.assertions, self._components.clock().timestamp()
        try:
            ring = signing_keys(settings)
        except KeyRefused:
            return []
        files = key_files(settings)
        roles = (
            ("current", ring.current, files.current),
            ("next", ring.upcoming, files.upcoming),
            ("retiring", ring.retiring, files.retiring),
        )
        return [
            {"role": role, "id": key.key_id, "seconds": _age(file, now)}
            for role, key, file in roles
            if key is not None and file is not None
        ]


def _age(file: Path, now: float) -> float | None:
    try:
        return max(0.0, now - file.stat().st_mtime)
    except OSError:
        return None


def _over_tcp(addresses: Iterable[str]) -> list[str]:
    return [address for address in addresses if not address.startswith("unix:")]


def _servers(own: str | None, portal: Portal) -> list[str]:
    """The servers of a portal and of its routes, each once."""
    return list(
        dict.fromkeys(server for server in (own, *(route.upstream for route in portal.routes)) if server)
    )
