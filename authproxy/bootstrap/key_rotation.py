"""`authproxy keys rotate`: the next key becomes the one that signs, with a record in the audit trail."""

from __future__ import annotations

from authproxy.assertions.keys import SigningKeyRing, demand_rotatable, rotate
from authproxy.bootstrap.command_audit import audited_command
from authproxy.bootstrap.keys import key_files
from authproxy.bootstrap.stores import open_stores_of_command
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Event


async def rotate_keys(settings: Settings) -> SigningKeyRing:
    """Rotates the keys that sign assertions; gateways use the new ones after a reload or a restart. Raises
    CannotAsk if it cannot be recorded, and KeyRefused for a file that is missing or cannot be used."""
    files = key_files(settings.assertions)
    # Before the command is announced: what cannot work is no event.
    demand_rotatable(files, settings.assertions.algorithm)
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "keys rotate") as audit,
    ):
        ring = rotate(files, settings.assertions.algorithm)
        await audit.record_change(Event.KEY_ROTATED, detail=ring.current.key_id)
    return ring
