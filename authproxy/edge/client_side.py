"""What exchanges, transfers and tunnels use of the client connection that they serve.

A Protocol, because `client/connection.py` creates exchanges and so stands above all of them. The connection
names it as its base: then a compiled call is direct, and costs a tenth.
"""

from __future__ import annotations

from typing import Protocol

from authproxy.edge.upstream.authenticated_connection import AuthenticatedConnection


class ClientSide(Protocol):
    __slots__ = ("authenticated_upstream", "is_trusted", "peer")

    peer: str
    """The address of the other end."""
    is_trusted: bool
    """Whether the peer is a proxy whose forwarding headers are believed."""
    authenticated_upstream: AuthenticatedConnection | None
    """The upstream connection on which somebody has authenticated over this client connection."""

    @property
    def may_stay(self) -> bool:
        """Whether the connection can be used again after the current answer."""
        ...

    @property
    def is_clogged(self) -> bool:
        """Whether the client does not take what was written to it."""
        ...

    def write(self, piece: bytes) -> None: ...
    def write_all(self, pieces: list[bytes]) -> None: ...
    def pause(self) -> None:
        """Stops reading: nobody can take more of the current request's body."""
        ...

    def resume(self) -> None: ...
    def become_tunnel(self) -> None:
        """The portal has switched protocols: what arrives is for the exchange's tunnel from now on."""
        ...

    def ended(self, *, keeps_alive: bool) -> None:
        """The current exchange is over."""
        ...

    def abort(self) -> None:
        """Cuts the connection."""
        ...
