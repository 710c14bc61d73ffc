"""PURE: who sent a request, as far as a decision asks."""

from __future__ import annotations


class Sender:
    """The ticket that came with a request, and the address that it came from."""

    __slots__ = ("_address", "ticket")

    def __init__(self, ticket: str | None = None, *, address: str = "") -> None:
        self.ticket = ticket
        """As the cookie says it. Only the store knows whether it opens a session."""
        self._address = address

    @property
    def address(self) -> str:
        """The client's address as the trusted proxies tell it; empty if a proxy does not say for whom it
        forwards. Only routes that demand a network ask for it."""
        return self._address
