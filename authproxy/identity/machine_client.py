"""PURE: programs that come in without a person (machine clients), and the API keys that operators give them.

An API key is a fixed prefix and 256 random bits. The prefix lets scanners find a key that has leaked into a
repository or a log. The store knows a key only by a hash. Plain SHA-256 is enough for that: slow hashes and
salts protect secrets that can be guessed, and nobody guesses 256 random bits. A keyed hash would make every
key unusable when the key of the hash changes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

KEY_PREFIX: Final = "authproxy_"
KEY_SIZE: Final = 32
"""Random bytes of an API key."""
_KEY: Final = re.compile(KEY_PREFIX + r"[0-9a-f]{64}", re.ASCII)
_ID_DIGITS: Final = 32

Credential = Literal["token", "key"]
"""How a machine client shows who it is: an access token of the issuer, or an API key."""
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What the store knows of an API key. `key_id` is its public name, which gives no access."""

    key_id: str
    client_id: str
    portals: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    """Where requests with this key may come from; empty for anywhere."""
    created_at: datetime
    created_by: str
    ends_at: datetime
    newer_fields: str = field(default="", repr=False, compare=False)
    """As in `Session`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineClient:
    """A program whose credential is genuine. It has no level, and no route lets it in that does not name
    programs."""

    client_id: str
    """The subject that portals see."""
    credential: Credential
    scopes: frozenset[str]
    ends_at: datetime
    """When the credential is over."""
    key: ApiKey | None = None
    """The API key; None for an access token."""


def key_text(random: bytes) -> str:
    """The API key that these random bytes make: 74 characters that need no quoting anywhere."""
    if len(random) != KEY_SIZE:
        raise ValueError("an API key has 32 random bytes")
    return KEY_PREFIX + random.hex()


def key_id_of(text: str) -> str | None:
    """The public name of an API key; None for a text that is no key. It is the beginning of a hash, 128 bits
    long, and a key with a given name cannot be found."""
    if _KEY.fullmatch(text) is None:
        return None
    return hashlib.sha256(b"authproxy machine key\0" + text.encode()).hexdigest()[:_ID_DIGITS]
