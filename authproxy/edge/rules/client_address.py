"""PURE: the address of the client: the peer of the connection, or the address that a trusted proxy forwards
for.

X-Forwarded-For is read from the right. Trusted proxies are skipped, and the first other address is the
client. Whatever stands to the left of it may have been invented by the client. If the chain cannot be read,
the address is that of the last hop that could be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
LOCAL_PEER: Final = "local"
"""The peer of a Unix socket: a process that the permissions of the socket let in."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Networks of proxies whose forwarding headers are believed. A peer on a Unix socket is always
    believed."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> TrustedProxies:
        """From `address` or `address/prefix` texts; raises ValueError with the text that is neither."""
        return cls(tuple(ip_network(text, strict=False) for text in texts))

    def trusts(self, peer: str) -> bool:
        is_trusted = self._known.get(peer)
        if is_trusted is None:
            is_trusted = peer == LOCAL_PEER or self._is_listed(peer)
            if len(self._known) < 4096:
                self._known[peer] = is_trusted
        return is_trusted

    def _is_listed(self, peer: str) -> bool:
        address = read_address(peer)
        return address is not None and any(
            address in network for network in self.networks if network.version == address.version
        )

    def client(self, peer: str, forwarded_for: Iterable[bytes]) -> str:
        """The address of the client. The header is read only if the peer is trusted."""
        return self._read(peer, forwarded_for)[0]

    def is_nobody(self, peer: str, forwarded_for: Iterable[bytes]) -> bool:
        """Whether `client` is the address of a proxy, because that proxy does not say for whom it forwards,
        or says it unreadably. All of its users have this address, so limits for one client must not count
        it."""
        return not self._read(peer, forwarded_for)[1]

    def _read(self, peer: str, forwarded_for: Iterable[bytes]) -> tuple[str, bool]:
        """The address, and whether it is that of a client."""
        client = peer
        if not self.trusts(peer):
            return client, True
        hops = [hop for value in forwarded_for for hop in value.split(b",")]
        for hop in reversed(hops):
            address = read_address(hop.decode("latin-1").strip())
            if address is None:
                return client, False
            client = str(address)
            if not self.trusts(client):
                return client, True
        return client, bool(hops)


def peer_of(name: tuple[Any, ...]) -> str:
    """The address in the name of a TCP peer. A socket for both families shows IPv4 peers as mapped
    addresses."""
    address = str(name[0])
    return address.removeprefix("::ffff:") if "." in address else address


def read_address(text: str) -> Address | None:
    """An address with an optional port, as proxies write it (`192.0.2.1:4711`, `[2001:db8::1]:4711`,
    `::ffff:192.0.2.1`)."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
