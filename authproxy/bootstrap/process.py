"""The gateway as a process: its signals, and an end that nothing can delay."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from authproxy.bootstrap import systemd, workers
from authproxy.bootstrap.descriptors import raise_limit
from authproxy.bootstrap.generations import Generations
from authproxy.bootstrap.needed_modules import import_needed
from authproxy.bootstrap.process_end import Ending, end
from authproxy.bootstrap.reloads import reload_when_asked
from authproxy.bootstrap.settings_source import SettingsSource
from authproxy.bootstrap.starting import CannotStart, in_one_line
from authproxy.edge.client import handed_sockets
from authproxy.settings.schema import Settings
from authproxy.settings.sources import Reading
from authproxy.telemetry.logging import log_interpreter_failures, logger


def run(first: Reading, read: Callable[[], Reading]) -> None:
    """Serves until SIGTERM or SIGINT, then drains and ends the process with exit code 0. A second such signal
    cuts running requests. SIGHUP takes the settings over as `read` finds them, and reopens the audit file;
    SIGUSR1 only reopens it. A crash leaves no core file. `first` has the settings to start with. Raises
    CannotStart."""
    import uvloop  # noqa: PLC0415  (only a gateway that serves needs it)

    settings = first.settings
    assert settings is not None  # noqa: S101
    source = SettingsSource(first, read)
    import_needed(settings)
    raise_limit()
    _leave_no_core()
    try:
        handed = handed_sockets.take(os.environ, os.getpid())
    except handed_sockets.BadHandover as error:
        raise CannotStart(str(error)) from error
    count = workers.count_of(settings.server.workers)
    if count > 1:
        workers.run(settings, count, source, handed)
    else:
        # Whatever is imported stays. A collector that looked through it would stop all requests meanwhile.
        gc.collect()
        gc.freeze()
        uvloop.run(_serve(settings, source, handed))


async def _serve(settings: Settings, source: SettingsSource, handed: tuple[socket.socket, ...]) -> None:
    generations = Generations(source)
    ending = Ending(settings)
    _on_end(ending)
    log_interpreter_failures()
    try:
        await generations.start(settings, handed)
    except Exception as error:
        logger("bootstrap").debug("start.failed", exc_info=error)
        raise CannotStart(in_one_line(error, settings)) from error
    ending.is_of(generations.running)
    asked = _on_hangup(generations)
    systemd.serving()

    async def reload() -> None:
        await generations.reload()
        ending.is_of(generations.running)

    looking = asyncio.ensure_future(
        source.keep_looking(asked, lambda: generations.running.settings.server.reload_on_change)
    )
    await reload_when_asked(asked, ending.requested, reload)
    looking.cancel()
    systemd.ending()
    await generations.end()
    end()


def _on_end(ending: Ending) -> None:
    """Handles SIGTERM and SIGINT: the first one begins the end, the second one shortens it."""

    def request() -> None:
        if ending.requested.is_set():
            ending.hurry()
        else:
            ending.request()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, request)


def _on_hangup(generations: Generations) -> asyncio.Event:
    """Handles SIGHUP and SIGUSR1, which `authproxy serve` has ignored so far. The event asks for a reload.
    The audit file is reopened once at this moment, in case a signal came during the start."""
    asked = asyncio.Event()

    def hang_up() -> None:
        generations.reopen()
        asked.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, generations.reopen)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    generations.reopen()
    return asked


def _leave_no_core() -> None:
    """A core file would hold keys, tickets and tokens. The hard limit of 0 cannot be raised again."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
