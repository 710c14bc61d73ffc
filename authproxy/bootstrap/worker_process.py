"""A worker as its parent sees it: how its process is forked, what it says, and what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import aiohttp

from authproxy.bootstrap.passed_connections import PassedConnections
from authproxy.bootstrap.server import management_address
from authproxy.bootstrap.worker import work
from authproxy.bootstrap.worker_share import share
from authproxy.edge.client.occupancy import Seat
from authproxy.edge.client.sockets import BoundAddress
from authproxy.settings.schema import Settings

_ASKED_WITHIN: Final = 1.5
"""Seconds within which a worker says its readiness and metrics. One check of its own may take a second."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Generation:
    """What all workers with the same settings have in common. The parent has `bound`, every address."""

    settings: Settings
    count: int
    bound: tuple[BoundAddress, ...]

    @property
    def of_workers(self) -> Iterator[BoundAddress]:
        """The addresses on which workers listen, and not the parent."""
        management = management_address(self.settings.server)
        return (bound for bound in self.bound if bound.address != management)

    @property
    def management(self) -> BoundAddress:
        address = management_address(self.settings.server)
        return next(bound for bound in self.bound if bound.address == address)


@dataclass(slots=True, eq=False, kw_only=True)
class WorkerProcess:
    """`place` is its number among those of its generation; `key` is its own for ever."""

    key: str
    place: int
    generation: Generation
    process_id: int
    channel: socket.socket
    seat: Seat | None
    socket_path: Path
    started_at: float
    state: Literal["starting", "prepared", "serving", "leaving", "left", "ended"] = "starting"
    """`leaving`: it was ordered to let others serve; `left`: it accepts nothing more, and finishes."""
    failure: str = ""
    silent_for: int = 0
    metrics: str = ""
    """What it has counted, once it has finished."""
    _heard: bytes = b""

    @property
    def name(self) -> str:
        return f"worker {self.place}"

    def order(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self.channel.send(line)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process_id, signal.SIGKILL)

    def hear(self) -> bool:
        """Takes in what it has said; False if it will say no more."""
        while True:
            try:
                octets = self.channel.recv(65536)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not octets:
                return False
            self.silent_for = 0
            *lines, self._heard = (self._heard + octets).split(b"\n")
            for line in lines:
                self._take(*line.split(b" ", 1))

    def _take(self, word: bytes, rest: bytes = b"") -> None:
        match word:
            case b"prepared" if self.state == "starting":
                self.state = "prepared"
            case b"ready" if self.state == "prepared":
                self.state = "serving"
            case b"left" if self.state == "leaving":
                self.state = "left"
            case b"failed":
                self.failure = rest.decode("utf-8", "replace")
            case b"metrics":
                self.metrics = str(json.loads(rest))

    async def says(self, target: str) -> str | None:
        """The body of its answer at its own management listener; None if there is none in time."""
        timeout = aiohttp.ClientTimeout(total=_ASKED_WITHIN)
        connector = aiohttp.UnixConnector(str(self.socket_path))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://worker{target}") as answer,
            ):
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def started(
    generation: Generation,
    place: int,
    *,
    number: int,
    folder: Path,
    passed: PassedConnections,
    seat: Seat | None,
    is_reload: bool,
) -> WorkerProcess:
    """Forks a worker; the process that is forked does not return. `number` is another one each time.
    `is_reload` if the worker follows one with other settings. Raises OSError."""
    path = folder / f"{number}.sock"
    with contextlib.ExitStack() as opened:
        private = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        private.setblocking(False)
        private.bind(str(path))
        ours, theirs = socket.socketpair()
        opened.enter_context(theirs)
        ours.setblocking(False)
        theirs.setblocking(False)
        management = BoundAddress(management_address(generation.settings.server), (private,), is_lent=True)
        lent = [*(bound.lent() for bound in generation.of_workers), management]
        return WorkerProcess(
            key=f"{number}",
            place=place,
            generation=generation,
            process_id=_fork(generation, lent, theirs, passed, seat, is_reload=is_reload),
            channel=ours,
            seat=seat,
            socket_path=path,
            started_at=asyncio.get_running_loop().time(),
        )


def _fork(
    generation: Generation,
    lent: list[BoundAddress],
    channel: socket.socket,
    passed: PassedConnections,
    seat: Seat | None,
    *,
    is_reload: bool,
) -> int:
    """Forks a worker, and returns its process id."""
    settings = share(generation.settings, generation.count)
    # Without garbage and with everything frozen, a worker's collector writes to no page that it shares.
    gc.collect()
    gc.freeze()
    signals = {*_SIGNALS, signal.SIGCHLD}
    # A signal in a young worker would reach the loop of the parent through the socket that they share.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        process_id = os.fork()
        if process_id:
            return process_id
        try:
            listening = (each for bound in lent for each in bound.sockets)
            _forget_the_parent([channel, *passed.sockets, *listening])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            work(settings, lent, channel, passed, seat, is_reload=is_reload)
        finally:
            os._exit(1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _forget_the_parent(kept: list[socket.socket]) -> None:
    """Makes a process that was just forked independent of its parent. Open files that it does not need lead
    to nowhere: they stay open, because objects of the parent still know their numbers."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    asyncio._set_running_loop(None)  # noqa: SLF001  (documented for those who make loops)
    needed = {0, 1, 2, *(each.fileno() for each in kept)}
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor not in needed and descriptor != nowhere:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.fstat(descriptor)
                os.dup2(nowhere, descriptor, inheritable=False)
    os.close(nowhere)
