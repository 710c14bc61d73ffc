"""`authproxy machines`: the API keys of programs, while gateways run elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.command_audit import CommandAudit, audited_command, operator
from authproxy.bootstrap.stores import Stores, open_stores_of_command
from authproxy.identity.machine_client import KEY_SIZE, ApiKey, Network, key_id_of, key_text
from authproxy.identity.member import RegisterKey
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Event


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. Nobody can ask for its text again."""

    key: ApiKey
    text: str = field(repr=False)


class NameOfPerson(ValueError):  # noqa: N818
    """A person of the register has this id. Portals know people and programs by the same header."""


async def add_machine_key(
    settings: Settings,
    client_id: str,
    *,
    portals: Sequence[str],
    scopes: Sequence[str],
    networks: Sequence[Network],
    ends_at: datetime,
) -> IssuedKey:
    """Makes a key for a program. Raises NameOfPerson, and CannotAsk, also if it cannot be recorded."""
    async with open_stores_of_command(settings) as stores:
        if any(await stores.people.find([RegisterKey("id", client_id)])):
            raise NameOfPerson
        text = key_text(secrets.token_bytes(KEY_SIZE))
        key = ApiKey(
            key_id=key_id_of(text) or "",
            client_id=client_id,
            portals=tuple(portals),
            scopes=tuple(scopes),
            networks=tuple(networks),
            created_at=utc_now(),
            created_by=operator(),
            ends_at=ends_at,
        )
        async with audited_command(settings, stores.audit_queue, "machines add") as audit:
            await stores.machine_keys.add(key, now=utc_now())
            detail = f"{_named(key)}, for {' '.join(key.portals)}, until {key.ends_at:%Y-%m-%d}"
            await audit.record_change(Event.MACHINE_ADDED, method="machine", detail=detail)
        return IssuedKey(key, text)


async def list_machine_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """All keys, the newest first, also those that have ended a short time ago. Raises CannotAsk."""
    async with open_stores_of_command(settings) as stores:
        return await stores.machine_keys.every()


async def revoke_machine_key(settings: Settings, key_id: str) -> int:
    """Revokes one key; 0 if there was none. Raises CannotAsk, also if it cannot be recorded."""
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "machines revoke") as audit,
    ):
        key = await stores.machine_keys.find(key_id)
        return 0 if key is None else await _revoke(stores, audit, [key])


async def revoke_machine_keys_of(settings: Settings, client_id: str) -> int:
    """Revokes all keys of a program; how many there were. Raises CannotAsk, also if it cannot be recorded."""
    async with (
        open_stores_of_command(settings) as stores,
        audited_command(settings, stores.audit_queue, "machines revoke --client") as audit,
    ):
        keys = [key for key in await stores.machine_keys.every() if key.client_id == client_id]
        return await _revoke(stores, audit, keys)


async def _revoke(stores: Stores, audit: CommandAudit, keys: Sequence[ApiKey]) -> int:
    revoked: list[ApiKey] = []
    try:
        for key in keys:
            revoked += [key] if await stores.machine_keys.revoke(key.key_id) else []
    finally:  # what was revoked is written down, also if the store fails half-way
        for key in revoked:
            await audit.record_change(Event.MACHINE_REVOKED, method="machine", detail=_named(key))
    return len(revoked)


def _named(key: ApiKey) -> str:
    return f"{key.client_id}, key {key.key_id}"
