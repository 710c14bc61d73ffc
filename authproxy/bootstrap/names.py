"""The resolver by which the gateway finds the addresses of others, made from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authproxy.dns.resolver import Resolver
from authproxy.settings.schema import Settings


@asynccontextmanager
async def resolver(settings: Settings) -> AsyncIterator[Resolver]:
    """The resolver. All its open questions end with the block."""
    names = Resolver(servers=settings.server.resolvers)
    try:
        yield names
    finally:
        await names.aclose()
