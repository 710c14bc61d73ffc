"""The parent process of several workers: it binds the addresses, starts workers, starts those again that have
died, answers supervisors for all of them, and passes signals on.

A worker is like a gateway of its own beside others with the same store: it has its own near cache,
connections and background tasks. The parent serves no clients. It has a single thread, because it forks.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
from aiohttp import web

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.components import ZONE
from authproxy.bootstrap.own_folders import own_folder
from authproxy.bootstrap.process_end import GRACE, HURRIED_GRACE, end, end_at_last_after, longest_end
from authproxy.bootstrap.server import all_addresses, management_address
from authproxy.bootstrap.starting import CannotStart, in_one_line
from authproxy.bootstrap.worker import ALIVE_EVERY, work
from authproxy.bootstrap.worker_share import pause_after, share
from authproxy.edge.client.occupancy import Occupancy, Seat
from authproxy.edge.client.sockets import BoundAddress, bind
from authproxy.settings.schema import Settings
from authproxy.telemetry import logging as logs
from authproxy.telemetry.joint_metrics import JointMetrics
from authproxy.telemetry.logging import logger
from authproxy.web.joint_management import joint_management, parsed
from authproxy.web.management import Check
from authproxy.web.templating import templates

_SILENT_AT_MOST: Final = 30
"""Seconds that a worker may say nothing. Then it hangs, and is killed."""
_STEADY_AFTER: Final = 60.0
"""Seconds after which a worker that dies is not one that dies at once."""
_ASKED_WITHIN: Final = 1.5
"""Seconds within which a worker says its readiness and metrics. One check of its own may take a second."""
_REMEMBERED_EVERY: Final = 10.0
"""What a worker counts in this time before it is killed is missing in the metrics."""
_REPORTED_FOR: Final = 600.0
"""Seconds for which `/readyz` warns of a worker that has died."""
_BACKLOG: Final = 128
_EDGE_BACKLOG: Final = 2048


def count_of(workers: int | Literal["auto"]) -> int:
    """How many workers `server.workers` means on this machine."""
    if workers != "auto":
        return workers
    processors = len(os.sched_getaffinity(0))
    return max(1, min(processors, _allowed_processors() or processors, 64))


def _allowed_processors(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """The processors' worth of time that a container may use, rounded up; None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = file.read_text().split()
        return -(-int(quota) // int(period))
    return None


def run(
    settings: Settings, count: int, handed: Iterable[socket.socket] = (), *, notify: Callable[[str], None]
) -> None:
    """Serves with `count` workers until SIGTERM or SIGINT, and ends the process. `handed` are the sockets
    that the process was started with. Raises CannotStart."""
    logs.configure(settings.telemetry.log_level, clock=utc_now, write=_write_or_lose)
    templates(ZONE)  # what no worker changes is made once, and all share it
    try:
        asyncio.run(_serve(settings, count, handed, notify))
    except (OSError, ValueError) as error:
        raise CannotStart(in_one_line(error, settings)) from error
    end()


async def _serve(
    settings: Settings, count: int, handed: Iterable[socket.socket], notify: Callable[[str], None]
) -> None:
    async with AsyncExitStack() as resources:
        bound = {listener.address: listener for listener in bind(all_addresses(settings), handed)}
        for listener in bound.values():
            resources.callback(listener.close)
        folder = resources.enter_context(own_folder())
        parent = _Parent(settings, count, tuple(bound.values()), folder)
        resources.callback(parent.kill_all)
        parent.handle_signals()
        await parent.start_first()
        await _serve_management(parent, bound[management_address(settings.server)], resources)
        for listener in bound.values():
            listener.publish()
        notify("READY=1")
        await parent.ending.wait()
        notify("STOPPING=1")
        await parent.drain()


@dataclass(slots=True, eq=False, kw_only=True)
class _Worker:
    """A process. `place` is its number among the others, `name` is its own."""

    place: int
    name: str
    process_id: int
    channel: socket.socket
    seat: Seat | None
    socket_path: Path
    started_at: float
    state: Literal["starting", "serving", "ended"] = "starting"
    failure: str = ""
    silent_for: int = 0
    heard: bytes = b""


class _Parent:
    def __init__(self, settings: Settings, count: int, bound: tuple[BoundAddress, ...], folder: Path) -> None:
        self._settings = settings
        self._count = count
        self._bound = bound
        self._folder = folder
        self._occupancy = Occupancy()
        self._workers: dict[int, _Worker] = {}
        self._failures_in_a_row = dict.fromkeys(range(1, count + 1), 0)
        self._deaths = 0
        self._died_at: float | None = None
        self._starts = 0
        self._is_started = False
        self._failure = ""
        """Why a worker could not start when the gateway was started."""
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = JointMetrics()
        self.ending = asyncio.Event()

    # Life of the workers.

    async def start_first(self) -> None:
        """Starts all workers: the first one alone, so that what keeps a gateway from starting is said once.
        Raises CannotStart."""
        loop = asyncio.get_running_loop()
        for first, last in ((1, 1), (2, self._count)):
            for place in range(first, last + 1):
                # A process is forked outside of any task, because its own loop begins above on the stack.
                loop.call_soon(self._start, place)
            await self._until_serving(last)
            if self._failure and not self.ending.is_set():
                raise CannotStart(self._failure)
        self._is_started = True
        self._keep(self._watch())
        self._keep(self._remember_metrics())

    async def _until_serving(self, number: int) -> None:
        """Waits until so many workers serve, one could not start, or the end has been requested."""
        while len(self._serving()) < number and not self._failure and not self.ending.is_set():
            self._changed.clear()
            await self._changed.wait()

    def _start(self, place: int) -> None:
        """Starts a worker. If the system has no room for it, tries again later."""
        if self.ending.is_set():
            return
        try:
            worker = self._started_worker(place)
        except OSError as failure:
            self._has_failed(place, failure.strerror or type(failure).__name__)
            return
        self._workers[place] = worker
        asyncio.get_running_loop().add_reader(worker.channel, self._hear, worker)
        if self._is_started:
            logger("bootstrap").warning("worker.started", worker=place, pid=worker.process_id)

    def _started_worker(self, place: int) -> _Worker:
        self._starts += 1
        path = self._folder / f"{self._starts}.sock"
        with contextlib.ExitStack() as opened:
            private = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            private.setblocking(False)
            private.bind(str(path))
            ours, theirs = socket.socketpair()
            opened.enter_context(theirs)
            ours.setblocking(False)
            theirs.setblocking(False)
            management = BoundAddress(management_address(self._settings.server), (private,), is_lent=True)
            lent = [*(listener.lent() for listener in self._edge_and_certificates()), management]
            seat = self._occupancy.take_seat()
            try:
                process_id = self._fork(lent, theirs, seat)
            except OSError:
                self._occupancy.free(seat)
                raise
            return _Worker(
                place=place,
                name=f"worker {place}",
                process_id=process_id,
                channel=ours,
                seat=seat,
                socket_path=path,
                started_at=asyncio.get_running_loop().time(),
            )

    def _edge_and_certificates(self) -> Iterator[BoundAddress]:
        management = management_address(self._settings.server)
        return (listener for listener in self._bound if listener.address != management)

    def _fork(self, lent: list[BoundAddress], channel: socket.socket, seat: Seat | None) -> int:
        """Forks a worker, and returns its process id."""
        settings = share(self._settings, self._count)
        # Without garbage and with everything frozen, a worker's collector writes to no page that it shares.
        gc.collect()
        gc.freeze()
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
        # A signal in a young worker would reach the loop of the parent through the socket that they share.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            process_id = os.fork()
            if process_id:
                return process_id
            try:
                _forget_the_parent([channel, *(each for listener in lent for each in listener.sockets)])
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
                work(settings, lent, channel, seat)
            finally:
                os._exit(1)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def _hear(self, worker: _Worker) -> None:
        try:
            octets = worker.channel.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            asyncio.get_running_loop().remove_reader(worker.channel)
            return
        worker.silent_for = 0
        *lines, worker.heard = (worker.heard + octets).split(b"\n")
        for line in lines:
            if line == b"ready":
                worker.state = "serving"
                self._changed.set()
            elif line.startswith(b"failed "):
                worker.failure = line.removeprefix(b"failed ").decode("utf-8", "replace")

    def _reap(self) -> None:
        """Notices which workers have ended."""
        for worker in tuple(self._workers.values()):
            try:
                process_id, status = os.waitpid(worker.process_id, os.WNOHANG)
            except ChildProcessError:
                process_id, status = worker.process_id, 0
            if process_id:
                self._has_ended(worker, os.waitstatus_to_exitcode(status))

    def _has_ended(self, worker: _Worker, code: int) -> None:
        loop = asyncio.get_running_loop()
        self._hear(worker)  # the reason may still be on its way
        loop.remove_reader(worker.channel)
        worker.channel.close()
        worker.socket_path.unlink(missing_ok=True)
        self._occupancy.free(worker.seat)
        if worker.state == "serving" and loop.time() - worker.started_at > _STEADY_AFTER:
            self._failures_in_a_row[worker.place] = 0
        worker.state = "ended"
        del self._workers[worker.place]
        self._metrics.end(worker.name)
        if not self.ending.is_set():
            self._has_failed(
                worker.place, worker.failure or (f"signal {-code}" if code < 0 else f"exit code {code}")
            )
        self._changed.set()

    def _has_failed(self, place: int, cause: str) -> None:
        """The worker of this place has ended, or could not be started. Another one follows after a pause."""
        if not self._is_started:
            self._failure = cause
            self._changed.set()
            return
        loop = asyncio.get_running_loop()
        self._failures_in_a_row[place] += 1
        self._deaths += 1
        self._died_at = loop.time()
        pause = pause_after(self._failures_in_a_row[place]).total_seconds()
        logger("bootstrap").error("worker.ended", worker=place, cause=cause, starts_again_after=pause)
        loop.call_later(pause, self._start, place)

    async def _watch(self) -> None:
        """Kills workers that say nothing. Seconds are counted here: if the whole gateway stood still, so did
        this count."""
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            for worker in tuple(self._workers.values()):
                worker.silent_for += 1
                if worker.silent_for > _SILENT_AT_MOST:
                    logger("bootstrap").error("worker.hangs", worker=worker.place, pid=worker.process_id)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.process_id, signal.SIGKILL)

    # What supervisors ask.

    async def answers(self) -> Mapping[str, Mapping[str, Any] | None]:
        """What `/readyz` of each worker that serves says."""
        serving = self._serving()
        texts = await asyncio.gather(*(_ask(worker.socket_path, "/readyz") for worker in serving))
        return {
            worker.name: None if text is None else parsed(text)
            for worker, text in zip(serving, texts, strict=True)
            if worker.state == "serving"
        }

    def own_checks(self) -> dict[str, Check]:
        serving = len(self._serving())
        checks = {"workers": self._check_workers(serving)}
        lost = [str(bound.address) for bound in self._bound if not self.ending.is_set() and not bound.is_ours]
        if lost:
            detail = (
                f"{', '.join(lost)} is no longer our socket (removed or replaced by somebody): restart the "
                "gateway"
            )
            checks["listener"] = Check(status="failed", detail=detail)
        if self.ending.is_set():
            detail = "ending: running requests are finished, new ones belong elsewhere"
            checks["draining"] = Check(status="failed", detail=detail)
        return checks

    def _check_workers(self, serving: int) -> Check:
        detail = f"{serving} of {self._count} serve"
        if self._deaths:
            detail += f"; {self._deaths} have died since the start"
        if not serving:
            return Check(status="failed", detail=detail)
        now = asyncio.get_running_loop().time()
        died_lately = self._died_at is not None and now - self._died_at < _REPORTED_FOR
        return Check(status="warning" if died_lately or serving < self._count else "ok", detail=detail)

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        await self._hear_metrics()
        return self._metrics.exposition(accept, serving=len(self._serving()), deaths=self._deaths)

    async def _hear_metrics(self) -> None:
        serving = self._serving()
        texts = await asyncio.gather(*(_ask(worker.socket_path, "/metrics") for worker in serving))
        for worker, text in zip(serving, texts, strict=True):
            # A worker that has ended meanwhile has been counted to the end.
            if text is not None and worker.state == "serving":
                with contextlib.suppress(ValueError):
                    self._metrics.hear(worker.name, text)

    async def _remember_metrics(self) -> None:
        while True:
            await asyncio.sleep(_REMEMBERED_EVERY)
            await self._hear_metrics()

    def _serving(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.state == "serving"]

    # Signals, and the end.

    def handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGHUP, self._order, b"reopen\n")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._request_end)

    def _request_end(self) -> None:
        if not self.ending.is_set():
            self.ending.set()
            self._changed.set()
            # When the last worker stops listening, nobody may wait at a socket that only the parent has.
            for listener in self._edge_and_certificates():
                for listening in listener.sockets:
                    listening.close()
            self._order(b"end\n")
            end_at_last_after(longest_end(self._settings) + GRACE)
        else:
            self._order(b"hurry\n")
            end_at_last_after(HURRIED_GRACE + GRACE)

    def _order(self, line: bytes) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(OSError):
                worker.channel.send(line)

    async def drain(self) -> None:
        """Waits until all workers have ended. They have been ordered to."""
        # The path of a Unix socket stays until the workers stop listening.
        leave = self._settings.server.timeouts.leave.total_seconds()
        withdrawn = asyncio.get_running_loop().call_later(leave, self._withdraw)
        while self._workers:
            self._changed.clear()
            await self._changed.wait()
        withdrawn.cancel()
        self._withdraw()

    def _withdraw(self) -> None:
        for listener in self._edge_and_certificates():
            listener.close()

    def kill_all(self) -> None:
        """Ends what still runs, at once."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process_id, signal.SIGKILL)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.ensure_future(work))


async def _serve_management(parent: _Parent, bound: BoundAddress, resources: AsyncExitStack) -> None:
    application = joint_management(
        answers=parent.answers, own_checks=parent.own_checks, exposition=parent.exposition
    )
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    resources.push_async_callback(runner.cleanup)
    for listening in bound.sockets:
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()


async def _ask(path: Path, target: str) -> str | None:
    """The body of a worker's answer; None if there is none in time."""
    timeout = aiohttp.ClientTimeout(total=_ASKED_WITHIN)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
            session.get(f"http://worker{target}") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


def _forget_the_parent(kept: list[socket.socket]) -> None:
    """Makes a process that was just forked independent of its parent. Open files that it does not need lead
    to nowhere: they stay open, because objects of the parent still know their numbers."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
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


def _write_or_lose(line: str) -> None:
    """Writes a line of the parent's log. It has no thread that could wait for a slow reader."""
    if sys.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        asked = select.poll()
        asked.register(descriptor, select.POLLOUT)
        if asked.poll(0):
            os.write(descriptor, line.encode()[:4096])
