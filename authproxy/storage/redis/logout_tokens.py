"""Logout tokens that were received, in Redis: a token with the same `jti` is not accepted twice (OpenID
Connect Back-Channel Logout 1.0 section 2.6, step 8)."""

from __future__ import annotations

from datetime import datetime

from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection


class RedisLogoutTokens:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def take(self, issuer: str, token_id: str, *, now: datetime) -> bool:  # noqa: ARG002  (time to live is a span here)
        """Whether this caller is the first to have the token. It is remembered for four seconds, and longer
        only if `keep` follows."""
        held_for = values.span_in_milliseconds(retention.LOGOUT_TOKEN_HELD_FOR)
        return (
            await self._connection.ask(
                "SET", keyspace.logout_token(issuer, token_id), 1, "NX", "PX", held_for
            )
            is not None
        )

    async def keep(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> None:
        """Remembers the token until `until`, but for four seconds at least."""
        held_for = values.span_in_milliseconds(max(until - now, retention.LOGOUT_TOKEN_HELD_FOR))
        await self._connection.confirmed(
            [("SET", keyspace.logout_token(issuer, token_id), 1, "PX", held_for)]
        )
