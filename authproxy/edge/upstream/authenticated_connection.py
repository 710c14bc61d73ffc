"""An upstream connection on which somebody has authenticated, and the one client connection and session that
may use it again.

NTLM and Negotiate authenticate a connection, not a request (RFC 4559 §5): a portal takes everything that
arrives on it afterwards for the same person. Such a connection never serves anybody else, not even the same
person over another connection.
"""

from __future__ import annotations

from authproxy.edge.upstream.connection import UpstreamConnection
from authproxy.edge.upstream.pool import UpstreamPool


class AuthenticatedConnection:
    """A client connection keeps this between two of its requests. A front proxy may send the requests of
    several people over one client connection, so only the session that has authenticated may use it again."""

    __slots__ = ("_connection", "_pool", "_ticket")

    def __init__(self, pool: UpstreamPool, connection: UpstreamConnection, ticket: str) -> None:
        self._pool = pool
        self._connection = connection
        self._ticket = ticket

    def taken(self, pool: UpstreamPool, ticket: str | None) -> UpstreamConnection | None:
        """The connection, if it leads there and belongs to this session. It is closed when another session
        comes."""
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
