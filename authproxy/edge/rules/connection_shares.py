"""PURE: counts how many connections each address has, and how many requests each session, so that none takes
what the others need."""

from __future__ import annotations

import sys


class ConnectionShares:
    """At most `limit` for each name at a time; 0 is no limit. A name that has none any more is forgotten."""

    __slots__ = ("_limit", "_taken")

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit or sys.maxsize
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> bool:
        """Counts one more for `name`. False, and nothing is counted, if it has as many as it may have."""
        taken = self._taken.get(name, 0)
        if taken >= self._limit:
            return False
        self._taken[name] = taken + 1
        return True

    def give_back(self, name: str) -> None:
        """Counts one less. Only for what was taken."""
        taken = self._taken[name]
        if taken > 1:
            self._taken[name] = taken - 1
        else:
            del self._taken[name]
