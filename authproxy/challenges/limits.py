"""PURE: the names under which the store counts wrong answers and messages, and the limit on messages that the
store keeps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from authproxy.access.client_networks import network_of

ADDRESS = "address:"
"""The prefix of an address's name. Many people may share an address, so the store allows it more wrong
answers than a person."""


class RateLimits(Protocol):
    """Counts for all instances together, in the store. Raises CannotAsk."""

    async def reserve(self, name: str, *, pause: timedelta, per_hour: int, now: datetime) -> datetime | None:
        """Counts one use of `name` and returns None if it is allowed now; otherwise counts nothing and
        returns when the next use is allowed."""
        ...


def person_name(owner: tuple[str, ...]) -> str:
    """`owner` is `enrolment.owner_of` the person."""
    return "person:" + "\0".join(owner)


def address_name(address: str) -> str:
    """Counts an IPv6 address by its /64: whoever has one address there has all of them."""
    return ADDRESS + network_of(address)
