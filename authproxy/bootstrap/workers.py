"""The parent process of several workers: it binds the addresses, starts workers, starts those again that have
died, answers supervisors for all of them, and passes signals on.

A worker is like a gateway of its own beside others with the same store: it has its own near cache,
connections and background tasks. The parent serves no clients. It has a single thread, because it forks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import web

from authproxy.bootstrap import systemd, worker_process
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.components import ZONE
from authproxy.bootstrap.own_folders import own_folder
from authproxy.bootstrap.passed_connections import PassedConnections
from authproxy.bootstrap.process_end import GRACE, HURRIED_GRACE, end, end_at_last_after, longest_end
from authproxy.bootstrap.reloads import (
    SETTINGS,
    Reloads,
    refuse_what_needs_a_restart,
    reload_when_asked,
    worth_a_note,
)
from authproxy.bootstrap.server import all_addresses
from authproxy.bootstrap.settings_source import Refused, SettingsSource
from authproxy.bootstrap.starting import CannotStart, in_one_line
from authproxy.bootstrap.worker import ALIVE_EVERY
from authproxy.bootstrap.worker_process import Generation, WorkerProcess
from authproxy.bootstrap.worker_share import pause_after
from authproxy.edge.client.occupancy import Occupancy
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
_STARTS_WITHIN: Final = 50.0
"""Seconds within which workers with new settings serve. `authproxy reload` waits a little longer."""
_REMEMBERED_EVERY: Final = 10.0
"""What a worker counts in this time before it is killed is missing in the metrics."""
_REPORTED_FOR: Final = 600.0
"""Seconds for which `/readyz` warns of a worker that has died."""
_KILLED_AFTER: Final = 1.0
"""Seconds after the last moment at which a worker should have ended."""
_BACKLOG: Final = 128


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


def run(settings: Settings, count: int, source: SettingsSource, handed: Iterable[socket.socket] = ()) -> None:
    """Serves with `count` workers until SIGTERM or SIGINT, and ends the process. `handed` are the sockets
    that the process was started with. Raises CannotStart."""
    _direct_logs(settings)
    templates(ZONE)  # what no worker changes is made once, and all share it
    try:
        asyncio.run(_serve(settings, count, source, handed))
    except (OSError, ValueError) as error:
        raise CannotStart(in_one_line(error, settings)) from error
    end()


async def _serve(
    settings: Settings, count: int, source: SettingsSource, handed: Iterable[socket.socket]
) -> None:
    async with AsyncExitStack() as resources:
        first = Generation(settings=settings, count=count, bound=bind(all_addresses(settings), handed))
        folder = resources.enter_context(own_folder())
        passed = PassedConnections()
        resources.callback(passed.close)
        parent = _Parent(first, source, folder, passed)
        resources.callback(parent.kill_all)
        parent.handle_signals()
        await parent.start_first()
        management = _Management(parent)
        resources.push_async_callback(management.close)
        await management.open(first.management)
        for listener in first.bound:
            listener.publish()
        systemd.serving()
        await reload_when_asked(parent.reload_asked, parent.ending, lambda: parent.reload(management))
        systemd.ending()
        await parent.drain()


class _Parent:
    def __init__(
        self, first: Generation, source: SettingsSource, folder: Path, passed: PassedConnections
    ) -> None:
        self._current = first
        self._next: Generation | None = None
        """Workers with new settings, which do not serve yet."""
        self._source = source
        self._folder = folder
        self._passed = passed
        self._occupancy = Occupancy()
        self._workers: dict[str, WorkerProcess] = {}
        self._failures_in_a_row: Counter[int] = Counter()
        self._deaths = 0
        self._died_at: float | None = None
        self._starts = 0
        self._is_started = False
        self._failure = ""
        """Why a worker could not start when the gateway was started, or when it reloads."""
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = JointMetrics()
        self._reloads = Reloads(utc_now)
        self.reload_asked = asyncio.Event()
        self.ending = asyncio.Event()

    # Life of the workers.

    async def start_first(self) -> None:
        """Starts all workers: the first one alone, so that what keeps a gateway from starting is said once.
        Raises CannotStart."""
        for first, last in ((1, 1), (2, self._current.count)):
            self._start_places(self._current, range(first, last + 1))
            await self._until_so_many(self._current, "serving", last)
            if self._failure and not self.ending.is_set():
                raise CannotStart(self._failure)
        self._is_started = True
        self._keep(self._watch())
        self._keep(self._remember_metrics())
        self._keep(
            self._source.keep_looking(
                self.reload_asked, lambda: self._current.settings.server.reload_on_change
            )
        )

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Waits until it is so, a worker could not start, or the end has been requested."""
        while not is_so() and not self._failure and not self.ending.is_set():
            self._changed.clear()
            await self._changed.wait()

    async def _until_so_many(self, generation: Generation, state: str, number: int) -> None:
        await self._until(lambda: self._number(generation, state) >= number)

    def _number(self, generation: Generation, state: str) -> int:
        """How many workers of a generation are in this state."""
        return sum(
            worker.generation is generation and worker.state == state for worker in self._workers.values()
        )

    def _start_places(self, generation: Generation, places: Iterable[int]) -> None:
        loop = asyncio.get_running_loop()
        for place in places:
            # A process is forked outside of any task, because its own loop begins above on the stack.
            loop.call_soon(self._start, generation, place)

    def _start(self, generation: Generation, place: int) -> None:
        """Starts a worker. If the system has no room for it, tries again later."""
        if self.ending.is_set() or generation not in (self._current, self._next):
            return
        self._starts += 1
        seat = self._occupancy.take_seat()
        try:
            worker = worker_process.started(
                generation,
                place,
                number=self._starts,
                folder=self._folder,
                passed=self._passed,
                seat=seat,
                is_reload=generation is self._next,
            )
        except OSError as failure:
            self._occupancy.free(seat)
            self._has_failed(generation, place, failure.strerror or type(failure).__name__)
            return
        self._workers[worker.key] = worker
        asyncio.get_running_loop().add_reader(worker.channel, self._hear, worker)
        if self._is_started and generation is self._current:
            logger("bootstrap").warning("worker.started", worker=place, pid=worker.process_id)

    def _hear(self, worker: WorkerProcess) -> None:
        if not worker.hear():
            asyncio.get_running_loop().remove_reader(worker.channel)
        if worker.state == "prepared" and worker.generation is self._current:
            worker.order(b"serve\n")
        self._changed.set()

    def _reap(self) -> None:
        """Notices which workers have ended."""
        for worker in tuple(self._workers.values()):
            try:
                process_id, status = os.waitpid(worker.process_id, os.WNOHANG)
            except ChildProcessError:
                process_id, status = worker.process_id, 0
            if process_id:
                self._has_ended(worker, os.waitstatus_to_exitcode(status))

    def _has_ended(self, worker: WorkerProcess, code: int) -> None:
        loop = asyncio.get_running_loop()
        worker.hear()  # the reason may still be on its way
        loop.remove_reader(worker.channel)
        worker.channel.close()
        worker.socket_path.unlink(missing_ok=True)
        self._occupancy.free(worker.seat)
        is_expected = self.ending.is_set() or worker.state in {"leaving", "left"}
        if worker.state == "serving" and loop.time() - worker.started_at > _STEADY_AFTER:
            self._failures_in_a_row[worker.place] = 0
        worker.state = "ended"
        del self._workers[worker.key]
        if worker.metrics:
            self._take_metrics(worker, worker.metrics)
        self._metrics.end(worker.key)
        cause = worker.failure or (f"signal {-code}" if code < 0 else f"exit code {code}")
        if not is_expected:
            self._has_failed(worker.generation, worker.place, cause)
        elif code and not self.ending.is_set():
            logger("bootstrap").error("worker.left_badly", worker=worker.place, cause=cause)
        self._changed.set()

    def _has_failed(self, generation: Generation, place: int, cause: str) -> None:
        """The worker of this place has ended, or could not be started. Another one follows after a pause. At
        the start and during a reload, that has failed."""
        if not self._is_started or generation is self._next:
            self._failure = cause
            self._changed.set()
            return
        loop = asyncio.get_running_loop()
        self._failures_in_a_row[place] += 1
        self._deaths += 1
        self._died_at = loop.time()
        pause = pause_after(self._failures_in_a_row[place]).total_seconds()
        logger("bootstrap").error("worker.ended", worker=place, cause=cause, starts_again_after=pause)
        loop.call_later(pause, self._start, generation, place)

    async def _watch(self) -> None:
        """Kills workers that say nothing. Seconds are counted here: if the whole gateway stood still, so did
        this count."""
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            for worker in tuple(self._workers.values()):
                worker.silent_for += 1
                if worker.silent_for > _SILENT_AT_MOST:
                    logger("bootstrap").error("worker.hangs", worker=worker.place, pid=worker.process_id)
                    worker.kill()

    # Changed settings.

    async def reload(self, management: _Management) -> None:
        """Reads the settings, and lets new workers take over. Reports why not, if not. Never raises."""
        await self._reloads.attempt(self._reload(management))

    async def _reload(self, management: _Management) -> str:
        """What is worth a note. Raises Refused and other errors, and then has changed nothing."""
        # Not in a thread, because the parent forks. Nobody but a supervisor waits for it.
        settings = self._source.read()
        before = self._current
        refuse_what_needs_a_restart(before.settings, settings)
        ours = {bound.address: bound for bound in before.bound}
        addresses = all_addresses(settings)
        new = bind([address for address in addresses if address not in ours])
        after = Generation(
            settings=settings,
            count=count_of(settings.server.workers),
            bound=(*(ours[address] for address in addresses if address in ours), *new),
        )
        self._next = after
        try:
            await self._start_all(after)
            for bound in new:
                bound.publish()
            if after.management is not before.management:
                await management.open(after.management)
        except Exception:
            self._next, self._failure = None, ""
            self._let_leave(after)
            for bound in new:
                bound.close()
            raise
        self._current, self._next = after, None
        self._failures_in_a_row.clear()
        _direct_logs(settings)
        self._let_leave(before)
        if after.management is not before.management:
            await management.stop(before.management)
        for bound in before.bound:
            if bound not in after.bound:
                bound.close()
        # A worker that hangs is killed soon. Until then it could still judge a request by the old settings.
        await self._until(lambda: not self._number(before, "leaving"))
        return worth_a_note(before.settings, settings)

    async def _start_all(self, generation: Generation) -> None:
        """Starts workers that serve when all of them are ready to. Raises Refused."""
        self._start_places(generation, range(1, generation.count + 1))
        try:
            async with asyncio.timeout(_STARTS_WITHIN):
                for state in ("prepared", "serving"):
                    await self._until_so_many(generation, state, generation.count)
                    if self._failure or self.ending.is_set():
                        raise Refused(self._failure or "the gateway is ending")
                    for worker in self._workers.values():
                        if worker.generation is generation:
                            worker.order(b"serve\n")
        except TimeoutError:
            raise Refused(f"workers with the new settings do not serve within {_STARTS_WITHIN:g} s") from None

    def _let_leave(self, generation: Generation) -> None:
        for worker in self._workers.values():
            if worker.generation is generation and worker.state not in {"leaving", "left"}:
                worker.state = "leaving"
                worker.order(b"leave\n")

    # What supervisors ask.

    async def answers(self) -> Mapping[str, Mapping[str, Any] | None]:
        """What `/readyz` of each worker that serves says."""
        serving = self._serving()
        texts = await asyncio.gather(*(worker.says("/readyz") for worker in serving))
        return {
            worker.name: None if text is None else parsed(text)
            for worker, text in zip(serving, texts, strict=True)
            if worker.state == "serving"
        }

    def own_checks(self) -> dict[str, Check]:
        checks = {"workers": self._check_workers(len(self._serving())), SETTINGS: self._reloads.state}
        lost = [
            str(bound.address)
            for bound in self._current.bound
            if not self.ending.is_set() and not bound.is_ours
        ]
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
        detail = f"{serving} of {self._current.count} serve"
        if self._deaths:
            detail += f"; {self._deaths} have died since the start"
        if not serving:
            return Check(status="failed", detail=detail)
        now = asyncio.get_running_loop().time()
        died_lately = self._died_at is not None and now - self._died_at < _REPORTED_FOR
        return Check(
            status="warning" if died_lately or serving < self._current.count else "ok", detail=detail
        )

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        await self._hear_metrics()
        return self._metrics.exposition(accept, serving=len(self._serving()), deaths=self._deaths)

    async def _hear_metrics(self) -> None:
        """Asks all workers that count, those that finish too."""
        counting = [
            worker for worker in self._workers.values() if worker.state in {"serving", "leaving", "left"}
        ]
        texts = await asyncio.gather(*(worker.says("/metrics") for worker in counting))
        for worker, text in zip(counting, texts, strict=True):
            # A worker that has ended meanwhile has been counted to the end.
            if text is not None and worker.state != "ended":
                self._take_metrics(worker, text)

    def _take_metrics(self, worker: WorkerProcess, text: str) -> None:
        with contextlib.suppress(ValueError):
            self._metrics.hear(worker.key, text)

    async def _remember_metrics(self) -> None:
        while True:
            await asyncio.sleep(_REMEMBERED_EVERY)
            await self._hear_metrics()

    def _serving(self) -> list[WorkerProcess]:
        return [
            worker
            for worker in self._workers.values()
            if worker.state == "serving" and worker.generation is self._current
        ]

    # Signals, and the end.

    def handle_signals(self) -> None:
        def hang_up() -> None:
            self._order(b"reopen\n")
            self.reload_asked.set()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        loop.add_signal_handler(signal.SIGUSR1, self._order, b"reopen\n")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._request_end)

    def _request_end(self) -> None:
        if not self.ending.is_set():
            self.ending.set()
            self._changed.set()
            # When the last worker stops listening, nobody may wait at a socket that only the parent has.
            for listener in self._client_addresses():
                for listening in listener.sockets:
                    listening.close()
            self._order(b"end\n")
            self._have_ended_after(max(longest_end(each.settings) for each in self._generations()))
        else:
            self._order(b"hurry\n")
            self._have_ended_after(HURRIED_GRACE)

    def _have_ended_after(self, seconds: float) -> None:
        """Workers end by themselves within so many seconds. One that hangs is killed a little later: it would
        keep the addresses from the next gateway. Then the parent ends, whatever hangs."""
        asyncio.get_running_loop().call_later(seconds + _KILLED_AFTER, self._kill_rest)
        end_at_last_after(seconds + GRACE)

    def _kill_rest(self) -> None:
        for worker in self._workers.values():
            logger("bootstrap").error("worker.hangs", worker=worker.place, pid=worker.process_id)
            worker.kill()

    def _generations(self) -> set[Generation]:
        return {self._current, *(worker.generation for worker in self._workers.values())}

    def _client_addresses(self) -> set[BoundAddress]:
        generations = (self._current, self._next)
        return {bound for each in generations if each is not None for bound in each.of_workers}

    def _order(self, line: bytes) -> None:
        for worker in self._workers.values():
            worker.order(line)

    async def drain(self) -> None:
        """Waits until all workers have ended. They have been ordered to."""
        # The path of a Unix socket stays until the workers stop listening.
        leave = self._current.settings.server.timeouts.leave.total_seconds()
        withdrawn = asyncio.get_running_loop().call_later(leave, self._withdraw)
        while self._workers:
            self._changed.clear()
            await self._changed.wait()
        withdrawn.cancel()
        self._withdraw()

    def _withdraw(self) -> None:
        for listener in self._client_addresses():
            listener.close()

    def kill_all(self) -> None:
        """Ends what still runs, at once, and gives all addresses back."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        for worker in self._workers.values():
            worker.kill()
        for bound in self._current.bound:
            bound.close()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.ensure_future(work))


class _Management:
    """The management listener of the parent, which answers for all workers."""

    def __init__(self, parent: _Parent) -> None:
        application = joint_management(
            answers=parent.answers, own_checks=parent.own_checks, exposition=parent.exposition
        )
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        self._sites: dict[BoundAddress, list[web.SockSite]] = {}

    async def open(self, bound: BoundAddress) -> None:
        if not self._sites:
            await self._runner.setup()
        sites = self._sites[bound] = [
            web.SockSite(self._runner, listening, backlog=_BACKLOG) for listening in bound.sockets
        ]
        for site in sites:
            await site.start()

    async def stop(self, bound: BoundAddress) -> None:
        for site in self._sites.pop(bound):
            await site.stop()

    async def close(self) -> None:
        await self._runner.cleanup()


def _direct_logs(settings: Settings) -> None:
    logs.configure(settings.telemetry.log_level, clock=utc_now, write=_write_or_lose)


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
