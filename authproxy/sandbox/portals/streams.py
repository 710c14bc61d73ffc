"""What a portal serves besides pages: downloads, uploads, events and WebSockets. It streams all bodies."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

_LARGEST_DOWNLOAD = 4 * 1024**3
_PIECE = bytes(range(256)) * 256
_MOST_EVENTS = 1000
_LONGEST_PAUSE_MS = 10_000


def route(router: web.UrlDispatcher) -> None:
    router.add_get("/prenos", download)
    router.add_post("/nalaganje", upload)
    router.add_put("/nalaganje", upload)
    router.add_get("/dogodki", events)
    router.add_get("/ws", echo)


async def download(request: web.Request) -> web.StreamResponse:
    """`?bytes=N` bytes of a fixed pattern, with Content-Length."""
    size = _number(request, "bytes", default=1024, most=_LARGEST_DOWNLOAD)
    response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="prenos.bin"'})
    response.content_length = size
    response.content_type = "application/octet-stream"
    await response.prepare(request)
    while size > 0 and request.method != "HEAD":
        piece = _PIECE if size >= len(_PIECE) else _PIECE[:size]
        await response.write(piece)
        size -= len(piece)
    await response.write_eof()
    return response


async def upload(request: web.Request) -> web.Response:
    counted = 0
    async for piece in request.content.iter_any():
        counted += len(piece)
    return web.json_response({"bytes": counted})


async def events(request: web.Request) -> web.StreamResponse:
    """`?stevilo=N` events, `?premor_ms=MS` apart."""
    count = _number(request, "stevilo", default=10, most=_MOST_EVENTS)
    pause = _number(request, "premor_ms", default=1000, most=_LONGEST_PAUSE_MS) / 1000
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for tick in range(1, count + 1):
        await response.write(f"id: {tick}\ndata: {tick}\n\n".encode())
        await asyncio.sleep(pause)
    await response.write_eof()
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def _number(request: web.Request, name: str, *, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise web.HTTPBadRequest
    return int(text)
