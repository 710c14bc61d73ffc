"""Two scripts that write or remove a value and answer the value before. If many callers run one at once,
exactly one of them gets that value."""

from __future__ import annotations

from typing import Final

from authproxy.storage.redis import answer_shapes
from authproxy.storage.redis.answer_shapes import Script

# GETDEL would do the same, but the documented rights of the gateway's user do not include it.
TAKE: Final = Script(
    """
local earlier = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return earlier
""",
    answer_shapes.text,
)
"""Removes a value and answers it."""
SWAP: Final = Script(
    """
local earlier = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return earlier
""",
    answer_shapes.text,
)
"""Writes a value with its time to live, and answers the value before."""
