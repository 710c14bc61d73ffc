"""An SMS gateway on loopback that answers as it is told: late, never, too much, elsewhere, untruthfully."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from authproxy.sandbox.serving import bound, port_of, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HostileSmsGateway:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/send"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        """Method, target, headers and body of whatever came."""
        self.released = asyncio.Event()
        self.answers: list[Handler] = []
        """One for each request in turn; the last one stays."""

    def answer(
        self, *statuses: int, body: bytes = b'{"id": "h-1", "status": "accepted"}', **headers: str
    ) -> None:
        def answering(status: int) -> Handler:
            async def handler(_: web.Request) -> web.StreamResponse:
                return web.Response(
                    status=status, body=body, content_type="application/json", headers=headers
                )

            return handler

        self.answers += [answering(status) for status in statuses]

    def stall(self, after: bytes | None = None) -> None:
        """Takes the request and never ends its answer; with `after` it begins one."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            if after is not None:
                await response.prepare(request)
                await response.write(after)
            await self.released.wait()
            return response

        self.answers.append(handler)

    def hang_up(self) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        self.answers.append(handler)

    def flood(self) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                while not self.released.is_set():
                    await response.write(b"x" * 65536)
            return response

        self.answers.append(handler)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        handler = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await handler(request)


@contextlib.asynccontextmanager
async def hostile_sms_gateway() -> AsyncIterator[HostileSmsGateway]:
    listener = bound()
    gateway = HostileSmsGateway(port_of(listener))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", gateway.serve)
    async with serving(application, listener):
        try:
            yield gateway
        finally:
            gateway.released.set()
