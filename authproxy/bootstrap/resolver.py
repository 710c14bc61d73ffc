"""Finds the addresses of portals, stores and other counterparts, with the name servers of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authproxy.dns.resolver import Resolver
from authproxy.settings.schema import Settings


@asynccontextmanager
async def open_resolver(settings: Settings) -> AsyncIterator[Resolver]:
    """Closes the resolver, and with it every open question, at the end of the block."""
    names = Resolver(servers=settings.server.resolvers)
    try:
        yield names
    finally:
        await names.aclose()
