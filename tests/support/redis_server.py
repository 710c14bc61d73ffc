"""A real `redis-server` that a test starts, freezes, kills and starts again, and a TCP proxy in front of it
that breaks on demand."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Self

from tests.support.ports import free_port
from tests.support.waiting import until

_STARTS_WITHIN = 10.0
_TURNS_OF_ACCEPTING = 10
"""In fewer turns of the loop a connection that was accepted comes to whoever serves it."""
GENEROUS = timedelta(seconds=20)
"""The deadline of a connection in tests that are not about deadlines: a busy machine pauses for longer than the
0.8 seconds that a gateway has. What a short deadline does is tested among the faults."""


class RedisServer:
    """A context manager. Data stays in a directory of its own, so that with `append_only` a killed server
    comes back with it."""

    def __init__(
        self,
        *options: str,
        append_only: bool = False,
        tls: tuple[Path, Path] | None = None,
        program: str = "redis-server",
    ) -> None:
        """`tls` is certificate (with chain) and key; the port then speaks TLS only."""
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="authproxy-redis-"))
        self.socket = self.directory / "redis.sock"
        port = (
            [
                "--port",
                "0",
                "--tls-port",
                str(self.port),
                "--tls-cert-file",
                str(tls[0]),
                "--tls-key-file",
                str(tls[1]),
                "--tls-ca-cert-file",
                str(tls[0]),
                "--tls-auth-clients",
                "no",
            ]
            if tls
            else ["--port", str(self.port)]
        )
        self._command = [
            program,
            *port,
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            str(self.socket),
            "--dir",
            str(self.directory),
            "--save",
            "",
            "--appendonly",
            "yes" if append_only else "no",
            "--appendfsync",
            "always",
        ]
        self.options = [*options]
        self.administrator: tuple[str, str] | None = None
        """Whose name and password `command` says, if the default user is off."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, *options: str) -> None:
        """With further options, if there are any."""
        self._process = subprocess.Popen(
            [*self._command, *self.options, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """Says something to the server behind everybody's back; its answer as it came, without parsing. The
        socket needs no TLS."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            if self.administrator is not None:
                connection.sendall(_packed("AUTH", *self.administrator))
                if not (said := connection.recv(65536)).startswith(b"+OK"):
                    return said
            connection.sendall(_packed(*words))
            return connection.recv(65536)

    def freeze(self) -> None:
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()

    def stop(self) -> None:
        """Ends it whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            answer = self.command("PING")
            return answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
        return False


def _packed(*words: str) -> bytes:
    octets = [word.encode() for word in words]
    return f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in octets)


class FaultProxy:
    """Stands before a server and passes everything on, until it is told to misbehave. Made by
    `fault_proxy`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._swallowing = False
        self._dead: set[asyncio.StreamWriter] = set()
        self._answer_limit: int | None = None
        self._canned: bytes | None = None
        self._last_word: bytes | None = None
        self._has_fallen = False
        self._distance = 0.0
        self.port = free_port()
        self.swallowed = asyncio.Event()
        """Set once something has fallen into the black hole."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def listen(self) -> None:
        """Takes connections again; what happens on them stays as it was told."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def pass_on(self) -> None:
        """Behaves again. Connections on which something was lost do not come back to life."""
        await self._cut()
        self._swallowing, self._answer_limit, self._canned, self._last_word, self._has_fallen = (
            False,
            None,
            None,
            None,
            False,
        )
        await self.listen()

    def lead_to(self, port: int) -> None:
        """As an address that moves to another server: new connections get there, open ones stay where they
        are."""
        self._target_port = port

    async def refuse(self) -> None:
        """Nobody listens any more, and open connections are reset."""
        if self._server is not None:
            await _served()
            self._server.close()
            self._server = None
        await self._cut()

    def swallow(self) -> None:
        """A black hole: connections are accepted and kept, and nothing comes back."""
        self._swallowing = True

    def swallow_open_connections(self) -> None:
        """As a firewall that has forgotten them: nothing passes on open connections any more, new ones
        work."""
        self._dead = set(self._writers)

    def reset_after(self, octets: int) -> None:
        """Every answer breaks off after that many bytes, and the connection is reset."""
        self._answer_limit = octets

    def fall_after(self, word: bytes) -> None:
        """The next question with this word in it is answered, and none after it: open connections are reset
        by whatever is asked on them."""
        self._last_word = word

    @contextlib.contextmanager
    def far_away(self, seconds: float) -> Iterator[None]:
        """Every answer comes so much later, as over a long line: what is asked at one moment is under way at
        one moment."""
        before, self._distance = self._distance, seconds
        try:
            yield
        finally:
            self._distance = before

    async def answer(self, canned: bytes) -> None:
        """Whatever is asked, this is the answer. Open connections are reset first."""
        await self._cut()
        self._canned = canned

    def say(self, octets: bytes) -> None:
        """Everybody who is connected is told this, without having asked."""
        for writer in self._clients:
            writer.write(octets)

    async def aclose(self) -> None:
        await self.refuse()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._clients.add(writer)
        server_writer: asyncio.StreamWriter | None = None
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._writers.add(server_writer)
            await asyncio.gather(
                self._copy_questions(reader, writer, server_writer), self._copy_answers(server_reader, writer)
            )
        except (OSError, EOFError):
            pass
        finally:
            for one in (writer, server_writer):
                if one is not None:
                    self._writers.discard(one)
                    self._clients.discard(one)
                    one.transport.abort()

    async def _copy_questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        while octets := await reader.read(65536):
            if self._swallowing or writer in self._dead:
                self.swallowed.set()
            elif self._canned is not None:
                writer.write(self._canned)
            elif self._has_fallen:
                _reset(writer)
            else:
                self._has_fallen = self._last_word is not None and self._last_word in octets
                server.write(octets)
        raise EOFError

    async def _copy_answers(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await server.read(65536):
            if self._swallowing or writer in self._dead:
                continue
            if self._distance:
                await asyncio.sleep(self._distance)
            if self._answer_limit is not None:
                writer.write(octets[: self._answer_limit])
                await writer.drain()
                _reset(writer)
                raise EOFError
            writer.write(octets)
        raise EOFError

    async def _cut(self) -> None:
        await _served()

        def none_is_left() -> bool:
            for writer in list(self._writers):
                _reset(writer)  # also those that were opened since
            return not self._writers

        await until(none_is_left)


async def _served() -> None:
    """Returns when somebody serves what was accepted before. A server that is closed in between loses it."""
    for _ in range(_TURNS_OF_ACCEPTING):
        await asyncio.sleep(0)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # Lingering for zero seconds makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def fault_proxy(target_port: int) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(target_port)
    await proxy.pass_on()
    try:
        yield proxy
    finally:
        await proxy.aclose()
