"""The newest of many: a list of names in Redis that keeps so many of them and says which have dropped out."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from authproxy.storage.records import sessions as records
from authproxy.storage.redis import answers
from authproxy.storage.redis.answers import Script
from authproxy.storage.redis.connection import RedisConnection

_LIST: Final = Script(
    """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local spare = redis.call('LLEN', KEYS[1]) - ARGV[2]
if spare <= 0 then return {} end
return redis.call('LPOP', KEYS[1], spare)
""",
    answers.names,
)


async def listed(
    connection: RedisConnection, key: str, name: str, *, most: int, lives_for: timedelta
) -> list[str]:
    """Puts the name last in the list; the first ones, beyond `most`, leave it and are given back. Raises
    CannotAsk."""
    dropped = await connection.ask("EVAL", _LIST, 1, key, name, most, records.span_in_milliseconds(lives_for))
    return [old.decode() for old in dropped]
