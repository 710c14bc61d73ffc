"""A store that is away where a test says so, or to which something happens just before a question."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk


class Unsteady:
    """Stands before a store. Questions named in `away` cannot be asked; everything else is the store's."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.away: set[str] = set()

    def before(self, *questions: str, happens: Callable[[], Awaitable[object]]) -> None:
        self._before |= dict.fromkeys(questions, happens)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def asked(*arguments: Any, **named: Any) -> Any:
            if name in self.away:
                raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")
            if name in self._before:
                await self._before[name]()
            return await found(*arguments, **named)

        return asked
