"""Whom the gateway asks for the addresses of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authproxy.dns.resolver import Resolver
from authproxy.settings.schema import Settings


@asynccontextmanager
async def resolver(settings: Settings) -> AsyncIterator[Resolver]:
    """The resolver of the settings; at the end all its questions end."""
    names = Resolver(servers=settings.server.resolvers)
    try:
        yield names
    finally:
        await names.aclose()
