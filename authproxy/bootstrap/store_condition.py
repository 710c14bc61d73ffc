"""What `authproxy store check` tells: everything about the store that an operator may have to mend."""

from __future__ import annotations

import secrets
import time

from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.stores import open_stores_of_command
from authproxy.settings.schema import Settings
from authproxy.storage.redis import condition
from authproxy.storage.redis.condition import Aspect


async def examine_store(settings: Settings) -> list[Aspect]:
    """The aspects of the store's condition. Whatever `/readyz` says about the store is among them. Raises
    CannotAsk if the store does not answer at all, or refuses every question."""
    async with open_stores_of_command(settings) as stores:
        if stores.connection is None or stores.heartbeat is None:
            return []
        found = [
            await condition.latency(stores.connection, time.perf_counter),
            await condition.missing_rights(stores.connection, secrets.token_hex(8)),
            *await condition.aspects(stores.connection, clock=utc_now),
        ]
        told = {aspect.detail for aspect in found}
        try:
            warnings = await stores.warnings(stores.heartbeat)
        except CannotAsk as failure:
            return [*found, Aspect(name="gateway", detail=str(failure), is_warning=True, is_failure=True)]
        return found + [
            Aspect(name="gateway", detail=warning, is_warning=True)
            for warning in warnings
            if warning not in told
        ]
