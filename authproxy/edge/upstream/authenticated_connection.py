"""An upstream connection on which somebody has authenticated, and the one client connection and session that
may use it again.

RFC 4559 §5: NTLM and Negotiate authenticate a connection, not a request. The portal takes everything that
arrives on it afterwards for the same person's. So such a connection never serves anybody else, nor the same
person over another client connection.
"""

from __future__ import annotations

from authproxy.edge.upstream.connection import UpstreamConnection
from authproxy.edge.upstream.pool import UpstreamPool


class AuthenticatedConnection:
    """A client connection keeps this between two of its requests. Only the session that has authenticated may
    use it again, because a front proxy may send the requests of several people over one client connection."""

    __slots__ = ("_connection", "_pool", "_ticket")

    def __init__(self, pool: UpstreamPool, connection: UpstreamConnection, ticket: str) -> None:
        self._pool = pool
        self._connection = connection
        self._ticket = ticket

    def take(self, pool: UpstreamPool, ticket: str | None) -> UpstreamConnection | None:
        """The connection, if it leads to the portal of `pool` and belongs to this session. Another session
        closes it."""
        if pool is not self._pool:
            return None
        if ticket != self._ticket:
            self.close()
            return None
        return self._connection if pool.take_authenticated(self._connection) else None

    def has(self, connection: UpstreamConnection) -> bool:
        return connection is self._connection

    def close(self) -> None:
        self._pool.drop_authenticated(self._connection)
