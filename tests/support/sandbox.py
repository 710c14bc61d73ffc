"""Programs of ours as processes: `authproxy serve` beside a house, and the whole `authproxy sandbox`; both
stopped by their own signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from authproxy.sandbox.addresses import AUTHORITY_FOLDER

ROOT = Path(__file__).parents[2]
_STARTS_WITHIN = 75.0  # it needs four seconds of a core, which on a busy machine is a minute
_ENDS_WITHIN = 15.0
_PORTS = (8025, 8080, 8081, 8082, 8083, 8084, 8088, 8090, 8444, 8445, *range(8101, 8107))


@dataclass
class Served:
    """A running `authproxy serve`. What it prints goes to files, which are read while it runs."""

    process: asyncio.subprocess.Process
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "stdout").read_text(errors="replace")

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    async def ends(self) -> int:
        async with asyncio.timeout(_ENDS_WITHIN):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def served(
    settings_file: Path,
    folder: Path,
    *,
    port: int,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
) -> AsyncIterator[Served]:
    """`python -m authproxy serve` until it listens on the port; ended by SIGTERM at the latest. `output`
    takes the place of its file."""
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "authproxy",
            "serve",
            "-c",
            str(settings_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output or stdout,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
    running = Served(process, folder)
    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not listens(port):
            assert process.returncode is None, running.errors
            assert time.monotonic() < deadline, "authproxy serve did not start"
            await asyncio.sleep(0.02)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await running.ends()
            except TimeoutError:
                process.kill()
                await process.wait()


@dataclass(frozen=True)
class RunningSandbox:
    offset: int

    def local(self, port: int) -> str:
        return f"http://localhost:{port + self.offset}"

    def portal(self, portal_id: str) -> str:
        return f"http://{portal_id}.localhost:{8080 + self.offset}"


@contextlib.contextmanager
def running_sandbox(folder: Path, *, authority: Path) -> Iterator[RunningSandbox]:
    """`python -m authproxy sandbox` on places of its own until all of them answer. It makes new certificates
    for the keys of that authority."""
    offset = free_offset()
    shutil.copytree(authority, folder / "state" / AUTHORITY_FOLDER)
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "authproxy",
                "sandbox",
                "--port-offset",
                str(offset),
                "--state",
                folder / "state",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )
    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not all(listens(port + offset) for port in _PORTS):
            said = (folder / "sandbox.log").read_text(errors="replace")
            assert process.poll() is None, f"the sandbox did not start: {said}"
            assert time.monotonic() < deadline, f"the sandbox does not answer: {said}"
            time.sleep(0.02)
        yield RunningSandbox(offset)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_offset() -> int:
    """Workers look in different places, so that they do not find the same one at the same moment."""
    first = 200 + 400 * (os.getpid() % 20)
    return next(
        offset for offset in range(first, 11_800, 40) if not any(listens(port + offset) for port in _PORTS)
    )
