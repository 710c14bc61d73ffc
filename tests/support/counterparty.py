"""An application of the sandbox as a test runs it: on a port of its own, in the test's loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from authproxy.sandbox.serving import bound, serving


class Counterparty:
    """An application on a port of its own that can go away and come back, and what it was asked."""

    def __init__(self, application: Callable[[], web.Application], port: int) -> None:
        self._application = application
        self._running: contextlib.AsyncExitStack | None = None
        self.port = port
        self.asked: list[str] = []
        """Method and path of every request, without query."""
        self.redeemed: list[tuple[dict[str, str], str]] = []
        """Form and answer of every request to a token endpoint."""

    async def start(self) -> None:
        application = self._application()
        application.middlewares.insert(0, self._recording)
        self._running = contextlib.AsyncExitStack()
        await self._running.enter_async_context(serving(application, bound(self.port)))

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.aclose()
            self._running = None

    @property
    def _recording(self) -> Any:
        @web.middleware
        async def recording(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            answer = await handler(request)
            if request.path.endswith("/token") and isinstance(answer, web.Response):
                self.redeemed.append(
                    ({name: str(value) for name, value in (await request.post()).items()}, answer.text or "")
                )
            return answer

        return recording
