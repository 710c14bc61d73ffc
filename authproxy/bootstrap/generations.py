"""Exchanges the running gateway for one with the settings as they are now.

Settings with an error change nothing. Otherwise a second gateway is made in this process, on the same
listening sockets. It takes over when it is complete; whatever fails before that changes nothing either. The
gateway before it finishes what has begun there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from authproxy.bootstrap import workers
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.reloads import Reloads
from authproxy.bootstrap.server import all_addresses
from authproxy.bootstrap.starting import in_one_line
from authproxy.bootstrap.stores import MEMORY
from authproxy.edge.client.sockets import BoundAddress, bind
from authproxy.settings.findings import Finding, SettingsUnreadable
from authproxy.settings.schema import Settings
from authproxy.settings.sources import Reading
from authproxy.telemetry.logging import logger

_SHOWN: Final = 5
"""Findings that are reported. `authproxy check-config` shows all of them."""


class Generations:
    """The gateway that answers, and those before it that still finish something. `read` reads the settings;
    it raises SettingsUnreadable."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
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
        bound = self._bound(settings, handed) if self.gateway is not None or handed else None
        try:
            gateway = await resources.enter_async_context(
                running(settings, lent=bound, predecessor=self.gateway, reloads=self._reloads)
            )
        except BaseException:
            for each in bound or ():
                each.close()
            raise
        before, self._current = self._current, (gateway, resources)
        if before is not None:
            task = asyncio.get_running_loop().create_task(_end(before[1]))
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
        self._reloads.begins()
        problem = ""
        try:
            problem = await self._reload()
        except Exception as error:  # noqa: BLE001  (whatever it is: the gateway that runs must go on)
            logger("bootstrap").debug("reload.failed", exc_info=error)
            problem = in_one_line(error)
            if self.gateway is not None:
                self.gateway.outputs.direct_logs()
        self._reloads.ended(problem)
        if problem:
            logger("bootstrap").error("settings.refused", detail=problem)
        else:
            logger("bootstrap").info("settings.reloaded")

    async def _reload(self) -> str:
        """Why the settings cannot be taken over; empty if they are."""
        try:
            # In a thread, because reading and checking takes longer than a request may wait.
            reading = await asyncio.to_thread(self._read)
        except SettingsUnreadable as unreadable:
            return _listed(unreadable.findings)
        if reading.settings is None:
            return _listed(reading.findings)
        if workers.count_of(reading.settings.server.workers) > 1:
            return "server.workers: another number of processes needs a restart"
        if reading.settings.store.url == MEMORY or self._is_in_memory:
            return f"store.url: {MEMORY} keeps sessions in the gateway, and they would end: restart it"
        await self.start(reading.settings)
        return ""

    @property
    def _is_in_memory(self) -> bool:
        return self.gateway is not None and self.gateway.settings.store.url == MEMORY

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


async def _end(resources: AsyncExitStack) -> None:
    try:
        await resources.aclose()
    except Exception as error:  # noqa: BLE001  (the gateway that answers must go on)
        logger("bootstrap").error("reload.not_ended", exc_info=error)


def _listed(findings: tuple[Finding, ...]) -> str:
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    return "; ".join(errors[:_SHOWN]) + more
