"""How settings are taken over while the gateway runs: when they are read again, which of them need a restart,
and what is told of it. Both forms of the gateway use it: one process, and several workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from authproxy.bootstrap import systemd
from authproxy.bootstrap.server import all_addresses
from authproxy.bootstrap.settings_source import Refused
from authproxy.bootstrap.starting import in_one_line
from authproxy.bootstrap.stores import MEMORY
from authproxy.settings.schema import Settings
from authproxy.telemetry.joint_metrics import JointMetrics
from authproxy.telemetry.logging import logger
from authproxy.web.management import Check

Exposition = Callable[[], str]
"""The metrics of one gateway."""
SETTINGS: Final = "settings"
"""The check of `/readyz` that tells what came of it. `authproxy reload` waits until its detail changes."""


class Reloads:
    """How often the settings were read again, and what came of it the last time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._count = 0
        self._at = clock()
        self._problem = ""
        self._note = ""
        self.counts = EarlierCounts()

    async def attempt(self, reload: Awaitable[str]) -> None:
        """Awaits one reload and reports what came of it. It returns what is worth a note, or raises. Never
        raises itself."""
        problem = note = ""
        try:
            note = await reload
        except Refused as refusal:
            problem = str(refusal)
        except Exception as error:  # noqa: BLE001  (whatever it is: what serves must go on)
            logger("bootstrap").debug("reload.failed", exc_info=error)
            problem = in_one_line(error)
        self.ended(problem, note)

    def ended(self, problem: str = "", note: str = "") -> None:
        """`problem` is why the settings before stay in use; empty if the new ones are. `note` is what an
        operator should know then."""
        self._count += 1
        self._at = self._clock()
        self._problem, self._note = problem, note
        if problem:
            logger("bootstrap").error("settings.refused", detail=problem)
        elif note:
            logger("bootstrap").warning("settings.reloaded", detail=note)
        else:
            logger("bootstrap").info("settings.reloaded")

    @property
    def state(self) -> Check:
        at = self._at.isoformat(timespec="seconds")
        if self._problem:
            return Check(
                status="warning",
                detail=f"reload {self._count} at {at} was refused, and the settings before it stay in use: "
                f"{self._problem}",
            )
        if not self._count:
            return Check(status="ok", detail=f"read at the start, {at}")
        return Check(
            status="ok", detail=f"reload {self._count} at {at}" + (f"; {self._note}" if self._note else "")
        )

    async def check(self) -> Check:
        return self.state


class EarlierCounts:
    """What gateways that have handed over in this process have counted. Counters that fall would look like
    a restart to monitoring."""

    def __init__(self) -> None:
        self._joint = JointMetrics()
        self._leaving: dict[Exposition, str] = {}
        self._left = 0

    def leaves(self, exposition: Exposition) -> None:
        """A gateway has handed over, and still finishes something."""
        self._leaving[exposition] = f"leaving {len(self._leaving) + self._left}"

    def has_left(self, exposition: Exposition) -> None:
        name = self._leaving.pop(exposition)
        self._left += 1
        self._joint.hear(name, _without_process(exposition()))
        self._joint.end(name)

    def added_to(self, own: Callable[[str], tuple[bytes, str]]) -> Callable[[str], tuple[bytes, str]]:
        """The metrics of the gateway that answers, with those before it."""

        def whole(accept: str) -> tuple[bytes, str]:
            if not self._leaving and not self._left:
                return own(accept)
            for exposition, name in self._leaving.items():
                self._joint.hear(name, _without_process(exposition()))
            self._joint.hear("now", own("")[0].decode())
            return self._joint.exposition(accept)

        return whole


def _without_process(text: str) -> str:
    """Without what the process counts, which is the same one."""
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith("process_")
    )


async def reload_when_asked(
    asked: asyncio.Event, ending: asyncio.Event, reload: Callable[[], Awaitable[None]]
) -> None:
    """Reloads whenever `asked` is set, until the end is requested. What is asked during a reload follows
    after it, once."""
    while await _first_of(ending, asked) is asked:
        asked.clear()
        systemd.reload_begins()
        await reload()
        systemd.reload_ended()


async def _first_of(ending: asyncio.Event, asked: asyncio.Event) -> asyncio.Event:
    """Waits for one of the two; `ending` if both have happened."""
    waits = [asyncio.ensure_future(event.wait()) for event in (ending, asked)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return ending if ending.is_set() else asked


def refuse_what_needs_a_restart(before: Settings, after: Settings) -> None:
    """Raises Refused with the name of the setting."""
    if MEMORY in (before.store.url, after.store.url):
        raise Refused(f"store.url: {MEMORY} keeps sessions in the gateway, and they would end: restart it")
    stays = {str(at.unix_path): at for at in all_addresses(before) if at.unix_path is not None}
    for at in all_addresses(after):
        known = stays.get(str(at.unix_path))
        if known is None:
            continue
        if known.unix_socket_mode != at.unix_socket_mode:
            raise Refused("server.unix_socket_mode: a socket that is in use keeps its permissions: restart")
        if known.unix_socket_group != at.unix_socket_group:
            raise Refused("server.unix_socket_group: a socket that is in use keeps its group: restart")


def worth_a_note(before: Settings, after: Settings) -> str:
    if before.store.url != after.store.url:
        return "store.url leads to another store, and people whose sessions are not there sign in again"
    return ""
