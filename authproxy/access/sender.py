"""PURE: who sent a request, as far as a decision asks."""

from __future__ import annotations

from collections.abc import Sequence


class Sender:
    """The ticket that came with a request, the address that it came from, and what a program has sent instead
    of a ticket."""

    __slots__ = ("_address", "_authorization", "request_id", "ticket")

    def __init__(
        self, ticket: str | None = None, *, address: str = "", authorization: Sequence[bytes] = ()
    ) -> None:
        self.ticket = ticket
        """As the cookie says it. Only the store knows whether it opens a session."""
        self._address = address
        self._authorization = authorization
        self.request_id = ""

    @property
    def address(self) -> str:
        """The client's address as the trusted proxies tell it; empty if a proxy does not say for whom it
        forwards. Only routes that demand a network ask for it."""
        return self._address

    @property
    def authorization(self) -> Sequence[bytes]:
        """The values of `Authorization`. Only portals that let programs in ask for them."""
        return self._authorization
