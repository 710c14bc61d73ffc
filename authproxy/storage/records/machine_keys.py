"""PURE: the JSON inside sealed records of API keys, by the rules of `records.sessions`."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Final

from authproxy.identity.machine_client import ApiKey
from authproxy.storage.records.values import (
    UNREADABLE,
    newer_in,
    octets_of,
    time_in,
    time_text,
    with_newer,
)

_KEY: Final = frozenset(
    ["id", "client", "portals", "scopes", "networks", "created_at", "created_by", "ends_at"]
)


def machine_key_octets(key: ApiKey) -> bytes:
    fields = {
        "id": key.key_id,
        "client": key.client_id,
        "portals": key.portals,
        "scopes": key.scopes,
        "networks": [str(network) for network in key.networks],
        "created_at": time_text(key.created_at),
        "created_by": key.created_by,
        "ends_at": time_text(key.ends_at),
    }
    return octets_of(with_newer(fields, key.newer_fields))


def machine_key_in(octets: bytes) -> ApiKey | None:
    """None for a record that does not say where its key may be used, from where, and until when: such a key
    lets nobody in."""
    try:
        fields = json.loads(octets)
        return ApiKey(
            key_id=fields["id"],
            client_id=fields["client"],
            portals=tuple(fields["portals"]),
            scopes=tuple(fields["scopes"]),
            networks=tuple(map(ip_network, fields["networks"])),
            created_at=time_in(fields["created_at"]),
            created_by=fields["created_by"],
            ends_at=time_in(fields["ends_at"]),
            newer_fields=newer_in(fields, _KEY),
        )
    except UNREADABLE:
        return None
