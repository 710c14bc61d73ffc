"""PURE: under which names wrong answers and messages are counted: of the person who answers, and of the
address they answer from."""

from __future__ import annotations

from authproxy.access.client_networks import network_of

ADDRESS = "address:"
"""How the name of an address begins: addresses are shared, and other limits hold for them."""


def person_name(owner: tuple[str, ...]) -> str:
    """`owner` is `enrolment.owner_of` the person."""
    return "person:" + "\0".join(owner)


def address_name(address: str) -> str:
    """Of IPv6 the network of 64 bits counts: whoever has one address there has all of them."""
    return ADDRESS + network_of(address)
