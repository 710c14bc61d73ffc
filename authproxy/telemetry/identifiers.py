"""Random request ids and trace parents (W3C Trace Context §3.2), cheap enough for every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_POOL: Final = 4096


class Identifiers:
    """Fetches random bytes in blocks of a few kilobytes: one system call serves hundreds of requests."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._pool = ""
        self._at = 0

    def request_id(self) -> str:
        """Sixteen hexadecimal digits."""
        at = self._at
        drawn = self._pool[at : at + 16]
        if len(drawn) < 16:
            return self._drawn(16)
        self._at = at + 16
        return drawn

    def trace_parent(self) -> str:
        """A new trace, with the flag "not sampled"."""
        drawn = self._drawn(48)
        return f"00-{drawn[:32]}-{drawn[32:]}-00"

    def _drawn(self, digits: int) -> str:
        end = self._at + digits
        if end > len(self._pool):
            self._pool = self._random_bytes(_POOL).hex()
            end = digits
        self._at = end
        return self._pool[end - digits : end]
