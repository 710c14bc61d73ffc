"""A real nginx with the shipped snippets, and a portal behind it that remembers byte for byte what it was
asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

from aiohttp import WSMsgType, web

from authproxy.sandbox.serving import bound, port_of, serving

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx"
_SHIPPED_SOCKET = "unix:/run/authproxy/edge.sock"
_STARTS_WITHIN = 10.0

_MAIN = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    {http}
}}
"""


class Nginx:
    """A context manager. `http` is the inside of the http block; the folder authproxy/ lies beside it as an
    operator would put it. `gateway` is its socket, or a port of 127.0.0.1."""

    def __init__(self, http: str, *, port: int, gateway: Path | int, folder: Path) -> None:
        self.port = port
        self._folder = folder / "nginx"
        (self._folder / "temp").mkdir(parents=True)
        shutil.copytree(SHIPPED / "authproxy", self._folder / "authproxy")
        shipped = (self._folder / "authproxy" / "http.conf").read_text()
        assert _SHIPPED_SOCKET in shipped
        (self._folder / "authproxy" / "http.conf").write_text(
            shipped.replace(_SHIPPED_SOCKET, server_of(gateway))
        )
        # As root nginx would give its workers to a user who cannot open a test's socket.
        user = "user root root;" if os.geteuid() == 0 else ""
        (self._folder / "nginx.conf").write_text(_MAIN.format(user=user, http=http))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def errors(self) -> str:
        """What nginx has logged, from `info` on."""
        return (self._folder / "error.log").read_text()

    @property
    def requests(self) -> str:
        """What nginx has logged of requests, where its file says `access_log access.log`."""
        return (self._folder / "access.log").read_text()

    def tested(self) -> tuple[bool, str]:
        """What `nginx -t` says."""
        done = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False, timeout=30)
        return done.returncode == 0, done.stderr

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"nginx did not start: {self.errors}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)

    @property
    def _command(self) -> list[str]:
        return ["nginx", "-p", str(self._folder), "-c", "nginx.conf", "-e", "error.log"]

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def server_of(gateway: Path | int) -> str:
    """A gateway as nginx writes it."""
    return f"unix:{gateway}" if isinstance(gateway, Path) else f"127.0.0.1:{gateway}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as the portal got it; `target` is raw, `peer_port` that of whoever sent it."""

    peer_port: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body_size: int
    body_sha256: str

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header.lower() == name.lower()]


@dataclass
class RecordingPortal:
    """Answers everything with 200 and `portal` and the cookies of `?set-cookie=`, `/status/N` with N,
    `/socket` with a WebSocket that echoes, `/events` with an event stream. Below `/held` it waits until it may
    answer."""

    port: int
    received: list[Received] = field(default_factory=list)
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last(self) -> Received:
        return self.received[-1]

    def application(self) -> web.Application:
        made = web.Application(client_max_size=0)
        made.router.add_get("/socket", self._socket)
        made.router.add_get("/events", self._events)
        made.router.add_route("*", "/{tail:.*}", self._answer)
        return made

    async def _record(self, request: web.Request) -> None:
        digest, size = sha256(), 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
        )
        self.received.append(
            Received(
                peer_port=request.get_extra_info("peername")[1],
                method=request.method,
                target=request.raw_path,
                headers=headers,
                body_size=size,
                body_sha256=digest.hexdigest(),
            )
        )

    async def _answer(self, request: web.Request) -> web.Response:
        await self._record(request)
        if request.path.startswith("/held"):
            await self.may_answer.wait()
        status = int(request.path.removeprefix("/status/")) if request.path.startswith("/status/") else 200
        answer = web.Response(status=status, text="portal", headers={"X-Portal": "here"})
        for value in request.query.getall("set-cookie", []):
            answer.headers.add("Set-Cookie", value)
        return answer

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """An event for everything that is put into `events`, until somebody goes."""
        await self._record(request)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        while True:
            await answer.write(b"data: %s\n\n" % (await self.events.get()).encode())

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        opened = web.WebSocketResponse()
        if not opened.can_prepare(request):
            return web.Response(status=426)
        await opened.prepare(request)
        async for message in opened:
            if message.type is WSMsgType.TEXT:
                await opened.send_str(f"echo {message.data}")
        return opened


@asynccontextmanager
async def recording_portal() -> AsyncIterator[RecordingPortal]:
    listener = bound()
    portal = RecordingPortal(port_of(listener))
    async with serving(portal.application(), listener):
        yield portal
