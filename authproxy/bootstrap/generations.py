"""Exchanges the running gateway for one with the settings as they are now.

Settings with an error change nothing. Otherwise a second gateway is made in this process, on the same
listening sockets. It takes over when it is complete; whatever fails before that changes nothing either. The
gateway before it finishes what has begun there.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

from authproxy.bootstrap import workers
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.reloads import Reloads, refuse_what_needs_a_restart, worth_a_note
from authproxy.bootstrap.server import all_addresses
from authproxy.bootstrap.settings_source import Refused, SettingsSource
from authproxy.bootstrap.starting import in_one_line
from authproxy.edge.client.sockets import BoundAddress, bind
from authproxy.settings.schema import Settings
from authproxy.telemetry.logging import logger


class Generations:
    """The gateway that answers, and those before it that still finish something."""

    def __init__(self, source: SettingsSource) -> None:
        self._source = source
        self._reloads = Reloads(utc_now)
        self._current: tuple[Gateway, AsyncExitStack] | None = None
        self._leaving: dict[asyncio.Task[None], Gateway] = {}

    @property
    def gateway(self) -> Gateway | None:
        return None if self._current is None else self._current[0]

    @property
    def running(self) -> Gateway:
        """The gateway that answers, after `start`."""
        assert self._current is not None  # noqa: S101
        return self._current[0]

    async def start(self, settings: Settings, handed: tuple[socket.socket, ...] = ()) -> None:
        """`handed` are sockets that the process was started with. Raises whatever `running` raises, and then
        changes nothing."""
        resources = AsyncExitStack()
        before = self._current
        bound = self._bound(settings, handed) if before is not None or handed else None
        try:
            gateway = await resources.enter_async_context(
                running(settings, lent=bound, predecessor=self.gateway, reloads=self._reloads)
            )
        except BaseException:
            for each in bound or ():
                each.close()
            raise
        self._current = gateway, resources
        if before is not None:
            task = asyncio.get_running_loop().create_task(self._end(*before))
            self._leaving[task] = before[0]
            task.add_done_callback(lambda done: self._leaving.pop(done, None))

    def _bound(self, settings: Settings, handed: tuple[socket.socket, ...]) -> list[BoundAddress]:
        """The addresses of the settings: those that we have are shared. Raises CannotListen."""
        ours = {} if self.gateway is None else self.gateway.bound
        addresses = all_addresses(settings)
        new = bind([address for address in addresses if address not in ours], handed)
        return [*(ours[address].shared() for address in addresses if address in ours), *new]

    async def reload(self) -> None:
        """Reads the settings and takes them over. Reports why not, if not. Never raises."""
        await self._reloads.attempt(self._reload())

    async def _reload(self) -> str:
        """What is worth a note. Raises Refused."""
        # In a thread, because reading and checking takes longer than a request may wait.
        settings = await asyncio.to_thread(self._source.read)
        before = self.running.settings
        if workers.count_of(settings.server.workers) > 1:
            raise Refused("server.workers: from one process to several needs a restart")
        refuse_what_needs_a_restart(before, settings)
        try:
            await self.start(settings)
        except Exception as error:
            self.running.outputs.direct_logs()
            raise Refused(in_one_line(error, settings)) from error
        return worth_a_note(before, settings)

    def reopen(self) -> None:
        """Opens the audit file anew, also for those that still finish something."""
        for gateway in (self.gateway, *self._leaving.values()):
            if gateway is not None:
                gateway.outputs.reopen()

    async def end(self) -> None:
        """Drains the gateway, while those before it finish."""
        if self._current is not None:
            await self._current[1].aclose()
        for gateway in self._leaving.values():
            gateway.listener.hurry()
        await asyncio.gather(*self._leaving)

    async def _end(self, gateway: Gateway, resources: AsyncExitStack) -> None:
        """Lets a gateway finish that has handed over. Its counts go on in those of the next one."""
        counts = self._reloads.counts
        counts.leaves(gateway.exposition)
        try:
            await resources.aclose()
        except Exception as error:  # noqa: BLE001  (the gateway that answers must go on)
            logger("bootstrap").error("reload.not_ended", exc_info=error)
        finally:
            counts.has_left(gateway.exposition)
