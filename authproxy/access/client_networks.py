"""PURE: under which name the requests, connections and answers of a client address are counted."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import Final

_HOUSEHOLD: Final = 64
"""Bits of an IPv6 network that one customer has, and in which everybody may choose addresses at will."""


def network_of(address: str) -> str:
    """Of IPv6 the network of 64 bits. An IPv4 address is its own name, also written as IPv6
    (`::ffff:192.0.2.1`); so is a text that is no address."""
    if ":" not in address:
        return address
    try:
        read = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(read.ipv4_mapped or ip_network((read, _HOUSEHOLD), strict=False))
