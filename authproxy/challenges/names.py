"""PURE: under which names wrong answers and messages are counted: of the person who answers, and of the address they answer from."""

from __future__ import annotations

import ipaddress

ADDRESS = "address:"
"""How the name of an address begins: addresses are shared, and other limits hold for them."""
_NETWORK_OF_ONE_HOUSEHOLD = 64


def person_name(owner: tuple[str, ...]) -> str:
    """`owner` is `enrolment.owner_of` the person."""
    return "person:" + "\0".join(owner)


def address_name(address: str) -> str:
    """Of IPv6 the /64: whoever has one address there has all of them. What is no address is a name by itself."""
    try:
        read = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ADDRESS + address
    if isinstance(read, ipaddress.IPv6Address):
        if read.ipv4_mapped is None:
            return f"{ADDRESS}{ipaddress.ip_network((read, _NETWORK_OF_ONE_HOUSEHOLD), strict=False)}"
        read = read.ipv4_mapped
    return f"{ADDRESS}{read}"
