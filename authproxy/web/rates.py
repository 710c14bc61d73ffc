"""PURE: how many requests of a kind one address may send within a minute. Limited are requests for which
another party is asked or something is stored. Every instance counts for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final, Literal

from authproxy.challenges.limits import address_name

Kind = Literal["sign_ins", "callbacks", "logout_tokens", "codes", "machines"]
_WINDOW: Final = timedelta(minutes=1)
_MOST_ADDRESSES: Final = 20_000
_UNKNOWN: Final = frozenset({"", "local"})
"""Clients behind a front proxy that does not name them. Under one limit they would shut each other out."""


@dataclass(frozen=True, slots=True)
class Rates:
    """`per_minute` is how many requests of each kind are answered; 0 or no entry means any number.

    A minute's worth may come at once, and becomes free again evenly within a minute: the generic cell rate
    algorithm, which stores one moment for each address. Of an IPv6 address the first 64 bits count. The last
    20,000 addresses of each kind are remembered.
    """

    per_minute: Mapping[Kind, int]
    _free_at: dict[Kind, dict[str, datetime]] = field(default_factory=dict, init=False, repr=False)
    """By kind and address: when the whole minute's worth is free again."""

    def wait(self, kind: Kind, client: str, now: datetime) -> int | None:
        """None if a request from this address may be answered now, otherwise the seconds until one may."""
        most = self.per_minute.get(kind, 0)
        if not most or client in _UNKNOWN:
            return None
        too_early = self._free(kind, address_name(client), now) + _WINDOW / most - _WINDOW - now
        return None if too_early <= timedelta() else max(ceil(too_early.total_seconds()), 1)

    def count(self, kind: Kind, client: str, now: datetime) -> None:
        """Counts a request that is answered."""
        most = self.per_minute.get(kind, 0)
        if not most or client in _UNKNOWN:
            return
        name = address_name(client)
        counted = self._free_at.setdefault(kind, {})
        free = self._free(kind, name, now)
        counted.pop(name, None)  # so that it becomes the newest entry
        counted[name] = free + _WINDOW / most
        if len(counted) > _MOST_ADDRESSES:
            del counted[next(iter(counted))]

    def _free(self, kind: Kind, name: str, now: datetime) -> datetime:
        free = self._free_at.get(kind, {}).get(name, now)
        # Everything is free again within a minute. A later moment means that the clock was set back.
        return now if free > now + _WINDOW + timedelta(seconds=1) else max(free, now)
