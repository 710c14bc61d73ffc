"""Which proofs that were given for one request have been used, in Redis: of many who use one at the same
moment, one may."""

from __future__ import annotations

from typing import Final

from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection

_SPAN: Final = values.span_in_milliseconds(retention.USED_PROOF_REMEMBERED_FOR)


class RedisUsedProofs:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. Proofs are named by their hash without a key, so that instances with keys in another order
    agree."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def use(self, proof: str) -> bool:
        """Whether this is the first time. It is remembered much longer than a proof is good."""
        return await self._connection.ask("SET", _key(proof), 1, "NX", "PX", _SPAN) is not None

    async def is_used(self, proof: str) -> bool:
        return await self._connection.ask("GET", _key(proof)) is not None

    async def give_back(self, proof: str) -> None:
        """The request that it was used for has not been sent."""
        await self._connection.ask("DEL", _key(proof))


def _key(proof: str) -> str:
    return keyspace.used_proof(keyspace.proof_name(proof))
