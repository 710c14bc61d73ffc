"""PURE: checks of addresses and networks of clients and proxies."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address, ip_network

from authproxy.settings.findings import KeyPath, Remark, shown


def remarks(path: KeyPath, text: str) -> Iterator[Remark]:
    """Remarks about an address or a network."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        yield Remark(
            path=path,
            problem="is no address and no network",
            read=shown(text),
            valid="`10.1.2.3`, `10.1.2.0/24`, `fd00::/8`",
        )
        return
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        problem = "holds no address: an IPv4 address that is written as IPv6 counts as IPv4"
        yield Remark(path=path, problem=problem, read=shown(text), valid="`10.1.2.0/24`")
    elif ip_address(text.partition("/")[0]) != network.network_address:
        yield Remark(
            path=path, problem=f'has bits set beyond its prefix; did you mean "{network}"?', read=shown(text)
        )


def holds_everybody(text: str) -> bool:
    """Whether it is a network of all addresses of a family."""
    try:
        return ip_network(text, strict=False).prefixlen == 0
    except ValueError:
        return False


def holds_many(text: str) -> bool:
    """Whether it is larger than a network in which all machines could be front proxies: a /24, or a /64 of
    IPv6."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen < (64 if isinstance(network, IPv6Network) else 24)


def overlap(text: str, proxies: str) -> bool:
    """Whether the network shares addresses with a network of several proxies."""
    try:
        network, several = ip_network(text, strict=False), ip_network(proxies, strict=False)
    except ValueError:
        return False
    return several.num_addresses > 1 and network.overlaps(several)
