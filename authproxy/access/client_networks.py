"""PURE: the networks of client addresses: the one under which requests, connections and answers of an address
are counted, and those from which a route may be asked."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

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


def is_in(networks: Iterable[Network], address: str) -> bool:
    """Whether the address belongs to one of the networks. An IPv4 address that is written as IPv6 counts as
    what it is. A text that is not an address belongs to none."""
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = read.ipv4_mapped if isinstance(read, IPv6Address) else None
    return any((mapped or read) in network for network in networks)
