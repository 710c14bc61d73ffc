"""Which proofs for one request have been used, in Redis. If many use the same proof at once, one of them
may."""

from __future__ import annotations

from typing import Final

from authproxy.storage import retention
from authproxy.storage.records import values
from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.connection import RedisConnection

_SPAN: Final = values.span_in_milliseconds(retention.USED_PROOF_REMEMBERED_FOR)


class RedisUsedProofs:
    """Every method raises CannotAsk(STORE_UNAVAILABLE) within the connection's deadline when the store cannot
    be asked. Names are hashes of proofs without a key, so that instances agree while their first keys
    differ."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def use(self, proof: str) -> bool:
        """Whether the proof was not used before. Its use is remembered for much longer than it is good."""
        [is_new] = await self._connection.confirmed([("SET", _key(proof), 1, "NX", "PX", _SPAN)])
        return is_new is not None

    async def is_used(self, proof: str) -> bool:
        return await self._connection.ask("GET", _key(proof)) is not None

    async def give_back(self, proof: str) -> None:
        """Makes the proof unused again, because its request was not sent."""
        await self._connection.ask("DEL", _key(proof))


def _key(proof: str) -> str:
    return keyspace.used_proof(keyspace.proof_name(proof))
