"""PURE: the name under which requests, connections and answers of a client address are counted."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import Final

_HOUSEHOLD: Final = 64
"""Prefix length of the IPv6 network that one customer has. Within it they can use any number of addresses."""


def network_of(address: str) -> str:
    """The /64 network of an IPv6 address. An IPv4 address is its own name, also if written as IPv6
    (`::ffff:192.0.2.1`). A text that is not an address is its own name, too."""
    if ":" not in address:
        return address
    try:
        read = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(read.ipv4_mapped or ip_network((read, _HOUSEHOLD), strict=False))
