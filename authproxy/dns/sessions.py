"""Makes the resolver available to aiohttp's client sessions."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from authproxy.dns.resolver import Resolver

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class SessionResolver(AbstractResolver):
    """For `TCPConnector(resolver=…, use_dns_cache=False)`. The resolver keeps answers itself."""

    def __init__(self, names: Resolver | None = None) -> None:
        """Without `names` it creates a resolver, and closes it in `close`."""
        self._names = names or Resolver()
        self._is_own = names is None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [(address, _family(address)) for address in await self._names.addresses(host)]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=its_family, proto=0, flags=_NUMERIC)
            for address, its_family in found
            if family in {socket.AF_UNSPEC, its_family}
        ]

    async def close(self) -> None:
        if self._is_own:
            await self._names.aclose()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
