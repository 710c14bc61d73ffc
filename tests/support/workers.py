"""A gateway with two workers, as real processes, and what a test sees of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from tests.support.gateway import House
from tests.support.http_client import Browser
from tests.support.sandbox import Served, served
from tests.support.waiting import until

TWO = {"AUTHPROXY__SERVER__WORKERS": "2"}
PATIENCE = 30.0


@contextlib.asynccontextmanager
async def two_workers(house: House, **environment: str) -> AsyncIterator[Served]:
    """In place of the house's own gateway, until both serve. `environment` are settings beside its file."""
    async with served(
        house.settings_file, house.folder, port=house.ports["gateway"], environment=TWO | environment
    ) as running:
        await until(lambda: serve(house, "2 of 2 serve"), within=PATIENCE)
        yield running


async def serve(house: House, detail: str) -> bool:
    checks = (await readiness(house))[1]
    return checks["workers"]["detail"].startswith(detail)


async def readiness(house: House) -> tuple[int, dict[str, Any]]:
    """Status and checks of `/readyz`."""
    try:
        answer = await Browser().fetch(f"{house.management}/readyz")
    except OSError:
        return 0, {"workers": {"detail": ""}}
    return answer.status, answer.json["checks"]


def workers_of(process: Any) -> list[int]:
    """The process ids of its workers."""
    return sorted(map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))


@contextlib.contextmanager
def standing_still(process_id: int) -> Iterator[None]:
    """A stopped worker accepts nobody, so that the other one does."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGCONT)


def connections_at(process_id: int, address: int | Path) -> int:
    """How many accepted connections a process has at a port of 127.0.0.1, or at a Unix socket."""
    if isinstance(address, int):
        established, local = "01", f"0100007F:{address:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {row[9] for row in rows if row[1] == local and row[3] == established}
    else:
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        # 03 is connected. An accepted socket has the path of the one that listens.
        sockets = {row[6] for row in rows if row[5] == "03" and row[7:] and row[7].startswith(str(address))}
    return len(sockets & _sockets_of(process_id))


def open_files_of(process_id: int) -> list[str]:
    """What the descriptors of a process lead to. A process that has just ended has none."""
    found, descriptors = [], []
    with contextlib.suppress(OSError):
        descriptors = list(Path(f"/proc/{process_id}/fd").iterdir())
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found


def _sockets_of(process_id: int) -> set[str]:
    return {target[8:-1] for target in open_files_of(process_id) if target.startswith("socket:[")}
